"""`hroute status`: the providers of the policy, whether each has its key, where it is and what it costs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hroute.cli import exits, policies, streams
from hroute.cli.render.table import rows
from hroute.cli.render.text import visible
from hroute.terms import locality, money, secret

if TYPE_CHECKING:
    from hroute.schema.policy import Provider

HELP = "List the providers of the policy: key, locality, price. Nothing is sent, and no key is ever shown."

_PLACES = {"machine": "this machine", "network": "your network", "cloud": "cloud"}


def register(app: typer.Typer) -> None:
    app.command("status", help=HELP)(status)


def status(
    policy: policies.PolicyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a provider.")] = False,
) -> int:
    """Resolve what each provider names, show what is there and what is missing."""
    loaded = policies.load(policy)
    found = [_facts(provider) for provider in policies.in_use(loaded)]
    if as_json:
        for facts in found:
            streams.emit("status", facts)
        return exits.DONE
    table = [["provider", "model", "key", "local", "in", "out"]]
    table += [_row(facts) for facts in found]
    for line in rows(table, right=(4, 5)):
        streams.line(line)
    streams.talk(f"{loaded.path}, policy {loaded.hash[:7]}; prices in USD per million tokens")
    return exits.DONE


def _facts(provider: Provider) -> dict[str, Any]:
    from hroute.providers import registry
    from hroute.router.pricing import price_of

    plugin = registry.facts(provider.plugin)
    key = provider.api_key
    needed = plugin.needs_key or key is not None
    address = secret.resolve(provider.base_url, os.environ) if provider.base_url else plugin.default_base_url
    price = price_of(provider)
    return {
        "provider": provider.name,
        "plugin": provider.plugin,
        "model": provider.model,
        "key": _key_name(key) if needed else None,
        "key_needed": needed,
        "key_present": bool(key and secret.resolve(key, os.environ)),
        "base_url": secret.redact(address) if address else None,
        "locality": locality.classify(address, in_process=provider.plugin == "sandbox"),
        "local": provider.local,
        "price": None
        if price is None
        else {"input": money.to_json(price.input), "output": money.to_json(price.output)},
        "labels": dict(provider.labels),
    }


def _key_name(reference: str | None) -> str | None:
    """The name of a key, never the key: a literal one is named as what it is."""
    if reference is None:
        return None
    return reference if secret.is_reference(reference) else "literal"


def _row(facts: dict[str, Any]) -> list[str]:
    price = facts["price"] or {}
    address = facts["base_url"]
    host = f" ({address.partition('://')[2].partition('/')[0]})" if address else ""
    return [
        visible(facts["provider"]),
        visible(f"{facts['plugin']} / {facts['model']}"),
        _key(facts),
        visible(_PLACES[facts["locality"]] + host),
        *(f"${price[kind]:g}" if kind in price else "-" for kind in ("input", "output")),
    ]


def _key(facts: dict[str, Any]) -> str:
    if not facts["key_needed"]:
        return "none needed"
    if facts["key"] is None:
        return "not named"
    name = facts["key"].replace("env:", "$", 1) if facts["key"].startswith("env:") else facts["key"]
    return f"{visible(name)}  {'found' if facts['key_present'] else 'NOT FOUND'}"
