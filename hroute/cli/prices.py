"""`hroute prices`: what a provider or a model costs, by every class of tokens, and where the figure comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hroute.cli import exits, policies, streams
from hroute.cli.render.table import rows
from hroute.cli.render.text import visible
from hroute.errors import UsageError
from hroute.terms import money

if TYPE_CHECKING:
    from hroute.schema.policy import Provider
    from hroute.terms.money import Hours, Price

_CLASSES: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")

HELP = """What a provider or a model costs, in US dollars per million tokens, and where the figure comes from.

\b
Examples:
  hroute prices                     every provider of the policy
  hroute prices claude-sonnet       every model with this text in its name
  hroute prices update --from data.json
                                    a data file of genai-prices, or a table in our own form, from now on
  hroute prices update --built-in   back to the table that came with hroute

Nothing is fetched: a newer file is one that you have brought here.
"""


def register(app: typer.Typer) -> None:
    app.command("prices", help=HELP)(prices)


def prices(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A model, or a part of its name; or `update`.", show_default=False),
    ] = None,
    policy: policies.PolicyOption = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="update: the file to take prices from.", show_default=False),
    ] = None,
    dated: Annotated[
        str | None,
        typer.Option(
            metavar="DAY", help="update: the day of a file that bears none. Default: today.", show_default=False
        ),
    ] = None,
    built_in: Annotated[
        bool, typer.Option("--built-in", help="update: back to the table that came with hroute.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a price.")] = False,
) -> int:
    """Look the prices up and show every class, or put another table in force."""
    if name == "update":
        from hroute.cli.price_update import update

        return update(source, dated, built_in=built_in, as_json=as_json)
    if source is not None or dated is not None or built_in:
        raise UsageError("--from, --dated and --built-in go with `update`", help="hroute prices update --from FILE")
    found = _of_policy(policy) if name is None else _of_models(name)
    if as_json:
        for one in found:
            streams.emit("prices", one)
        return exits.DONE if found else exits.NO
    table = [["name", "model", "in", "out", "cached", "write 5 m", "write 1 h", "thinking", "from"]]
    for one in found:
        table += _lines(one)
    if not found:
        streams.talk(f"no price is known for `{visible(name or '')}`: give it by `price:` of the provider")
        return exits.NO
    for line in rows(table, right=(2, 3, 4, 5, 6, 7)):
        streams.line(visible(line))
    streams.talk("in USD per million tokens; `-` is unknown, or billed as the class that it is part of")
    streams.talk(_table_line())
    return exits.DONE


def _table_line() -> str:
    """Which table is in force, and what is to be known of it."""
    from hroute.ledger import price_table

    table, own = price_table.in_force(), price_table.built_in()
    said = f"table of {table.version} ({table.source}), {table.path or 'built in'}"
    if table.passed_over:
        said += f"; NOT USED: {table.passed_over}: hroute prices update --from FILE, or --built-in"
    elif own.version > table.version:
        said += f"; the built-in one of {own.version} is newer: hroute prices update --built-in"
    return visible(said)


def _of_policy(given: str | None) -> list[dict[str, Any]]:
    from hroute.router.pricing import listed

    loaded = policies.load(given)
    return [
        _content(provider.name, provider.model, listed(provider), _source(provider), provider.usd_per_hour)
        for provider in policies.in_use(loaded)
    ]


def _of_models(wanted: str) -> list[dict[str, Any]]:
    from hroute.ledger import prices as table

    return [
        _content(model.vendor, model.id, model.listed, "table")
        for model in table.models()
        if wanted.lower() in f"{model.vendor}/{model.id}".lower()
    ]


def _source(provider: Provider) -> str:
    from hroute.router.pricing import listed

    if provider.price is not None:
        return "policy"
    if provider.usd_per_hour is not None:
        return "hardware"
    if provider.local:
        return "local"
    if provider.plugin == "command":
        return "subscription" if listed(provider) is not None else "unknown"
    return "table" if listed(provider) is not None else "unknown"


def _content(name: str, model: str, price: Price | None, source: str, per_hour: int | None = None) -> dict[str, Any]:
    from hroute.ledger import prices as table

    return {
        "name": name,
        "model": model,
        "price": None if price is None else _json(price),
        "usd_per_hour": money.to_json(per_hour),
        "source": source,
        "version": table.version() if source == "table" else None,
    }


def _json(price: Price) -> dict[str, Any]:
    """The price of today with its bands; its hours, what is announced, and a discount only where it has any."""
    from datetime import date

    from hroute.terms.money import on_day

    today = date.today().isoformat()
    found = _of_day(on_day(price, today))
    announced = [{"from": day, **_of_day(other)} for day, other in price.dates if day > today]
    if announced:
        found["dates"] = announced
    if price.batch_discount:
        found["batch_discount"] = price.batch_discount / 1_000_000
    return found


def _of_day(price: Price) -> dict[str, Any]:
    hours = [_at_hour(when, other) for when, other in price.hours]
    return {**_classes(price), **({"hours": hours} if hours else {})}


def _at_hour(hours: Hours, price: Price) -> dict[str, Any]:
    return {"from": hours.start, "to": hours.end, "timezone": hours.zone, **_classes(price)}


def _classes(price: Price) -> dict[str, Any]:
    return {
        **{name: money.to_json(getattr(price, name)) for name in _CLASSES},
        "bands": [{"above": above, **_classes(band)} for above, band in price.bands],
    }


def _lines(one: dict[str, Any]) -> list[list[str]]:
    price = one["price"]
    if price is None:
        hourly = f"${one['usd_per_hour']:g} an hour" if one["usd_per_hour"] is not None else "unknown"
        return [[one["name"], one["model"], *("-" for _ in _CLASSES), hourly]]
    discounted = price.get("batch_discount", 0)
    discount = f", batch work {100 * discounted:g} % less" if discounted else ""
    lines = [[one["name"], one["model"], *_amounts(price), one["source"] + discount]]
    lines += _bands(price, "  ")
    lines += _hours(price.get("hours", ()), "  ")
    for dated in price.get("dates", ()):
        lines.append(["", f"  from {dated['from']}", *_amounts(dated), ""])
        lines += _bands(dated, "    ")
        lines += _hours(dated.get("hours", ()), "    ")
    return lines


def _bands(price: dict[str, Any], indent: str) -> list[list[str]]:
    return [["", f"{indent}above {band['above']:,} tokens", *_amounts(band), ""] for band in price["bands"]]


def _hours(hours: Sequence[dict[str, Any]], indent: str) -> list[list[str]]:
    lines = []
    for one in hours:
        lines.append(["", f"{indent}{one['from']} to {one['to']} {one['timezone']}", *_amounts(one), ""])
        lines += _bands(one, indent + "  ")
    return lines


def _amounts(price: dict[str, Any]) -> list[str]:
    return ["-" if price[name] is None else f"${price[name]:.6f}".rstrip("0").rstrip(".") for name in _CLASSES]
