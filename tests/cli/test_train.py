"""Train writes a score that is worth something, and says what it does not beat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

HARD = "Fix the bug in this program, number {}: def f(x): return x + y"
EASY = "Hello there, is number {} open today?"


def log(path: Path, *, knowing: bool = True, rows: int = 90, source: str = "") -> str:
    lines = []
    for number in range(rows):
        hard = number % 3 == 0
        lost = hard if knowing else number * 7919 % 10 < 3
        text = (HARD if hard else EASY).format(f"{source}{number}")
        lines.append({"prompt": text, "cheap": 0 if lost else 1, "dear": 1, **({"source": source} if source else {})})
    path.write_text("\n".join(map(json.dumps, lines)) + "\nno row\n", encoding="utf-8")
    return str(path)


def test_a_score_is_written_and_a_policy_reads_it(cli: Cli, tmp_path: Path) -> None:
    logs = [log(tmp_path / f"{name}.jsonl") for name in ("a", "b")]
    written = tmp_path / "scorer.json"
    ran = cli("train", *logs, "-o", str(written))
    assert ran.code == 0
    assert "180 requests with outcomes from 2 sources, 2 lines that are none" in ran.out
    assert "judged on a source it has not seen" in ran.out
    assert "It beats chance" in ran.out
    assert "code +" in ran.out
    assert json.loads(written.read_text())["schema"] == "hroute.scorer/1"
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nscoring: {scorer: scorer.json}\nrouting_rules: []\n")
    said = json.loads(cli("explain", "--json", "-p", str(policy), HARD.format(1)).out)
    easy = json.loads(cli("explain", "--json", "-p", str(policy), EASY.format(1)).out)
    assert said["score"] > easy["score"]


def test_what_is_worth_no_more_than_chance_is_not_written_unasked(cli: Cli, tmp_path: Path) -> None:
    written = tmp_path / "scorer.json"
    ran = cli("train", log(tmp_path / "a.jsonl", knowing=False), "-o", str(written))
    assert ran.code == 0
    assert "It does not beat chance" in ran.out
    assert "It does not beat the prompt's length" in ran.out
    assert "what it is worth on requests of another kind, nobody knows" in ran.out
    assert not written.exists()
    assert cli("train", log(tmp_path / "a.jsonl", knowing=False), "-o", str(written), "--anyway").code == 0
    assert written.exists()


def test_a_program_gets_the_same_as_json(cli: Cli, tmp_path: Path) -> None:
    logs = [log(tmp_path / "a.jsonl", source="x"), log(tmp_path / "b.jsonl", source="y")]
    found = json.loads(cli("train", "--json", "-o", str(tmp_path / "s.json"), *logs).out)
    assert found["schema"] == "hroute.train/1"
    assert set(found["sources"]) == {"x", "y"}
    assert found["ahead"]["random"]["beats"] is True
    assert found["scorer"]["weights"]["code"] > 0
    assert found["bad_lines"] == 2


def test_it_is_the_same_every_time(cli: Cli, tmp_path: Path) -> None:
    first, again = tmp_path / "1.json", tmp_path / "2.json"
    given = log(tmp_path / "a.jsonl")
    assert cli("train", given, "-o", str(first)).code == cli("train", given, "-o", str(again)).code == 0
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("arguments", [("--cheap", "l", "--dear", "s"), ()])
def test_what_cannot_be_learned_from_is_a_mistake_in_usage(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "few.jsonl"
    assert cli("train", *arguments, log(path, rows=5)).code == 2
    path.write_text("\n".join(json.dumps({"prompt": f"p{n}", "cheap": 1, "dear": 0}) for n in range(60)))
    ran = cli("train", str(path))
    assert ran.code == 2
    assert "nothing to learn" in ran.err


def test_a_folder_that_cannot_be_written_is_said(cli: Cli, tmp_path: Path) -> None:
    ran = cli("train", log(tmp_path / "a.jsonl"), "-o", str(tmp_path / "missing" / "s.json"))
    assert ran.code == 2
    assert "missing" in ran.err
