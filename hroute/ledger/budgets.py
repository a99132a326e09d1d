"""What may still be spent: counters of a period, and reservations that heal themselves when their owner dies.

A reservation is a lease with an owner and an expiry. It is taken before a call, in one transaction with the look at the
counter, so that any number of threads and processes admit together no more than the limit; it ends with what the call
did cost. One that nobody ends is settled at its amount once it has expired (SEMANTICS 4.1, 4.2).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hroute.ledger.records import Claim, Settlement
from hroute.ledger.store import Transaction, chunks, marks
from hroute.terms.ids import uuid7

MILLION: Final = 1_000_000

_LOOK: Final = "SELECT spent, reserved FROM counter WHERE budget = ? AND scope = ? AND start_ts = ?"
_OPEN: Final = (
    "INSERT INTO counter (budget, scope, start_ts, end_ts, spent, reserved, unpriced, ceiling, shares, told) "
    "VALUES (?, ?, ?, ?, 0, 0, 0, ?, ?, 0) ON CONFLICT (budget, scope, start_ts) "
    "DO UPDATE SET ceiling = excluded.ceiling, shares = excluded.shares"
)
_TAKE: Final = "UPDATE counter SET reserved = reserved + ?, ceiling = ?, shares = ? WHERE budget = ? AND scope = ? AND start_ts = ?"
_LEASE: Final = (
    "INSERT INTO lease (id, budget, scope, start_ts, request, owner, expires, amount, expired) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
)
_MOVE: Final = (
    "UPDATE counter SET spent = spent + ?, reserved = reserved + ?, unpriced = unpriced + ? "
    "WHERE budget = ? AND scope = ? AND start_ts = ?"
)


@dataclass(frozen=True, slots=True)
class Lease:
    """A reservation: who holds it, for which request, and until when (milliseconds since 1970)."""

    id: str
    owner: str
    request: str
    expires: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Every claim was reserved; `seen` is what each counter said before: (spent, reserved)."""

    seen: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """The claim that did not fit, with what its counter says; nothing was reserved."""

    claim: Claim
    spent: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Counter:
    """One budget in one period, in nano-dollars. `unpriced` are calls whose price nobody knows."""

    budget: str
    scope: str
    start: int
    end: int
    spent: int
    reserved: int
    unpriced: int
    limit: int


def reserve(transaction: Transaction, lease: Lease, claims: Sequence[Claim], now: int) -> Taken | Denied:
    """Take every claim or none. What the dead still hold is settled before anybody is turned away: it may be less."""
    answer = _take(transaction, lease, claims)
    if isinstance(answer, Denied) and expire(transaction, now):
        answer = _take(transaction, lease, claims)
    return answer


def fits(claim: Claim, spent: int, reserved: int) -> bool:
    """Whether a counter has room for a claim. One of 0 is of a call whose price nobody knows: it passes while anything is
    left."""
    return claim.cap is None or spent + reserved + max(claim.amount, 1) <= claim.cap


def settle(transaction: Transaction, settlements: Sequence[Settlement], now: int) -> None:
    """End leases with what was spent, each once; an expired one is put right if its owner comes back after all."""
    held = _held(transaction, [s.lease for s in settlements])
    moves: defaultdict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for settlement in {s.lease: s for s in settlements}.values():
        leases = held.get(settlement.lease, [])
        for budget, scope, start, request, amount, expired in leases:
            actual = amount if settlement.actual is None else settlement.actual
            move = moves[budget, scope, start]
            move[0] += actual - (amount if expired else 0)
            move[1] -= 0 if expired else amount
            move[2] += settlement.actual is None
            if (budget, scope) == leases[0][:2]:
                _add_to_started(transaction, request, actual)
        if not leases:
            for claim in settlement.claims:
                _open(transaction, claim)
                move = moves[claim.budget, claim.scope, claim.start]
                move[0] += claim.amount if settlement.actual is None else settlement.actual
                move[2] += settlement.actual is None
    _apply(transaction, moves)
    for some in chunks(list(held)):
        transaction.run(f"DELETE FROM lease WHERE id IN ({marks(some)})", some)
    tell(transaction, moves, now)


def expire(transaction: Transaction, now: int) -> int:
    """Settle at their amount the leases whose time has run out; gives how many."""
    dead = transaction.run(
        "SELECT id, budget, scope, start_ts, request, amount FROM lease WHERE expires < ? AND expired = 0", (now,)
    )
    moves: defaultdict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    counted: set[str] = set()
    for id, budget, scope, start, request, amount in dead:
        move = moves[budget, scope, start]
        move[0] += amount
        move[1] -= amount
        if id not in counted:
            counted.add(id)
            _add_to_started(transaction, request, amount)
    _apply(transaction, moves)
    for some in chunks(list(counted)):
        transaction.run(f"UPDATE lease SET expired = 1 WHERE id IN ({marks(some)})", some)
    tell(transaction, moves, now)
    return len(counted)


