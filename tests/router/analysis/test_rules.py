"""Findings about the order of rules, each on the smallest policy that shows it and on the one that does not."""

from __future__ import annotations

import json
from typing import Any

from hroute.router.check import check_text
from hroute.schema.diagnostic import Diagnostic


def found(*rules: dict[str, Any], **policy: Any) -> list[Diagnostic]:
    named = [{"name": f"rule_{n}", "route_to": "ollama", **rule} for n, rule in enumerate(rules)]
    return list(check_text(json.dumps({"routing_rules": named, **policy}, indent=1), "policy.yaml").findings)


def codes(*rules: dict[str, Any], **policy: Any) -> list[str]:
    return [f.code for f in found(*rules, **policy)]


def test_a_rule_inside_an_earlier_one_is_unreachable_and_the_earlier_one_is_pointed_at() -> None:
    finding = found(
        {"condition": {"prompt_tokens": ">=8000"}},
        {"condition": {"prompt_tokens": ">=12000", "task_type": "code"}, "route_to": "gpt4o"},
    )[0]
    assert finding.code == "HR201"
    assert finding.message == "rule `rule_1` is unreachable"
    assert [label.text for label in finding.others] == ["every request that matches is already taken by `rule_0`"]


def test_a_rule_that_two_earlier_ones_cover_together_is_unreachable_and_both_are_pointed_at() -> None:
    finding = found(
        {"condition": {"prompt_tokens": ">=100"}},
        {"condition": {"prompt_tokens": "<200"}, "route_to": "gpt4o"},
        {"condition": {"prompt_tokens": "50..150"}, "route_to": "deepseek"},
        default={"route_to": "claude_opus"},
    )
    unreachable = [f for f in finding if f.code == "HR201"]
    assert {f.message for f in unreachable} == {"rule `rule_2` is unreachable", "the default is unreachable"}
    assert len(unreachable[0].others) == 2


def test_the_implications_of_the_table_make_a_rule_unreachable() -> None:
    # A message cannot be longer than the prompt it stands in.
    assert "HR201" in codes(
        {"condition": {"prompt_tokens": ">=50"}}, {"condition": {"message_tokens": ">=100"}, "route_to": "gpt4o"}
    )
    # A kind that counts makes contains_pii true.
    assert "HR201" in codes({"condition": {"contains_pii": True}}, {"condition": {"pii": "iban"}, "route_to": "gpt4o"})
    assert "HR201" not in codes(
        {"condition": {"contains_pii": True}}, {"condition": {"pii": "ip"}, "route_to": "gpt4o"}
    )


def test_a_condition_that_contradicts_itself() -> None:
    assert codes({"condition": {"all": [{"batch_size": ">100"}, {"batch_size": "<50"}]}}) == ["HR202"]
    assert codes({"condition": {"task_type": []}}) == ["HR202"]
    assert codes({"condition": {"any": []}}) == ["HR202"]
    assert codes({"condition": {"contains_pii": False, "pii": "iban"}}) == ["HR202"]
    assert codes({"condition": {"prompt_tokens": None}}) == ["HR202"]  # a request with a text has tokens


def test_a_condition_that_always_holds_here() -> None:
    rules = ({"condition": {"batch_size": ">100"}}, {"condition": {"batch_size": "<=100"}, "route_to": "gpt4o"})
    assert "HR203" in codes(*rules)
    assert "HR203" not in codes(rules[0], {"condition": {"batch_size": "<=99"}, "route_to": "gpt4o"})


def test_a_rule_that_changes_nothing() -> None:
    same = {"condition": {"task_type": "code"}, "route_to": "claude_sonnet"}
    assert codes(same) == ["HR204"]  # the default without `default:` is claude_sonnet
    assert codes({**same, "params": {"temperature": 0}}) == []
    assert codes({**same, "route_to": "gpt4o"}) == []


def test_a_rule_between_different_routes_changes_something_even_if_it_repeats_a_later_one() -> None:
    assert "HR204" not in codes(
        {"condition": {"task_type": "code"}, "route_to": "gpt4o"},
        {"condition": {"complexity": "high"}, "route_to": "claude_opus"},
        {"condition": {"task_type": "code"}, "route_to": "deepseek"},
        default={"route_to": "gpt4o"},
    )


def test_two_thresholds_that_leave_one_value_between_them() -> None:
    finding = found(
        {"condition": {"prompt_tokens": "<4000"}}, {"condition": {"prompt_tokens": ">4000"}, "route_to": "gpt4o"}
    )[0]
    assert finding.code == "HR205"
    assert (
        finding.message == "`prompt_tokens` of exactly 4000 falls between rule `rule_0` and rule `rule_1`, to `default`"
    )
    assert finding.witness == {"prompt_tokens": 4000}
    assert "HR205" in codes({"condition": {"score": "<0.35"}}, {"condition": {"score": ">0.35"}, "route_to": "gpt4o"})
    assert "HR205" not in codes(
        {"condition": {"score": "<=0.35"}}, {"condition": {"score": ">0.35"}, "route_to": "gpt4o"}
    )


def test_a_gap_that_another_rule_takes_on_purpose_is_named_with_that_rule() -> None:
    assert "HR205" in codes(
        {"condition": {"batch_size": "<100"}},
        {"condition": {"batch_size": ">100"}, "route_to": "gpt4o"},
        {"condition": {"batch_size": 100}, "route_to": "deepseek"},
    )


def test_a_finding_kept_on_purpose_needs_a_reason_beside_it() -> None:
    text = """routing_rules:
  - {name: small, condition: {prompt_tokens: "<4000"}, route_to: ollama}
  # hroute: ignore HR205 exactly 4000 is our canary
  - {name: large, condition: {prompt_tokens: ">4000"}, route_to: gpt4o}
"""
    assert check_text(text).findings == ()
    assert [f.code for f in check_text(text.replace(" exactly 4000 is our canary", "")).findings] != []
