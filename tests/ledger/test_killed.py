"""Killed at any moment: what was acknowledged is there, sums are right, reservations heal, the file opens clean."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hroute.ledger import journal, rollup
from hroute.ledger.sqlite import SqliteStore
from tests.ledger.rows import NOON

ROOT = Path(__file__).parents[2]


def killed(file: Path, seed: int, seconds: float) -> list[str]:
    """The ids that a process had acknowledged when it was killed `seconds` after it began to work."""
    said = file.with_suffix(f".{seed}.ids")
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.ledger.victim", str(file), str(seed)], cwd=ROOT, stdout=out
        )
        deadline = time.monotonic() + 30
        while b"ready" not in said.read_bytes() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    lines = said.read_text().split("\n")[:-1]  # what follows the last line's end was cut off
    said.unlink()
    return [line for line in lines if line != "ready"]


def check(file: Path, acknowledged: list[str], budgets: tuple[str, ...] = ("daily", "bot")) -> int:
    """Gives the number of rows. Of each budget everything that was asked must be in its counter."""
    store = SqliteStore(str(file))
    with store.read() as view:
        assert view.run("PRAGMA integrity_check") == [("ok",)]
        rows = {id for (id,) in view.run("SELECT id FROM request WHERE state = 'done'")}
        assert set(acknowledged) <= rows
        assert rollup.kept(view) == rollup.recomputed(view)
        open_leases = view.run("SELECT count(*) FROM lease WHERE expired = 0")[0][0]
        assert view.run("SELECT count(*) FROM request WHERE state = 'started'")[0][0] <= open_leases
    with store.write(5) as transaction:
        journal.close_lost(transaction, NOON * 2, 0)
    with store.read() as view:
        assert view.run("SELECT count(*) FROM lease WHERE expired = 0") == [(0,)]
        assert view.run("SELECT count(*) FROM request WHERE state = 'started'") == [(0,)]
        assert rollup.kept(view) == rollup.recomputed(view)
        for budget in budgets:
            found = view.run("SELECT spent, reserved FROM counter WHERE budget = ?", (budget,))
            assert found == [(_owed(view, budget), 0)] or not found
    store.close()
    return len(rows)


def _owed(view: object, budget: str) -> int:
    """What must have been spent: each request's cost, or the estimate where its reservation was never settled."""
    sql = (
        "SELECT coalesce(sum(coalesce(l.amount, r.cost)), 0) FROM request r "
        "LEFT JOIN lease l ON l.request = r.id AND l.budget = ?"
    )
    return int(view.run(sql, (budget,))[0][0])  # type: ignore[attr-defined]


def rounds(folder: Path, number: int) -> None:
    file = folder / "ledger.db"
    chance = random.Random(number)
    acknowledged: list[str] = []
    for seed in range(number):
        acknowledged += killed(file, seed, chance.random() ** 2 * 0.6)
        rows = check(file, acknowledged)
    assert len(acknowledged) > 20 * number
    assert rows > len(acknowledged)


def test_killed_a_few_times(tmp_path: Path) -> None:
    rounds(tmp_path, 5)


@pytest.mark.slow
def test_killed_at_two_hundred_random_moments(tmp_path: Path) -> None:
    for part in range(10):
        folder = tmp_path / str(part)
        folder.mkdir()
        rounds(folder, 20)


def test_processes_that_are_killed_while_others_go_on_cost_them_nothing(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    command = [sys.executable, "-m", "tests.ledger.spender", str(file), "4", "30", "1", "ceiling"]
    living = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    acknowledged = [id for seed in range(3) for id in killed(file, seed, 0.1)]
    out, _ = living.communicate(timeout=60)
    assert '"written": true' in out
    check(file, acknowledged, ("daily",))
