"""`hroute models`: the models and prices that hroute knows, and which of them are going away."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hroute.cli import exits, streams
from hroute.cli.render.table import rows
from hroute.terms import money

if TYPE_CHECKING:
    from hroute.ledger.prices import Model

HELP = "List the models and prices that hroute knows, in US dollars per million tokens."


def register(app: typer.Typer) -> None:
    app.command("models", help=HELP)(models)


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="Only names with this text in them.", show_default=False)
    ] = None,
    retiring: Annotated[bool, typer.Option("--retiring", help="Only what is retired or retiring soon.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> int:
    """Read the compiled table, filter, show."""
    from hroute.ledger import prices
    from hroute.schema.catalogue import CATALOGUE

    wanted = (name or "").lower()
    users: dict[str, list[str]] = {}
    for provider, entry in CATALOGUE.items():
        users.setdefault(entry["model"], []).append(provider)
    found = [
        model
        for model in prices.models(date.today())
        if wanted in f"{model.vendor}/{model.id}".lower() and (model.retirement or not retiring)
    ]
    if as_json:
        for model in found:
            streams.emit("models", _as_json(model, users.get(model.id, [])))
        return exits.DONE
    table = [["vendor", "model", "context", "in", "out", "cached", "", ""]]
    table += [_row(model, users.get(model.id, [])) for model in found]
    for line in rows(table, right=(2, 3, 4, 5)):
        streams.line(line)
    streams.talk(f"prices of {prices.version()}, in USD per million tokens; `-` is unknown")
    return exits.DONE


def _row(model: Model, providers: list[str]) -> list[str]:
    price, gone = model.price, model.retirement
    retirement = ""
    if gone is not None:
        retirement = (
            gone.status + (f" {gone.on}" if gone.on else "") + (f", use {gone.instead}" if gone.instead else "")
        )
    return [
        model.vendor,
        model.id,
        f"{model.context_window:,}" if model.context_window else "-",
        _per_million(price.input),
        _per_million(price.output),
        _per_million(price.cache_read),
        ", ".join(providers),
        retirement,
    ]


def _per_million(nano: int | None) -> str:
    """Dollars with two places, or as many as a small price needs."""
    if nano is None:
        return "-"
    shown = money.show(nano, 2)
    return shown if nano % 10_000_000 == 0 else money.show(nano, 4).rstrip("0")


def _as_json(model: Model, providers: list[str]) -> dict[str, Any]:
    price, gone = model.price, model.retirement
    return {
        "vendor": model.vendor,
        "model": model.id,
        "context_window": model.context_window,
        "price": {
            "input": money.to_json(price.input),
            "output": money.to_json(price.output),
            "cache_read": money.to_json(price.cache_read),
            "cache_write": money.to_json(price.cache_write),
        },
        "providers": providers,
        "retirement": None
        if gone is None
        else {"status": gone.status, "on": gone.on.isoformat() if gone.on else None, "instead": gone.instead},
    }
