"""The ledger in one SQLite file: WAL, one writer at a time, readable by its owner only.

`synchronous=NORMAL`: what is committed survives the death of any process; a power loss may take the last commits, never
the file. `durable` switches to FULL, which syncs at each commit.
"""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from hroute.ledger.store import StoreError, Trouble, Values, migrate, newer, steps

APPLICATION: Final = 0x68726F75
"""The file's `application_id`: "hrou"."""

WAL_PAGES: Final = 4_000
"""Pages of the log at which the writer copies them into the file (16 MB)."""

_TROUBLES: Final = {
    sqlite3.SQLITE_FULL: (Trouble.FULL, "the disk is full"),
    sqlite3.SQLITE_IOERR: (Trouble.FULL, "the disk cannot be written"),
    sqlite3.SQLITE_READONLY: (Trouble.READ_ONLY, "it cannot be written: read-only"),
    sqlite3.SQLITE_PERM: (Trouble.READ_ONLY, "access is denied"),
    sqlite3.SQLITE_AUTH: (Trouble.READ_ONLY, "access is denied"),
    sqlite3.SQLITE_BUSY: (Trouble.LOCKED, "another program keeps it locked"),
    sqlite3.SQLITE_LOCKED: (Trouble.LOCKED, "another program keeps it locked"),
    sqlite3.SQLITE_PROTOCOL: (Trouble.LOCKED, "another program keeps it locked"),
    sqlite3.SQLITE_CORRUPT: (Trouble.CORRUPT, "the file is damaged"),
    sqlite3.SQLITE_NOTADB: (Trouble.CORRUPT, "the file is no database"),
    sqlite3.SQLITE_CANTOPEN: (Trouble.UNREACHABLE, "it cannot be opened"),
    sqlite3.SQLITE_CONSTRAINT: (Trouble.REJECTED, "a row does not fit"),
    sqlite3.SQLITE_TOOBIG: (Trouble.REJECTED, "a row is too large"),
    sqlite3.SQLITE_MISMATCH: (Trouble.REJECTED, "a row does not fit"),
}
PATIENCE: Final = 5.0
"""Seconds for which processes that begin together wait for each other."""

_SYSTEM: Final = {
    errno.ENOSPC: Trouble.FULL,
    errno.EDQUOT: Trouble.FULL,
    errno.EFBIG: Trouble.FULL,
    errno.EROFS: Trouble.READ_ONLY,
    errno.EACCES: Trouble.READ_ONLY,
    errno.EPERM: Trouble.READ_ONLY,
}
_NO_LOG: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)
_HELP: Final = {
    Trouble.FULL: "free some space; rows wait in memory meanwhile",
    Trouble.READ_ONLY: "make the file and its directory writable, or name another by HROUTE_LEDGER",
    Trouble.LOCKED: "see which program holds it open",
    Trouble.CORRUPT: "move it away (it is left as it is); `sqlite3 FILE .recover` may save its rows",
}