def renew(transaction: Transaction, leases: Sequence[str], expires: int) -> None:
    """Give living leases more time."""
    for some in chunks(leases):
        transaction.run(f"UPDATE lease SET expires = ? WHERE expired = 0 AND id IN ({marks(some)})", (expires, *some))


def tell(transaction: Transaction, counters: Iterable[tuple[str, str, int]], now: int) -> None:
    """An alert for each threshold that a counter has reached and that nobody was told of in this period."""
    for key in counters:
        where = "WHERE budget = ? AND scope = ? AND start_ts = ?"
        for spent, ceiling, shares, told, end in transaction.run(
            f"SELECT spent, ceiling, shares, told, end_ts FROM counter {where}", key
        ):
            crossed = [s for s in json.loads(shares) if s > told and spent * MILLION >= s * ceiling]
            for number, share in enumerate(crossed):  # a millisecond apart, so that they stay in order
                payload = _payload(key[0], share, spent, ceiling, key[2], end)
                transaction.run(
                    "INSERT INTO alert (id, ts, payload, state, owner, until, tries) VALUES (?, ?, ?, 'pending', '', 0, 0)",
                    (uuid7(now), now + number, payload),
                )
            if crossed:
                transaction.run(f"UPDATE counter SET told = ? {where}", (max(crossed), *key))


def look(transaction: Transaction, claim: Claim) -> tuple[int, int]:
    """What the counter of a claim has spent and reserved."""
    found = transaction.run(_LOOK, (claim.budget, claim.scope, claim.start))
    return (found[0][0], found[0][1]) if found else (0, 0)


def counters(transaction: Transaction, now: int) -> list[Counter]:
    """Every counter whose period is not over."""
    rows = transaction.run(
        "SELECT budget, scope, start_ts, end_ts, spent, reserved, unpriced, ceiling FROM counter WHERE end_ts > ? "
        "ORDER BY budget, scope",
        (now,),
    )
    return [Counter(*row) for row in rows]


def _take(transaction: Transaction, lease: Lease, claims: Sequence[Claim]) -> Taken | Denied:
    seen = []
    for claim in claims:
        found = transaction.run(_LOOK, (claim.budget, claim.scope, claim.start))
        spent, reserved = found[0] if found else (0, 0)
        if not fits(claim, spent, reserved):
            return Denied(claim, spent, reserved)
        if not found:
            _open(transaction, claim)
        seen.append((spent, reserved))
    for claim in claims:
        key = (claim.budget, claim.scope, claim.start)
        transaction.run(_TAKE, (claim.amount, claim.limit, _shares(claim), *key))
        transaction.run(_LEASE, (lease.id, *key, lease.request, lease.owner, lease.expires, claim.amount))
    return Taken(tuple(seen))


def _open(transaction: Transaction, claim: Claim) -> None:
    transaction.run(_OPEN, (claim.budget, claim.scope, claim.start, claim.end, claim.limit, _shares(claim)))


def _held(transaction: Transaction, ids: Sequence[str]) -> dict[str, list[tuple[Any, ...]]]:
    held: dict[str, list[tuple[Any, ...]]] = {}
    for some in chunks(ids):
        for id, *rest in transaction.run(
            f"SELECT id, budget, scope, start_ts, request, amount, expired FROM lease WHERE id IN ({marks(some)})", some
        ):
            held.setdefault(id, []).append(tuple(rest))
    return held


def _apply(transaction: Transaction, moves: dict[tuple[str, str, int], list[int]]) -> None:
    transaction.each(_MOVE, [(*move, *key) for key, move in moves.items()])


def _add_to_started(transaction: Transaction, request: str, amount: int) -> None:
    """What a request that may never come to its end has cost so far."""
    transaction.run("UPDATE request SET cost = cost + ? WHERE id = ? AND state = 'started'", (amount, request))


def _shares(claim: Claim) -> str:
    return json.dumps(list(claim.shares))


def _payload(budget: str, share: int, spent: int, limit: int, start: int, end: int) -> str:
    """The closed set of keys of a budget's alert: names and numbers, nothing of a request and nobody's name."""
    return json.dumps(
        {
            "kind": "budget",
            "budget": budget,
            "share": share / MILLION,
            "spent_usd": round(spent / 1e9, 9),
            "limit_usd": round(limit / 1e9, 9),
            "period_start": start,
            "period_end": end,
        }
    )
