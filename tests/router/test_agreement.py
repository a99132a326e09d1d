"""Three voices, one answer: the index, the lazy walk, the plain reading and the regions agree on every request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hroute.router.analysis.diff import diff
from hroute.router.analysis.reach import Effort, reach
from hroute.router.analysis.world import World
from hroute.router.decide import compile, decide, decide_batch, decide_lazy
from hroute.router.reference import asker, first_match
from hroute.router.tree import branches
from hroute.schema.condition import Ask
from hroute.schema.dump import dump
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.schema.region import admits
from tests.router.policies import policies, requests

MANY = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
SOME = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def loaded(data: dict[str, Any]) -> Policy:
    """The policy of plain data, as its file would be loaded; only shape and names are checked, not its sense."""
    policy, findings, _ = load_text(json.dumps(data), "random.yaml")
    assert policy is not None, [f.message for f in findings]
    return policy


def _in_region(world: World, ask: Ask) -> int:
    """The first rule one of whose canonical boxes holds the request."""
    return next(
        position
        for position in range(len(world.policies[0].all_rules))
        if any(all(admits(part, f, ask(f)) for f, part in box.items()) for box in world.rule(position))
    )


@MANY
@given(policies, st.lists(requests(), min_size=3, max_size=6))
def test_index_walk_plain_reading_and_regions_choose_the_same_rule_and_a_witness_goes_where_its_region_says(
    data, rows
) -> None:
    policy = loaded(data)
    compiled = compile(policy)
    world = World((policy,), (compiled.index,))
    taken = set()
    for signals in rows:
        ask = asker(policy, signals)
        plain = first_match(policy, ask)
        taken.add(plain.name)
        assert decide(compiled, signals).rule is plain
        assert decide_lazy(compiled, ask, lambda s=signals: s).rule is plain
        assert policy.all_rules[_in_region(world, ask)] is plain
    for position, rule in enumerate(policy.all_rules):
        found = reach(world, world.rule(position), position, Effort()).found
        if found is None:
            assert rule.name not in taken  # nobody reaches what is proved to be unreachable
        else:
            assert decide(compiled, found.signals).rule is rule
            assert first_match(policy, asker(policy, found.signals)) is rule


@MANY
@given(policies)
def test_a_policy_survives_a_dump_does_not_differ_from_itself_and_no_span_lies_outside_its_file(data) -> None:
    text = json.dumps(data, indent=1)
    policy, findings, source = load_text(text, "random.yaml")
    assert policy is not None
    again, more, _ = load_text(dump(policy), "dumped.yaml")
    assert not more
    assert again == policy
    assert again is not None
    assert again.hash == policy.hash
    assert diff(policy, again).changes == ()
    lines = text.split("\n")
    spans = [span for rule in policy.all_rules for span in rule.spans.values()] + [f.primary.span for f in findings]
    for span in spans:
        assert 1 <= span.line <= span.end_line <= len(lines)
        assert 1 <= span.column <= len(lines[span.line - 1]) + 1
        assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
    assert source.text == text


@SOME
@given(policies, policies, st.lists(requests(), min_size=5, max_size=10))
def test_a_diff_names_every_pair_of_rules_between_which_a_request_changes_route(old_data, new_data, rows) -> None:
    old, new = loaded(old_data), loaded(new_data)
    found = diff(old, new)
    assert found.proven
    named = {(c.from_rule, c.to_rule) for c in found.changes}
    for signals in rows:
        before, after = first_match(old, asker(old, signals)), first_match(new, asker(new, signals))
        if (before.route and before.route.chain) != (after.route and after.route.chain):
            assert (before.name, after.name) in named


@SOME
@given(policies, st.lists(requests(), min_size=1, max_size=8))
def test_deciding_in_bulk_gives_what_deciding_one_by_one_gives(data, rows) -> None:
    compiled = compile(loaded(data))
    names = sorted({name for row in rows for name in row})
    columns = {name: [row.get(name) for row in rows] for name in names}
    ids = [f"request-{n}" for n in range(len(rows))]
    bulk = decide_batch(compiled, columns, ids=ids)
    assert [(d.rule.name, d.chain, d.variant) for d in bulk] == [
        (d.rule.name, d.chain, d.variant)
        for d in (decide(compiled, row, request_id=id) for row, id in zip(rows, ids, strict=True))
    ]


@SOME
@given(policies)
def test_the_tree_of_any_policy_can_be_drawn_within_its_limit(data) -> None:
    node = branches(compile(loaded(data)).index, limit=200)
    assert node.rule is not None or node.feature is not None or node.cut


def test_columns_of_different_length_are_refused() -> None:
    compiled = compile(loaded({"routing_rules": []}))
    with pytest.raises(ValueError, match="differ in length"):
        decide_batch(compiled, {"batch_size": [1], "stream": [True, False]})
