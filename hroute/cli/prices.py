"""`hroute prices`: what a provider or a model costs, by every class of tokens, and where the figure comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hroute.cli import exits, policies, streams
from hroute.cli.render.table import rows
from hroute.cli.render.text import visible
from hroute.terms import money

if TYPE_CHECKING:
    from hroute.schema.policy import Provider
    from hroute.terms.money import Price

HELP = """What a provider or a model costs, in US dollars per million tokens, and where the figure comes from.

\b
Examples:
  hroute prices                     every provider of the policy
  hroute prices claude-sonnet       every model with this text in its name
"""


def register(app: typer.Typer) -> None:
    app.command("prices", help=HELP)(prices)


def prices(
    name: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A model, or a part of its name.", show_default=False)
    ] = None,
    policy: policies.PolicyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a price.")] = False,
) -> int:
    """Look the prices up and show every class."""
    from hroute.ledger.prices import PRICES_VERSION

    found = _of_policy(policy) if name is None else _of_models(name)
    if as_json:
        for one in found:
            streams.emit("prices", one)
        return exits.DONE if found else exits.NO
    table = [["name", "model", "in", "out", "cached", "write 5 m", "write 1 h", "from"]]
    for one in found:
        table += _lines(one)
    if not found:
        streams.talk(f"no price is known for `{name}`: give it by `price:` of the provider")
        return exits.NO
    for line in rows(table, right=(2, 3, 4, 5, 6)):
        streams.line(visible(line))
    streams.talk(f"table of {PRICES_VERSION}, in USD per million tokens; `-` is unknown or not offered")
    return exits.DONE


def _of_policy(given: str | None) -> list[dict[str, Any]]:
    from hroute.router.pricing import price_of

    loaded = policies.load(given)
    return [
        _content(provider.name, provider.model, price_of(provider), _source(provider), provider.usd_per_hour)
        for provider in policies.in_use(loaded)
    ]


def _of_models(wanted: str) -> list[dict[str, Any]]:
    from hroute.ledger import prices as table

    return [
        _content(model.vendor, model.id, model.price, "table")
        for model in table.models()
        if wanted.lower() in f"{model.vendor}/{model.id}".lower()
    ]


def _source(provider: Provider) -> str:
    from hroute.router.pricing import price_of

    if provider.price is not None:
        return "policy"
    if provider.usd_per_hour is not None:
        return "hardware"
    if provider.local:
        return "local"
    return "table" if price_of(provider) is not None else "unknown"


def _content(name: str, model: str, price: Price | None, source: str, per_hour: int | None = None) -> dict[str, Any]:
    from hroute.ledger.prices import PRICES_VERSION

    return {
        "name": name,
        "model": model,
        "price": None if price is None else _classes(price),
        "usd_per_hour": money.to_json(per_hour),
        "source": source,
        "version": PRICES_VERSION if source == "table" else None,
    }


def _classes(price: Price) -> dict[str, Any]:
    return {
        "input": money.to_json(price.input),
        "output": money.to_json(price.output),
        "cache_read": money.to_json(price.cache_read),
        "cache_write": money.to_json(price.cache_write),
        "cache_write_1h": money.to_json(price.cache_write_1h),
        "bands": [{"above": above, **_classes(band)} for above, band in price.bands],
    }


def _lines(one: dict[str, Any]) -> list[list[str]]:
    price = one["price"]
    if price is None:
        hourly = f"${one['usd_per_hour']:g} an hour" if one["usd_per_hour"] is not None else "unknown"
        return [[one["name"], one["model"], "-", "-", "-", "-", "-", hourly]]
    lines = [[one["name"], one["model"], *_amounts(price), one["source"]]]
    lines += [["", f"  above {band['above']:,} tokens", *_amounts(band), ""] for band in price["bands"]]
    return lines


def _amounts(price: dict[str, Any]) -> list[str]:
    names = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    return ["-" if price[name] is None else f"${price[name]:.4f}".rstrip("0").rstrip(".") for name in names]
