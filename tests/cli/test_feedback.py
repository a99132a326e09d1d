"""`feedback`: kept, counted, changed, and never about nothing."""

from __future__ import annotations

import json

import pytest

from tests.cli.books import books, month, now, report
from tests.cli.conftest import Cli

__all__ = ["books", "month", "now"]


def test_feedback_is_kept_counted_and_may_change(month: list[str], cli: Cli) -> None:
    id = month[0]
    assert cli("feedback", id[-8:], "good").out == f"{id}  good\n"
    assert cli("feedback", id, "good").out == f"{id}  good, as before\n"
    changed = cli("feedback", id[-8:], "bad", "--note", "made it up", "--json")
    assert json.loads(changed.out) == {
        "schema": "hroute.feedback/1", "id": id, "verdict": "bad", "before": "good", "note": "made it up",
    }  # fmt: skip
    assert "made it up" in cli("logs", "show", id).out
    by_rule = {r["rule"]: (r["good"], r["bad"]) for r in report(cli, "--by", "rule")["rows"]}
    assert by_rule == {"complaints": (0, 1), "faq": (0, 0)}
    assert "0 / 1" in cli("costs", "--by", "rule").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ffffffff", "good"), "names no request"),
        (("", "good"), "names no request"),
        (("0", "good"), "names"),
    ],
)
def test_feedback_on_nothing_in_particular_is_a_usage_error(
    month: list[str], cli: Cli, arguments: tuple[str, ...], told: str
) -> None:
    ran = cli("feedback", *arguments)
    assert ran.code == 2
    assert told in ran.err


def test_feedback_that_is_none_or_says_too_much_is_not_kept(month: list[str], cli: Cli) -> None:
    assert cli("feedback", month[0], "meh").code == 2
    ran = cli("feedback", month[0], "bad", "--note", "ask jane.doe@example.org")
    assert ran.code == 2
    assert "jane" not in ran.err
    assert json.loads(cli("logs", "show", month[0], "--json").out)["feedback"] == []


def test_feedback_on_a_row_that_was_dropped_says_so(month: list[str], cli: Cli) -> None:
    assert cli("logs", "prune", "--older-than", "0s").code == 0
    ran = cli("feedback", month[0], "good")
    assert ran.code == 2
    assert "dropped" in ran.err
