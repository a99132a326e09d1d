"""The file: for its owner alone, made step by step, shared by processes, and never harmed by what it cannot do."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from hroute.ledger import store as stores
from hroute.ledger.sqlite import SqliteStore
from hroute.ledger.store import StoreError, Trouble, migrate, statements, steps

INSERT = "INSERT INTO document (hash, kind, ts, body) VALUES (?, 'k', 0, '')"


def opened(folder: Path, **options: bool) -> SqliteStore:
    return SqliteStore(str(folder / "below" / "ledger.db"), **options)


def documents(store: SqliteStore) -> int:
    with store.read() as view:
        return int(view.run("SELECT count(*) FROM document")[0][0])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_its_log_and_its_directory_are_for_their_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store = opened(tmp_path)
        with store.write(1) as transaction:
            transaction.run(INSERT, ("a",))
        files = sorted((tmp_path / "below").iterdir())
        assert [f.name for f in files] == ["ledger.db", "ledger.db-shm", "ledger.db-wal"]
        assert {mode(f) for f in files} == {0o600}
        assert mode(tmp_path / "below") == 0o700
        store.close()
    finally:
        os.umask(old)


def test_it_is_a_write_ahead_log_that_syncs_as_asked(tmp_path: Path) -> None:
    for durable, level in ((False, 1), (True, 2)):
        store = opened(tmp_path, durable=durable)
        with store.write(1) as transaction:
            assert transaction.run("PRAGMA journal_mode") == [("wal",)]
            assert transaction.run("PRAGMA synchronous") == [(level,)]
        store.close()


def test_what_is_raised_within_a_transaction_takes_it_back(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def work() -> None:
        with store.write(1) as transaction:
            transaction.run(INSERT, ("a",))
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert documents(store) == 0
    with store.write(1) as transaction:
        transaction.run(INSERT, ("a",))
    assert documents(store) == 1
    store.close()


def test_migrations_are_numbered_without_a_gap_and_each_is_run_once(tmp_path: Path) -> None:
    assert list(steps()) == list(range(1, len(steps()) + 1))
    store = opened(tmp_path)
    store.close()
    again = opened(tmp_path)
    with again.read() as view:
        assert [n for (n,) in view.run("SELECT version FROM migration ORDER BY version")] == list(steps())
    again.close()


def test_a_ledger_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "migrations"
    below.mkdir()
    for path in steps().values():
        (below / path.name).write_text(path.read_text())
    last = max(steps())
    monkeypatch.setattr(stores, "MIGRATIONS", below)
    monkeypatch.setattr(steps, "__defaults__", (below,))
    monkeypatch.setattr(migrate, "__kwdefaults__", {"below": below})
    store = opened(tmp_path)
    with store.write(1) as transaction:
        transaction.run(INSERT, ("a",))
    store.close()
    (below / f"{last + 1:03}_more.sql").write_text("ALTER TABLE document ADD COLUMN more TEXT; -- one; statement\n")
    store = opened(tmp_path)
    with store.read() as view:
        assert view.run("SELECT hash, more FROM document") == [("a", None)]
    store.close()
    (below / f"{last + 1:03}_more.sql").unlink()
    with pytest.raises(StoreError, match="newer than this hroute knows") as raised:
        opened(tmp_path)
    assert raised.value.trouble is Trouble.FOREIGN


def test_a_migration_is_split_at_its_semicolons_and_not_at_those_of_its_comments() -> None:
    assert statements("CREATE a; -- not; this\n\nCREATE\n b;\n") == ["CREATE a", "CREATE\n b"]


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    below = tmp_path / "migrations"
    below.mkdir()
    (below / "001_one.sql").write_text("CREATE TABLE one (a TEXT); CREATE TABLE one (a TEXT);")
    store = opened(tmp_path)
    with store.write(1) as transaction:
        transaction.run("DELETE FROM migration")
    with pytest.raises(StoreError), store.write(1) as transaction:
        migrate(transaction, 0, below=below)
    with store.read() as view:
        assert view.run("SELECT count(*) FROM sqlite_master WHERE name = 'one'") == [(0,)]
    store.close()


def test_many_threads_open_and_make_one_file_together(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            store = opened(tmp_path)
            with store.write(5) as transaction:
                transaction.run(INSERT, (str(number),))
            store.close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    store = opened(tmp_path)
    assert documents(store) == 8
    store.close()


def test_a_view_does_not_change_while_one_reads(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store.read() as view:
        assert view.run("SELECT count(*) FROM document") == [(0,)]
        with store.write(1) as transaction:
            transaction.run(INSERT, ("a",))
        assert view.run("SELECT count(*) FROM document") == [(0,)]
    assert documents(store) == 1
    store.close()


# troubles


def trouble_of(raised: pytest.ExceptionInfo[StoreError]) -> Trouble:
    assert str(raised.value), "it says something"
    return raised.value.trouble


def test_a_file_that_another_program_keeps_locked_is_waited_for_and_then_named(tmp_path: Path) -> None:
    store = opened(tmp_path)
    other = sqlite3.connect(store.place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="keeps it locked") as raised, store.write(0.05):
        pass
    assert trouble_of(raised) is Trouble.LOCKED
    threading.Timer(0.1, lambda: None).start()
    other.execute("ROLLBACK")
    with store.write(0.05) as transaction:
        transaction.run(INSERT, ("a",))
    other.close()
    store.close()


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is not a database, it is a letter to my aunt" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no database") as raised:
        SqliteStore(str(path))
    assert trouble_of(raised) is Trouble.CORRUPT
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE photos (a TEXT)")
    other.close()
    with pytest.raises(StoreError, match="another program") as raised:
        SqliteStore(str(path))
    assert trouble_of(raised) is Trouble.FOREIGN
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]
    other.close()


def test_a_damaged_page_is_named_as_damage(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store.write(1) as transaction:
        transaction.each(INSERT, [(f"{n:06}",) for n in range(5_000)])
    store.close()
    path = tmp_path / "below" / "ledger.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(size - 8192))
    with pytest.raises(StoreError) as raised:
        documents(opened(tmp_path))
    assert trouble_of(raised) is Trouble.CORRUPT


def test_a_disk_that_is_full_is_named_and_what_was_written_stays(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store.write(1) as transaction:
        transaction.run(INSERT, ("a",))
        pages = transaction.run("PRAGMA page_count")[0][0]
        transaction.run(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk is full") as raised, store.write(1) as transaction:
        transaction.each(INSERT, [("x" * 1_000 + str(n),) for n in range(1_000)])
    assert trouble_of(raised) is Trouble.FULL
    assert documents(store) == 1
    with store.write(1) as transaction:
        transaction.run("PRAGMA max_page_count = 1000000")
        transaction.each(INSERT, [("x" * 1_000 + str(n),) for n in range(1_000)])
    assert documents(store) == 1_001
    store.close()


def test_a_ledger_that_may_only_be_read_is_read_and_refuses_to_be_written(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store.write(1) as transaction:
        transaction.run(INSERT, ("a",))
    store.close()
    reader = opened(tmp_path, read_only=True)
    assert documents(reader) == 1
    with pytest.raises(StoreError, match="read-only") as raised, reader.write(1) as transaction:
        transaction.run(INSERT, ("b",))
    assert trouble_of(raised) is Trouble.READ_ONLY
    reader.close()


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as raised:
        opened(tmp_path, read_only=True)
    assert trouble_of(raised) is Trouble.UNREACHABLE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["\ud800", 2**63, object()])
def test_a_row_that_does_not_fit_is_not_the_files_fault(tmp_path: Path, value: object) -> None:
    store = opened(tmp_path)
    with pytest.raises(StoreError) as raised, store.write(1) as transaction:
        transaction.run(INSERT, (value,))
    assert trouble_of(raised) is Trouble.REJECTED
    assert documents(store) == 0
    store.close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "below").write_text("a file stands in the way")
    with pytest.raises(StoreError) as raised:
        opened(tmp_path)
    assert trouble_of(raised) is Trouble.UNREACHABLE


def test_the_log_is_copied_into_the_file_before_it_grows_for_ever(tmp_path: Path) -> None:
    store = opened(tmp_path)
    wal = tmp_path / "below" / "ledger.db-wal"
    for n in range(6):
        with store.write(1) as transaction:
            transaction.each(INSERT, [(f"{n}-{m}-" + "x" * 3_000,) for m in range(1_000)])
        store.tend()
    assert wal.stat().st_size < 40_000_000
    assert documents(store) == 6_000
    store.close()
    assert not wal.exists()
