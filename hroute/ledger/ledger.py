"""The ledger as the rest of the program sees it: append what happened, reserve what may be spent, read what was.

It opens its store when it is first needed. No request fails of it: what cannot be written waits in memory and is said
loudly, and while the store fails budgets are held by what this process remembers of them.
"""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal
from weakref import WeakSet

from hroute.ledger import budgets, change, journal, lengths, place, retention
from hroute.ledger.budgets import Denied, Lease, Taken
from hroute.ledger.lengths import Lengths
from hroute.ledger.periods import Days
from hroute.ledger.records import Claim, Entry, RequestRow, Settlement, Started
from hroute.ledger.remembered import Remembered
from hroute.ledger.store import Store, StoreError, Transaction, Trouble
from hroute.ledger.writer import Making, State, Writer
from hroute.terms.ids import uuid7

LEASE_SECONDS: Final = 120.0
"""How long a reservation lives unless its owner renews it."""

LONGEST: Final = 3600.0
"""Seconds for which a reservation is renewed at most: a call that nobody ended by then is given up."""

GRACE: Final = 15 * 60_000
"""Milliseconds after which a request that was started, and that holds no reservation, counts as lost."""

PATIENCE: Final = 0.5
"""Seconds that a reservation waits for its turn among processes."""

OPENING: Final = 5.0
"""Seconds that one waits for the store to be opened, where nobody's answer waits with him."""

_AFTER_TROUBLE: Final = 1.0  # seconds in which a failing store is not waited for again
_BLIND: Final = 30.0  # seconds in which a store that cannot be read either is not looked at again
_CATCH_UP: Final = 0.1  # seconds that somebody who would be turned away waits for what is being written
_FRESH: Final = 60.0  # seconds for which learned lengths are remembered


@dataclass(frozen=True, slots=True)
class Settings:
    """What the policy says of its ledger. `keep` is in seconds, None for ever."""

    zone: str = "UTC"
    keep: float | None = None
    reserve: Literal["quantile", "ceiling"] = "quantile"
    signals: Literal["asked", "cheap", "all"] = "cheap"
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation that was made. `stored` is false where only this process remembers it."""

    lease: str
    claims: tuple[Claim, ...]
    stored: bool


class Ledger:
    """One store with its writer. Safe between threads, and after a fork. `opened` opens the store within so many seconds,
    `readable` one that is only read, where it cannot be written.

    `told` sends the alerts that wait; `thresholds` are the scores at which the policy decides otherwise, by which an alarm
    says what it looks like.
    """

    def __init__(
        self,
        opened: Callable[[float], Store],
        settings: Settings = Settings(),
        *,
        key_file: str | None = None,
        now: Callable[[], float] = time.time,
        readable: Callable[[float], Store] | None = None,
    ) -> None:
        self.settings = settings
        self.told: Callable[[bool], None] | None = None
        self.thresholds: Sequence[float] = ()
        self._opened = opened
        self._readable = readable or opened
        self._key_file = key_file
        self._now = now
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self.owner = f"{socket.gethostname()}:{self._process}:{secrets.token_hex(4)}"
        self._store: Store | None = None
        self._opening = threading.Lock()
        self._days = Days(self.settings.zone)
        self._remembered = Remembered()
        self._in_use = False
        self._living: dict[str, float] = {}
        self._troubled = self._blind = 0.0
        self._learned: dict[lengths.Key, tuple[float, Lengths]] = {}
        self._key: bytes | None = None
        self._writer = Writer(self.store, self.settings.zone, tend=self._tend, committed=self._tell)

    def append(self, entry: Entry | Making) -> None:
        """Hand over what is to be written, or what will make it; the caller does not wait."""
        self._after_fork()
        self._writer.put(entry)
        if not self._in_use:
            self._in_use = True
            _IN_USE.add(self)

    def reserve(self, started: Started, claims: Sequence[Claim]) -> Held | Denied:
        """Set aside what a call may cost, for every budget or for none, and write that the request has started."""
        self._after_fork()
        now = int(self._now() * 1000)
        lease = Lease(uuid7(now), self.owner, started.id, now + int(LEASE_SECONDS * 1000))
        try:
            answer = self._reserve(lease, started, claims, now)
            if isinstance(answer, Denied) and self._writer.flush(_CATCH_UP):
                answer = self._reserve(lease, started, claims, now)  # calls that had ended were not settled yet
        except StoreError as error:
            self._troubled = time.monotonic()
            self._writer.fails(error)
            self._look(claims)
            denied = self._remembered.reserve(claims)
            return denied or Held(lease.id, tuple(claims), stored=False)
        if isinstance(answer, Denied):
            return answer
        self._remembered.note(claims, answer.seen)
        self._living[lease.id] = time.monotonic() + LONGEST
        self._writer.wake()
        return Held(lease.id, tuple(claims), stored=True)

    def settle(self, held: Held, actual: int | None) -> None:
        """End a reservation with what the call did cost; None where nobody can say, and the estimate stands."""
        self._living.pop(held.lease, None)
        self._remembered.settle(held.claims, actual)
        self.append(Settlement(held.lease, actual, () if held.stored else held.claims))

    def answers(self, rule: str, provider: str, model: str) -> Lengths:
        """How long the answers of a provider's model by a rule were (a minute old at most); nothing known where the store
        cannot be read."""
        key = (rule, provider, model)
        known = self._learned.get(key)
        if known is None or known[0] < time.monotonic():
            known = time.monotonic() + _FRESH, self._ask_answers(*key)
            self._learned[key] = known
        return known[1]

    def key(self) -> bytes:
        """The key of this ledger's hashes. Raises OSError where it can be neither read nor made."""
        if self._key is None:
            if self._key_file is None:
                raise OSError("there is no place for the key of the ledger")
            self._key = place.read_key(self._key_file)
        return self._key

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A view for reports (`hroute.ledger.report`). What was appended is in it only after `flush`."""
        with self.store().read() as transaction:
            yield transaction

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was appended is committed; False where that is not possible."""
        return self._writer.flush(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """`flush`, and close the store; the next `append` opens it again. False where something could not be written."""
        written = self._writer.close(timeout)
        if self.told is not None and self._store is not None:
            self.told(True)
        with self._opening:
            store, self._store = self._store, None
        if store is not None:
            store.close()
        return written

    def state(self) -> State:
        """How writing goes, for `status` and metrics."""
        return self._writer.state()

    def store(self, patience: float = OPENING) -> Store:
        """The store, opened on first use within so many seconds. Raises StoreError."""
        store = self._store
        if store is None:
            if not self._opening.acquire(timeout=patience):
                raise StoreError(Trouble.LOCKED, "the ledger is still being opened")
            try:
                if self._store is None:
                    self._store = self._opened(patience)
                store = self._store
            finally:
                self._opening.release()
        return store

    def _at_hand(self, patience: float) -> Store:
        """The store for who must not wait: one that could not be opened is left to the writer, which goes on trying."""
        state = self._writer.state() if self._store is None else None
        if state is not None and state.trouble is not None:
            raise StoreError(state.trouble, state.message)
        return self.store(patience)

    def _tell(self) -> None:
        """After a settlement was committed: a threshold may have been crossed. `told` sends what waits, elsewhere."""
        if self.told is not None:
            self.told(False)

    def _reserve(self, lease: Lease, started: Started, claims: Sequence[Claim], now: int) -> Taken | Denied:
        patience = PATIENCE if time.monotonic() - self._troubled > _AFTER_TROUBLE else 0.0
        with self._at_hand(patience).write(patience) as transaction:
            answer = budgets.reserve(transaction, lease, claims, now)
            if isinstance(answer, Taken):
                journal.start(transaction, self._started_row(started))
        return answer

    def _look(self, claims: Sequence[Claim]) -> None:
        """What cannot be written can often be read: a budget that is spent stays spent."""
        unknown = self._remembered.unknown(claims)
        if not unknown or time.monotonic() < self._blind:
            return
        try:
            store = self._readable(PATIENCE) if self._store is None else None
            try:
                with (store or self.store()).read() as transaction:
                    for claim in unknown:
                        self._remembered.learn(claim, *budgets.look(transaction, claim))
            finally:
                if store is not None:
                    store.close()
        except StoreError:
            self._blind = time.monotonic() + _BLIND

    def _started_row(self, started: Started) -> tuple[object, ...]:
        row = RequestRow(
            id=started.id, ts=started.ts, outcome="", policy=started.policy, rule=started.rule,
            routed_to=started.routed_to, cost_center=started.cost_center, intent=started.intent, mode=started.mode,
        )  # fmt: skip
        return journal.request_values(row, self._days.of(started.ts), "started")

    def _tend(self) -> None:
        """What lasts is looked after: living reservations renewed, those of the dead closed, old rows dropped; once an
        hour rates are looked at, whether they have grown."""
        now, clock = int(self._now() * 1000), time.monotonic()
        living = [lease for lease, until in list(self._living.items()) if until > clock]
        with self.store().write(PATIENCE) as transaction:
            budgets.renew(transaction, living, now + int(LEASE_SECONDS * 1000))
            journal.close_lost(transaction, now, GRACE)
            if self.settings.keep is not None:
                retention.prune(transaction, now - int(self.settings.keep * 1000), most=500)
        self.store().tend()
        self._watch(now)
        self._tell()

    def _watch(self, now: int) -> None:
        """Nobody who writes waits for the look, only for what it leaves to be told."""
        with self.store().read() as view:
            if not change.due(view, now):
                return
            looked = change.look(view, now, zone=self.settings.zone, thresholds=self.thresholds)
        with self.store().write(PATIENCE) as transaction:
            change.tell(transaction, looked, now)

    def _ask_answers(self, rule: str, provider: str, model: str) -> Lengths:
        if time.monotonic() - self._troubled < _AFTER_TROUBLE:
            return Lengths({})
        try:
            with self._at_hand(PATIENCE).read() as transaction:
                return lengths.of(transaction, rule, provider, model)
        except StoreError as error:
            self._troubled = time.monotonic()
            self._writer.fails(error)
            return Lengths({})

    def _after_fork(self) -> None:
        if os.getpid() != self._process:
            self._begin()


_IN_USE: Final[WeakSet[Ledger]] = WeakSet()


@atexit.register
def _close_all() -> None:
    """A program that ends has its rows written first, within bounds."""
    for ledger in list(_IN_USE):
        ledger.close()


def at(
    where: str,
    settings: Settings = Settings(),
    *,
    key_file: str | None = None,
) -> Ledger:
    """The ledger at a path or a PostgreSQL URL; nothing is opened yet."""
    return Ledger(
        lambda patience: open_store(where, settings, patience=patience),
        settings,
        key_file=key_file,
        readable=lambda patience: open_store(where, settings, read_only=True, patience=patience),
    )


def open_store(
    where: str, settings: Settings = Settings(), *, read_only: bool = False, patience: float = OPENING
) -> Store:
    """The store at a path or a PostgreSQL URL, opened within so many seconds. Raises StoreError."""
    if place.is_url(where):
        from hroute.ledger.postgres import PostgresStore

        return PostgresStore(where)
    from hroute.ledger.sqlite import SqliteStore

    return SqliteStore(where, durable=settings.durable, read_only=read_only, patience=patience)


__all__ = ["Denied", "Held", "Ledger", "Settings", "StoreError", "Trouble", "at", "open_store"]
