"""Eval measures the policy's signals on anybody's labelled texts, whatever mixture a file holds."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli

ROWS: list[object] = [
    {"text": "My SSN is 078-05-1120", "spans": [{"start": 10, "end": 21, "type": "SSN"}], "source": "forms"},
    {"text": "My name is Jane Doe", "spans": [{"start": 11, "end": 19, "type": "PERSON"}], "source": "forms"},
    {"text": "Nothing at all", "spans": [], "source": "forms"},
    {"text": "Order 5 of 2020 from jane@example.org", "spans": [], "source": "wrong"},
    {"text": "When are you open on Sundays?", "intent": "faq"},
    {"text": "I want my money back, this is a disgrace", "intent": "complaint"},
    {"prompt": "Write a Python function that sorts a list", "task_type": "code"},
    {"prompt": "Where is it?", "task_type": "qa"},
    {"text": "no label"},
    {"spans": []},
    "no object",
]


def labelled(path: Path, rows: list[object] = ROWS) -> str:
    path.write_text("\n".join(map(json.dumps, rows)) + "\nno json\n", encoding="utf-8")
    return str(path)


def tables(cli: Cli, path: str) -> dict[str, list[dict[str, object]]]:
    ran = cli("eval", "--json", path)
    assert ran.code == 0
    found = json.loads(ran.out)
    assert found["schema"] == "hroute.eval/1"
    assert found["bad_lines"] == 4
    return found["tables"]  # type: ignore[no-any-return]


def test_recall_and_false_alarms_are_counted_by_source_and_kind(cli: Cli, tmp_path: Path) -> None:
    found = tables(cli, labelled(tmp_path / "a.jsonl"))
    forms, wrong = found["Documents that hold something, and are flagged"]
    assert (forms["documents"], forms["flagged"], forms["flagged for nothing"]) == (2, 0.5, 0.0)
    assert (wrong["without a label"], wrong["flagged for nothing"]) == (1, 1.0)
    recall = {row["labelled as"]: row["recall"] for row in found["Places that are found, by label and by kind"]}
    assert recall == {"SSN": 1.0, "PERSON": 0.0}


def test_intents_and_kinds_of_work_are_counted(cli: Cli, tmp_path: Path) -> None:
    found = tables(cli, labelled(tmp_path / "a.jsonl"))
    intents = {row["labelled as"]: row for row in found["Intents, and what stays on this machine"]}
    assert intents["faq"]["intent of that name"] == intents["complaint"]["intent of that name"] == 1.0
    assert intents["complaint"]["kept local"] == 0
    code = next(row for row in found["Kinds of work"] if row["task type"] == "code")
    assert (code["precision"], code["recall"], code["F1"]) == (1.0, 1.0, 1.0)


def test_outcomes_are_measured_beside_length_and_chance(cli: Cli, tmp_path: Path) -> None:
    rows: list[object] = [
        {"prompt": f"number {n} " * (n % 7 + 1), "cheap": int(n % 7 < 4), "dear": 1} for n in range(70)
    ]
    ran = cli("eval", labelled(tmp_path / "a.jsonl", rows))
    assert "APGR score" in ran.out
    assert "ahead of length" in ran.out


def test_a_person_sees_columns(cli: Cli, tmp_path: Path) -> None:
    out = cli("eval", labelled(tmp_path / "a.jsonl")).out
    assert "4 lines without a text or a label were passed over" in out
    assert "  labelled as   rows   intent of that name" in out


def test_a_file_without_labels_and_a_missing_file_are_said(cli: Cli, tmp_path: Path) -> None:
    ran = cli("eval", labelled(tmp_path / "a.jsonl", [{"text": "x"}]))
    assert ran.code == 2
    assert "no line has a text and a label" in ran.err
    assert cli("eval", str(tmp_path / "nowhere.jsonl")).code == 2
