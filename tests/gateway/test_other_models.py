"""Where a policy lets another model of the same vendor serve, the request is made to fit it; else no byte is touched."""

from __future__ import annotations

import json
from typing import Any

from tests.gateway.house import before_sandbox, message

POLICY = """
providers:
  asked: {{plugin: anthropic, model: requested, base_url: "{url}/asked", api_key: env:KEY, timeout: {timeout}}}
  small: {{plugin: anthropic, model: claude-haiku-4-5, base_url: "{url}/small", api_key: env:KEY, timeout: {timeout}}}
routing_rules: [{{name: subagents, condition: {{purpose: subagent}}, route_to: small, fallback: asked}}]
default: {{route_to: asked, fallback: small}}
{more}
"""
THINKING = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}


def sent(**more: Any) -> list[tuple[str, dict[str, Any]]]:
    script = {"answers": [{"text": "x"}], "faults": [{"kind": "overloaded", "prompt": {"any_of": ["too much"]}, "model": "claude-opus*"}]}  # fmt: skip
    with before_sandbox(script, text=POLICY) as (house, sandbox):
        reply = house.post("/v1/messages", message(**{**THINKING, **more}))
        assert reply.status_code == 200
        return [(call["provider"], call["body"]) for call in sandbox.calls.as_json()]


def test_a_subagent_is_served_by_the_small_model_in_words_that_it_knows() -> None:
    [(provider, body)] = sent(system="You are an agent for Claude Code.")
    assert (provider, body["model"]) == ("small", "claude-haiku-4-5")
    assert "thinking" not in body
    assert "output_config" not in body


def test_as_asked_is_as_it_was_written() -> None:
    [(provider, body)] = sent()
    assert (provider, body) == ("asked", message(**THINKING))


def test_the_fallback_to_another_model_is_made_to_fit_as_well() -> None:
    found = sent(text="too much")
    assert [provider for provider, _ in found][-1] == "small"
    assert "thinking" in found[0][1]
    assert "thinking" not in found[-1][1]


MARKED = "x-anthropic-billing-header: cc_version=2.1.197.fa0; cc_entrypoint=cli;"


def test_the_line_by_which_claude_code_tells_anthropic_its_version_goes_to_nobody_else() -> None:
    system = [{"type": "text", "text": text} for text in (MARKED, "You are Claude Code.", "Be brief.")]
    with before_sandbox({"answers": [{"text": "x"}]}) as (house, sandbox):
        for target in ("claude", "gpt", "chat_only", "llama"):
            house.post("/v1/messages", message(system=system), x_hroute_cost_center=target)
        calls = {call["provider"]: json.dumps(call["body"]) for call in sandbox.calls.as_json()}
        found = house.post("/v1/messages", message(system=system), x_hroute_cost_center="gpt")
    assert {provider for provider, body in calls.items() if MARKED in body} == {"claude"}
    assert all("You are Claude Code." in body for body in calls.values())
    assert "attribution" in found.headers["x-hroute-dropped"]


def test_whoever_writes_of_such_a_line_keeps_his_words() -> None:
    with before_sandbox({"answers": [{"text": "x"}]}) as (house, sandbox):
        house.post("/v1/messages", message(system=f"Explain: {MARKED}"), x_hroute_cost_center="gpt")
        assert MARKED in json.dumps(sandbox.calls.as_json()[0]["body"])
