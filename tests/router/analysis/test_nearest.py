"""The nearest other route: the fewest signals that would have to differ."""

from __future__ import annotations

from typing import Any

from hroute.router.analysis.nearest import nearest
from hroute.router.decide import compile
from hroute.schema.load import load_text


def near(text: str, **signals: Any) -> Any:
    policy, findings, _ = load_text(text)
    assert policy is not None, findings
    return nearest(compile(policy), signals)


ONE = "routing_rules: [{name: batch, condition: {batch_size: '>100'}, route_to: deepseek}]"


def test_a_threshold_just_missed_is_named_with_the_value_it_needs() -> None:
    found = near(ONE, batch_size=100)
    assert (found.rule, found.route_to, found.changes) == ("batch", "deepseek", {"batch_size": 101})


def test_from_inside_a_rule_the_way_out_is_named() -> None:
    found = near(ONE, batch_size=500)
    assert (found.rule, found.route_to, found.changes) == ("default", "claude_sonnet", {"batch_size": 100})


def test_one_change_beats_two_and_a_taint_is_the_last_thing_to_change() -> None:
    text = """
routing_rules:
  - {name: privacy, condition: {contains_pii: true}, route_to: ollama}
  - {name: hard, condition: {complexity: high, task_type: analysis}, route_to: claude_opus}
  - {name: code, condition: {task_type: code}, route_to: gpt4o}
"""
    found = near(text, task_type="qa", complexity="low", contains_pii=False)
    assert (found.rule, found.changes) == ("code", {"task_type": "code"})


def test_rules_with_the_same_provider_are_no_other_route() -> None:
    assert (
        near("routing_rules: [{name: code, condition: {task_type: code}, route_to: claude_sonnet}]", task_type="qa")
        is None
    )


def test_a_set_changes_by_the_name_that_is_missing() -> None:
    found = near(
        "routing_rules: [{name: faq, condition: {intent: [faq, smalltalk]}, route_to: ollama}]",
        intent=frozenset({"legal"}),
    )
    assert found.changes == {"intent": ["faq", "legal"]}
