"""What chance makes of rates: the exact test and the interval are those of the books."""

from __future__ import annotations

import random
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.ledger import health
from hroute.ledger.health import Counted


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


@given(st.integers(0, 60), st.integers(1, 60), st.integers(60, 500), st.integers(60, 500))
def test_the_sum_that_stops_early_is_the_whole_sum(a: int, b: int, n: int, m: int) -> None:
    hits, most = a + b, min(a + b, m)
    whole = sum(comb(m, k) * comb(n, hits - k) for k in range(b, most + 1)) / comb(n + m, hits)
    assert health.grown(Counted(a, n), Counted(b, m)) == pytest.approx(whole, rel=1e-6)


def test_a_rate_over_millions_is_told_in_few_steps() -> None:
    assert health.grown(Counted(300_000, 9_000_000), Counted(11_700, 330_000)) < 1e-6
    assert health.grown(Counted(300_000, 9_000_000), Counted(11_000, 330_000)) == pytest.approx(0.5, abs=0.02)


def test_an_interval_holds_the_rate_and_never_leaves_its_bounds() -> None:
    low, high = health.wilson(Counted(54, 60))
    assert (round(low, 2), round(high, 2)) == (0.80, 0.95)
    assert health.wilson(Counted(0, 0)) == (0.0, 1.0)
    assert health.wilson(Counted(0, 10))[0] == 0.0
