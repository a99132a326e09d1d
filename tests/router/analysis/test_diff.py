"""Differences between two policies: every kind of request that changes route, with a witness."""

from __future__ import annotations

import json
from typing import Any

from bench.policies import policy_data
from hroute.router.analysis.diff import Change, _pairs, diff
from hroute.schema.load import load_text

OLD = """
routing_rules:
  - {name: privacy, condition: {contains_pii: true}, route_to: ollama, fallback: null}
  - {name: simple, condition: {complexity: low}, route_to: ollama}
default: {route_to: claude_sonnet}
"""
LONG = '  - {name: long_input, condition: {prompt_tokens: ">=8000"}, route_to: claude_opus}\n'


def changes(old: str, new: str) -> tuple[Change, ...]:
    policies: list[Any] = [load_text(text)[0] for text in (old, new)]
    found = diff(*policies)
    assert found.proven
    return found.changes


def test_a_rule_put_first_takes_from_every_rule_behind_it_and_says_what_leaves_the_machine() -> None:
    found = changes(OLD, OLD.replace("routing_rules:\n", "routing_rules:\n" + LONG))
    assert {(c.from_rule, c.to_rule, c.leaves_machine) for c in found} == {
        ("privacy", "long_input", True),
        ("simple", "long_input", True),
        ("default", "long_input", False),
    }
    privacy = next(c for c in found if c.from_rule == "privacy")
    assert privacy.witness == {"contains_pii": True, "prompt_tokens": 8000}
    assert privacy.region_text == "contains_pii true, prompt_tokens >= 8000"


def test_a_comment_a_description_or_a_new_name_changes_nothing() -> None:
    assert changes(OLD, "# a comment\n" + OLD) == ()
    assert changes(OLD, OLD.replace("name: simple", "name: easy")) == ()


def test_a_moved_threshold_changes_exactly_what_lies_between() -> None:
    old = "routing_rules: [{name: batch, condition: {batch_size: '>100'}, route_to: deepseek}]"
    found = changes(old, old.replace(">100", ">200"))
    assert [(c.from_rule, c.to_rule, c.region_text) for c in found] == [("batch", "default", "batch_size 101..200")]


def test_a_new_refusal_is_a_change_without_a_destination() -> None:
    refusing = OLD.replace("route_to: ollama}\ndefault", 'refuse: "Closed."}\ndefault')
    found = changes(OLD, refusing)
    assert [(c.from_rule, c.to_chain) for c in found] == [("simple", ())]


def test_a_changed_fallback_is_a_change_of_the_same_rule() -> None:
    found = changes(OLD, OLD.replace("{route_to: claude_sonnet}", "{route_to: claude_sonnet, fallback: gpt4o}"))
    assert [(c.from_rule, c.to_rule, c.from_chain, c.to_chain) for c in found] == [
        ("default", "default", ("claude_sonnet",), ("claude_sonnet", "gpt4o"))
    ]


def test_one_edit_among_many_rules_is_compared_with_each_rule_and_not_each_with_each() -> None:
    data = policy_data(400)
    old: Any = load_text(json.dumps(data))[0]
    data["routing_rules"][200]["route_to"] = (
        "gpt4o" if data["routing_rules"][200]["route_to"] != "gpt4o" else "deepseek"
    )
    new: Any = load_text(json.dumps(data))[0]
    assert len(list(_pairs(old, new))) <= 2 * 400
    assert {(c.from_rule, c.to_rule) for c in diff(old, new).changes} == {("rule_200", "rule_200")}


def test_two_rules_that_change_places_are_compared() -> None:
    two = """
routing_rules:
  - {name: code, condition: {task_type: code}, route_to: gpt4o}
  - {name: batch, condition: {batch_size: ">10"}, route_to: deepseek}
"""
    rules = two.strip().split("\n")
    swapped = "\n".join([rules[0], rules[2], rules[1]])
    assert [(c.from_rule, c.to_rule) for c in changes(two, swapped)] == [("code", "batch")]
