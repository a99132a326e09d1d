"""`hroute batch`: what it prints, how it ends, and that no kill at any moment loses a line or doubles one."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hroute.ledger import ledger
from hroute.ledger.records import AttemptRow, RequestRow
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from tests.cli.conftest import POLICY, Cli, environment

SLOW = "faults: [{kind: slow, for: %s}]\nanswers: [{text: Blue.}]\n"
COMMAND = [sys.executable, "-m", "hroute", "batch", "in.jsonl", "-o", "out.jsonl"]


def questions(folder: Path, count: int, **more: Any) -> None:
    rows = [{"id": f"q{n}", "prompt": f"question {n}", **more} for n in range(count)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out.jsonl").read_bytes().splitlines()]


def started(folder: Path, *options: str, **environ: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *options],
        cwd=folder,
        env=environment(folder, **environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def until_results(folder: Path, count: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if (folder / "out.jsonl").exists() and (folder / "out.jsonl").read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.01)
    raise AssertionError("no result in time")


def test_the_summary_says_who_answered_and_what_it_cost(cli: Cli, tmp_path: Path) -> None:
    questions(tmp_path, 120)
    ran = cli("batch", "in.jsonl", "-o", "out.jsonl", "--sandbox")
    assert (ran.code, ran.out) == (0, "")
    told = ran.err.splitlines()
    assert told[0] == "sandbox: answers are scripted, nothing is sent; the decisions are real"
    assert told[1].startswith("120 of 120 lines answered; 120 asked in ")
    assert told[2].split("      ") == ["  other 120", "360 -> 1,680 tokens", "$0.0177"]
    assert len(told) == 3
    assert {row["rule"] for row in results(tmp_path)} == {"batch"}


def test_a_program_gets_one_object(cli: Cli, tmp_path: Path) -> None:
    questions(tmp_path, 3)
    ran = cli("batch", "in.jsonl", "-o", "out.jsonl", "--sandbox", "--json")
    found = json.loads(ran.out)
    assert found["schema"] == "hroute.batch/1"
    assert found["seconds"] >= 0
    wanted = {"lines": 3, "results": 3, "answered": 3, "failed": 0, "asked": 3, "outcomes": {"ok": 3}, "interrupted": False, "unpriced": 0}  # fmt: skip
    assert {key: found[key] for key in wanted} == wanted
    assert found["cost_usd"] == pytest.approx(sum(row["cost_usd"] for row in results(tmp_path)))


def test_it_begins_with_what_the_ledger_remembers_of_the_providers(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its errors breaker is open since a minute ago: nobody knocks there."""
    monkeypatch.setenv("HROUTE_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("HROUTE_QUEUE", str(tmp_path / "queue"))
    with SandboxServer(Script.from_data({})) as server:
        entry = f"{{plugin: ollama, model: m, base_url: '{server.url}/one', local: true, breaker: {{open_for: 5m}}}}"
        (tmp_path / "online.yaml").write_text(
            f"providers:\n  one: {entry}\nrouting_rules: []\ndefault: {{route_to: one, fallback: null}}\n"
        )
        now = int(time.time() * 1000)
        book = ledger.at(str(tmp_path / "ledger.db"))
        for n in range(5):
            tried = (AttemptRow("one", "m", "server", 5.0, status=503),)
            book.append(RequestRow(f"r{n}", now - 5_000, "server", tries=tried))
        book.close()
        questions(tmp_path, 3)
        ran = cli("batch", "in.jsonl", "-o", "out.jsonl", "-p", "online.yaml")
        assert ran.code == 6, ran.err
        assert server.calls.as_json() == []
    assert {row["error"]["code"] for row in results(tmp_path)} == {"HR903"}


def test_failures_end_with_1_and_with_the_command_that_asks_again(cli: Cli, tmp_path: Path) -> None:
    questions(tmp_path, 4)
    (tmp_path / "s.yaml").write_text("faults: [{kind: down, message: ['question 1']}]")
    ran = cli("batch", "in.jsonl", "-o", "out.jsonl", "--sandbox-script", "s.yaml", "--concurrency", "2")
    assert ran.code == 1
    assert "3 of 4 lines answered, 1 without an answer (transport 1); 4 asked" in ran.err
    again = "hroute batch in.jsonl -o out.jsonl --concurrency 2 --sandbox-script s.yaml --retry-failed"
    assert ran.err.endswith(f"out.jsonl says why. To ask them again: {again}\n")
    (tmp_path / "s.yaml").write_text("{}")
    ran = cli(*again.split()[1:])
    assert ran.code == 0
    assert "4 of 4 lines have a result already\n4 of 4 lines answered; 1 asked" in ran.err


@pytest.mark.parametrize(
    ("fault", "line", "code"),
    [("down", {}, 6), ("unauthorized", {}, 4), ("down", {"prompt": "", "messages": None}, 1), ("down", {"tenant": "blocked"}, 5)],
)  # fmt: skip
def test_where_no_line_has_an_answer_the_code_says_why(
    cli: Cli, tmp_path: Path, fault: str, line: dict[str, Any], code: int
) -> None:
    questions(tmp_path, 2, **line)
    (tmp_path / "s.yaml").write_text(f"faults: [{{kind: {fault}}}]")
    assert cli("batch", "in.jsonl", "-o", "out.jsonl", "--sandbox-script", "s.yaml").code == code
    assert len(results(tmp_path)) == 2


def test_without_a_key_nothing_is_sent_and_each_line_says_so(cli: Cli, tmp_path: Path) -> None:
    questions(tmp_path, 2)
    assert cli("batch", "in.jsonl", "-o", "out.jsonl").code == 4
    assert [row["error"]["code"] for row in results(tmp_path)] == ["HR901", "HR901"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.jsonl", "-o", "out.jsonl"), "`missing.jsonl` cannot be read"),
        ((".", "-o", "out.jsonl"), "cannot be read"),
        (("in.jsonl", "-o", "in.jsonl"), "-o names the input itself"),
        (("in.jsonl", "-o", "missing/out.jsonl"), "cannot be written"),
        (("in.jsonl", "-o", "routing-config.yaml"), "nothing was changed"),
        (("in.jsonl", "-o", "/dev/null"), "is no file"),
        (("in.jsonl",), "Missing option"),
        (("in.jsonl", "-o", "o", "--concurrency", "0"), "--concurrency"),
        (("in.jsonl", "-o", "o", "--signal", "task_type=x"), "task_type"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_asked(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    questions(tmp_path, 2)
    ran = cli("batch", *arguments, "--sandbox")
    assert ran.code == 2
    assert said in ran.err
    assert (tmp_path / "routing-config.yaml").read_text() == POLICY


def test_a_log_can_be_a_batch_and_is_not_its_own_result(cli: Cli, tmp_path: Path) -> None:
    questions(
        tmp_path, 2, outcome="ok", model="gpt-4o", latency_ms=12, signals={"batch_size": 1, "message~01234567": True}
    )
    assert cli("batch", "in.jsonl", "-o", "in.jsonl", "--sandbox").code == 2
    assert cli("batch", "in.jsonl", "-o", "out.jsonl", "--sandbox").code == 0


def test_a_person_at_a_terminal_sees_a_bar_and_a_pipe_sees_none(tmp_path: Path, cli: Cli) -> None:
    questions(tmp_path, 40)
    (tmp_path / "s.yaml").write_text(SLOW % "50ms")
    assert "━" not in cli("batch", "in.jsonl", "-o", "out.jsonl", "--sandbox-script", "s.yaml").err
    (tmp_path / "out.jsonl").unlink()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--sandbox-script", "s.yaml"], cwd=tmp_path, env=environment(tmp_path, TERM="xterm"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass
    out, _ = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 0
    assert "━".encode() in shown
    assert b"lines" in shown
    assert out == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly_and_says_how_to_go_on(cli: Cli, tmp_path: Path, number: signal.Signals) -> None:
    questions(tmp_path, 400)
    (tmp_path / "s.yaml").write_text(SLOW % "20ms")
    process = started(tmp_path, "--sandbox-script", "s.yaml", "--json")
    until_results(tmp_path, 10)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err
    found = json.loads(out)
    rows = results(tmp_path)
    assert found["interrupted"] is True
    assert found["results"] == len(rows) < 400
    assert f"{400 - len(rows)} are still to be asked. To go on: hroute batch in.jsonl -o out.jsonl" in err.decode()
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), key=lambda id: int(id[1:]))
    assert cli("batch", "in.jsonl", "-o", "out.jsonl", "--sandbox").code == 0
    assert [row["id"] for row in results(tmp_path)] == [f"q{n}" for n in range(400)]


def test_a_second_interrupt_drops_what_was_begun(cli: Cli, tmp_path: Path) -> None:
    questions(tmp_path, 4)
    (tmp_path / "s.yaml").write_text("faults: [{kind: slow, for: 25, after: 1}]")
    process = started(tmp_path, "--sandbox-script", "s.yaml", "--concurrency", "2")
    until_results(tmp_path, 1)
    begun = time.monotonic()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - begun < 4  # not the five seconds of patience, far less the 25 of the provider
    assert len(results(tmp_path)) == 1


def killed(folder: Path, kills: int, count: int, *options: str, longest: float, **environ: str) -> int:
    """Run the batch and kill it at random moments, so often; one that ends before is checked and begun anew. How many
    ended so: each of them asked every line."""
    rng = random.Random(count)
    died = ended = 0
    while died < kills:
        process = started(folder, *options, **environ)
        try:
            process.wait(timeout=rng.uniform(0.15, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            died += 1
        process.communicate(timeout=30)
        if process.returncode != -signal.SIGKILL:
            exactly_once(folder, count)
            (folder / "out.jsonl").unlink()
            ended += 1
    return ended


def exactly_once(folder: Path, count: int) -> None:
    rows = results(folder)
    assert Counter(row["id"] for row in rows) == Counter(f"q{n}" for n in range(count))
    assert [row["id"] for row in rows] == [f"q{n}" for n in range(count)]
    assert all(row["outcome"] == "ok" for row in rows)
    assert sorted(p.name for p in folder.iterdir() if p.name.startswith("out")) == ["out.jsonl"]


def test_a_kill_at_any_moment_loses_no_line_and_doubles_none(cli: Cli, tmp_path: Path) -> None:
    questions(tmp_path, 500)
    (tmp_path / "s.yaml").write_text(SLOW % "10ms")
    killed(tmp_path, 4, 500, "--sandbox-script", "s.yaml", longest=1.0)
    assert cli("batch", "in.jsonl", "-o", "out.jsonl", "--sandbox").code == 0
    exactly_once(tmp_path, 500)


@pytest.mark.slow
def test_25_kills_in_process_lose_no_line_and_double_none(cli: Cli, tmp_path: Path) -> None:
    questions(tmp_path, 2000)
    (tmp_path / "s.yaml").write_text(SLOW % "5ms")
    killed(tmp_path, 25, 2000, "--sandbox-script", "s.yaml", longest=1.2)
    assert cli("batch", "in.jsonl", "-o", "out.jsonl", "--sandbox").code == 0
    exactly_once(tmp_path, 2000)


@pytest.mark.slow
def test_25_kills_lose_no_line_at_a_real_server_and_ask_few_twice(tmp_path: Path) -> None:
    count, calls = 3000, list[str]()
    questions(tmp_path, count)
    script = Script.from_data({"faults": [{"kind": "slow", "for": 0.03}], "answers": [{"text": "Blue."}]})
    with SandboxServer(script, log=calls.append) as server:
        policy = POLICY.replace("model: other-1,", f"model: other-1, base_url: {server.url}/other/v1,")
        (tmp_path / "routing-config.yaml").write_text(policy)
        ended = killed(tmp_path, 25, count, longest=3.0, OTHER_KEY="sandbox")
        last = started(tmp_path, OTHER_KEY="sandbox")
        last.communicate(timeout=300)
        assert last.returncode == 0
    exactly_once(tmp_path, count)
    needed = (ended + 1) * count
    assert needed <= len(calls) <= needed + 25 * 8  # what was under way at a kill is asked again, and nothing else
