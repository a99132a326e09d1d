"""`decide` is pure: the same policy and signals give the same decision, and rollouts are sticky by session."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from hroute.router.check import load
from hroute.router.decide import compile, decide, decide_lazy, fraction
from hroute.router.reference import asker, steps
from hroute.router.tree import walk
from hroute.schema.load import load_text

STARTER = "routing-config.yaml"


def compiled(text: str) -> Any:
    policy, findings, _ = load_text(text)
    assert policy is not None, findings
    return compile(policy)


ROLLED = """
baseline: claude_sonnet
routing_rules:
  - {name: faq, condition: {intent: faq}, route_to: ollama, fallback: claude_haiku, rollout: 10%, holdout: 20%}
  - {name: canary, condition: {task_type: code}, split: {claude_opus: 75, gpt4o: 25}}
"""


def test_a_rollout_sends_its_share_and_the_rest_goes_to_the_baseline() -> None:
    policy = compiled(ROLLED)
    taken = [decide(policy, {"intent": frozenset({"faq"}), "session": f"s{n}"}) for n in range(4000)]
    served = [d for d in taken if d.route_to == "ollama"]
    assert len(served) / len(taken) == pytest.approx(0.1 * 0.8, abs=0.02)
    assert {d.variant for d in taken} == {"", "rollout", "holdout"}
    assert all(d.chain == ("claude_sonnet", "claude_haiku") for d in taken if d.variant)


def test_a_session_stays_on_its_side_and_the_request_id_counts_only_without_one() -> None:
    policy = compiled(ROLLED)
    signals = {"intent": frozenset({"faq"}), "session": "anna"}
    assert len({decide(policy, signals, request_id=f"r{n}").route_to for n in range(50)}) == 1
    without = {"intent": frozenset({"faq"})}
    assert len({decide(policy, without, request_id=f"r{n}").route_to for n in range(50)}) == 2


def test_raising_a_rollout_takes_nobody_back() -> None:
    ten, fifty = compiled(ROLLED), compiled(ROLLED.replace("10%", "50%"))
    for n in range(500):
        signals = {"intent": frozenset({"faq"}), "session": f"s{n}"}
        if decide(ten, signals).variant != "rollout":
            assert decide(fifty, signals).variant != "rollout"


def test_a_split_divides_by_percent_and_keeps_the_others_as_fallback() -> None:
    policy = compiled(ROLLED)
    taken = [decide(policy, {"task_type": "code", "session": f"s{n}"}) for n in range(4000)]
    assert sum(d.route_to == "gpt4o" for d in taken) / len(taken) == pytest.approx(0.25, abs=0.03)
    assert {d.variant for d in taken} == {"split"}


def test_a_held_session_keeps_its_rule_but_an_earlier_rule_still_wins() -> None:
    policy = compiled("""
routing_rules:
  - {name: privacy, condition: {contains_pii: true}, route_to: ollama, fallback: null}
  - {name: code, condition: {task_type: code}, route_to: claude_sonnet, hold: session}
  - {name: batch, condition: {batch_size: ">1"}, route_to: deepseek}
""")
    assert decide(policy, {"batch_size": 5}).rule.name == "batch"
    assert decide(policy, {"batch_size": 5, "held_rule": "code"}).rule.name == "code"
    assert decide(policy, {"held_rule": "code", "contains_pii": True}).rule.name == "privacy"
    assert decide(policy, {"held_rule": "batch"}).rule.name == "default"


def test_only_what_the_answer_depends_on_is_asked_and_cheap_signals_first() -> None:
    policy = compiled("""
routing_rules:
  - {name: vip, condition: {tenant: vip}, route_to: claude_opus}
  - {name: privacy, condition: {contains_pii: true, batch_size: ">10"}, route_to: ollama}
  - {name: faq, condition: {intent: faq}, route_to: ollama}
""")
    asked: list[str] = []

    def ask(signals: dict[str, Any]) -> str:
        asked.clear()
        known = asker(policy.policy, signals)

        def answer(feature: str) -> Any:
            asked.append(feature)
            return known(feature)

        return policy.policy.all_rules[walk(policy.index, answer)].name

    assert ask({"tenant": "vip"}) == "vip"
    assert asked == ["tenant"]
    assert ask({"contains_pii": True}) == "default"
    assert asked == ["tenant", "batch_size", "intent"]  # never the scan: the batch is too small
    assert ask({"contains_pii": True, "batch_size": 11}) == "privacy"
    assert asked == ["tenant", "batch_size", "contains_pii"]


def test_a_lazy_decision_records_what_was_known_after_the_walk() -> None:
    policy = compiled(ROLLED)
    known: dict[str, Any] = {}

    def ask(feature: str) -> Any:
        known[feature] = frozenset({"faq"}) if feature == "intent" else "anna"
        return known[feature]

    decision = decide_lazy(policy, ask, lambda: dict(known))
    assert decision.rule.name == "faq"
    assert decision.signals["intent"] == frozenset({"faq"})


def test_a_compiled_policy_can_be_pickled_and_decides_the_same() -> None:
    policy = compile(load(STARTER))
    again = pickle.loads(pickle.dumps(policy))
    for signals in ({"contains_pii": True}, {"batch_size": 101}, {"complexity": "high"}, {}):
        assert decide(again, signals).rule.name == decide(policy, signals).rule.name


def test_a_fraction_is_between_0_and_1_and_depends_on_every_argument() -> None:
    one = fraction("faq", "rollout", "anna")
    assert 0 <= one < 1
    assert (
        len(
            {
                one,
                fraction("faq", "rollout", "bert"),
                fraction("faq", "holdout", "anna"),
                fraction("code", "rollout", "anna"),
            }
        )
        == 4
    )


def test_steps_name_the_first_failing_test_of_each_rule_up_to_the_one_that_matched() -> None:
    policy = load(STARTER)
    walked = steps(policy, asker(policy, {"task_type": "code", "contains_pii": False}))
    assert [(s.rule.name, s.match) for s in walked][-1] == ("code_generation", True)
    assert walked[0].test is not None
    assert (walked[0].test.signal, walked[0].got) == ("contains_pii", False)
