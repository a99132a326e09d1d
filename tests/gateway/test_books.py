"""A ledger that cannot be written stops no answer of the gateway, and is seen: in `/metrics` and in `/readyz`."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from hroute.ledger.ledger import at
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.bookkeeping import Books
from tests.gateway.house import House, house, policy_of


def measured(house: House, name: str) -> float:
    line = next(line for line in house.get("/metrics").text.splitlines() if line.startswith(f"{name} "))
    return float(line.rpartition(" ")[2])


def until(house: House, name: str, wanted: float) -> None:
    deadline = time.monotonic() + 30
    while measured(house, name) != wanted:
        assert time.monotonic() < deadline, (name, measured(house, name))
        time.sleep(0.02)


ASKED = {"model": "claude-x", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}


def test_a_locked_ledger_stops_no_answer_and_is_seen_until_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = str(tmp_path / "ledger.db")
    books = at(file, key_file=f"{file}.key")
    with SandboxServer() as sandbox:
        policy = policy_of(sandbox.url)
        with house(policy, books=Books(policy, books)) as here:
            assert here.post("/v1/messages", ASKED).status_code == 200
            assert books.flush(10)
            assert here.get("/readyz").json()["ledger"] is None
            other = sqlite3.connect(file, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            assert here.post("/v1/messages", ASKED).status_code == 200
            until(here, "hroute_ledger_trouble", 1.0)
            assert measured(here, "hroute_ledger_waiting") >= 1
            ready = here.get("/readyz")
            assert (ready.status_code, "keeps it locked" in ready.json()["ledger"]) == (200, True)
            assert "keeps it locked" in caplog.text
            other.execute("ROLLBACK")
            other.close()
            until(here, "hroute_ledger_trouble", 0.0)
            assert measured(here, "hroute_ledger_lost") == 0
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT count(*) FROM request WHERE state = 'done'").fetchone() == (2,)
