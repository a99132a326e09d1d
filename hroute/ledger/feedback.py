"""Verdicts on answers: kept beside the request, counted in its sums, and changed when somebody changes their mind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from hroute.ledger.records import Feedback
from hroute.ledger.rollup import KEY, Deltas
from hroute.ledger.store import Transaction, chunks, marks

VERDICTS: Final = ("good", "bad")

_WRITE: Final = (
    "INSERT INTO feedback (request, ts, verdict, source, note) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (request, source) DO UPDATE SET ts = excluded.ts, verdict = excluded.verdict, note = excluded.note"
)


def write(transaction: Transaction, verdicts: Iterable[Feedback], deltas: Deltas) -> None:
    """Keep verdicts on requests that have ended; of one source on one request the last counts, in the sums too. A verdict
    on a request that is not there (never written, or dropped since) is left out."""
    last = {(one.request, one.source): one for one in verdicts if one.verdict in VERDICTS}
    names = list(dict.fromkeys(request for request, _ in last))
    before = {(request, source): verdict for request, source, verdict in _kept(transaction, names)}
    for id, ts, *key in _ended(transaction, names):
        for at in [at for at in last if at[0] == id]:
            if at in before:
                deltas.verdict(tuple(key), ts, before[at], -1)
            deltas.verdict(tuple(key), ts, last[at].verdict)
            one = last[at]
            transaction.run(_WRITE, (id, one.ts, one.verdict, one.source, one.note))


def of(transaction: Transaction, request: str, source: str) -> str | None:
    """What a source said of a request before; None: nothing."""
    found = transaction.run("SELECT verdict FROM feedback WHERE request = ? AND source = ?", (request, source))
    return str(found[0][0]) if found else None


def _kept(transaction: Transaction, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for some in chunks(names):
        yield from transaction.run(
            f"SELECT request, source, verdict FROM feedback WHERE request IN ({marks(some)})", some
        )


def _ended(transaction: Transaction, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for some in chunks(names):
        yield from transaction.run(
            f"SELECT id, ts, {', '.join(KEY)} FROM request WHERE state = 'done' AND id IN ({marks(some)})", some
        )
