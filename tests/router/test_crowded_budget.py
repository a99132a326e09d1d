"""64 callers at once against one dollar, through the clients that programs use: none of them spends the second dollar."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from hroute.errors import Refused
from hroute.ledger.ledger import Settings, at
from hroute.router.client import AsyncClient, Client
from hroute.schema.load import load_text
from hroute.schema.policy import Policy

ROOT = Path(__file__).parents[2]
DOLLAR = 1_000_000_000
TEXT = """\
version: 1
providers:
  dear: {plugin: sandbox, model: dear-1, price: {input: 300, output: 1500}}
  free: {plugin: sandbox, model: free-1, price: {input: 0, output: 0}}
routing_rules:
  - {name: kind, condition: {batch_size: ">100"}, route_to: dear, fallback: free, params: {max_tokens: 60}}
default: {route_to: dear, params: {max_tokens: 60}}
ledger: {reserve: RESERVE}
budgets: [{name: daily, limit_usd: 1, per: month, at: {100%: refuse}}]
"""
CALLS = 3


def policy_of(reserve: str) -> Policy:
    policy, findings, _ = load_text(TEXT.replace("RESERVE", reserve))
    assert policy is not None, findings
    return policy


def spent(file: Path) -> tuple[int, int]:
    """What the rows did cost together, and what the counter says; nothing is reserved any more."""
    with closing(sqlite3.connect(file)) as db:
        (cost,) = db.execute("SELECT sum(cost) FROM request").fetchone()
        ((counted, reserved),) = db.execute("SELECT spent, reserved FROM counter").fetchall()
        assert db.execute("SELECT count(*) FROM lease WHERE expired = 0").fetchone() == (0,)
    assert reserved == 0
    return cost, counted


def ask(client: Client, served: list[str]) -> None:
    for _ in range(CALLS):
        try:
            served.append(client.complete("hello").actual_provider)
        except Refused:
            served.append("refused")


@pytest.mark.parametrize("reserve", ["quantile", "ceiling"])
def test_threads_spend_no_more_than_a_dollar(tmp_path: Path, reserve: str) -> None:
    file = tmp_path / "ledger.db"
    books = at(str(file), Settings(reserve="ceiling" if reserve == "ceiling" else "quantile"), key_file=f"{file}.key")
    client = Client.from_policy(policy=policy_of(reserve), environ={}, ledger=books)
    served: list[str] = []
    threads = [threading.Thread(target=ask, args=(client, served)) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # what reservations had kept out may still fit, one after the other; then nothing but what costs nothing does
    assert [client.complete("hello", batch_size=200).actual_provider for _ in range(100)][-1] == "free"
    with pytest.raises(Refused, match="daily"):
        client.complete("hello")
    client.close()
    assert books.close(30)
    assert set(served) == {"dear", "refused"}
    cost, counted = spent(file)
    assert 0 < cost == counted <= DOLLAR


def test_tasks_spend_no_more_than_a_dollar(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    books = at(str(file), Settings(reserve="ceiling"), key_file=f"{file}.key")

    async def one(client: AsyncClient) -> list[str]:
        found = []
        for _ in range(CALLS):
            try:
                found.append((await client.complete("hello")).actual_provider)
            except Refused:
                found.append("refused")
        return found

    async def all_of_them() -> list[str]:
        client = AsyncClient.from_policy(policy=policy_of("ceiling"), environ={}, ledger=books)
        served = await asyncio.gather(*(one(client) for _ in range(64)))
        await client.aclose()
        return [name for some in served for name in some]

    assert set(asyncio.run(all_of_them())) == {"dear", "refused"}
    assert books.close(30)
    cost, counted = spent(file)
    assert 0 < cost == counted <= DOLLAR


def test_four_processes_on_one_file_spend_no_more_than_a_dollar(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    program = f"""
import threading
from hroute.ledger.ledger import Settings, at
from hroute.router.client import Client
from tests.router.test_crowded_budget import ask, policy_of
books = at({str(file)!r}, Settings(reserve="ceiling"), key_file={str(file) + ".key"!r})
client = Client.from_policy(policy=policy_of("ceiling"), environ={{}}, ledger=books)
served = []
threads = [threading.Thread(target=ask, args=(client, served)) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
client.close()
assert books.close(60)
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen([sys.executable, "-c", program], env=environ) for _ in range(4)]
    assert [process.wait(120) for process in running] == [0, 0, 0, 0]
    cost, counted = spent(file)
    assert 0 < cost == counted <= DOLLAR
