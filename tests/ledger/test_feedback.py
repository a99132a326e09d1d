"""Verdicts: counted with the request they are about, changed when somebody changes their mind, never about nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.ledger import costs, retention
from hroute.ledger.ledger import Ledger
from hroute.ledger.records import Feedback, Started
from tests.ledger.rows import NOON, ask, ledger, row


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = ledger(tmp_path)
    yield made
    made.close()


def verdicts(books: Ledger, rule: str = "faq") -> tuple[int, int]:
    assert books.flush()
    with books.read() as view:
        told = {r.name: (r.good, r.bad) for r in costs.costs(view, "rule", "2026-11-20", "2026-11-20").rows}
    return told.get(rule, (0, 0))


def test_a_verdict_is_counted_with_the_rule_of_its_request(books: Ledger) -> None:
    books.append(row("a"))
    books.append(row("b", rule="other"))
    books.append(Feedback("a", NOON, "good", note="right at once"))
    books.append(Feedback("b", NOON, "bad"))
    assert (verdicts(books), verdicts(books, "other")) == ((1, 0), (0, 1))
    assert ask(books, "SELECT verdict, note FROM feedback WHERE request = 'a'") == [("good", "right at once")]


def test_the_last_word_counts_and_twice_the_same_counts_once(books: Ledger) -> None:
    books.append(row("a"))
    for word in ("good", "good", "bad"):
        books.append(Feedback("a", NOON, word))  # type: ignore[arg-type]
        assert books.flush()
    assert verdicts(books) == (0, 1)
    books.append(Feedback("a", NOON, "bad"))
    books.append(Feedback("a", NOON + 1, "good", note="after all"))
    assert verdicts(books) == (1, 0)
    assert ask(books, "SELECT note FROM feedback") == [("after all",)]


def test_several_people_may_judge_one_answer(books: Ledger) -> None:
    books.append(row("a"))
    books.append(Feedback("a", NOON, "good", "me"))
    books.append(Feedback("a", NOON, "bad", "you"))
    assert verdicts(books) == (1, 1)


def test_a_verdict_on_nothing_or_on_what_has_not_ended_is_not_kept(books: Ledger) -> None:
    books.append(Feedback("nobody", NOON, "good"))
    books.reserve(Started("open", NOON, rule="faq"), ())
    books.append(Feedback("open", NOON, "good"))
    assert ask(books, "SELECT count(*) FROM feedback") == [(0,)]


def test_a_verdict_goes_with_its_row_and_its_count_stays(books: Ledger) -> None:
    books.append(row("a"))
    books.append(Feedback("a", NOON, "bad"))
    assert books.flush()
    with books.store().write(1) as transaction:
        retention.prune(transaction, NOON + 1)
    books.append(Feedback("a", NOON, "good"))
    assert verdicts(books) == (0, 1)
    assert ask(books, "SELECT count(*) FROM feedback") == [(0,)]
