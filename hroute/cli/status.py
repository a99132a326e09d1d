"""`hroute status`: the providers of the policy, whether each has its key, where it is, how it is and what it costs.

Breakers live in the process that calls. This one has called nobody, so it shows what the ledger's last minutes would
make of them, and says so; without a ledger nothing is known.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hroute.cli import exits, ledger, policies, streams
from hroute.cli.render import balance as render_balance
from hroute.cli.render import online as render
from hroute.cli.render.table import rows
from hroute.cli.render.text import visible
from hroute.router import balance
from hroute.terms import locality, money, secret

if TYPE_CHECKING:
    from hroute.router.probing import Probed
    from hroute.schema.policy import Policy, Provider

HELP = """List the providers of the policy: key, locality, breakers, price.

Nothing is sent (save with --online), and no key is ever shown.
"""

_SEEN = "breakers: as the ledger's calls of the last 10 minutes leave them; a running server knows its own better"
_UNSEEN = "breakers: not known, for they live in the process that calls, and no ledger is kept that could tell"

_PLACES = {"machine": "this machine", "network": "your network", "cloud": "cloud"}


def register(app: typer.Typer) -> None:
    app.command("status", help=HELP)(status)


def status(
    policy: policies.PolicyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a provider.")] = False,
    online: Annotated[
        bool,
        typer.Option("--online", help="Ask each provider too: key, model, what Ollama has loaded. No prompt is sent."),
    ] = False,
) -> int:
    """Resolve what each provider names, show what is there and what is missing."""
    loaded = policies.load(policy)
    breakers, known = _breakers(loaded)
    found = [_facts(provider) | breakers[provider.name] for provider in policies.in_use(loaded)]
    asked = _asked(loaded) if online else []
    for facts, one in zip(found, asked, strict=False):
        facts["online"] = one.as_json()
    standing = balance.standing(loaded, os.environ, int(time.time() * 1000))
    if as_json:
        for facts in found:
            streams.emit("status", facts | _money(facts["provider"], loaded, standing))
        return exits.DONE
    table = [
        ["provider", "model", "key", "local", "errors breaker", "latency breaker (p95)", "last error", "in", "out"]
    ]
    table += [_row(facts) for facts in found]
    for line in rows(table, right=(7, 8)):
        streams.line(line)
    for line in render_balance.lines(standing):
        streams.line(line)
    if online:
        for line in ("", "online", *render.lines(asked)):
            streams.line(line)
    for alarm in ledger.alarms(policy):
        streams.talk(f"alarm: {alarm}")
    streams.talk(_SEEN if known else _UNSEEN)
    streams.talk(f"{loaded.path}, policy {loaded.hash[:7]}; prices in USD per million tokens")
    return exits.DONE


def _money(name: str, policy: Policy, standing: balance.Standing) -> dict[str, Any]:
    """The budgets that count calls to a provider, and what is wrong with the ledger."""
    concerned = [b for b in standing.balances if b.concerns(policy.providers[name])]
    return {
        "budgets": [render_balance.as_json(one) for one in concerned],
        "ledger": {"path": standing.ledger, "trouble": standing.state, "message": standing.trouble or None},
    }


def _asked(policy: Policy) -> list[Probed]:
    from hroute.router import probing

    return probing.probe(policy, policies.in_use(policy), os.environ)


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


def _breakers(policy: Policy) -> tuple[dict[str, dict[str, Any]], bool]:
    """Of each provider the breakers and the number of calls that they rest on, and whether anything is known at all."""
    from hroute.router import memory
    from hroute.router.health import Health

    past, health = memory.past(policy, os.environ), Health()
    health.seed(policy.providers.values(), past or ())
    calls = Counter(call.provider for call in past or ())
    shown = {}
    for condition in health.conditions(policy.providers.values()):
        facts = {key: value for key, value in condition.as_json().items() if key not in ("under_way", "waiting")}
        known = calls[condition.provider] > 0
        shown[condition.provider] = {
            **{key: value if known or key == "p95_limit_s" else None for key, value in facts.items()},
            "recent_calls": None if past is None else calls[condition.provider],
        }
    return shown, past is not None


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
        _errors(facts),
        _latency(facts),
        visible(facts["last_error"] or "-"),
        *(f"${price[kind]:g}" if kind in price else "-" for kind in ("input", "output")),
    ]


def _errors(facts: dict[str, Any]) -> str:
    if facts["errors_breaker"] is None:
        return "unknown" if facts["recent_calls"] is None else "no calls"
    seconds = facts["open_for_s"]
    return str(facts["errors_breaker"]) if seconds is None else f"open, {seconds:.0f} s"


def _latency(facts: dict[str, Any]) -> str:
    limit, p95 = facts["p95_limit_s"], facts["p95_s"]
    if limit is None:
        return "-"
    if facts["latency_breaker"] is None:
        return f"{'unknown' if facts['recent_calls'] is None else 'no calls'} (of {limit:g} s)"
    return f"{facts['latency_breaker']} ({'-' if p95 is None else f'{p95:.1f} s'} of {limit:g} s)"


def _key(facts: dict[str, Any]) -> str:
    if not facts["key_needed"]:
        return "none needed"
    if facts["key"] is None:
        return "not named"
    name = facts["key"].replace("env:", "$", 1) if facts["key"].startswith("env:") else facts["key"]
    return f"{visible(name)}  {'found' if facts['key_present'] else 'NOT FOUND'}"
