"""Cases of a policy, and what they cover: rules, branches where a test decides alone, fallbacks."""

from __future__ import annotations

from typing import Any

import pytest

from hroute.errors import UsageError
from hroute.router.analysis.cases import Case, Outcome, run_case
from hroute.router.analysis.coverage import Coverage, coverage
from hroute.router.decide import compile
from hroute.schema.diagnostic import Span
from hroute.schema.load import load_text

POLICY = """
routing_rules:
  - {name: privacy, condition: {contains_pii: true}, route_to: ollama, fallback: null}
  - {name: doubt, condition: {any: [{score: ">0.35"}, {confidence: "<0.6"}]}, route_to: claude_sonnet, fallback: gpt4o}
guarantees:
  - {name: home, when: {contains_pii: true}, only: {local: true}}
"""
HERE = Span("t.yaml", 1, 1, 1, 2)


def compiled(text: str = POLICY) -> Any:
    policy, findings, _ = load_text(text)
    assert policy is not None, findings
    return compile(policy)


def run(given: dict[str, Any], expect: dict[str, Any] | None = None) -> Outcome:
    return run_case(compiled(), Case("a case", given, expect or {}, HERE))


def covered(*given: dict[str, Any]) -> Coverage:
    policy = compiled()
    return coverage(policy, [run_case(policy, Case("a case", one, {}, HERE)) for one in given])


def test_a_case_with_a_prompt_runs_the_extractors() -> None:
    outcome = run(
        {"prompt": "My SSN is 078-05-1120"},
        {"rule": "privacy", "route_to": "ollama", "fallback": None, "contains_pii": True},
    )
    assert outcome.ok
    assert outcome.tries == ("ollama",)


def test_what_came_out_otherwise_is_named_with_both_values() -> None:
    outcome = run({"score": 0.5, "confidence": 0.9}, {"rule": "privacy", "tries": ["gpt4o"], "refused": False})
    assert [(m.key, m.expected, m.got) for m in outcome.misses] == [
        ("rule", "privacy", "doubt"),
        ("tries", ["gpt4o"], ["claude_sonnet", "gpt4o"]),
    ]


def test_what_is_down_is_not_tried_and_a_guarantee_is_never_given_up() -> None:
    assert run({"score": 0.9, "confidence": 1, "down": "claude_sonnet"}).tries == ("gpt4o",)
    assert run({"score": 0.9, "confidence": 1, "down": ["claude_sonnet", "gpt4o"]}).tries == ()
    assert run({"contains_pii": True, "down": ["ollama"]}).tries == ()


def test_a_value_that_does_not_fit_names_the_case_and_the_signal() -> None:
    with pytest.raises(UsageError, match=r"a case.*`enormous` is not a value of signal `score`"):
        run({"score": "enormous"})


def test_a_branch_counts_only_where_its_test_decides_alone() -> None:
    both = {"score": 0.9, "confidence": 0.1}  # either alone would have been enough: neither decides
    missing = {goal.key for goal in covered(both).missing}
    assert ("branch", "doubt", 0, True) in missing
    assert ("branch", "doubt", 1, True) in missing
    missing = {goal.key for goal in covered({"score": 0.9, "confidence": 0.9}).missing}
    assert ("branch", "doubt", 0, True) not in missing


def test_the_request_that_a_missing_goal_suggests_exercises_it() -> None:
    empty = covered()
    assert empty.percent == 0
    again = covered(*(dict(goal.given) for goal in empty.missing))
    assert again.missing == ()
    assert again.percent == 100
    assert again.count("rules") == (3, 3)
    assert again.count("fallbacks") == (2, 2)


def test_a_branch_that_no_request_can_take_is_not_asked_for() -> None:
    policy = compiled("""
routing_rules:
  - {name: first, condition: {batch_size: ">10"}, route_to: ollama}
  - {name: second, condition: {batch_size: "<=10", task_type: code}, route_to: gpt4o}
""")
    keys = {goal.key for goal in coverage(policy, []).goals}
    assert ("branch", "second", 0, True) in keys
    assert ("branch", "second", 0, False) not in keys  # what is above 10 never comes this far
