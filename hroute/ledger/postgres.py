"""The ledger in PostgreSQL, for several gateways on several machines: the same tables, statements and migrations.

Writers take their turn by an advisory lock, so that what holds for one file holds for one database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from hroute.ledger.store import StoreError, Trouble, Values, migrate
from hroute.terms.secret import redact

TURN: Final = 0x68726F757465
"""The advisory lock of whoever writes: "hroute"."""

_TROUBLES: Final = {
    "53100": (Trouble.FULL, "the disk is full"),
    "53200": (Trouble.FULL, "the server is out of memory"),
    "25006": (Trouble.READ_ONLY, "the server is read-only"),
    "42501": (Trouble.READ_ONLY, "access is denied"),
    "55P03": (Trouble.LOCKED, "another program keeps it locked"),
    "57014": (Trouble.LOCKED, "another program keeps it locked"),
    "40P01": (Trouble.LOCKED, "another program keeps it locked"),
    "40001": (Trouble.LOCKED, "another program keeps it locked"),
    "XX001": (Trouble.CORRUPT, "its data are damaged"),
    "XX002": (Trouble.CORRUPT, "an index is damaged"),
}
"""SQLSTATE -> trouble. Of class 22 and 23 is a row that does not fit; all else is a server that cannot be reached."""


class PostgresStore:
    """One database, by its URL. Raises StoreError where it cannot be reached, or where psycopg is missing."""

    def __init__(self, url: str) -> None:
        self.place = redact(url)
        self._url = url
        self._turn = threading.Lock()
        self._writer: Any = None
        self._readers: list[Any] = []  # those that nobody uses at the moment
        try:
            self._psycopg: Any = import_module("psycopg")
        except ImportError:
            raise StoreError(
                Trouble.UNREACHABLE,
                "a ledger in PostgreSQL needs the package psycopg",
                help="from the checkout: uv sync --extra postgres",
            ) from None
        with self.write(10.0) as transaction:
            migrate(transaction, time.time_ns() // 1_000_000)

    @contextmanager
    def write(self, patience: float) -> Iterator[Cursor]:
        deadline = time.monotonic() + patience
        if not self._turn.acquire(timeout=max(0.0, patience)):
            raise self._trouble(Trouble.LOCKED, "somebody keeps it locked")
        try:
            with self._told():
                if self._writer is not None and self._writer.broken:
                    self._writer = None
                if self._writer is None:
                    self._writer = self._psycopg.connect(self._url, autocommit=True, connect_timeout=5)
                with self._writer.transaction():
                    cursor = Cursor(self._writer)
                    wait = max(1, round((deadline - time.monotonic()) * 1000))
                    cursor.run(f"SET LOCAL lock_timeout = '{wait}ms'")
                    cursor.run(f"SELECT pg_advisory_xact_lock({TURN})")
                    yield cursor
        finally:
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        with self._told():
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = self._psycopg.connect(self._url, autocommit=True, connect_timeout=5)
            try:
                with reader.transaction():
                    cursor = Cursor(reader)
                    cursor.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    yield cursor
            except BaseException:
                reader.close()
                raise
            self._readers.append(reader)

    def tend(self) -> None:
        """Nothing: the server keeps house by itself."""

    def size(self) -> int | None:
        return None

    def close(self) -> None:
        while self._readers:
            self._readers.pop().close()
        with self._turn:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _trouble(self, trouble: Trouble, what: str) -> StoreError:
        return StoreError(trouble, f"ledger {self.place}: {what}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """psycopg's errors as ours."""
        try:
            yield
        except self._psycopg.Error as error:
            state = getattr(error, "sqlstate", None) or ""
            if state[:2] in ("22", "23") or isinstance(error, self._psycopg.DataError):
                raise self._trouble(Trouble.REJECTED, f"a row does not fit ({state or type(error).__name__})") from None
            trouble, what = _TROUBLES.get(state, (Trouble.UNREACHABLE, f"the server cannot be used ({state or '-'})"))
            raise self._trouble(trouble, what) from None
        except UnicodeEncodeError:
            raise self._trouble(Trouble.REJECTED, "a row holds a text that is no Unicode") from None


class Cursor:
    """A connection within one transaction; `?` stands for a value, as everywhere in the ledger."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, sql: str, values: Values = ()) -> list[Any]:
        cursor = self._connection.execute(sql.replace("?", "%s"), values)
        return list(cursor.fetchall()) if cursor.description else []

    def each(self, sql: str, rows: Iterable[Values]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s"), rows)
