"""The writer: callers never wait, groups are committed, and trouble is loud and survived."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from hroute.ledger.records import Entry
from hroute.ledger.sqlite import SqliteStore
from hroute.ledger.store import Store, StoreError, Transaction, Trouble
from hroute.ledger.writer import Writer
from tests.ledger.rows import row


class Moody:
    """A store that fails as it is told to; `moods` are the troubles of the next transactions, then all is well."""

    def __init__(self, store: SqliteStore, moods: list[Trouble | None] | None = None) -> None:
        self.store = store
        self.place = store.place
        self.moods = moods or []
        self.always: Trouble | None = None
        self.transactions = 0

    def write(self, patience: float) -> AbstractContextManager[Transaction]:
        self.transactions += 1
        mood = self.always or (self.moods.pop(0) if self.moods else None)
        if mood is not None:
            raise StoreError(mood, f"ledger: {mood}")
        return self.store.write(patience)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self.store.read() as view:
            yield view

    def tend(self) -> None:
        self.store.tend()

    def size(self) -> int | None:
        return self.store.size()

    def close(self) -> None:
        self.store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Moody]:
    made = Moody(SqliteStore(str(tmp_path / "ledger.db")))
    yield made
    made.close()


def written(store: Store) -> list[str]:
    with store.read() as view:
        return [id for (id,) in view.run("SELECT id FROM request ORDER BY id")]


def test_what_was_put_is_there_after_a_flush(store: Moody) -> None:
    writer = Writer(lambda: store)
    writer.put(row("a"))
    writer.put(row("b"))
    assert writer.flush()
    assert written(store) == ["a", "b"]
    assert writer.close()


def test_entries_are_committed_in_groups(store: Moody) -> None:
    writer = Writer(lambda: store)
    for n in range(1_000):
        writer.put(row(f"{n:04}"))
    assert writer.flush()
    assert len(written(store)) == 1_000
    assert store.transactions <= 20
    writer.close()


def test_work_may_be_left_to_the_writers_thread(store: Moody) -> None:
    writer = Writer(lambda: store)
    threads: list[str] = []

    def make() -> list[Entry]:
        threads.append(threading.current_thread().name)
        return [row("a"), row("b")]

    writer.put(make)
    assert writer.flush()
    assert threads == ["hroute-ledger"]
    assert written(store) == ["a", "b"]
    writer.close()


def test_work_that_fails_loses_its_entry_alone_and_quotes_nothing(
    store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(lambda: store)

    def fail() -> list[Entry]:
        raise ValueError("my card is 4111 1111 1111 1111")

    writer.put(fail)
    writer.put(row("a"))
    assert writer.flush()
    assert written(store) == ["a"]
    assert writer.state().lost == 1
    assert "ValueError" in caplog.text
    assert "4111" not in caplog.text
    writer.close()


def test_a_row_that_does_not_fit_loses_only_itself(store: Moody, caplog: pytest.LogCaptureFixture) -> None:
    writer = Writer(lambda: store)
    for id in ("a", "\ud800", "b"):
        writer.put(row(id))
    assert writer.flush()
    assert written(store) == ["a", "b"]
    assert writer.state().lost == 1
    assert "1 entries of the ledger are lost" in caplog.text
    writer.close()


@pytest.mark.parametrize("trouble", [Trouble.FULL, Trouble.READ_ONLY, Trouble.LOCKED, Trouble.UNREACHABLE])
def test_trouble_that_passes_costs_no_row_and_is_said(
    store: Moody, trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    store.moods = [trouble, trouble]
    writer = Writer(lambda: store)
    writer.put(row("a"))
    writer.put(row("b"))
    deadline = time.monotonic() + 10
    while len(written(store)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert writer.flush()
    assert written(store) == ["a", "b"]
    assert (writer.state().lost, writer.state().trouble) == (0, None)
    waiting = [f"ledger: {trouble}; {number} entries wait in memory" for number in (1, 2)]  # as the writer came to them
    assert any(said in caplog.text for said in waiting)
    assert "is written again" in caplog.text
    writer.close()


def test_a_flush_that_cannot_succeed_says_so_at_once(store: Moody) -> None:
    store.always = Trouble.CORRUPT
    writer = Writer(lambda: store)
    writer.put(row("a"))
    before = time.monotonic()
    assert not writer.flush(30)
    assert time.monotonic() - before < 10
    state = writer.state()
    assert (state.waiting, state.trouble, state.message) == (1, Trouble.CORRUPT, "ledger: corrupt")
    assert not writer.close(30)
    assert writer.state().lost == 1


def test_who_leaves_while_the_file_is_locked_waits_no_longer_than_told(store: Moody) -> None:
    store.always = Trouble.LOCKED
    writer = Writer(lambda: store)
    writer.put(row("a"))
    assert not writer.close(0.2)
    deadline = time.monotonic() + 10
    while not writer.state().lost and time.monotonic() < deadline:
        time.sleep(0.01)
    assert writer.state().lost == 1


def test_a_store_that_cannot_be_opened_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database" * 1_000)
    stores: list[SqliteStore] = []

    def opened() -> Store:
        if not stores:
            stores.append(SqliteStore(str(path)))
        return stores[0]

    writer = Writer(opened)
    writer.put(row("a"))
    assert not writer.flush()
    path.unlink()
    writer.put(row("b"))
    deadline = time.monotonic() + 20
    while writer.state().trouble and time.monotonic() < deadline:
        writer.flush(0.5)
    assert writer.flush()
    assert written(stores[0]) == ["a", "b"]
    writer.close()
    stores[0].close()


def test_memory_is_bounded_while_nothing_can_be_written(store: Moody, caplog: pytest.LogCaptureFixture) -> None:
    store.always = Trouble.FULL
    writer = Writer(lambda: store, most=50)
    for n in range(500):
        writer.put(row(f"{n:03}"))
    state = writer.state()
    assert state.waiting <= 50 + 200  # the queue, and the group that is being tried
    assert state.lost >= 250
    assert "too many entries wait" in caplog.text
    store.always = None
    deadline = time.monotonic() + 20
    while writer.state().trouble and time.monotonic() < deadline:
        writer.flush(0.5)
    assert writer.flush()
    assert len(written(store)) + writer.state().lost == 500
    writer.close()


def test_after_a_close_it_begins_again(store: Moody) -> None:
    writer = Writer(lambda: store)
    writer.put(row("a"))
    assert writer.close()
    writer.put(row("b"))
    assert writer.close()
    assert written(store) == ["a", "b"]


def test_many_threads_may_put_and_flush(store: Moody) -> None:
    writer = Writer(lambda: store)

    def work(name: str) -> None:
        for n in range(50):
            writer.put(row(f"{name}{n:02}"))
            if n % 10 == 0:
                assert writer.flush()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.flush()
    assert len(written(store)) == 400
    writer.close()


def test_a_file_that_another_program_locks_for_a_moment_costs_no_row(store: Moody) -> None:
    other = sqlite3.connect(store.place, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    writer = Writer(lambda: store)
    writer.put(row("a"))
    assert not writer.flush(0.3)
    other.execute("ROLLBACK")
    other.close()
    assert writer.flush()
    assert written(store) == ["a"]
    writer.close()
