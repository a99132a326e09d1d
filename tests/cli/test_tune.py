"""Tune proposes a threshold where one pays, and says so where none does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

HARD = "Design a system and prove that it is correct, compare the trade-offs, number {}. First this, then that, finally all."
EASY = "Hello there, is number {} open today?"


def log(path: Path, *, knowing: bool = True, rows: int = 80) -> str:
    """Hard prompts that only the dear model answers and easy ones that both do; or outcomes that no prompt tells."""
    lines = []
    for number in range(rows):
        hard = number % 4 == 0
        lost = hard if knowing else number % 3 == 0
        text = (HARD if hard else EASY).format(number)
        lines.append({"prompt": text, "cheap": 0 if lost else 1, "dear": 1, "scores": {"s": 0, "l": 1}})
    path.write_text("\n".join(map(json.dumps, lines)) + "\nno row\n", encoding="utf-8")
    return str(path)


def test_a_score_that_knows_gets_a_threshold_and_its_price(cli: Cli, tmp_path: Path) -> None:
    ran = cli("tune", log(tmp_path / "log.jsonl"))
    assert ran.code == 0
    assert "80 requests with outcomes, 1 lines that are none; a wrong cheap answer costs 10" in ran.out
    assert "Ask the dear model from score" in ran.out
    assert "length" in ran.out
    assert "random" in ran.out


def test_where_no_threshold_pays_it_says_so(cli: Cli, tmp_path: Path) -> None:
    ran = cli("tune", log(tmp_path / "log.jsonl", knowing=False))
    assert "No threshold of the score beats always asking the dear model" in ran.out


def test_the_report_is_a_table_and_a_plot_from_none_to_all(cli: Cli, tmp_path: Path) -> None:
    out = cli("tune", "--report", log(tmp_path / "log.jsonl")).out
    assert "never        0.0 %" in out
    assert "100.0 %" in out
    assert "s score  l length  r random" in out


def test_a_program_gets_the_same_as_json(cli: Cli, tmp_path: Path) -> None:
    found = json.loads(cli("tune", "--json", "--miss-cost", "5", log(tmp_path / "log.jsonl")).out)
    assert found["schema"] == "hroute.tune/1"
    assert found["pays"] is True
    assert found["bad_lines"] == 1
    assert found["miss_cost"] == 5
    assert set(found["compared"]) == {"score", "length", "random"}
    assert found["cost"]["threshold"] < found["cost"]["always_dear"]


def test_models_are_named_where_the_log_holds_many(cli: Cli, tmp_path: Path) -> None:
    ran = cli("tune", "--cheap", "s", "--dear", "l", log(tmp_path / "log.jsonl"))
    assert ran.code == 0


@pytest.mark.parametrize("arguments", [("--miss-cost", "0"), ("--miss-cost", "inf"), ("--cheap", "l", "--dear", "s")])
def test_what_cannot_be_tuned_is_a_mistake_in_usage(cli: Cli, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert cli("tune", *arguments, log(tmp_path / "log.jsonl")).code == 2


def test_too_few_rows_and_a_missing_file_are_said(cli: Cli, tmp_path: Path) -> None:
    few = cli("tune", log(tmp_path / "log.jsonl", rows=5))
    assert few.code == 2
    assert "at least 50" in few.err
    assert cli("tune", str(tmp_path / "none.jsonl")).code == 2
