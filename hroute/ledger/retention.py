"""Dropping what is older than it is kept: rows go, their sums stay."""

from __future__ import annotations

from typing import Final

from hroute.ledger.store import Transaction, chunks, marks

_COUNTERS_KEPT: Final = 400 * 86_400_000
"""Milliseconds: a budget's past periods are few rows and tell a year."""


def prune(transaction: Transaction, before: int, *, most: int = 10_000) -> int:
    """Drop requests that arrived before `before` (milliseconds since 1970), `most` at once; gives how many went.

    What is still running stays. Sums by day stay, so `hroute costs` goes on telling of dropped rows.
    """
    old = [
        row[0]
        for row in transaction.run(
            "SELECT id FROM request WHERE ts < ? AND state <> 'started' ORDER BY ts LIMIT ?", (before, most)
        )
    ]
    for some in chunks(old):
        for table, column in (("attempt", "request"), ("follow_up", "id"), ("feedback", "request"), ("said", "id")):
            transaction.run(f"DELETE FROM {table} WHERE {column} IN ({marks(some)})", some)
        asides = [f"{id}/shadow" for id in some]
        transaction.run(f"DELETE FROM said WHERE id IN ({marks(asides)})", asides)
        transaction.run(f"DELETE FROM request WHERE id IN ({marks(some)})", some)
    if len(old) < most:
        _drop_the_rest(transaction, before)
    return len(old)


def _drop_the_rest(transaction: Transaction, before: int) -> None:
    """What was settled or told long ago. Documents stay: they are few, and rows refer to them."""
    transaction.run("DELETE FROM counter WHERE end_ts < ? AND reserved = 0", (before - _COUNTERS_KEPT,))
    transaction.run("DELETE FROM lease WHERE expired = 1 AND expires < ?", (before,))
    transaction.run("DELETE FROM alert WHERE state IN ('sent', 'failed') AND ts < ?", (before,))
