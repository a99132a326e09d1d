"""Guarantees: every planted leak is found with a witness that really leaks, and a clean policy is proved."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.policies import policy_data
from hroute.router.analysis.guarantee import leaks
from hroute.router.check import Checked, check_text, subject_of
from hroute.router.decide import compile, decide, destinations
from hroute.router.reference import asker, first_match
from hroute.schema.condition import holds
from hroute.schema.load import load_text
from hroute.terms.signal import coerce
from tests.router.policies import conditions, policies, requests

HOME = {"name": "stays_home", "when": {"contains_pii": True}, "only": {"local": True}}
PRIVACY = {"name": "privacy", "condition": {"contains_pii": True}, "route_to": "ollama", "fallback": None}


def checked(**policy: Any) -> Checked:
    policy.setdefault("guarantees", [HOME])
    policy.setdefault("routing_rules", [PRIVACY])
    return check_text(json.dumps(policy), "policy.yaml")


def codes(result: Checked) -> set[str]:
    return {finding.code for finding in result.errors}


PLANTED: dict[str, dict[str, Any]] = {
    "a route": {"routing_rules": [{**PRIVACY, "route_to": "claude_opus"}]},
    "an earlier rule's route": {
        "routing_rules": [{"name": "long", "condition": {"prompt_tokens": ">=8000"}, "route_to": "claude_opus"}, PRIVACY]
    },
    "a fallback": {"routing_rules": [{**PRIVACY, "fallback": "gpt4o"}]},
    "the second of two fallbacks": {"routing_rules": [{**PRIVACY, "fallback": ["home", "gpt4o"]}], "providers": {"home": {"plugin": "ollama", "model": "m", "local": True, "base_url": "http://127.0.0.1:9"}}},
    "the default": {"routing_rules": [], "default": {"route_to": "claude_sonnet"}},
    "the default that nobody wrote": {"routing_rules": []},
    "the rest of a tier": {"tiers": {"mixed": ["ollama", "deepseek"]}, "routing_rules": [{"name": "privacy", "condition": {"contains_pii": True}, "route_to": "mixed"}]},
    "a tier as fallback": {"tiers": {"cheap": ["claude_haiku"]}, "routing_rules": [{**PRIVACY, "fallback": "cheap"}]},
    "a budget's action": {
        "routing_rules": [{**PRIVACY, "condition": {}}],
        "budgets": [{"name": "daily", "limit_usd": 20, "per": "day", "at": {"100%": {"reroute_to": "deepseek"}}}],
    },
    "a rollout": {"baseline": "claude_sonnet", "routing_rules": [{**PRIVACY, "rollout": "10%"}]},
    "a holdout": {"baseline": "claude_sonnet", "routing_rules": [{**PRIVACY, "holdout": "5%"}]},
    "a split": {"routing_rules": [{"name": "privacy", "condition": {"contains_pii": True}, "split": {"ollama": 90, "gpt4o": 10}}]},
    "a shadow": {"routing_rules": [{**PRIVACY, "shadow": {"to": "gpt4o", "sample": "5%"}}]},
    "an agreement check": {"routing_rules": [{**PRIVACY, "validate": {"agree": {"with": "gpt4o", "on": "answer"}}}]},
    "a judge": {"routing_rules": [{**PRIVACY, "validate": {"judge": "gpt4o"}}]},
    "a held session": {
        "routing_rules": [{"name": "code", "condition": {"task_type": "code", "contains_pii": False}, "route_to": "gpt4o", "hold": "session"}, PRIVACY]
    },
}  # fmt: skip


@pytest.mark.parametrize("place", PLANTED)
def test_a_leak_planted_in(place: str) -> None:
    result = checked(**PLANTED[place])
    assert "HR301" in codes(result), [f.message for f in result.findings]
    assert [proof.proven for proof in result.proven] == [False]
    leak = next(f for f in result.errors if f.code == "HR301")
    assert leak.witness["contains_pii"] is True
    assert "contains_pii=true" in leak.help


def test_a_witness_of_a_leak_really_reaches_a_forbidden_provider() -> None:
    result = checked(**PLANTED["an earlier rule's route"])
    assert result.policy is not None
    leak = next(f for f in result.errors if f.code == "HR301")
    signals = {name: coerce(name, value) for name, value in leak.witness.items()}
    assert decide(compile(result.policy), signals).route_to == "claude_opus"
    assert leak.primary.text == "`claude_opus` is not local"
    assert leak.others[0].text == "required here"


def test_a_clean_policy_is_proved_and_says_so() -> None:
    result = checked(default={"route_to": "claude_sonnet", "fallback": "gpt4o"})
    assert result.findings == ()
    assert [proof.proven for proof in result.proven] == [True]


def test_a_rule_that_hides_behind_a_safe_one_inside_its_region_is_still_found() -> None:
    result = checked(
        routing_rules=[
            {
                "name": "hidden",
                "condition": {"contains_pii": True, "task_type": "code", "batch_size": 7},
                "route_to": "gpt4o",
            },
            PRIVACY,
        ]
    )
    leak = next(f for f in result.errors if f.code == "HR301")
    assert leak.witness == {"contains_pii": True, "task_type": "code", "batch_size": 7}


def test_never_is_as_strong_as_only() -> None:
    guarantee = {"name": "no_china", "never": {"region": "cn"}}
    provider = {
        "plugin": "openai",
        "model": "deepseek-flash",
        "base_url": "https://api.deepseek.com",
        "labels": {"region": "cn"},
    }
    result = checked(
        providers={"deepseek": provider},
        guarantees=[guarantee],
        routing_rules=[{"name": "b", "condition": {"batch_size": ">100"}, "route_to": "deepseek"}],
    )
    assert codes(result) == {"HR301"}


def test_unless_takes_requests_out_of_a_guarantee() -> None:
    guarantee = {
        "name": "quality",
        "when": {"intent": "complaint"},
        "unless": {"contains_pii": True},
        "only": {"name": "claude_sonnet"},
    }
    rules = [PRIVACY, {"name": "complaint", "condition": {"intent": "complaint"}, "route_to": "claude_sonnet"}]
    assert codes(checked(guarantees=[HOME, guarantee], routing_rules=rules)) == set()


def test_guarantees_that_contradict_each_other_leave_nobody() -> None:
    cloud = {"name": "quality", "when": {"intent": "complaint"}, "only": {"name": "claude_sonnet"}}
    result = checked(
        guarantees=[HOME, cloud],
        routing_rules=[
            PRIVACY,
            {"name": "complaint", "condition": {"intent": "complaint"}, "route_to": "claude_sonnet"},
        ],
    )
    nobody = next(f for f in result.errors if f.code == "HR308")
    assert nobody.witness == {"contains_pii": True, "intent": ["complaint"]}


def test_a_refusal_is_no_leak_and_needs_nobody() -> None:
    refusal = {"name": "refused", "condition": {"contains_pii": True}, "refuse": "Not here."}
    impossible = {"name": "nobody", "when": {"contains_pii": True}, "only": {"name": "ollama", "local": False}}
    assert codes(checked(routing_rules=[refusal], guarantees=[HOME, impossible])) == set()


def test_a_guarantee_on_what_only_callers_say_is_warned_about() -> None:
    guarantee = {"name": "eu", "when": {"tenant": "eu"}, "only": {"name": "claude_sonnet"}}
    result = checked(guarantees=[guarantee], routing_rules=[])
    assert {f.code for f in result.warnings} == {"HR309"}


def test_a_guarantee_that_time_does_not_suffice_for_is_not_proven_and_not_an_error() -> None:
    # Two hundred rules that each take a sliver, so that the search has work; the clock is over at once.
    rules = [
        {"name": f"r{n}", "condition": {"batch_size": n, "contains_pii": True}, "route_to": "ollama", "fallback": None}
        for n in range(200)
    ]
    rules.append({"name": "rest", "condition": {"contains_pii": True}, "route_to": "ollama", "fallback": None})
    ticks = iter(range(10_000_000))
    result = check_text(json.dumps({"routing_rules": rules, "guarantees": [HOME]}), clock=lambda: float(next(ticks)))
    assert not result.errors
    assert "HR200" in {f.code for f in result.warnings}
    assert [proof.proven for proof in result.proven] == [False]


def test_five_thousand_rules_behind_a_privacy_rule_are_proved_by_containment() -> None:
    policy, _, _ = load_text(json.dumps(policy_data(5_000)), "large.yaml")
    assert policy is not None
    subject = subject_of(policy, seconds=3600)
    proofs: list[Any] = []
    assert list(leaks(subject, proofs)) == []
    assert [proof.proven for proof in proofs] == [True]
    assert subject.effort.steps <= 10  # steps of the search, not seconds: the first rule contains everything


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    policies,
    conditions,
    st.sampled_from([{"local": True}, {"name": ["gpt4o", "ollama"]}, {"plugin": "openai"}]),
    st.lists(requests(), min_size=4, max_size=8),
)
def test_what_is_proved_no_request_breaks_and_every_witness_breaks_it(
    data: Any, when: Any, only: Any, rows: Any
) -> None:
    data = {**data, "guarantees": [{"name": "g", "when": when, "only": only}]}
    policy, findings, _ = load_text(json.dumps(data), "random.yaml")
    assert policy is not None, findings
    proofs: list[Any] = []
    list(leaks(subject_of(policy, seconds=3600), proofs))
    if not proofs[0].proven:
        return
    permitted = policy.guarantees[0].permitted
    for signals in rows:
        ask = asker(policy, signals)
        if holds(policy.guarantees[0].when, ask):
            assert set(destinations(policy, first_match(policy, ask))) <= permitted
