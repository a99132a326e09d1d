"""`hroute explain --id`: a recorded request under the policy of its day and today's, with what was recorded and no more."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hroute.ledger import ledger
from tests.cli.conftest import Cli

POLICY = """\
version: 1
baseline: big
providers:
  big:   {plugin: sandbox, model: big-1, price: {input: 3, output: 15, cache_read: 0.3, cache_write: 3.75}}
  small: {plugin: sandbox, model: small-1, price: {input: 0.1, output: 0.5}}
ledger: {path: ledger.db, keep: 90d}
routing_rules:
  - {name: boss, condition: {user: alice}, route_to: big}
  - {name: hello, condition: {message: {any_of: [hello]}}, route_to: small, fallback: big}
  - {name: many, condition: {batch_size: ">100"}, route_to: small}
default: {route_to: big, fallback: small}
"""


def write(folder: Path, *changes: tuple[str, str]) -> None:
    text = POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "routing-config.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def asked(cli: Cli, tmp_path: Path) -> Any:
    """Asks under the policy above and gives the id of what was recorded."""
    write(tmp_path)

    def ask(*arguments: str) -> str:
        ran = cli("ask", "--json", *arguments)
        assert ran.code == 0, ran.err
        ledger._close_all()
        return str(json.loads(ran.out)["id"])

    return ask


def explained(cli: Cli, id: str) -> dict[str, Any]:
    ran = cli("explain", "--json", "--id", id)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_under_the_same_policy_what_was_done_would_be_done(cli: Cli, asked: Any) -> None:
    found = explained(cli, asked("hello there"))
    assert (found["rule"], found["route_to"], found["fallback"]) == ("hello", "small", ["big"])
    assert (found["same_policy"], found["differs"]) == (True, [])
    assert found["recorded"]["actual_provider"] == "small"
    assert found["schema"] == "hroute.explain/1"
    assert {
        "rule",
        "route_to",
        "fallback",
        "signals",
        "score",
        "confidence",
        "policy",
        "steps",
        "nearest",
        "cost_usd",
    } <= set(found)


def test_under_another_policy_both_decisions_stand_side_by_side(cli: Cli, asked: Any, tmp_path: Path) -> None:
    id = asked("--signal", "batch_size=50", "hello there")
    write(
        tmp_path,
        ("message: {any_of: [hello]}", 'batch_size: "10..60"'),
        ("route_to: small, fallback: big", "route_to: big"),
    )
    found = explained(cli, id)
    assert (found["then"]["rule"], found["then"]["route_to"]) == ("hello", "small")
    assert (found["rule"], found["route_to"]) == ("hello", "big")
    assert found["differs"] == ["route_to", "fallback"]
    assert found["then"]["policy"] == found["recorded"]["policy"] != found["policy"]
    assert found["then"]["cost_usd"] < found["cost_usd"]["estimate"]
    text = cli("explain", "--id", id).out
    assert "policy of that day" in text
    assert "DIFFERS: the route, the fallback" in text
    assert 'message (any of "hello") holds' in text


def test_what_a_row_does_not_tell_is_not_guessed(cli: Cli, asked: Any, tmp_path: Path) -> None:
    id = asked("what is the capital of France?")
    write(tmp_path, ("any_of: [hello]", "any_of: [capital]"))
    found = explained(cli, id)
    assert (found["rule"], found["differs"]) == (None, ["unknown"])
    assert found["unknown"]
    assert "cannot tell" in cli("explain", "--id", id).out


def test_a_user_is_known_again_by_the_ledgers_key_and_by_nothing_else(cli: Cli, asked: Any, tmp_path: Path) -> None:
    id = asked("--signal", "user=alice", "good day")
    other = asked("--signal", "user=carol", "good day")
    assert explained(cli, id)["rule"] == "boss"
    assert explained(cli, other)["rule"] == "default"
    (tmp_path / "ledger.db.key").unlink()
    assert "user" in explained(cli, id)["unknown"]


def test_the_arm_of_a_rollout_is_not_guessed_where_the_session_was_not_kept(
    cli: Cli, asked: Any, tmp_path: Path
) -> None:
    write(tmp_path, ("route_to: small, fallback: big}", "route_to: small, fallback: big, rollout: 50%}"))
    found = explained(cli, asked("--session", "s1", "hello there"))
    assert (found["rule"], found["route_to"]) == ("hello", None)
    assert "session" in found["unknown"]


def test_a_policy_that_the_ledger_does_not_hold_is_told(cli: Cli, asked: Any, tmp_path: Path) -> None:
    id = asked("hello there")
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("DELETE FROM document WHERE kind = 'policy'")
    write(tmp_path, ('">100"', '">200"'))
    found = explained(cli, id)
    assert (found["then"], found["then_missing"]) == (None, "the ledger does not hold it")
    assert found["rule"] == "hello"


def test_a_missing_a_pruned_and_a_doubtful_id_are_told_apart(cli: Cli, asked: Any, tmp_path: Path) -> None:
    first, second = asked("hello there"), asked("hello again")
    ran = cli("explain", "--id", "ffffffff")
    assert (ran.code, "names no request" in ran.err, "older than 90d" in ran.err) == (2, True, True)
    common = first[:6]
    assert second.startswith(common)
    ran = cli("explain", "--id", common)
    assert (ran.code, first in ran.err) == (2, True)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("DELETE FROM request WHERE id = ?", (first,))
    assert cli("explain", "--id", first).code == 2


def test_without_a_ledger_there_is_nothing_to_explain(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path)
    ran = cli("explain", "--id", "1234")
    assert (ran.code, "nothing is recorded yet" in ran.err) == (2, True)
    assert not (tmp_path / "ledger.db").exists()


def test_an_id_stands_alone(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path)
    assert cli("explain", "--id", "1234", "a prompt").code == 2


def test_no_prompt_is_in_what_is_shown(cli: Cli, asked: Any) -> None:
    id = asked("hello, my canary sings")
    shown = cli("explain", "-v", "--id", id).out + cli("explain", "--json", "--id", id).out
    assert "canary" not in shown
