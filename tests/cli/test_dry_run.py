"""`hroute dry-run`: the table, the JSON, a line a request, and what makes it answer no."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import POLICY, Cli, environment

ROWS = [
    {"id": "a", "ts": "2026-10-01T08:00:00Z", "task_type": "code", "contains_pii": False, "complexity": "low", "input_tokens": 1000, "output_tokens": 500},
    {"id": "b", "ts": "2026-10-02T08:00:00Z", "task_type": "qa", "contains_pii": False, "batch_size": 500, "complexity": "low", "input_tokens": 2000, "output_tokens": 100},
    {"id": "c", "ts": "2026-10-31T08:00:00Z", "prompt": "My SSN is 078-05-1120", "output_tokens": 50},
    {"id": "d", "ts": "2026-10-31T09:00:00Z", "task_type": "qa", "contains_pii": False, "complexity": "high", "tenant": "acme", "input_tokens": 10, "output_tokens": 10},
]  # fmt: skip


@pytest.fixture(autouse=True)
def log(cli: Cli, tmp_path: Path) -> Path:
    file = tmp_path / "october.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def test_the_table(cli: Cli, golden: Callable[[str, str], None]) -> None:
    ran = cli("dry-run", "october.jsonl", "--baseline", "big")
    assert (ran.code, ran.err) == (0, "")
    golden("dry-run", ran.out)


def test_the_keys_that_programs_rely_on(cli: Cli) -> None:
    found = json.loads(cli("dry-run", "october.jsonl", "--json", "--baseline", "big").out)
    assert found["schema"] == "hroute.dry-run/1"
    assert {
        "requests", "bad_lines", "routes", "constants", "total", "same", "changed", "cannot_tell", "newly_reaching",
    } <= set(found)  # fmt: skip
    assert (found["requests"], found["bad_lines"]) == (4, 0)
    assert set(found["total"]) >= {"cost_usd", "baseline_usd", "saved", "saved_low", "saved_high"}
    assert {constant["provider"] for constant in found["constants"]} == {"home", "big", "other"}


def test_a_line_a_request(cli: Cli, tmp_path: Path) -> None:
    assert cli("dry-run", "october.jsonl", "--each", "each.jsonl", "--all-signals").code == 0
    lines = [json.loads(line) for line in (tmp_path / "each.jsonl").read_text().splitlines()]
    assert [(line["id"], line["rule"]) for line in lines] == [
        ("a", "code"),
        ("b", "batch"),
        ("c", "private"),
        ("d", "hard"),
    ]
    assert all(set(line) >= {"id", "rule", "route_to", "fallback", "signals", "cost_usd"} for line in lines)
    assert "score" in lines[2]["signals"]
    assert "078-05-1120" not in (tmp_path / "each.jsonl").read_text()


def test_lines_on_stdout_are_all_that_is_there(cli: Cli) -> None:
    ran = cli("dry-run", "october.jsonl", "--each", "-")
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == ["a", "b", "c", "d"]


def test_a_dry_run_agrees_with_explain(cli: Cli) -> None:
    for line in map(json.loads, cli("dry-run", "october.jsonl", "--each", "-").out.splitlines()):
        row = next(row for row in ROWS if row["id"] == line["id"])
        signals = [
            f"--signal={k}={v}" for k, v in row.items() if k in ("task_type", "batch_size", "complexity", "tenant")
        ]
        found = json.loads(cli("explain", "--json", *signals, *([str(row["prompt"])] if "prompt" in row else [])).out)
        assert (found["rule"], found["route_to"], found["fallback"]) == (
            line["rule"],
            line["route_to"],
            line["fallback"],
        )


def test_bad_lines_are_counted_and_shown(cli: Cli, log: Path) -> None:
    log.write_text(log.read_text() + "not json\n\x00\n")
    ran = cli("dry-run", "october.jsonl")
    assert ran.code == 0
    assert "october.jsonl:5: not JSON" in ran.out
    assert cli("dry-run", "october.jsonl", "--fail-on", "bad-lines").code == 1


def test_another_policy_to_compare_with(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "before.yaml").write_text(POLICY.replace("route_to: other, fallback: home", "route_to: big"))
    ran = cli("dry-run", "october.jsonl", "--against", "before.yaml", "--fail-on", "newly-reaching")
    assert ran.code == 1
    assert "changed" in ran.out
    found = json.loads(cli("dry-run", "october.jsonl", "--against", "before.yaml", "--json").out)
    assert (found["same"], found["changed"], found["newly_reaching"]) == (3, 1, {"other": 1})


def test_a_dearer_policy_can_fail(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "cheap.yaml").write_text(POLICY.replace("route_to: big", "route_to: home"))
    assert cli("dry-run", "october.jsonl", "--against", "cheap.yaml", "--fail-on", "cost+10%").code == 1
    assert cli("dry-run", "october.jsonl", "--against", "routing-config.yaml", "--fail-on", "cost+10%").code == 0


def test_older_requests_are_left_out(cli: Cli) -> None:
    found = json.loads(cli("dry-run", "october.jsonl", "--since", "2026-10-30", "--json").out)
    assert (found["requests"], found["left_out"]) == (2, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.jsonl"], ["october.jsonl", "--since", "yesterday"], ["october.jsonl", "--baseline", "nobody"],
        ["october.jsonl", "--fail-on", "everything"], ["october.jsonl", "--map", "nonsense"], ["october.jsonl", "--by", "colour"],
        ["october.jsonl", "--each", "."], ["october.jsonl", "--each", "./october.jsonl"], [],
    ],
)  # fmt: skip
def test_what_does_not_exist_is_a_usage_error(arguments: list[str], cli: Cli) -> None:
    ran = cli("dry-run", *arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_a_bar_is_shown_on_a_terminal_only(cli: Cli, tmp_path: Path) -> None:
    def talk(err: int) -> None:
        command = [sys.executable, "-m", "hroute", "dry-run", "october.jsonl", "--json"]
        env = environment(tmp_path, TERM="xterm")
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=err, cwd=tmp_path, env=env, check=True)

    ours, theirs = pty.openpty()
    talk(theirs)
    assert "4 requests" in os.read(ours, 65536).decode()
    reader, writer = os.pipe()
    talk(writer)
    os.close(writer)
    assert os.read(reader, 65536) == b""
    for descriptor in (ours, theirs, reader):
        os.close(descriptor)
