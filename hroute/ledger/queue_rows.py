"""What waits in the retry queue, as rows of a small table; never a request's text."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

State = Literal["waiting", "running", "done", "failed"]
"""`failed` is given up: only a person makes it wait again."""

STATES: Final[tuple[State, ...]] = get_args(State)

PATIENCE: Final = 30.0
"""Seconds for which another program may keep the table locked."""

REHEARSED: Final = "/sandbox"

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS item (
  id         TEXT PRIMARY KEY,
  owner      TEXT NOT NULL,
  state      TEXT NOT NULL,
  created    BIGINT NOT NULL,
  updated    BIGINT NOT NULL,
  rule       TEXT NOT NULL,
  policy     TEXT NOT NULL,
  taints     TEXT NOT NULL,
  guarantees TEXT NOT NULL,
  attempts   INTEGER NOT NULL,
  next_try   BIGINT NOT NULL,
  error      TEXT NOT NULL,
  claim      TEXT NOT NULL DEFAULT '',
  lease      BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS item_due ON item (state, next_try);
"""
COLUMNS: Final = "id, owner, state, created, updated, rule, policy, taints, guarantees, attempts, next_try, error"


def nothing() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Item:
    """One request that waits, without its text. Times are milliseconds since 1970, UTC.

    `id` is that of the request that failed; `owner` names the folder's machine, where the body lies. `taints` and
    `guarantees` (as {name, only, never}) are what bound it when it was kept; `policy` is the hash of then. `attempts`
    counts rounds, each with all the calls that a policy allows; `error` is the last one's code, never its text.
    """

    id: str
    owner: str
    state: State
    created: int
    updated: int
    rule: str = ""
    policy: str = ""
    taints: Mapping[str, Any] = field(default_factory=nothing)
    guarantees: tuple[Mapping[str, Any], ...] = ()
    attempts: int = 0
    next_try: int = 0
    error: str = ""

    @property
    def rehearsal(self) -> bool:
        """Whether the sandbox stood in for every provider: such a request is never sent for real."""
        return self.owner.endswith(REHEARSED)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write the result of an item, until the lease ends or its worker dies."""

    item: Item
    token: str


def connect(file: Path) -> sqlite3.Connection:
    """The table in `file`, made where it is missing."""
    table = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    table.execute("PRAGMA journal_mode = WAL")
    table.executescript(_TABLE)
    return table


def row(item: Item) -> tuple[Any, ...]:
    """The item in the order of `COLUMNS`."""
    bound = json.dumps(dict(item.taints)), json.dumps([dict(g) for g in item.guarantees])
    return (
        item.id, item.owner, item.state, item.created, item.updated, item.rule, item.policy, *bound,
        item.attempts, item.next_try, item.error,
    )  # fmt: skip


def items(table: sqlite3.Connection, where: str, *values: object) -> list[Item]:
    """The items for which `where`, a piece of SQL, holds."""
    found = table.execute(f"SELECT {COLUMNS} FROM item {where}", values).fetchall()
    return [
        Item(id, owner, state, created, updated, rule, policy, json.loads(taints), tuple(json.loads(bound)), *rest)
        for id, owner, state, created, updated, rule, policy, taints, bound, *rest in found
    ]


def held(table: sqlite3.Connection, claim: Claim) -> bool:
    """Whether the claim still holds."""
    wanted = "SELECT 1 FROM item WHERE id = ? AND state = 'running' AND claim = ?"
    return table.execute(wanted, (claim.item.id, claim.token)).fetchone() is not None


def done(table: sqlite3.Connection, id: str, now: int) -> None:
    """Close an item: it has its result."""
    closed = "UPDATE item SET state = 'done', claim = '', error = '', attempts = attempts + 1, updated = ? WHERE id = ?"
    table.execute(closed, (now, id))
