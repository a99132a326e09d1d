"""Rows with unknown signals: the rules that may be first are exactly those that some completion reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.replay.completions import Completions, is_unknown, recorded
from hroute.router import reference
from hroute.router.decide import compile
from hroute.schema.policy import Policy
from hroute.terms.signal import ABSENT, Value
from tests.replay.policies import policy, rule

KINDS = ("payment_card", "email", "url", "ip")  # counted and named, not counted and named, neither
POINTS = (0, 9, 10, 11, 99, 100, 101, 5000)
DOMAINS: Mapping[str, tuple[Value, ...]] = {
    "task_type": ("code", "qa", "chat", ABSENT),
    "complexity": ("low", "medium", "high"),
    "contains_secret": (True, False),
    "pii": tuple(frozenset(c) for n in range(len(KINDS) + 1) for c in combinations(KINDS, n)),
    "message_tokens": POINTS,
    "prompt_tokens": POINTS,
}
"""Every class of values that the policies below tell apart."""

conditions = st.fixed_dictionaries(
    {},
    optional={
        "task_type": st.sampled_from(["code", ["code", "qa"], "!=chat", None]),
        "complexity": st.sampled_from(["low", ["low", "high"], "!=high"]),
        "contains_secret": st.booleans(),
        "contains_pii": st.booleans(),
        "pii": st.sampled_from(["payment_card", ["email", "url"], "!=url", None]),
        "message_tokens": st.sampled_from([">=100", "<10"]),
        "prompt_tokens": st.sampled_from([">100", "<=10", "10..100"]),
        "batch_size": st.sampled_from([">100", 1]),
    },
)
policies = st.lists(conditions, min_size=1, max_size=4).map(
    lambda many: policy([rule(f"r{n}", condition) for n, condition in enumerate(many)])
)
rows = st.fixed_dictionaries(
    {},
    optional={**{name: st.sampled_from(values) for name, values in DOMAINS.items() if name != "pii"},
              "pii": st.sampled_from(DOMAINS["pii"]), "batch_size": st.sampled_from([1, 500]), "contains_pii": st.booleans()},
)  # fmt: skip


def completions(built: Policy, known: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """Every request, by class of values, that agrees with what is known and that can be sent."""
    open_names = [name for name in DOMAINS if is_unknown(name, known)]
    for values in product(*(DOMAINS[name] for name in open_names)):
        full: dict[str, Any] = {**known, **dict(zip(open_names, values, strict=True))}
        kinds = full["pii"]
        flag = not kinds.isdisjoint(built.signals.pii.counts | {"unspecified"})
        if full.setdefault("contains_pii", flag) == flag and full["message_tokens"] <= full["prompt_tokens"]:
            yield full


@settings(max_examples=150, deadline=None)
@given(policies, rows)
def test_the_rules_that_may_be_first_are_those_that_some_completion_reaches(
    built: Policy, row: dict[str, Value]
) -> None:
    known = recorded(built, {name: value for name, value in row.items() if value is not ABSENT}, None, None)
    known = {name: value for name, value in known.items() if name != "expected_tokens"}
    reached = {reference.first_match(built, reference.asker(built, full)).name for full in completions(built, known)}
    if not reached:  # contradicts itself: message longer than its prompt
        return
    found = Completions(compile(built)).reach(known)
    assert {built.all_rules[position].name for position in found.rules} == reached
    assert bool(found.unknown) == (len(reached) > 1)


@settings(max_examples=100, deadline=None)
@given(policies, policies, rows)
def test_pairs_under_two_policies_are_those_that_some_completion_reaches(
    one: Policy, two: Policy, row: dict[str, Value]
) -> None:
    known = {name: value for name, value in row.items() if value is not ABSENT}
    here, there = recorded(one, known, None, None), recorded(two, known, None, None)
    for view in (here, there):
        view.pop("expected_tokens", None)
    reached = {
        tuple(reference.first_match(p, reference.asker(p, full)).name for p in (one, two))
        for full in completions(one, here)
    }
    if not reached:
        return
    pairs = Completions(compile(one)).pairs(here, Completions(compile(two)), there)
    assert {(one.all_rules[a].name, two.all_rules[b].name) for a, b in pairs} == reached


def reach(built: Policy, known: Mapping[str, Value]) -> tuple[list[str], tuple[str, ...]]:
    found = Completions(compile(built)).reach(recorded(built, known, None, None))
    return [built.all_rules[position].name for position in found.rules], found.unknown


def test_what_a_signal_has_by_default_is_not_unknown() -> None:
    built = policy(
        [rule("many", {"batch_size": ">100"}), rule("again", {"clarifying_turns": ">=2"}), rule("vip", {"tenant": "x"})]
    )
    assert reach(built, {}) == (["default"], ())


def test_an_unknown_taint_is_not_taken_for_clean() -> None:
    built = policy([rule("private", {"contains_pii": True})])
    assert reach(built, {}) == (["private", "default"], ("contains_pii",))
    assert reach(built, {"contains_pii": False}) == (["default"], ())
    assert reach(built, {"pii": frozenset({"email"})}) == (["private"], ())
    assert reach(built, {"pii": frozenset({"url"})}) == (["default"], ())


def test_a_raised_flag_leaves_the_kind_open() -> None:
    built = policy([rule("cards", {"pii": "payment_card"}), rule("private", {"contains_pii": True})])
    assert reach(built, {"contains_pii": True}) == (["cards", "private"], ("pii",))
    assert reach(built, {"contains_pii": False}) == (["default"], ())


def test_unknown_words_may_or_may_not_be_there() -> None:
    built = policy([rule("hello", {"message": {"any_of": ["hello"]}})])
    key = next(iter(built.texts))
    assert reach(built, {}) == (["hello", "default"], (key,))
    assert reach(built, {key: True}) == (["hello"], ())


def test_tokens_that_were_billed_bound_what_is_not_known() -> None:
    built = policy([rule("long", {"message_tokens": ">1000"}), rule("dear", {"expected_tokens": ">=1000"})])
    known = recorded(built, {}, 400, None)
    assert known["expected_tokens"] == 900
    assert reach(built, {"prompt_tokens": 400}) == (["default"], ())
    assert reach(built, {"prompt_tokens": 600}) == (["dear"], ())
    assert reach(built, {"prompt_tokens": 2000})[0] == ["long", "dear"]


@pytest.mark.parametrize("most", [0, 1])
def test_beyond_the_bound_every_rule_left_is_possible(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("hroute.replay.completions.MOST_PIECES", most)
    built = policy(
        [
            rule("a", {"task_type": "code", "complexity": "low"}),
            rule("b", {"task_type": "qa"}),
            rule("c", {"complexity": "high"}),
        ]
    )
    assert reach(built, {})[0] == ["a", "b", "c", "default"]
