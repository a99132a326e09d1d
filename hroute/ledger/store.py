"""What a database must offer to hold the ledger, and the troubles that it may have.

All SQL of the ledger is written once, in the words that SQLite and PostgreSQL share, with `?` for values; a dialect
opens, locks and translates (`sqlite.py`, `postgres.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from hroute.errors import LedgerError

Values = Sequence[Any]
MIGRATIONS: Final = Path(__file__).with_name("migrations")


class Trouble(StrEnum):
    """Why the ledger cannot be read or written."""

    FULL = "full"
    READ_ONLY = "read-only"
    LOCKED = "locked"
    CORRUPT = "corrupt"
    FOREIGN = "foreign"  # a database, but not a ledger, or one of a newer version
    UNREACHABLE = "unreachable"
    REJECTED = "rejected"  # one row does not fit; the database is well

    @property
    def lasting(self) -> bool:
        """Whether waiting will not help."""
        return self in (Trouble.CORRUPT, Trouble.FOREIGN)


class StoreError(LedgerError):
    """The database did not do what was asked. Nothing of the transaction was written."""

    def __init__(self, trouble: Trouble, message: str, *, help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.trouble = trouble


class Transaction(Protocol):
    """One transaction; it ends with the `with` that opened it: committed, or rolled back where something was raised."""

    def run(self, sql: str, values: Values = ()) -> list[Any]:
        """Execute one statement; its rows as tuples."""

    def each(self, sql: str, rows: Iterable[Values]) -> None:
        """Execute one statement for each of many rows."""


class Store(Protocol):
    """A database with a ledger's tables in it. Safe between threads."""

    place: str

    def write(self, patience: float) -> AbstractContextManager[Transaction]:
        """The only writer, among all processes, for as long as the `with` lasts. Waits `patience` seconds for its turn.
        Raises StoreError."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A view that does not change while one reads. Raises StoreError."""

    def tend(self) -> None:
        """Housekeeping that no caller should wait for; called now and then by the writer."""

    def size(self) -> int | None:
        """Bytes on disk, or None where that cannot be known."""

    def close(self) -> None: ...


def migrate(transaction: Transaction, now: int, *, below: Path = MIGRATIONS) -> int:
    """Bring the tables up to date, step by step; gives the version that they then have.

    Raises StoreError where they are of a newer version than this program knows.
    """
    transaction.run(
        "CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, ts BIGINT NOT NULL)"
    )
    done = version_of(transaction)
    known = steps(below)
    if known and done > max(known):
        raise newer(done)
    for version, path in known.items():
        if version > done:
            for statement in statements(path.read_text(encoding="utf-8")):
                transaction.run(statement)
            transaction.run("INSERT INTO migration (version, name, ts) VALUES (?, ?, ?)", (version, path.stem, now))
    return max(known, default=0)


def newer(version: int) -> StoreError:
    return StoreError(
        Trouble.FOREIGN,
        f"the ledger has version {version}, which is newer than this hroute knows",
        help="use the hroute that made it, or HROUTE_LEDGER to write elsewhere",
    )


def version_of(transaction: Transaction) -> int:
    """The version of the tables; 0 for an empty database."""
    return int(transaction.run("SELECT coalesce(max(version), 0) FROM migration")[0][0])


def steps(below: Path = MIGRATIONS) -> dict[int, Path]:
    """The migrations by number, in order: `003_budgets.sql` is number 3."""
    return {int(path.name.partition("_")[0]): path for path in sorted(below.glob("[0-9]*_*.sql"))}


def statements(script: str) -> list[str]:
    """The statements of a migration. Its comments are lines' ends, and no text in it holds a semicolon."""
    plain = "\n".join(line.partition("--")[0].rstrip() for line in script.splitlines())
    return [statement.strip() for statement in plain.split(";") if statement.strip()]


def chunks(items: Sequence[Any], size: int = 500) -> Iterable[Sequence[Any]]:
    """`items` in pieces that fit into one statement."""
    return (items[at : at + size] for at in range(0, len(items), size))


def marks(items: Sequence[Any]) -> str:
    """`?, ?, ?` for as many values."""
    return ", ".join("?" * len(items))


Opener = Callable[[], Store]
"""Opens the store, creating it where there is none. Raises StoreError."""
