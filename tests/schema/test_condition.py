"""Two-valued logic: absence is a value like any other, and `not` is the exact complement."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.schema.condition import (
    ALWAYS,
    NEVER,
    All,
    Any,
    Missing,
    Not,
    OneOf,
    Range,
    Test,
    conjunction,
    disjunction,
    first_failing,
    holds,
    negation,
)
from hroute.terms.signal import ABSENT
from tests.schema.conditions import FEATURES, asks, conditions, single

MANY = settings(max_examples=400, deadline=None)


def test_a_test_on_an_absent_signal_is_false_and_its_complement_is_true() -> None:
    test = Test("task_type", OneOf(("code",)))
    assert not holds(test, lambda _: ABSENT)
    assert holds(Test("task_type", OneOf(("code",)), negated=True), lambda _: ABSENT)
    assert holds(Not(test), lambda _: ABSENT)


@pytest.mark.parametrize("value", [ABSENT, frozenset()])
def test_null_holds_on_absence_and_on_the_empty_set(value: object) -> None:
    feature = "intent" if value == frozenset() else "task_type"
    assert holds(Test(feature, Missing()), lambda _: value)  # type: ignore[arg-type,return-value]


def test_a_range_on_an_absent_number_is_false_even_when_it_is_open_at_both_ends() -> None:
    assert not holds(Test("expected_tokens", Range(None, None)), lambda _: ABSENT)
    assert holds(Test("expected_tokens", Range(None, None)), lambda _: 0)


def test_fractions_compare_at_a_millionth() -> None:
    above = Test("score", Range(350_001, None))
    assert not holds(above, lambda _: 0.35)
    assert not holds(above, lambda _: 0.3500004)
    assert holds(above, lambda _: 0.350001)
    assert holds(Test("score", OneOf((0.3,))), lambda _: 0.1 + 0.2)


def test_the_empty_condition_holds_and_the_empty_any_does_not() -> None:
    assert holds(ALWAYS, lambda _: ABSENT)
    assert not holds(NEVER, lambda _: ABSENT)


@MANY
@given(st.lists(conditions, max_size=3), asks)
def test_de_morgan_holds_without_exception(items: list, ask: dict) -> None:
    both, either = All(tuple(items)), Any(tuple(items))
    assert holds(Not(both), ask.get) == holds(Any(tuple(Not(i) for i in items)), ask.get)
    assert holds(Not(either), ask.get) == holds(All(tuple(Not(i) for i in items)), ask.get)


@MANY
@given(single, asks)
def test_a_negated_test_is_the_exact_complement(test: Test, ask: dict) -> None:
    flipped = Test(test.feature, test.want, not test.negated)
    assert holds(test, ask.get) is not holds(flipped, ask.get)


@MANY
@given(st.lists(conditions, max_size=3), asks)
def test_the_normal_form_means_the_same(items: list, ask: dict) -> None:
    assert holds(conjunction(items), ask.get) == all(holds(i, ask.get) for i in items)
    assert holds(disjunction(items), ask.get) == any(holds(i, ask.get) for i in items)
    for item in items:
        assert holds(negation(item), ask.get) is not holds(item, ask.get)


@MANY
@given(conditions, asks)
def test_the_failing_test_that_is_named_fails(condition: object, ask: dict) -> None:
    test = first_failing(condition, ask.get)  # type: ignore[arg-type]
    if holds(condition, ask.get):  # type: ignore[arg-type]
        assert test is None
    elif test is not None:
        assert test.feature in FEATURES
