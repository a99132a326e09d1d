"""What the budgets of a policy say at this moment, and whether their ledger can be written at all. Nothing is created."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hroute.errors import HrouteError
from hroute.ledger import budgets, periods, place
from hroute.ledger.store import StoreError, Trouble
from hroute.router.spending import scope_of
from hroute.schema.policy import Budget, Policy, Provider, Threshold

_LEAST_FREE: Final = 1 << 16  # bytes: with less than that a disk counts as full
_PATIENCE: Final = 0.3  # seconds to wait for a lock before it counts as held


@dataclass(frozen=True, slots=True)
class Balance:
    """One budget in its present period, in nano-dollars; `start` and `end` in milliseconds since 1970. `spent` and
    `reserved` are None where the ledger cannot be read. `unpriced` are calls whose price nobody knows."""

    budget: Budget
    start: int
    end: int
    spent: int | None
    reserved: int | None
    unpriced: int = 0

    @property
    def reached(self) -> tuple[Threshold, ...]:
        """The thresholds that hold now: what is reserved counts for what keeps calls out, and not for alerts."""
        if self.spent is None or self.reserved is None:
            return ()
        spent, taken = self.spent, self.spent + self.reserved
        return tuple(
            t for t in self.budget.at if (spent if t.action == "alert" else taken) >= int(t.share * self.budget.limit)
        )

    def concerns(self, provider: Provider) -> bool:
        """Whether calls to a provider are counted in it, other limits aside."""
        where = self.budget.where
        return provider.name in where.get("provider", (provider.name,)) and provider.plugin in where.get(
            "plugin", (provider.plugin,)
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the ledger is (None: none is kept), what is wrong with it ("" where nothing is), and every budget."""

    ledger: str | None
    trouble: str
    state: Trouble | None
    balances: tuple[Balance, ...]


def standing(policy: Policy, environ: Mapping[str, str], now: int) -> Standing:
    """The budgets of `policy` at an instant (milliseconds since 1970). A ledger elsewhere than in a file is asked, too."""
    try:
        where = place.find(policy.ledger, environ, beside=os.path.dirname(policy.path))
    except HrouteError as unset:
        return Standing(None, unset.message, Trouble.UNREACHABLE, _balances(policy, now, None))
    if where is None:
        return Standing(None, "", None, _balances(policy, now, None))
    counters, error = _counters(where, now, wanted=bool(policy.budgets))
    found = _balances(policy, now, counters)
    error = error or _unwritable(where)
    return Standing(where, "", None, found) if error is None else Standing(where, error.message, error.trouble, found)


def action(threshold: Threshold) -> str:
    """What a threshold does, in words: `alert`, `refuse`, `only cheap, local`."""
    return threshold.action if threshold.action != "only" else f"only {', '.join(sorted(threshold.permitted))}"


_Counters = Mapping[tuple[str, str, int], budgets.Counter]


def _balances(policy: Policy, now: int, counters: _Counters | None) -> tuple[Balance, ...]:
    return tuple(_balance(budget, now, counters) for budget in policy.budgets)


def _balance(budget: Budget, now: int, counters: _Counters | None) -> Balance:
    bounds = periods.period(budget.per, budget.timezone, now)
    if counters is None:
        return Balance(budget, bounds.start, bounds.end, None, None)
    found = counters.get((budget.name, scope_of(budget), bounds.start))
    if found is None:
        return Balance(budget, bounds.start, bounds.end, 0, 0)
    return Balance(budget, bounds.start, bounds.end, found.spent, found.reserved, found.unpriced)


def _counters(where: str, now: int, *, wanted: bool) -> tuple[_Counters | None, StoreError | None]:
    from hroute.ledger.ledger import open_store

    if place.is_url(where) and not wanted:
        return {}, None
    if not place.is_url(where) and not os.path.exists(where):
        return {}, None
    try:
        store = open_store(where, read_only=True, patience=_PATIENCE)
        try:
            with store.read() as transaction:
                return {(c.budget, c.scope, c.start): c for c in budgets.counters(transaction, now)}, None
        finally:
            store.close()
    except StoreError as error:
        return None, error


def _unwritable(where: str) -> StoreError | None:
    """Why nothing could be written into the file now; None where something could, or where that cannot be known."""
    if place.is_url(where):
        return None
    folder = _existing(os.path.dirname(os.path.abspath(where)))
    for path in (where, f"{where}-wal", folder):
        if os.path.exists(path) and not os.access(path, os.W_OK):
            return StoreError(Trouble.READ_ONLY, f"ledger {where}: {path} cannot be written: read-only")
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < _LEAST_FREE:
        return StoreError(Trouble.FULL, f"ledger {where}: the disk is full")
    if not os.path.exists(where):
        return None
    from hroute.ledger.sqlite import SqliteStore

    try:
        store = SqliteStore(where, patience=_PATIENCE)
        try:
            with store.write(_PATIENCE):
                return None
        finally:
            store.close()
    except StoreError as error:
        return error


def _existing(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder
