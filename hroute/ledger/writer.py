"""The one thread that writes: entries of all callers in groups, so that nobody waits for a disk.

A caller only puts an entry (or what will make one) into a queue. Where the database fails, entries wait in memory up to
a bound, the failure is said loudly, and writing is tried again; an answer never waits for its record.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final

from hroute.ledger import journal
from hroute.ledger.periods import Days
from hroute.ledger.records import Entry
from hroute.ledger.store import Opener, StoreError, Trouble

Making = Callable[[], Iterable[Entry]]
"""What makes entries, on the writer's thread: work that the caller need not wait for."""

BATCH: Final = 200
"""Entries in one transaction at most: a reservation may have to wait for one."""

LINGER: Final = 0.025
"""Seconds for which the first entry of a group waits for others."""

MOST: Final = 100_000
"""Entries that wait in memory while the database fails; what comes then is lost, and counted."""

PATIENCE: Final = 2.0
"""Seconds that one try to write waits for its turn among processes."""

_REST: Final = 30.0  # seconds between two rounds of housekeeping
_PAUSES: Final = (0.05, 0.2, 1.0, 5.0)  # seconds before the next try while the database fails
_AGAIN: Final = 60.0  # seconds until an ongoing failure is said again

log: Final = logging.getLogger("hroute.ledger")


@dataclass(frozen=True, slots=True)
class State:
    """How writing goes. `trouble` is why it fails at present; `lost` counts entries that will never be written."""

    waiting: int
    written: int
    lost: int
    trouble: Trouble | None
    message: str = ""


@dataclass(eq=False, slots=True)
class _Mark:
    """Put into the queue by `flush`; told once all that stood before it is written, or that it could not be."""

    done: threading.Event = field(default_factory=threading.Event)
    ok: bool = False
    leave: bool = False

    def tell(self, ok: bool) -> None:
        if not self.done.is_set():
            self.ok = ok
            self.done.set()


class Writer:
    """Writes entries in the order in which they are put. `tend` is called on its thread now and then, after a commit."""

    def __init__(
        self,
        store: Opener,
        zone: str = "UTC",
        *,
        most: int = MOST,
        linger: float = LINGER,
        tend: Callable[[], None] | None = None,
        committed: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._days = Days(zone)
        self._most = most
        self._linger = linger
        self._tend = tend
        self._committed = committed
        self._queue: SimpleQueue[Entry | Making | _Mark] = SimpleQueue()
        self._hurry = threading.Event()
        self._starting = threading.Lock()
        self._marks: list[_Mark] = []
        self._leaving: list[_Mark] = []
        self._thread: threading.Thread | None = None
        self._written = self._lost = self._kept = 0
        self._trouble: StoreError | None = None
        self._said = 0.0

    def wake(self) -> None:
        """Start the thread before there is anything to write: it also looks after what lasts."""
        if self._thread is None:
            self._start()

    def put(self, entry: Entry | Making) -> None:
        """Hand over an entry; microseconds. Where too many wait already it is lost, which is counted and said."""
        if self._queue.qsize() >= self._most:
            self._lose(1, "too many entries wait to be written")
            return
        self._queue.put(entry)
        if self._thread is None:
            self._start()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was put is committed. False where that is not possible, at once if waiting cannot help."""
        if self._thread is None:
            return self._trouble is None
        return self._wait(_Mark(), timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """`flush`, then end the thread; a later `put` starts a new one."""
        thread = self._thread
        if thread is None:
            return self._trouble is None
        mark = _Mark(leave=True)
        self._leaving.append(mark)
        ok = self._wait(mark, timeout)
        thread.join(timeout)
        if mark in self._leaving:
            self._leaving.remove(mark)
        return ok

    def state(self) -> State:
        trouble = self._trouble
        waiting = self._queue.qsize() + self._kept
        message = "" if trouble is None else trouble.message
        return State(waiting, self._written, self._lost, trouble.trouble if trouble else None, message)

    def _wait(self, mark: _Mark, timeout: float) -> bool:
        self._marks.append(mark)
        self._queue.put(mark)
        self._hurry.set()
        mark.done.wait(timeout)
        mark.tell(False)
        self._marks.remove(mark)
        self._hurry.set()  # one that nobody waits for any more may be leaving
        return mark.ok

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hroute-ledger", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        rested = 0.0
        leaves = False
        while not leaves:
            group, marks = self._group()
            leaves = bool(group) and not self._write(group)
            for mark in marks:
                mark.tell(self._trouble is None)
                leaves = leaves or mark.leave
            if self._trouble is None and time.monotonic() - rested >= _REST:
                self._rest()
                rested = time.monotonic()
        self._thread = None
        if not self._queue.empty():  # put while the thread was leaving
            self._start()

    def _group(self) -> tuple[list[Entry | Making], list[_Mark]]:
        """The next entries, once the first has come; others are waited for a little, unless somebody is in a hurry."""
        group: list[Entry | Making] = []
        marks: list[_Mark] = []
        try:
            item = self._queue.get(timeout=_REST)
        except Empty:
            return group, marks
        if not isinstance(item, _Mark) and self._queue.qsize() < BATCH:
            self._hurry.wait(self._linger)
        self._hurry.clear()
        while True:
            if isinstance(item, _Mark):
                marks.append(item)
                return group, marks
            group.append(item)
            if len(group) >= BATCH:
                return group, marks
            try:
                item = self._queue.get_nowait()
            except Empty:
                return group, marks

    def _write(self, group: Sequence[Entry | Making]) -> bool:
        """Write a group, however long that takes. False where the thread has to leave with the group unwritten."""
        entries = self._made(group)
        self._kept, tries = len(entries), 0
        try:
            while entries:
                try:
                    self._commit(entries)
                    return True
                except StoreError as error:
                    if error.trouble is Trouble.REJECTED:
                        self._write_each(entries)
                        return True
                    self.fails(error)
                    if any(mark.leave and mark.done.is_set() for mark in self._leaving):
                        self._lose(len(entries) + self._drain(), error.message)
                        return False
                self._hurry.wait(_PAUSES[min(tries, len(_PAUSES) - 1)])
                self._hurry.clear()
                tries += 1
        except Exception as error:  # a defect of ours must not end the thread
            self._lose(len(entries), f"{type(error).__name__} while writing")
        finally:
            self._kept = 0
        return True

    def _drain(self) -> int:
        """Empty the queue; gives how many entries were in it."""
        number = 0
        while not self._queue.empty():
            item = self._queue.get_nowait()
            number += not isinstance(item, _Mark)
        self._leaving.clear()
        return number

    def _made(self, group: Iterable[Entry | Making]) -> list[Entry]:
        entries: list[Entry] = []
        for item in group:
            if callable(item):
                try:
                    entries.extend(item())
                except Exception as error:  # its text may quote a prompt
                    self._lose(1, f"{type(error).__name__} while a record was made")
            else:
                entries.append(item)
        return entries

    def _commit(self, entries: Sequence[Entry]) -> None:
        batch = journal.prepared(entries, self._days)
        with self._store().write(PATIENCE) as transaction:
            journal.write(transaction, batch, time.time_ns() // 1_000_000)
        self._written += len(entries)
        if self._trouble is not None:
            log.warning("the ledger is written again, after: %s", self._trouble.message)
            self._trouble = None
        if self._committed is not None and batch.settlements:
            self._committed()

    def _write_each(self, entries: Sequence[Entry]) -> None:
        """One of them does not fit: the others are written without it."""
        for entry in entries:
            try:
                self._commit([entry])
            except StoreError as error:
                self._lose(1, error.message)

    def fails(self, error: StoreError) -> None:
        """Say that the store fails; what waits is tried again."""
        now = time.monotonic()
        if self._trouble is None or now - self._said >= _AGAIN:
            waiting = self._queue.qsize() + self._kept
            log.error(
                "%s; %d entries wait in memory%s", error.message, waiting, f" ({error.help})" if error.help else ""
            )
            self._said = now
        self._trouble = error
        if error.trouble is not Trouble.LOCKED:  # no waiting helps whoever waits for a flush
            for mark in list(self._marks):
                mark.tell(False)

    def _lose(self, number: int, why: str) -> None:
        first = self._lost == 0
        self._lost += number
        now = time.monotonic()
        if first or now - self._said >= _AGAIN:
            log.error("%d entries of the ledger are lost: %s", self._lost, why)
            self._said = now

    def _rest(self) -> None:
        if self._tend is None:
            return
        try:
            self._tend()
        except StoreError as error:
            log.warning("housekeeping of the ledger failed: %s", error.message)
        except Exception as error:
            log.warning("housekeeping of the ledger failed: %s", type(error).__name__)
