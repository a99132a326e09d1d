"""Alarms: a change is seen, nothing is not, and the rate of false alarms is what is said."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.ledger import health
from hroute.ledger.health import Alarm, Counted
from tests.ledger.rows import NOON, ledger, row

DAY = 86_400_000


@pytest.mark.parametrize(
    ("before", "now", "chance"),
    [
        ((0, 10), (0, 10), 1.0),
        ((1, 4), (3, 4), 17 / 70),  # the lady who tastes tea: (16 + 1) / 70
        ((0, 4), (4, 4), 1 / 70),
        ((3, 10), (0, 10), 1.0),
        ((0, 2), (1, 1), 1 / 3),
    ],
)
def test_the_chance_is_fishers(before: tuple[int, int], now: tuple[int, int], chance: float) -> None:
    assert health.grown(Counted(*before), Counted(*now)) == pytest.approx(chance)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(40, 60), st.integers(40, 60))
def test_a_chance_is_a_chance_and_more_hits_are_less_likely(a: int, b: int, n: int, m: int) -> None:
    one = health.grown(Counted(a, n), Counted(b, m))
    assert 0 <= one <= 1
    if b:
        assert one <= health.grown(Counted(a, n), Counted(b - 1, m)) + 1e-9


def test_false_alarms_are_no_more_frequent_than_stated() -> None:
    chance = random.Random(7)
    alarms = 0
    for _ in range(2_000):
        before, now = (Counted(sum(chance.random() < 0.1 for _ in range(100)), 100) for _ in range(2))
        alarms += health.grown(before, now) <= 0.05
    assert alarms <= 2_000 * 0.05


def look(folder: Path, escalated: tuple[int, int], scores: tuple[float, float] = (0.2, 0.2)) -> list[Alarm]:
    """Two hundred answers on each of two days, so many of them escalated, at such scores."""
    books = ledger(folder)
    for side in (0, 1):
        for n in range(200):
            up = n < escalated[side]
            books.append(
                row(
                    ts=NOON + (side - 1) * DAY + n,
                    escalated=up,
                    escalation="bad_content" if up else "",
                    score=scores[side] if n % 4 else 0.8,
                )
            )
    assert books.flush(20)
    with books.read() as view:
        found = health.alarms(view, "2026-11-20", "2026-11-21")
    books.close()
    return found


def test_a_rate_that_has_grown_is_told_with_both_sides(tmp_path: Path) -> None:
    (found,) = look(tmp_path, (4, 40))
    assert (found.rule, found.metric, found.false_alarms) == ("faq", "escalated", 0.001)
    assert (found.before, found.now) == (Counted(4, 200), Counted(40, 200))
    assert found.chance < 1e-6


@pytest.mark.parametrize("escalated", [(10, 10), (10, 15), (40, 4), (0, 0)])
def test_what_has_not_grown_is_no_alarm(tmp_path: Path, escalated: tuple[int, int]) -> None:
    assert look(tmp_path, escalated) == []


def test_more_escalations_at_equal_scores_are_the_models(tmp_path: Path) -> None:
    (found,) = look(tmp_path, (4, 60))
    assert found.cause == "model"


def test_harder_requests_are_the_traffics(tmp_path: Path) -> None:
    books = ledger(tmp_path)
    for side, hard in ((0, 20), (1, 120)):
        for n in range(200):
            up = n < hard // 2
            books.append(
                row(
                    ts=NOON + (side - 1) * DAY + n,
                    escalated=up,
                    escalation="bad_content" if up else "",
                    score=0.9 if n < hard else 0.1,
                )
            )
    assert books.flush(20)
    with books.read() as view:
        (found,) = health.alarms(view, "2026-11-20", "2026-11-21")
    books.close()
    assert found.cause == "traffic"


def test_an_interval_holds_the_rate_and_never_leaves_its_bounds() -> None:
    low, high = health.wilson(Counted(54, 60))
    assert (round(low, 2), round(high, 2)) == (0.80, 0.95)
    assert health.wilson(Counted(0, 0)) == (0.0, 1.0)
    assert health.wilson(Counted(0, 10))[0] == 0.0
