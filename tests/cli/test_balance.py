"""`hroute status` and money: what each budget says now, and a ledger that cannot be written."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hroute.ledger import ledger
from tests.cli.conftest import Cli

POLICY = """\
version: 1
providers:
  big:   {plugin: sandbox, model: big-1, price: {input: 3, output: 15}}
  small: {plugin: sandbox, model: small-1, price: {input: 0, output: 0}}
  odd:   {plugin: openai, model: unheard-of, base_url: "https://models.example.com/v1", api_key: env:ODD}
ledger: {path: ledger.db}
routing_rules: [{name: odd, condition: {task_type: qa}, route_to: odd}]
default: {route_to: big, fallback: small}
budgets:
  - {name: daily, limit_usd: 20, per: day, timezone: Europe/Berlin, at: {0.001%: alert, 100%: {only: {name: small}}}}
  - {name: tiny, limit_usd: 0.00001, per: month, where: {provider: [big]}, at: {100%: refuse}}
  - {name: bot, limit_usd: 50, per: week, where: {cost_center: telegram-bot}}
"""


@pytest.fixture
def policy(cli: Cli, tmp_path: Path) -> Cli:
    (tmp_path / "routing-config.yaml").write_text(POLICY, encoding="utf-8")
    return cli


def budgets(cli: Cli, provider: str = "big") -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in cli("status", "--json").out.splitlines()]
    (found,) = (line["budgets"] for line in lines if line["provider"] == provider)
    return {budget["name"]: budget for budget in found}


def test_before_the_first_call_every_budget_is_whole(policy: Cli, tmp_path: Path) -> None:
    found = budgets(policy)
    assert set(found) == {"daily", "tiny", "bot"}
    assert (found["daily"]["spent_usd"], found["daily"]["reserved_usd"], found["daily"]["limit_usd"]) == (0, 0, 20)
    assert found["daily"]["resets"].endswith(("T22:00:00.000Z", "T23:00:00.000Z"))
    assert not (tmp_path / "ledger.db").exists()


def test_what_was_spent_is_shown_with_what_it_means(policy: Cli) -> None:
    assert policy("ask", "hello").code == 0
    ledger._close_all()
    found = budgets(policy)
    assert found["daily"]["spent_usd"] == 0  # `tiny` had no room for a call to big: small answered
    text = policy("status").out
    assert "tiny (provider big)" in text
    assert "$0.000010" in text


def test_a_threshold_that_is_reached_says_what_it_does(policy: Cli, tmp_path: Path) -> None:
    text = POLICY.replace("limit_usd: 0.00001", "limit_usd: 100")
    (tmp_path / "routing-config.yaml").write_text(text, encoding="utf-8")
    assert policy("ask", "hello").code == 0
    ledger._close_all()
    found = budgets(policy)
    assert 0 < found["daily"]["spent_usd"] < 0.01
    assert found["daily"]["reached"] == []
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("UPDATE counter SET spent = 19000000000, reserved = 1000000000, unpriced = 2 WHERE budget = 'daily'")
    found = budgets(policy)
    assert [(r["share"], r["action"]) for r in found["daily"]["reached"]] == [(1e-05, "alert"), (1.0, "only small")]
    assert (found["daily"]["reserved_usd"], found["daily"]["unpriced_calls"]) == (1, 2)
    line = next(line for line in policy("status").out.splitlines() if line.startswith("daily"))
    assert "100%: only small" in line
    assert "2 calls of unknown price" in line
    assert budgets(policy, "odd")["bot"]["spent_usd"] == 0
    assert "tiny" not in budgets(policy, "small")


def test_a_ledger_that_cannot_be_used_is_said_loudly(policy: Cli, tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(os.urandom(9_000))
    ran = policy("status")
    assert ran.code == 0
    assert "ledger  CORRUPT" in ran.out
    assert "the ledger cannot be read" in ran.out
    line = json.loads(policy("status", "--json").out.splitlines()[0])
    assert (line["ledger"]["trouble"], line["budgets"][0]["spent_usd"]) == ("corrupt", None)


def test_a_ledger_that_somebody_keeps_locked_is_said(policy: Cli, tmp_path: Path) -> None:
    assert policy("ask", "hello").code == 0
    ledger._close_all()
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "ledger  LOCKED" in policy("status").out
    other.execute("ROLLBACK")
    other.close()
    assert "ledger " not in policy("status").out


def test_without_a_ledger_budgets_are_not_counted_and_that_is_said(
    policy: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HROUTE_LEDGER", "")
    assert "no ledger is kept: nothing is counted" in policy("status").out


def test_explain_says_that_a_budget_cannot_count_a_call_without_a_price(policy: Cli) -> None:
    ran = policy("explain", "--signal", "task_type=qa", "who is it?")
    assert "cannot count this call, for no price is known: daily, tiny, bot" in ran.out
    assert "budgets set aside" in policy("explain", "hello").out
