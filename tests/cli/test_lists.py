"""`hroute models` and `hroute status`: what is known, as a table and as JSON Lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hroute.ledger import ledger
from hroute.ledger.records import AttemptRow, RequestRow
from tests.cli.conftest import Cli


def test_the_providers_of_the_policy(
    cli: Cli, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIG_KEY", "a-secret")
    monkeypatch.setenv("HROUTE_LEDGER", "")
    ran = cli("status")
    assert ran.code == 0
    assert "a-secret" not in ran.out + ran.err
    golden("status", ran.out)


def test_the_providers_for_a_program(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_KEY", "a-secret")
    lines = [json.loads(line) for line in cli("status", "--json").out.splitlines()]
    assert {line["schema"] for line in lines} == {"hroute.status/1"}
    assert {line["provider"]: line["key_present"] for line in lines} == {"home": False, "big": True, "other": False}
    assert lines[0]["locality"] == "machine"


def test_whoever_judges_confirms_or_is_a_shadow_is_listed_too(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "beside.yaml").write_text(
        "routing_rules:\n"
        "  - {name: judged, condition: {task_type: qa}, route_to: ollama, validate: {judge: gpt4o}}\n"
        "  - {name: seen, condition: {task_type: chat}, route_to: ollama, shadow: {to: deepseek}}\n"
        "default: {route_to: ollama, fallback: null}\n"
    )
    lines = [json.loads(line) for line in cli("status", "--json", "-p", "beside.yaml").out.splitlines()]
    assert {line["provider"] for line in lines} == {"ollama", "gpt4o", "deepseek"}


def test_without_a_ledger_nothing_is_said_about_breakers(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HROUTE_LEDGER", "")
    ran = cli("status")
    assert "breakers: not known" in ran.err
    assert ran.out.count("unknown") == 3
    line = json.loads(cli("status", "--json").out.splitlines()[0])
    assert [line[key] for key in ("errors_breaker", "latency_breaker", "last_error", "recent_calls")] == [None] * 4


def test_what_the_ledger_saw_in_the_last_minutes_is_what_is_known_of_the_breakers(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = str(tmp_path / "ledger.db")
    now = time.time() * 1000
    book = ledger.at(where)
    for n in range(5):
        failed = AttemptRow("big", "big-1", "capacity", 20.0, status=529, code="overloaded_error")
        book.append(RequestRow(f"r{n}", int(now - 9000), "capacity", tries=(failed,)))
    fine = AttemptRow("other", "other-1", "ok", 1500.0)
    book.append(RequestRow("r6", int(now - 60_000), "ok", provider="other", latency_ms=1500.0, tries=(fine,)))
    book.append(RequestRow("r7", int(now - 3_600_000), "ok", tries=(AttemptRow("home", "small:8b", "server", 1.0),)))
    book.close()
    monkeypatch.setenv("HROUTE_LEDGER", where)
    ran = cli("status")
    home, big, other = ran.out.splitlines()[1:]
    assert "no calls" in home
    assert "  open, 2" in big
    assert "529 overloaded error" in big
    assert "  closed  " in other
    assert "last 10 minutes" in ran.err
    lines = {line["provider"]: line for line in map(json.loads, cli("status", "--json").out.splitlines())}
    assert [lines[name]["recent_calls"] for name in ("home", "big", "other")] == [0, 5, 1]
    assert 15 <= lines["big"]["open_for_s"] <= 27


def test_the_models_are_listed_and_filtered(cli: Cli) -> None:
    ran = cli("models", "claude")
    assert ran.out.splitlines()[0].split() == ["vendor", "model", "context", "in", "out", "cached"]
    assert all("claude" in line for line in ran.out.splitlines()[1:])
    assert "prices of 20" in ran.err


def test_models_for_a_program(cli: Cli) -> None:
    lines = [json.loads(line) for line in cli("models", "--json").out.splitlines()]
    assert {line["schema"] for line in lines} == {"hroute.models/1"}
    assert {"claude_sonnet", "gpt4o"} <= {provider for line in lines for provider in line["providers"]}
    assert all(line["retirement"] for line in map(json.loads, cli("models", "--retiring", "--json").out.splitlines()))
