"""A rule beside its holdout: differences with intervals that hold what they say, sessions counted as units."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from hroute.ledger import holdout
from hroute.ledger.holdout import Compared, Ratio
from hroute.ledger.ledger import Ledger
from hroute.ledger.periods import Period
from hroute.ledger.records import Feedback
from tests.ledger.rows import NOON, attempt, ledger, row

ALL = Period(NOON - 10**9, NOON + 10**9)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = ledger(tmp_path)
    yield made
    made.close()


def compared(books: Ledger) -> list[Compared]:
    assert books.flush(20)
    with books.read() as view:
        return holdout.compare(view, ALL)


def ask(books: Ledger, number: int, held: bool, **changed: Any) -> None:
    """Requests without a session, far apart."""
    for n in range(number):
        books.append(row(ts=NOON + n, variant="holdout" if held else "", **changed))


def test_what_the_rule_saves_is_told_with_an_interval(books: Ledger) -> None:
    for held in (False, True):
        for n in range(100):
            books.append(row(ts=NOON + n, variant="holdout" if held else "", cost=(900 if held else 100) + n % 2))
    (one,) = compared(books)
    cost = one.figures["cost"]
    assert (one.name, one.arm, one.rule.requests, one.holdout.requests) == ("faq", "holdout", 100, 100)
    assert cost.value == pytest.approx(-800)
    assert cost.low is not None
    assert cost.high is not None
    half = 1.96 * sqrt(2 * 0.25 / 99)
    assert (cost.low, cost.high) == pytest.approx((-800 - half, -800 + half))
    assert cost.shown
    assert one.saved == 80_000


def test_rates_differ_by_newcombes_interval() -> None:
    """56 of 70 against 48 of 80 is the first example of Newcombe's paper: .0524 .. .3339 by method 10."""
    one, other = Ratio(70, 56, 70, 56, 56, 70), Ratio(80, 48, 80, 48, 48, 80)
    low, high = holdout.difference_of_rates(one, other)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_nothing_at_all_on_both_sides_still_has_an_interval() -> None:
    """10 of 10 against 0 of 20 and 0 of 10 against 0 of 10, from the same table."""
    low, high = holdout.difference_of_rates(Ratio(10, 10, 10, 10, 10, 10), Ratio(20, 0, 20, 0, 0, 20))
    assert (round(low, 4), round(high, 4)) == (0.6791, 1.0)
    low, high = holdout.difference_of_rates(Ratio(10, 0, 10, 0, 0, 10), Ratio(10, 0, 10, 0, 0, 10))
    assert (round(low, 4), round(high, 4)) == (-0.2775, 0.2775)


def test_a_session_is_one_unit_however_many_requests_it_has(books: Ledger) -> None:
    """Forty sessions of ten alike requests know as much as forty requests."""
    for held in (False, True):
        for session in range(40):
            for n in range(10):
                up = session % 4 == 0
                books.append(
                    row(
                        ts=NOON + session * 1_000_000 + n * 10, session=f"{held}{session}", escalated=up,
                        escalation="outage" if up else "", variant="holdout" if held else "", user_turn=False,
                    )
                )  # fmt: skip
    (one,) = compared(books)
    assert (one.rule.requests, one.rule.sessions) == (400, 40)
    alone = holdout.difference_of_rates(*[Ratio(40, 10, 40, 10, 10, 40)] * 2)
    found = one.figures["escalated"]
    assert (found.low, found.high) == pytest.approx(alone, rel=0.05)


def test_quality_is_compared_by_what_people_did_and_said(books: Ledger) -> None:
    for held in (False, True):
        for n in range(60):
            bad = not held and n % 3 == 0
            id, session, at = f"{held}-{n}", f"{held}s{n}", NOON + n * 1_000_000
            tries = (attempt(outcome="bad_content"), attempt()) if bad else (attempt(),)
            books.append(row(id, ts=at, session=session, variant="holdout" if held else "", tries=tries))
            books.append(Feedback(id, NOON, "bad" if bad else "good"))
            if bad:
                books.append(row(ts=at + 1_000, session=session, rule="other"))
    (one,) = compared(books)
    for name in ("follow_ups", "spoiled", "bad"):
        assert one.figures[name].rule == pytest.approx(1 / 3), name
        assert one.figures[name].holdout == 0, name
        assert one.figures[name].shown, name


def test_too_few_are_said_and_nothing_is_concluded(books: Ledger) -> None:
    ask(books, 500, held=False, cost=1)
    ask(books, 29, held=True, cost=1_000)
    (one,) = compared(books)
    assert not one.enough
    assert (one.figures["cost"].rule, one.figures["cost"].low, one.figures["cost"].shown) == (1.0, None, False)


def test_an_unknown_price_leaves_the_cost_unknown_and_the_rates_known(books: Ledger) -> None:
    ask(books, 40, held=False, cost=None)
    ask(books, 40, held=True, cost=5)
    (one,) = compared(books)
    assert (one.figures["cost"].value, one.saved, one.rule.unpriced) == (None, None, 40)
    assert one.figures["failed"].low is not None


def test_only_policies_that_held_something_back_count(books: Ledger) -> None:
    ask(books, 40, held=False)
    ask(books, 40, held=True)
    ask(books, 99, held=False, policy="before", cost=10**9)
    ask(books, 99, held=False, mode="sandbox")
    ask(books, 99, held=False, rule="another")
    (one,) = compared(books)
    assert one.rule.requests == 40


def test_what_is_not_rolled_out_yet_is_compared_with_where_nothing_is_held_out(books: Ledger) -> None:
    ask(books, 40, held=False)
    for n in range(50):
        books.append(row(ts=NOON + n, variant="rollout"))
    (one,) = compared(books)
    assert (one.arm, one.holdout.requests) == ("rollout", 50)
    ask(books, 5, held=True)
    (one,) = compared(books)
    assert (one.arm, one.holdout.requests) == ("holdout", 5)


def test_nothing_held_back_is_nothing_to_compare(books: Ledger) -> None:
    ask(books, 10, held=False)
    assert compared(books) == []


def test_intervals_hold_the_true_difference_as_often_as_they_say() -> None:
    """Clustered sessions of one to eight requests, each with a rate of its own: 95 of 100 intervals hold the truth."""
    chance = random.Random(5)

    def side(rate: float, sessions: int) -> Ratio:
        y, x = [], []
        for _ in range(sessions):
            own = chance.betavariate(8 * rate, 8 * (1 - rate))
            n = chance.randint(1, 8)
            x.append(n)
            y.append(sum(chance.random() < own for _ in range(n)))
        pairs = list(zip(y, x, strict=True))
        return Ratio(
            sessions, sum(y), sum(x), sum(a * a for a in y), sum(a * b for a, b in pairs), sum(b * b for b in x)
        )

    held = 0
    for _ in range(400):
        low, high = holdout.difference_of_rates(side(0.12, 150), side(0.07, 100))
        held += low <= 0.05 <= high
    assert 0.92 <= held / 400 <= 0.985
