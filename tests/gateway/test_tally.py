"""What is remembered of a session: where its turns went, at what cost, and at what cost as it was asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hroute.gateway.asked import Asked, read
from hroute.gateway.doors import MESSAGES
from hroute.gateway.tally import Tally
from hroute.router.answer import Answer
from hroute.router.decision import Decision
from hroute.schema.policy import Policy
from hroute.terms.message import Reply
from hroute.terms.usage import Usage
from hroute.wire.fields import dumps
from tests.gateway.house import before_sandbox, message, policy_of

SESSION = "5f0c6f0e-1111-4c53-9d0a-2b8d6a1e0c11"
MILLION = 1_000_000


def asked(model: str = "claude-opus-4-8", text: str = "hello", session: str = SESSION) -> Asked:
    return read(MESSAGES, dumps(message(text, model=model)).encode(), {"x-claude-code-session-id": session})


def answered(policy: Policy, provider: str, usage: Usage, cost: int | None) -> Answer:
    decision = Decision(policy.default, (provider,), {}, policy.hash, "")
    model = policy.providers[provider].model
    return Answer("id", "", decision, provider, provider, model, None, (), usage, cost, Reply((), model))


def summed(*turns: tuple[str, Usage, int | None], **about: Any) -> dict[str, Any]:
    policy, tally = policy_of("http://127.0.0.1:1"), Tally(now=lambda: 0.0)
    for provider, usage, cost in turns:
        tally.add(asked(**about), policy, answered(policy, provider, usage, cost))
    found = tally.of(SESSION)
    assert found is not None
    return found.as_json()


def test_a_session_is_summed_and_told_on_its_page() -> None:
    with before_sandbox({"answers": [{"text": "Hello."}]}) as (house, _):
        assert house.get(f"/sessions/{SESSION}").status_code == 404
        for _ in range(2):
            house.post("/v1/messages", message(), x_claude_code_session_id=SESSION)
        house.post("/v1/messages", message(), x_claude_code_session_id="another")
        found = house.get(f"/sessions/{SESSION}").json()
    assert found["turns"] == {"claude": 2}
    assert found["last"]["rule"] == "default"


def test_a_session_is_told_by_a_gateway_that_only_observes() -> None:
    with before_sandbox({"answers": [{"text": "Hello."}]}, observe=True) as (house, _):
        house.post("/v1/messages", message(), x_claude_code_session_id=SESSION)
        found = house.get(f"/sessions/{SESSION}").json()
    assert (found["mode"], sum(found["turns"].values()), found["saved_usd"]) == ("observe", 1, 0.0)


def test_what_a_local_answer_saved_is_told_at_the_price_of_the_model_asked_for() -> None:
    found = summed(("llama", Usage(input=MILLION), 0))
    assert found["cost_usd"] == 0
    assert found["saved_usd"] == found["as_asked_usd"] == 6.25  # written to the cache of Claude Opus: $6.25 a million


def test_the_second_turn_of_a_conversation_would_have_been_read_from_the_cache() -> None:
    turn = ("llama", Usage(input=MILLION), 0)
    assert summed(turn, turn)["saved_usd"] == 6.25 + 0.5


def test_whoever_is_served_what_was_asked_for_has_saved_nothing() -> None:
    usage = Usage(input=100, output=5)
    assert summed(("claude", usage, 1_000), model="claude-x")["saved_usd"] == 0


def test_an_unknown_price_makes_the_sum_unknown() -> None:
    found = summed(("gpt", Usage(input=5), None), ("llama", Usage(input=5), 0))
    assert (found["cost_usd"], found["saved_usd"]) == (None, None)
    assert found["turns"] == {"gpt": 1, "llama": 1}


def test_a_model_that_is_none_of_its_vendor_is_priced_as_what_serves_by_default() -> None:
    policy = policy_of("http://127.0.0.1:1")
    opus = replace(policy.providers["claude"], model="claude-opus-4-8")
    policy = replace(policy, providers={**policy.providers, "claude": opus})
    tally = Tally(now=lambda: 0.0)
    tally.add(asked("hroute/llama"), policy, answered(policy, "llama", Usage(input=MILLION), 0))
    found = tally.of(SESSION)
    assert found is not None
    assert found.as_json()["saved_usd"] == 6.25


def test_sessions_least_used_are_forgotten_first() -> None:
    policy, tally = policy_of("http://127.0.0.1:1"), Tally(most=2)
    for session in ("a", "b", "a", "c"):
        tally.add(asked(session=session), policy, answered(policy, "llama", Usage(), 0))
    assert [session for session in "abc" if tally.of(session)] == ["a", "c"]
