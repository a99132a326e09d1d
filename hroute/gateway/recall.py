"""What the ledger knows of a session that this process does not: after a restart, or where another worker served it before.

It names providers and rules only. Without a ledger, or where it cannot be read, nothing is recalled, and what began a tool
loop is decided again from the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hroute.ledger.store import StoreError
from hroute.router.engine import Engine
from hroute.router.recording import keyed

_MOST = 500
_SERVED = (
    "SELECT rule, provider FROM request WHERE session_key = ? AND state = 'done' AND outcome = 'ok' AND provider <> '' "
    f"ORDER BY ts DESC LIMIT {_MOST}"
)


@dataclass(frozen=True, slots=True)
class Recalled:
    """`providers` are all that have answered in the session, `last` the latest of each rule."""

    providers: frozenset[str]
    last: Mapping[str, str]


def recall(engine: Engine, session: str) -> Recalled | None:
    """What was answered in `session`; None where nobody knows. Reads a few rows: not for an event loop."""
    if engine.books is None or engine.policy.mode == "observe":
        return None
    ledger = engine.books.ledger
    try:
        with ledger.read() as transaction:
            rows = transaction.run(_SERVED, (keyed(ledger.key(), session),))
    except (StoreError, OSError):
        return None
    last: dict[str, str] = {}
    for rule, provider in rows:
        last.setdefault(rule, provider)
    return Recalled(frozenset(provider for _, provider in rows), last) if rows else None
