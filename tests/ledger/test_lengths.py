"""How long answers are is learned by rule and model, from the last of them, and read from one row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.ledger.ledger import Ledger
from hroute.ledger.lengths import GENERATION, LEAST
from hroute.terms.usage import Usage
from tests.ledger.rows import ask, attempt, ledger, row

MODEL = "llama3.1:8b"


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = ledger(tmp_path)
    yield made
    made.close()


def answer(books: Ledger, *tokens: int) -> None:
    for number in tokens:
        books.append(row(usage=Usage(output=number)))
    assert books.flush(10)
    books._learned.clear()


def test_lengths_are_learned_by_rule_and_model_once_there_are_enough(books: Ledger) -> None:
    answer(books, *[100] * 27, *[4_000] * 3)
    books.append(row(rule="rare", usage=Usage(output=5)))
    assert books.flush(10)
    learned = books.answers("faq", "ollama", MODEL)
    assert learned.answers == 30
    assert 92 <= (learned.below(0.5) or 0) <= 108
    assert 3_700 <= (learned.below(0.95) or 0) <= 4_320
    assert books.answers("rare", "ollama", MODEL).below(0.5) is None
    assert books.answers("faq", "other", MODEL).answers == 0
    assert books.answers("faq", "ollama", "another model").answers == 0


def test_a_quantile_rests_on_twenty_answers_at_least(books: Ledger) -> None:
    answer(books, *[100] * (LEAST - 1))
    assert books.answers("faq", "ollama", MODEL).below(0.5) is None
    answer(books, 100)
    assert books.answers("faq", "ollama", MODEL).below(0.5) is not None


def test_what_was_long_ago_is_forgotten_as_others_come(books: Ledger) -> None:
    answer(books, *[10_000] * GENERATION)
    assert books.answers("faq", "ollama", MODEL).answers == GENERATION
    answer(books, *[10] * GENERATION)
    assert books.answers("faq", "ollama", MODEL).below(0.9) in range(9, 12)


def test_rehearsals_failures_other_roles_and_silent_answers_teach_nothing(books: Ledger) -> None:
    long = Usage(output=9_000)
    books.append(row(usage=long, mode="sandbox"))
    books.append(row(usage=long, outcome="timeout"))
    books.append(
        row(
            tries=(
                attempt(usage=long, kind="judge"),
                attempt(usage=long, outcome="bad_content"),
                attempt(usage=Usage(input=5)),
            )
        )
    )
    assert ask(books, "SELECT count(*) FROM answer_length") == [(0,)]


def test_thinking_is_part_of_an_answer(books: Ledger) -> None:
    for _ in range(LEAST):
        books.append(row(usage=Usage(output=100, reasoning=900)))
    assert books.flush(10)
    assert 920 <= (books.answers("faq", "ollama", MODEL).below(0.5) or 0) <= 1_080


def test_a_row_that_comes_twice_is_learned_from_once(books: Ledger) -> None:
    one = row("one")
    books.append(one)
    books.append(one)
    assert books.flush(10)
    books.append(one)
    assert ask(books, "SELECT n FROM answer_length") == [(1,)]


def test_the_model_is_the_one_that_the_policy_names(books: Ledger) -> None:
    for _ in range(LEAST):
        books.append(row(tries=(attempt(model="claude-haiku-4-5-20251001", asked="claude-haiku-4-5"),)))
    assert books.flush(10)
    assert books.answers("faq", "ollama", "claude-haiku-4-5").answers == LEAST
