"""Logs with labels: both forms are read, and what is no row is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hroute.router.outcomes import Outcome, labelled, read
from hroute.schema.load import load_text

LINES = [
    '{"prompt": "a", "cheap": 0, "dear": 1}',
    "",
    '{"prompt": "b", "scores": {"small": 0.5, "big": true, "other": 0}}',
    '{"prompt": "c", "cheap": 2, "dear": 1}',
    '{"prompt": 7, "cheap": 0, "dear": 1}',
    "no json",
    "[1]",
]


def test_worth_is_read_by_role_or_by_the_names_of_models() -> None:
    assert list(read(LINES, None, None)) == [Outcome("a", 0, 1), None, None, None, None, None]
    assert list(read(LINES, "small", "big"))[:2] == [Outcome("a", 0, 1), Outcome("b", 0.5, 1)]


def test_every_row_bears_the_score_its_length_and_chance() -> None:
    policy, findings, _ = load_text("version: 1\nrouting_rules: []\n")
    assert policy is not None, findings
    first, second = labelled(policy, [Outcome("Why is the sky blue?", 0, 1), Outcome("Hello! " * 100, 1, 1)])
    assert (first.cheap, first.dear, first.scores[1]) == (0, 1, 20.0)
    assert 0 <= first.scores[0] <= 1
    assert first.scores[2] != second.scores[2]


@given(st.text())
def test_no_line_crashes_the_reader(line: str) -> None:
    list(read([line], "a", "b"))