class SqliteStore:
    """One file. `read_only` never creates or changes anything; `patience` is how many seconds one waits for others while
    it is opened, and for a view of it. Raises StoreError where it cannot be opened."""

    def __init__(
        self, path: str, *, durable: bool = False, read_only: bool = False, patience: float = PATIENCE
    ) -> None:
        self.place = path
        self._patience = patience
        self._read_only = read_only
        self._durable = durable
        self._turn = threading.Lock()
        self._readers: list[sqlite3.Connection] = []  # those that nobody uses at the moment
        with self._told():
            if not read_only:
                _create(path)
            self._writer = _open(path, read_only=read_only)
            try:
                _patiently(self._prepare, patience)
            except BaseException:
                self._writer.close()
                raise

    @contextmanager
    def write(self, patience: float) -> Iterator[Cursor]:
        deadline = time.monotonic() + patience
        if not self._turn.acquire(timeout=max(0.0, patience)):
            raise self._trouble(Trouble.LOCKED, "somebody keeps it locked")
        try:
            with self._told():
                self._begin(deadline)
                try:
                    yield Cursor(self._writer)
                    self._writer.execute("COMMIT")
                except BaseException:
                    if self._writer.in_transaction:
                        with suppress(sqlite3.Error):
                            self._writer.execute("ROLLBACK")
                    raise
        finally:
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        with self._told():
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = _open(self.place, read_only=True)
                reader.execute(f"PRAGMA busy_timeout = {int(min(self._patience, 2.0) * 1000)}")
            try:
                reader.execute("BEGIN")
                yield Cursor(reader)
                reader.execute("ROLLBACK")
            except BaseException:
                reader.close()
                raise
            self._readers.append(reader)

    def tend(self) -> None:
        """Copy the log into the file once it is long; whoever reads or writes meanwhile is not held up."""
        wal = f"{self.place}-wal"
        if not self._read_only and os.path.exists(wal) and os.path.getsize(wal) > WAL_PAGES * 4096:
            with self._told():
                copier = _open(self.place, read_only=False)
                try:
                    copier.execute("PRAGMA wal_checkpoint(PASSIVE)")
                finally:
                    copier.close()

    def size(self) -> int | None:
        names = (self.place, f"{self.place}-wal")
        return sum(os.path.getsize(name) for name in names if os.path.exists(name))

    def close(self) -> None:
        while self._readers:
            self._readers.pop().close()
        with self._turn:
            self._writer.close()

    def _begin(self, deadline: float) -> None:
        """BEGIN IMMEDIATE, asked again and again: SQLite's own waiting sleeps far longer than a reservation takes."""
        pause = 0.0001
        while True:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(pause * (0.5 + random.random()))
            pause = min(pause * 1.5, 0.01)

    def _prepare(self) -> None:
        """Check that it is ours, and bring it up to date."""
        one = Cursor(self._writer)
        tables = one.run("SELECT count(*) FROM sqlite_master")[0][0]  # asked first: who makes them sets both at once
        ours = one.run("PRAGMA application_id")[0][0] == APPLICATION
        if not ours and (self._read_only or tables):
            raise self._foreign()
        if self._read_only:
            return
        if one.run("PRAGMA journal_mode")[0][0] != "wal":
            one.run("PRAGMA journal_mode = WAL")
        one.run(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
        one.run(f"PRAGMA wal_autocheckpoint = {WAL_PAGES * 4}")  # a backstop: `tend` comes first
        one.run(f"PRAGMA journal_size_limit = {WAL_PAGES * 4096}")
        known = max(steps())
        version = one.run("PRAGMA user_version")[0][0]
        if version > known:
            raise newer(version)
        if version < known or not ours:
            self._make(known)

    def _make(self, known: int) -> None:
        one = Cursor(self._writer)
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            migrate(one, time.time_ns() // 1_000_000)
            one.run(f"PRAGMA application_id = {APPLICATION}")
            one.run(f"PRAGMA user_version = {known}")
            one.run("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                one.run("ROLLBACK")
            raise

    def _foreign(self) -> StoreError:
        return self._trouble(Trouble.FOREIGN, "it is a database of another program")

    def _trouble(self, trouble: Trouble, what: str) -> StoreError:
        return StoreError(trouble, f"ledger {self.place}: {what}", help=_HELP.get(trouble))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's and the system's errors as ours."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is None:  # raised by Python's adapter: a value that no column takes
                raise self._trouble(Trouble.REJECTED, f"a row does not fit ({type(error).__name__})") from None
            trouble, what = _TROUBLES.get(code & 0xFF, (Trouble.UNREACHABLE, error.sqlite_errorname))
            if trouble is Trouble.UNREACHABLE and not self._read_only and _is_write_protected(self.place):
                trouble, what = _TROUBLES[sqlite3.SQLITE_READONLY]
            raise self._trouble(trouble, what) from None
        except OverflowError:
            raise self._trouble(Trouble.REJECTED, "a row holds a number that is too large") from None
        except UnicodeEncodeError:
            raise self._trouble(Trouble.REJECTED, "a row holds a text that is no Unicode") from None
        except OSError as error:
            trouble = _SYSTEM.get(error.errno or 0, Trouble.UNREACHABLE)
            raise self._trouble(trouble, error.strerror or type(error).__name__) from None


class Cursor:
    """A connection within one transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, values: Values = ()) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

    def each(self, sql: str, rows: Iterable[Values]) -> None:
        self._connection.executemany(sql, rows)


def _open(path: str, *, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rw"
    connection = _connect(path, f"mode={mode}")
    if read_only:
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode & 0xFF not in _NO_LOG or _has_log(path):
                raise
            connection = _connect(path, "mode=ro&immutable=1")  # where no log can be made, and none is, nobody writes
    return connection


def _is_write_protected(path: str) -> bool:
    """Whether the file is there and cannot be written, or its directory, in which the log is made, cannot."""
    folder = os.path.dirname(os.path.abspath(path))
    return os.path.exists(path) and not (os.access(path, os.W_OK) and os.access(folder, os.W_OK))


def _has_log(path: str) -> bool:
    """Whether rows wait in a log that have not been copied into the file: without it they would be missing in silence."""
    try:
        return os.path.getsize(f"{path}-wal") > 0
    except OSError:
        return False


def _connect(path: str, options: str) -> sqlite3.Connection:
    from urllib.parse import quote

    uri = f"file:{quote(os.path.abspath(path))}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


def _create(path: str) -> None:
    """The file and its directory, where they are missing, for their owner alone. The log's files take its mode."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _patiently(step: Callable[[], None], seconds: float) -> None:
    """`step` again and again while somebody else is at the same: processes that start together make the file together."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            step()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(0.005 * (0.5 + random.random()))
