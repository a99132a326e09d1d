"""Rows and claims for tests: whole by default, each test says only what it is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hroute.ledger.ledger import Ledger, Settings, at
from hroute.ledger.records import AttemptRow, Claim, RequestRow, Started
from hroute.terms.ids import uuid7
from hroute.terms.usage import Usage

NOON = 1_795_176_000_000
"""2026-11-20T12:00Z in milliseconds."""

DOLLAR = 1_000_000_000

_WHOLE = RequestRow(
    id="",
    ts=NOON,
    outcome="ok",
    policy="p1",
    rule="faq",
    routed_to="ollama",
    provider="ollama",
    model="llama3.1:8b",
    cost_center="bot",
    intent="faq",
    latency_ms=250.0,
    usage=Usage(input=100, output=20),
    cost=1_000,
    score=0.2,
    confidence=0.9,
    signals={"intent": ["faq"], "score": 0.2},
    versions={"tokens": "tokens/1"},
    prices="2026-11-20",
)


def attempt(**changed: Any) -> AttemptRow:
    whole = AttemptRow("ollama", "llama3.1:8b", "ok", 250.0, Usage(input=100, output=20), 1_000)
    return replace(whole, **changed)


def row(id: str | None = None, **changed: Any) -> RequestRow:
    """A request that was answered, with one attempt that has what the request says, unless `tries` are given."""
    found = replace(_WHOLE, id=id or uuid7(), **changed)
    if "tries" in changed:
        return found
    one = attempt(
        provider=found.provider,
        model=found.model,
        outcome=found.outcome,
        usage=found.usage,
        cost=found.cost,
        latency_ms=found.latency_ms,
        estimated=found.estimated,
    )
    return replace(found, tries=(one,) if found.provider else ())


def started(id: str | None = None, **changed: Any) -> Started:
    return Started(id or uuid7(), **{"ts": NOON, "rule": "faq", "routed_to": "claude_sonnet", **changed})


def claim(amount: int = 10_000_000, **changed: Any) -> Claim:
    """A cent against a dollar a year that is long over or far away: periods are not what is asked."""
    whole = Claim("daily", "", 0, 10**14, amount, DOLLAR, DOLLAR, (500_000, 1_000_000))
    return replace(whole, **changed)


def ledger(folder: Path, settings: Settings = Settings(), name: str = "ledger.db") -> Ledger:
    path = str(folder / name)
    return at(path, settings, key_file=f"{path}.key")


def ask(books: Ledger, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
    """What the store says, after everything that was appended is in it."""
    assert books.flush(10), books.state()
    with books.read() as view:
        return view.run(sql, values)
