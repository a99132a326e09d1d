"""Regions say exactly what conditions say, point by point."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hroute.schema.condition import All, Any, Condition, Not, OneOf, Range, Test, disjunction, holds
from hroute.schema.region import (
    EVERYTHING,
    MAX_BOXES,
    Box,
    TooLarge,
    admits,
    complement_of,
    contains,
    covers,
    full,
    intersect,
    intersect_region,
    meet,
    part_of,
    region_of,
    subtract,
    subtract_region,
    without,
)
from tests.schema.conditions import FEATURES, asks, conditions, single_on, values

MANY = settings(max_examples=500, deadline=None)


def inside(region: Iterable[Box], ask: dict) -> bool:
    return any(within(box, ask) for box in region)


def within(box: Box, ask: dict) -> bool:
    return all(admits(part, feature, ask[feature]) for feature, part in box.items())


@MANY
@given(conditions, asks)
def test_a_request_lies_in_the_region_exactly_where_the_condition_holds(condition: Condition, ask: dict) -> None:
    assert inside(region_of(condition), ask) == holds(condition, ask.get)


@MANY
@given(conditions, asks)
def test_the_complement_is_everything_else(condition: Condition, ask: dict) -> None:
    assert inside(complement_of(condition), ask) is not holds(condition, ask.get)
    assert inside(region_of(Not(condition)), ask) is not holds(condition, ask.get)


@MANY
@given(conditions, conditions, asks)
def test_subtraction_and_intersection_are_exact_at_every_point(a: Condition, b: Condition, ask: dict) -> None:
    left, right = region_of(a), region_of(b)
    in_a, in_b = holds(a, ask.get), holds(b, ask.get)
    assert inside(subtract_region(left, right), ask) == (in_a and not in_b)
    assert inside(intersect_region(left, right), ask) == (in_a and in_b)


@MANY
@given(conditions, conditions, asks)
def test_the_pieces_of_a_subtraction_are_disjoint(a: Condition, b: Condition, ask: dict) -> None:
    for box in region_of(a):
        for hole in region_of(b):
            pieces = subtract(box, hole)
            assert sum(within(piece, ask) for piece in pieces) == (within(box, ask) and not within(hole, ask))


@MANY
@given(st.sampled_from(FEATURES), st.data())
def test_the_algebra_of_parts_is_exact(feature: str, data: st.DataObject) -> None:
    a, b = data.draw(single_on(feature)), data.draw(single_on(feature))
    one, other = part_of(a), part_of(b)
    assume(one is not None and other is not None)
    assert one is not None
    assert other is not None
    value = data.draw(values(a.feature))
    both = meet(one, other)
    in_one, in_other = admits(one, a.feature, value), admits(other, a.feature, value)
    assert (both is not None and admits(both, a.feature, value)) == (in_one and in_other)
    assert sum(admits(piece, a.feature, value) for piece in without(one, other)) == (in_one and not in_other)
    if covers(other, one) and in_one:
        assert in_other


@MANY
@given(conditions, conditions, asks)
def test_a_box_that_contains_another_holds_all_its_points(a: Condition, b: Condition, ask: dict) -> None:
    for outer in region_of(a):
        for inner in region_of(b):
            if contains(outer, inner) and within(inner, ask):
                assert within(outer, ask)
            both = intersect(outer, inner)
            assert (both is not None and within(both, ask)) == (within(outer, ask) and within(inner, ask))


@pytest.mark.parametrize("feature", FEATURES)
def test_the_whole_domain_is_covered_by_itself_and_leaves_nothing(feature: str) -> None:
    assert without(full(feature), full(feature)) == []


def test_a_condition_that_always_holds_is_everything() -> None:
    always = Any((Test("contains_pii", OneOf((True,))), Test("contains_pii", OneOf((True,)), negated=True)))
    assert subtract_region(EVERYTHING, region_of(always)) == []


def test_a_condition_that_contradicts_itself_is_nowhere() -> None:
    test = Test("tenant", OneOf(("a",)))
    assert region_of(All((test, Not(test)))) == ()


def test_a_condition_with_too_many_combinations_is_refused_in_time() -> None:
    features = ["expected_tokens", "batch_size", "prompt_tokens", "message_tokens", "context_tokens", "turns", "tools"]
    pairs = [disjunction(Test(f, OneOf((n,))) for f in (feature, "images") for n in (1, 3)) for feature in features]
    parts = [Any((pair, Test("tenant", OneOf((str(at),))))) for at, pair in enumerate(pairs * 40)]
    with pytest.raises(TooLarge):
        region_of(All(tuple(parts)))


def test_alternatives_that_others_contain_do_not_count() -> None:
    several = Any(
        tuple(All((Test("tenant", OneOf((f"t{n % 200}",))), Test("batch_size", Range(n, None)))) for n in range(1000))
    )
    assert len(region_of(several)) == 200
    halves = tuple(Any((Test("tenant", OneOf((f"t{n}", "x"))), Test("tenant", OneOf(("x",))))) for n in range(1000))
    assert len(region_of(All((several, *halves)))) == 0


def test_as_many_boxes_as_are_allowed_are_allowed() -> None:
    pairs = [(f"tenant{n}", f"user{n}") for n in range(MAX_BOXES)]
    several = Any(tuple(All((Test("tenant", OneOf((t,))), Test("user", OneOf((u,))))) for t, u in pairs))
    assert len(region_of(several)) == MAX_BOXES
    one_more = Any((*several.items, All((Test("tenant", OneOf(("x",))), Test("user", OneOf(("x",)))))))
    with pytest.raises(TooLarge):
        region_of(one_more)
