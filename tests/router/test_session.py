"""A session is treated as one conversation, also by a program that sends each of its turns alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hroute.errors import Refused
from hroute.providers.sandbox.script import Script
from hroute.router.client import AsyncClient, Client
from hroute.router.session import Kept, Sessions, both, taints_of, united
from hroute.terms.message import Message, Request, Text, prompt
from hroute.terms.signal import ABSENT
from tests.router.test_client import CARD, loaded

POLICY = """
version: 1
providers:
  ollama: {plugin: ollama, model: "llama3.1:8b", local: true}
  claude_sonnet: {plugin: anthropic, model: claude-sonnet-4-5, api_key: env:ANTHROPIC_API_KEY}
  gpt4o: {plugin: openai, model: gpt-4o, api_key: env:OPENAI_API_KEY}
routing_rules:
  - {name: private, condition: {contains_pii: true}, route_to: ollama, fallback: null}
  - {name: shut, condition: {tenant: blocked}, refuse: "Closed."}
  - {name: offline, condition: {message: {any_of: ["keep this local"]}}, route_to: ollama, fallback: null, hold: session}
  - {name: code, condition: {task_type: code}, route_to: claude_sonnet}
default: {route_to: gpt4o}
guarantees:
  - {name: home, when: {contains_pii: true}, only: {local: true}}
"""
CODE = "Refactor this function:\n```python\ndef f(x):\n    return x\n```"


def client(policy: str = POLICY, *faults: dict[str, Any]) -> Client:
    script = Script.from_data({"faults": list(faults)})
    return Client.from_policy(policy=loaded(policy), sandbox=script, environ={})


def rules(made: Client, *turns: str, session: str = "s", **signals: Any) -> list[str]:
    return [made.complete(turn, session=session, **signals).decision.rule.name for turn in turns]


def test_a_taint_sticks_to_its_session_and_to_no_other() -> None:
    made = client()
    assert rules(made, "hello", CARD, "and now something else") == ["default", "private", "private"]
    assert rules(made, "hello", session="other") == ["default"]
    assert made.complete("hello").decision.rule.name == "default"


def test_a_taint_that_only_the_guarantee_asks_for_sticks_too() -> None:
    text = POLICY.replace(
        "  - {name: private, condition: {contains_pii: true}, route_to: ollama, fallback: null}\n", ""
    )
    text = text.replace("default: {route_to: gpt4o}", "default: {route_to: ollama, fallback: gpt4o}")
    made = client(text, {"kind": "down", "provider": "ollama", "after": 1})
    made.complete(CARD, session="s")  # the local one answers: nobody asked about the others
    with pytest.raises(Refused, match="keeps this request on this machine"):
        made.complete("hello", session="s")


def test_a_caller_cannot_lower_what_the_session_raised() -> None:
    for trusting in ("", "signals: {contains_pii: {trust_caller: true}}\n"):
        made = client(POLICY + trusting)
        rules(made, CARD)
        assert rules(made, "hello", contains_pii=False) == ["private"]
        assert rules(made, "hello", pii=[], contains_pii=False) == ["private"]


def test_a_refused_turn_taints_as_well() -> None:
    private, shut = POLICY.splitlines(keepends=True)[7:9]
    made = client(POLICY.replace(private + shut, shut + private))
    with pytest.raises(Refused, match="Closed"):
        made.complete(CARD, session="s", tenant="blocked")
    assert rules(made, "hello") == ["private"]


def test_a_rule_that_holds_keeps_the_session_and_an_earlier_rule_still_wins() -> None:
    made = client()
    assert rules(made, "please keep this local", "hello", CODE) == ["offline", "offline", "offline"]
    assert rules(made, CARD) == ["private"]
    assert rules(made, CODE, session="other") == ["code"]


def test_the_caller_s_own_word_about_the_held_rule_counts() -> None:
    made = client()
    rules(made, "keep this local")
    assert rules(made, "hello", held_rule="none") == ["default"]


def test_a_bare_go_on_goes_where_its_turn_went() -> None:
    made = client()
    assert rules(made, CODE, "go on", "yes", "What is the weather like?", "go on") == [
        "code", "code", "code", "default", "default",
    ]  # fmt: skip
    assert rules(made, "go on", session="fresh") == ["default"]
    assert rules(made, CODE, "go on", task_type="chat") == ["default", "default"]


def test_a_program_that_sends_the_whole_conversation_is_taken_at_its_word() -> None:
    made = client()
    rules(made, CODE)
    said = (Message("user", (Text("Tell me a story"),)), Message("assistant", (Text("Once."),)), Message("user", (Text("go on"),)))  # fmt: skip
    assert made.complete(Request(said), session="s").decision.rule.name == "default"


def test_deciding_without_sending_sees_the_session_and_changes_nothing() -> None:
    made = client()
    assert made.decide("keep this local", session="s").rule.name == "offline"
    assert made.decide("hello", session="s").rule.name == "default"
    rules(made, "keep this local")
    assert made.decide("hello", session="s").rule.name == "offline"


def test_both_clients_and_streams_keep_sessions() -> None:
    async def main() -> list[str]:
        made = AsyncClient.from_policy(policy=loaded(POLICY), sandbox=True, environ={})
        async with made:
            stream = made.stream(CARD, session="s")
            async for _ in stream:
                pass
            return [(await made.complete("hello", session="s")).decision.rule.name, stream.decision.rule.name]

    assert asyncio.run(main()) == ["private", "private"]


def test_no_text_is_kept_and_the_number_of_sessions_is_bounded_tainted_ones_last() -> None:
    made = client()
    made.engine.sessions = kept = Sessions(most=3)
    rules(made, CARD, session="tainted")
    for n in range(10):
        rules(made, "hello", session=f"s{n}")
    assert "4111" not in repr(vars(kept))
    assert list(kept._clean) == ["s7", "s8", "s9"]
    assert list(kept._tainted) == ["tainted"]
    assert rules(made, "hello", session="tainted") == ["private"]


def test_turns_that_end_at_the_same_time_lose_no_taint() -> None:
    kept = Sessions()
    kept._keep("s", Kept("a", {"contains_pii": True, "pii": frozenset({"iban"})}))
    kept._keep("s", Kept("b", {"pii": frozenset({"email"})}))
    assert kept._tainted["s"].taints == {"contains_pii": True, "pii": frozenset({"iban", "email"})}


def test_taints_are_united_and_never_taken_away() -> None:
    assert both({"contains_pii": True}, {"contains_pii": False}) == {"contains_pii": True}
    assert both({"contains_secret": False}, {"contains_secret": True}) == {"contains_secret": True}
    assert both({"pii": frozenset({"a"})}, {"pii": ABSENT}) == {"pii": frozenset({"a"})}
    policy = loaded(POLICY + "signals: {contains_pii: {trust_caller: true}}\n")
    raised = united(policy, prompt(CARD), {"pii": frozenset()}, {"pii": frozenset({"iban"})})
    assert raised["pii"] == frozenset({"iban"})  # the caller is trusted with what is in this text, not with the past
    found = united(policy, prompt(CARD), {}, {"pii": frozenset({"iban"})})
    assert found["pii"] == frozenset({"iban", "payment_card"})


def test_only_taints_that_something_tests_are_looked_for() -> None:
    assert taints_of(loaded(POLICY)) == {"pii", "contains_pii"}
    assert taints_of(loaded("routing_rules: []")) == frozenset()
    assert taints_of(loaded("routing_rules: []\nguarantees: [{name: g, when: {contains_secret: true}, only: {local: true}}]")) == {"contains_secret"}  # fmt: skip
