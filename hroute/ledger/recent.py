"""The calls of the last minutes: what a process that has just begun may know of its providers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hroute.ledger.store import Transaction

MOST: Final = 2_000
"""Calls that are read; of more only the last."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call to `provider` of a request that ended at `ts` (milliseconds since 1970, UTC). `latency_ms` is the time to
    its first words where it was streamed, else the whole; `tokens` are those read and written, the cached ones aside."""

    provider: str
    outcome: str
    ts: float
    latency_ms: float
    status: int | None = None
    code: str | None = None
    tokens: int = 0


def calls(transaction: Transaction, since: int, most: int = MOST) -> list[Called]:
    """The calls of requests that arrived after `since` (milliseconds since 1970), the last ones first; none of a
    rehearsal, which met nobody."""
    found = transaction.run(
        "SELECT a.provider, a.outcome, r.ts + r.latency_ms, COALESCE(a.ttft_ms, a.latency_ms), a.status, a.code, "
        "a.input + a.cache_write + a.output + a.reasoning "
        "FROM request r JOIN attempt a ON a.request = r.id WHERE r.ts > ? AND r.mode <> 'sandbox' ORDER BY r.ts DESC, a.n DESC LIMIT ?",
        (since, most),
    )
    return [Called(*row) for row in found]
