"""`hroute ask`: the answer on stdout, talk on stderr, every ending its own exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hroute.ledger import ledger
from hroute.ledger.records import AttemptRow, RequestRow
from tests.cli.conftest import POLICY, Cli, Ran, environment

SCRIPT = """\
answers:
  - {message: ["sky"], text: "Sunlight is scattered."}
  - {message: ["escape"], text: "plain \\e[31mred\\e[0m"}
  - {message: ["json"], text: '{"colour": "blue"}'}
"""
Hroute = Callable[..., Ran]
Golden = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _script(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    (tmp_path / "down.yaml").write_text("faults: [{kind: down}]")
    (tmp_path / "big-down.yaml").write_text(SCRIPT + "faults: [{kind: overloaded, provider: big}]")
    (tmp_path / "empty.yaml").write_text("faults: [{kind: unauthorized}]")


def steady(text: str) -> str:
    """Without what differs from run to run."""
    return re.sub(
        r"in \d+\.\d s",
        "in 0.1 s",
        re.sub(r"id [0-9a-f]{8}\b", "id 01234567", re.sub(r"  \d+\.\d s  ", "  0.1 s  ", text)),
    )


def test_the_answer_is_all_that_is_on_stdout(cli: Cli) -> None:
    ran = cli("ask", "--sandbox-script", "script.yaml", "Why is the sky blue?")
    assert ran == Ran(
        0, "Sunlight is scattered.\n", "sandbox: answers are scripted, nothing is sent; the decision is real\n"
    )


def test_an_answer_in_one_piece_is_the_same(cli: Cli) -> None:
    assert (
        cli("ask", "--no-stream", "--sandbox-script", "script.yaml", "Why is the sky blue?").out
        == "Sunlight is scattered.\n"
    )


def test_who_answered_is_said_on_demand(cli: Cli, golden: Golden) -> None:
    ran = cli("ask", "-v", "--sandbox-script", "big-down.yaml", "--signal", "task_type=code", "Why is the sky blue?")
    assert ran.out == "Sunlight is scattered.\n"
    golden("ask-fallback", steady(ran.err))


def test_the_keys_that_programs_rely_on(cli: Cli) -> None:
    ran = cli(
        "ask", "--json", "--sandbox-script", "big-down.yaml", "--signal", "task_type=code", "Why is the sky blue?"
    )
    found = json.loads(ran.out)
    assert found["schema"] == "hroute.ask/1"
    assert {
        "id", "text", "rule", "routed_to", "actual_provider", "actual_model", "escalation", "attempts", "usage", "cost_usd",
    } <= set(found)  # fmt: skip
    assert (found["rule"], found["routed_to"], found["actual_provider"]) == ("code", "big", "other")
    assert (found["text"], found["escalation"]) == ("Sunlight is scattered.", "capacity")
    assert set(found["attempts"][0]) >= {"provider", "outcome", "latency_ms"}
    assert set(found["usage"]) == {"input", "output", "cache_read", "cache_write", "reasoning"}
    assert found["cost_usd"] > 0


def test_an_answer_of_a_json_schema(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "shape.json").write_text(
        '{"type": "object", "required": ["colour"], "properties": {"colour": {"type": "string"}}}'
    )
    ran = cli("ask", "--json-schema", "shape.json", "--sandbox-script", "script.yaml", "as json please")
    assert json.loads(ran.out) == {"colour": "blue"}


@pytest.mark.parametrize("content", ["[1]", "{not json", ""])
def test_a_json_schema_that_is_none_is_a_usage_error(content: str, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "shape.json").write_text(content)
    assert cli("ask", "--json-schema", "shape.json", "--sandbox", "hello").code == 2


def test_every_provider_down_is_6(cli: Cli, golden: Golden) -> None:
    ran = cli("ask", "--sandbox-script", "down.yaml", "--signal", "task_type=code", "hello")
    assert (ran.code, ran.out) == (6, "")
    golden("ask-failed", steady(ran.err))


def test_personal_data_with_the_home_provider_down_is_5(cli: Cli, golden: Golden) -> None:
    ran = cli("ask", "--sandbox-script", "down.yaml", "My SSN is 078-05-1120, fill the form")
    assert (ran.code, ran.out) == (5, "")
    assert "078-05-1120" not in ran.err
    golden("ask-kept-home", steady(ran.err))


def test_a_refusal_by_a_rule_is_5(cli: Cli) -> None:
    ran = cli("ask", "--sandbox", "--signal", "tenant=blocked", "--signal", "task_type=qa", "hello")
    assert (ran.code, ran.out) == (5, "")
    assert "This account is closed." in ran.err


def test_no_key_is_4_and_names_the_variable(cli: Cli) -> None:
    ran = cli("ask", "--signal", "task_type=code", "hello", "--json")
    found = json.loads(ran.out)
    assert ran.code == 4
    assert found["error"]["code"] == "HR901"
    assert [skipped["provider"] for skipped in found["skipped"]] == ["big", "other"]
    assert "BIG_KEY" in ran.err


def test_a_rejected_key_is_4(cli: Cli) -> None:
    assert cli("ask", "--sandbox-script", "empty.yaml", "--signal", "task_type=code", "hello").code == 4


def test_a_failure_is_told_to_a_program(cli: Cli) -> None:
    ran = cli("ask", "--json", "--sandbox-script", "down.yaml", "--signal", "task_type=code", "hello")
    found = json.loads(ran.out)
    assert (ran.code, found["error"]["code"]) == (6, "HR903")
    assert {attempt["outcome"] for attempt in found["attempts"]} == {"transport"}


def test_signals_alone_cannot_be_sent(cli: Cli) -> None:
    assert cli("ask", "--sandbox", "--signal", "task_type=code").code == 2


@pytest.mark.parametrize("script", ["answers: 7", "[1]", "faults: [{kind: nonsense}]", "a: [", "missing"])
def test_a_script_that_is_none_is_a_usage_error(script: str, cli: Cli, tmp_path: Path) -> None:
    if script != "missing":
        (tmp_path / "bad.yaml").write_text(script)
    ran = cli("ask", "--sandbox-script", "bad.yaml", "hello")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err


def test_text_piped_in_beside_a_prompt_goes_along(tmp_path: Path, hroute: Hroute) -> None:
    ran = hroute("ask", "--json", "--sandbox", "Write a commit message", input="My SSN is 078-05-1120")
    assert json.loads(ran.out)["rule"] == "private"


def test_a_terminal_gets_no_control_characters_of_a_model(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hroute", "ask", "--sandbox-script", "script.yaml", "escape"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env=environment(tmp_path),
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 1024)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait(30) == 0
    assert shown.replace(b"\r\n", b"\n") == b"plain [31mred[0m\n"


def test_a_key_reaches_no_output(tmp_path: Path, hroute: Hroute) -> None:
    key = "sk-" + "proj-" + "A1b2C3d4E5" * 4
    (tmp_path / "routing-config.yaml").write_text(
        POLICY.replace("model: big-1,", 'model: big-1, base_url: "http://127.0.0.1:9",')
    )
    for arguments in (
        ["ask", "hello", "-v"],
        ["ask", "hello", "--json"],
        ["explain", "hello", "--json"],
        ["status"],
        ["status", "--json"],
    ):
        ran = hroute(*arguments, BIG_KEY=key, OTHER_KEY=key)
        assert key not in ran.out + ran.err


def test_a_provider_that_others_have_just_found_down_is_not_tried_again(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The breakers of a command begin as the ledger's last minutes leave them."""
    down = AttemptRow("home", "small:8b", "transport", 1.0, code="ConnectError")
    book = ledger.at(str(tmp_path / "ledger.db"))
    for n in range(5):
        book.append(RequestRow(f"r{n}", int(time.time() * 1000) - 5000, "transport", tries=(down,)))
    book.close()
    monkeypatch.setenv("HROUTE_LEDGER", str(tmp_path / "ledger.db"))
    ran = cli("ask", "--signal", "contains_pii=true", "hello", "--json")
    assert ran.code == 5
    assert json.loads(ran.out)["attempts"] == []
    assert "errors breaker is open" in ran.err + ran.out
