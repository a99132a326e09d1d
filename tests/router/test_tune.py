"""Thresholds are judged by what they gain and what they cost, and luck is not praised."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.tune import Labelled, advise, apgr, at_random, calls_for, interval, points

# ten hard requests that only the dear model answers, thirty easy ones that both do
KNOWING = [Labelled(0, 1, (0.9, 0.5))] * 10 + [Labelled(1, 1, (0.1, 0.5))] * 30


def rows(count: int, seed: int = 1) -> list[Labelled]:
    random = Random(seed)
    return [Labelled(random.randrange(2), 1, (random.random(),)) for _ in range(count)]


def test_a_score_that_knows_recovers_the_gap_with_the_fewest_dear_calls() -> None:
    assert apgr(KNOWING, 0) == pytest.approx(1 - 0.25 / 2)
    assert calls_for(KNOWING, 0, 1.0) == pytest.approx(0.25)
    assert calls_for(KNOWING, 0, 0.5) == pytest.approx(0.125)


def test_a_score_that_says_the_same_of_all_is_worth_as_much_as_chance() -> None:
    assert apgr(KNOWING, 1) == pytest.approx(0.5)


def test_without_a_gap_there_is_nothing_to_measure() -> None:
    assert apgr([Labelled(1, 1, (0.5,))] * 9, 0) is None
    assert calls_for([], 0, 0.5) is None
    assert points([], 0, 1) == []


def test_points_go_from_no_dear_call_to_all_of_them() -> None:
    nothing, some, everything = points(KNOWING, 0, 10)
    assert (nothing.threshold, nothing.dear, nothing.missed, nothing.cost) == (None, 0, 0.25, 2.5)
    assert (some.threshold, some.dear, some.quality, some.missed, some.cost) == (0.9, 0.25, 1.0, 0.0, 0.25)
    assert (everything.threshold, everything.dear, everything.cost) == (0.1, 1.0, 1.0)


def test_a_threshold_that_pays_is_found_and_priced_on_other_rows() -> None:
    advice = advise(KNOWING * 5, 0, 10)
    assert advice.threshold == 0.9
    assert advice.pays
    assert advice.cost.low <= advice.cost.value <= advice.cost.high < advice.always_dear


def test_a_score_that_knows_nothing_never_pays_where_misses_are_dear() -> None:
    assert not advise(rows(600), 0, 10).pays


def test_nothing_can_be_advised_without_rows() -> None:
    assert not advise([], 0, 10).pays


def test_an_interval_holds_its_value_and_is_the_same_every_time() -> None:
    found = interval(rows(200), lambda some: sum(row.cheap for row in some) / len(some))
    assert found.low < found.value < found.high
    assert found == interval(rows(200), lambda some: sum(row.cheap for row in some) / len(some))


def test_chance_is_the_same_for_the_same_name() -> None:
    assert at_random("a") == at_random("a") != at_random("b")
    assert 0 <= at_random("\ud800") < 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 4)), max_size=30))
def test_curves_end_at_all_cheap_and_all_dear(given_rows: list[tuple[float, float, int]]) -> None:
    made = [Labelled(cheap, dear, (float(score),)) for cheap, dear, score in given_rows]
    curve = points(made, 0, 1.0)
    if made:
        assert curve[0].quality == pytest.approx(sum(r.cheap for r in made) / len(made))
        assert curve[-1].quality == pytest.approx(sum(r.dear for r in made) / len(made))
        assert [p.dear for p in curve] == sorted(p.dear for p in curve)
