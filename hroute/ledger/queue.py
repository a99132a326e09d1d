"""The retry queue: a small table of what waits, and beside it one 0600 file for each request and each answer.

A folder holds it all: `queue.db`, `bodies/ID.json` (what is to be sent), `results/ID.json` (what came of it) and
`workers/`, where whoever works is present, so that what the dead had taken is free at once. Calls are made at least
once; a result is written exactly once, by whoever still holds the claim.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from hroute.errors import LedgerError, UsageError
from hroute.ledger import queue_rows
from hroute.ledger.presence import Presence
from hroute.ledger.private_files import draft, private, read, sync, tidy, write
from hroute.ledger.queue_rows import REHEARSED, STATES, Claim, Item
from hroute.terms.ids import uuid7

_UNSPOKEN: Final = 3600.0
"""Seconds after which a body without a row was left by somebody who died between the two."""


class Queue:
    """The queue in one folder, which comes into being with its first item. Safe between threads and processes.

    With `rehearsal` it keeps and takes only what the sandbox is to answer, without it only the rest. Every call may raise LedgerError, where the folder or the table cannot be used; it names no request.
    """

    def __init__(self, folder: str | os.PathLike[str], *, rehearsal: bool = False) -> None:
        self.folder = Path(folder)
        self.rehearsal = rehearsal
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._workers = Presence(self.folder / "workers")
        self._owned = ""

    def keep(
        self,
        id: str,
        body: Mapping[str, Any],
        *,
        now: int,
        rule: str = "",
        policy: str = "",
        taints: Mapping[str, Any] | None = None,
        guarantees: Sequence[Mapping[str, Any]] = (),
        next_try: int | None = None,
        error: str = "",
    ) -> Item:
        """Keep a request: its body first, then its row, so that no row is without a body."""
        due = now if next_try is None else next_try
        with self._told():
            self._make()
            item = Item(
                id, self._owner(), "waiting", now, now, rule, policy, taints or {}, tuple(guarantees), 0, due, error
            )
            write(self._file("bodies", id), body)
            with self._table(durable=True) as table:
                table.execute(
                    f"INSERT OR IGNORE INTO item ({queue_rows.COLUMNS}) VALUES ({','.join('?' * 12)})",
                    queue_rows.row(item),
                )
        return item

    def items(self, states: Collection[str] = STATES) -> list[Item]:
        """What is in the queue, the oldest first."""
        if not self._exists():
            return []
        marks = ",".join("?" * len(states))
        with self._told(), self._table() as table:
            return queue_rows.items(table, f"WHERE state IN ({marks}) ORDER BY created, id", *states)

    def find(self, id: str) -> Item:
        """The item that `id`, a unique prefix or a suffix of it, names. Raises UsageError."""
        wanted = id.replace("-", "").lower()
        fits = [i for i in self.items() if (h := i.id.replace("-", "")).startswith(wanted) or h.endswith(wanted)]
        if len(fits) == 1 and wanted:
            return fits[0]
        help = "give more of its digits" if fits else "hroute queue list shows them"
        raise UsageError(f"`{id}` names {f'{len(fits)} requests' if fits else 'nothing'} in the queue", help=help)

    def body(self, id: str) -> dict[str, Any] | None:
        """What is to be sent; None where it is no longer here."""
        with self._told():
            return read(self._file("bodies", id))

    def result(self, id: str) -> dict[str, Any] | None:
        """What came of it; None where nothing has yet."""
        with self._told():
            return read(self._file("results", id))

    def claim(self, *, now: int, lease: int, among: Collection[str] | None = None) -> Claim | None:
        """Take the item that has been due for longest (`among`: one of these, due or not) for `lease` ms.

        What a dead worker had taken, or one whose lease is over, is taken too. None where nothing is left.
        """
        if not self._exists():
            return None
        with self._told():
            token = f"{self._workers.name}:{uuid7()[-12:]}"
            with self._table() as table:
                while (item := self._next(table, now, among)) is not None:
                    if self._file("results", item.id).exists():  # its worker died between the result and the row
                        queue_rows.done(table, item.id, now)
                        continue
                    taken = "UPDATE item SET state = 'running', claim = ?, lease = ?, updated = ? WHERE id = ?"
                    table.execute(taken, (token, now + lease, now, item.id))
                    return Claim(item, token)
        return None

    def finish(self, claim: Claim, result: Mapping[str, Any], *, now: int) -> bool:
        """Write the result; False where it is not ours to write any more: it was dropped, or taken over by another."""
        final = self._file("results", claim.item.id)
        with self._told():
            ready = draft(final, result)
            try:
                with self._table() as table:
                    if not queue_rows.held(table, claim):
                        return False
                    with suppress(FileExistsError):
                        os.link(ready, final)
                    sync(final.parent)
                    queue_rows.done(table, claim.item.id, now)
            finally:
                ready.unlink(missing_ok=True)
            self._file("bodies", claim.item.id).unlink(missing_ok=True)
        return True

    def put_back(self, claim: Claim, error: str, *, now: int, next_try: int | None) -> bool:
        """Let the item wait until `next_try`, or give it up (None); False where the claim is over."""
        state = "failed" if next_try is None else "waiting"
        with self._told(), self._table() as table:
            if not queue_rows.held(table, claim):
                return False
            table.execute(
                "UPDATE item SET state = ?, claim = '', attempts = attempts + 1, next_try = ?, error = ?, updated = ?"
                " WHERE id = ?",
                (state, now if next_try is None else next_try, error, now, claim.item.id),
            )
        return True

    def let_go(self, claim: Claim, *, now: int) -> None:
        """Give the claim back as if it had never been taken."""
        free = "UPDATE item SET state = 'waiting', claim = '', updated = ? WHERE id = ?"
        with self._told(), self._table() as table:
            if queue_rows.held(table, claim):
                table.execute(free, (now, claim.item.id))

    def retry(self, id: str, *, now: int) -> bool:
        """Make an item due now, also one that was given up; False where it is done, or being worked on."""
        due = "UPDATE item SET state = 'waiting', next_try = ?, updated = ? WHERE id = ? AND state IN ('waiting', 'failed')"
        with self._told(), self._table() as table:
            return table.execute(due, (now, now, id)).rowcount == 1

    def drop(self, id: str) -> bool:
        """Remove an item with its body and its result; whoever works on it finds its claim gone."""
        with self._told():
            with self._table() as table:
                gone = table.execute("DELETE FROM item WHERE id = ?", (id,)).rowcount == 1
            for kind in ("bodies", "results"):
                self._file(kind, id).unlink(missing_ok=True)
        return gone

    def sweep(self, *, now: int) -> None:
        """Close what the dead left: a result whose row does not say so, a row without a body, a file without a row."""
        if not self._exists():
            return
        with self._told(), self._table() as table:
            states = {item.id: item.state for item in queue_rows.items(table, "")}
            for id in (id for id, state in states.items() if state in ("waiting", "running")):
                if self._file("results", id).exists():
                    queue_rows.done(table, id, now)
                    states[id] = "done"
                elif states[id] == "waiting" and not self._file("bodies", id).exists():
                    lost = "UPDATE item SET state = 'failed', error = 'no_body', updated = ? WHERE id = ?"
                    table.execute(lost, (now, id))
            tidy(self.folder / "bodies", now=now / 1000, unwanted=lambda id: self._spent(id, states.get(id), now))
            tidy(self.folder / "results", now=now / 1000, unwanted=lambda id: id not in states)

    def close(self) -> None:
        """Let go of the table, and of the work that this process had."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        self._workers.leave()

    def _next(self, table: sqlite3.Connection, now: int, among: Collection[str] | None) -> Item | None:
        """What is to be taken next: of what waits, else of what somebody took who is gone."""
        waiting = "WHERE state = 'waiting' AND owner = ?"
        if among is None:
            found = queue_rows.items(
                table, f"{waiting} AND next_try <= ? ORDER BY next_try, id LIMIT 1", self._owner(), now
            )
        else:
            found = [i for id in among for i in queue_rows.items(table, f"{waiting} AND id = ?", self._owner(), id)]
        if found:
            return found[0]
        for id, claim, lease in table.execute("SELECT id, claim, lease FROM item WHERE state = 'running' AND owner = ?", (self._owner(),)).fetchall():  # fmt: skip
            wanted = among is None or id in among
            if wanted and (lease <= now or not self._workers.lives(claim.partition(":")[0])):
                return queue_rows.items(table, "WHERE id = ?", id)[0]
        return None

    def _spent(self, id: str, state: str | None, now: int) -> bool:
        """Whether the body is not needed any more: its item is done, or there has been no row for long."""
        if state is None:
            return self._file("bodies", id).stat().st_mtime < now / 1000 - _UNSPOKEN
        return state == "done"

    def _exists(self) -> bool:
        return (self.folder / "queue.db").exists()

    def _file(self, kind: str, id: str) -> Path:
        if not id or not set(id) <= set("0123456789abcdef-"):
            raise UsageError("that is no id of the queue")
        return self.folder / kind / f"{id}.json"

    def _make(self) -> None:
        for folder in (self.folder, *(self.folder / kind for kind in ("bodies", "results", "workers"))):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.folder / "queue.db", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))

    def _owner(self) -> str:
        """Which machine and folder the bodies lie on: a name that survives a change of the host's name."""
        if not self._owned:
            file = self.folder / "owner"
            if not file.exists():
                drafted = file.with_name(f"owner.{uuid7()[-12:]}")
                with open(drafted, "x", opener=private) as stream:
                    stream.write(f"{socket.gethostname()}-{uuid7()[-8:]}")
                with suppress(FileExistsError):
                    os.link(drafted, file)  # whole at once, and only the first one's
                drafted.unlink()
            self._owned = file.read_text() + (REHEARSED if self.rehearsal else "")
        return self._owned

    @contextmanager
    def _table(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction, alone among all processes. Without `durable` a loss of power may undo it, which costs a call
        and no result: results are files, and those are on the disk."""
        with self._lock:
            if self._connection is None:
                self._connection = queue_rows.connect(self.folder / "queue.db")
            table = self._connection
            table.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            table.execute("BEGIN IMMEDIATE")
            try:
                yield table
                table.execute("COMMIT")
            except BaseException:
                if table.in_transaction:
                    table.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise LedgerError(f"the retry queue in `{self.folder}` cannot be used: {why}") from None


def place(environ: Mapping[str, str]) -> str:
    """Where the queue is: `$HROUTE_QUEUE`, else `hroute/queue` in the XDG state directory."""
    home = environ.get("HOME") or os.path.expanduser("~")
    state = environ.get("XDG_STATE_HOME") or os.path.join(home, ".local/state")
    return environ.get("HROUTE_QUEUE") or os.path.join(state, "hroute", "queue")


__all__ = ["STATES", "Claim", "Item", "Queue", "place"]
