"""Who a conversation is with: tool loops stay, taints move home, caches are worth money, seals stay with who made them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hroute.gateway.loops import Loops, at_its_turn, carries_on
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.switching import worth
from hroute.wire import anthropic
from tests.gateway.house import ANSWERS, JSON, House, Notary, before_sandbox, house, message, policy_of

MORE = """
guarantees:
  - {{name: stays_home, when: {{contains_pii: true}}, only: {{local: true}}}}
intents: {{hard: {{any_of: [tricky]}}}}
""".format()
RULES = """
providers:
  claude: {{plugin: anthropic, model: claude-x, base_url: "{url}/claude", api_key: env:KEY, retry: {{attempts: 1}}}}
  cheap: {{plugin: anthropic, model: cheap-x, base_url: "{url}/cheap", api_key: env:KEY, retry: {{attempts: 1}}}}
  llama: {{plugin: ollama, model: llama-x, base_url: "{url}/llama", local: true, retry: {{attempts: 1}}}}
routing_rules:
  - {{name: home, condition: {{contains_pii: true}}, route_to: llama, fallback: [cheap]}}
  - {{name: long_context, condition: {{context_tokens: ">50"}}, route_to: cheap, fallback: [claude]}}
default: {{route_to: claude, fallback: [cheap]}}
guarantees:
  - {{name: stays_home, when: {{contains_pii: true}}, only: {{local: true}}}}
{more}
"""
LONG = "word " * 300


def loop(result: str, first: str = "look at this", **more: Any) -> dict[str, Any]:
    turns = [
        {"role": "user", "content": first},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": result}]},
    ]
    return {**message(), "messages": turns, "tools": [{"name": "read", "input_schema": {"type": "object"}}], **more}


@pytest.fixture
def stage() -> Iterator[tuple[House, SandboxServer]]:
    with SandboxServer(keep_bodies=True) as sandbox, house(policy_of(sandbox.url, text=RULES)) as found:
        yield found, sandbox


def test_a_tool_loop_stays_where_it_began(stage: tuple[House, SandboxServer]) -> None:
    here, _ = stage
    named = {"x_claude_code_session_id": "s1"}
    assert here.post("/v1/messages", message("look at this"), **named).headers["x-hroute-routed-to"] == "claude"
    kept = here.post("/v1/messages", loop(LONG), **named)
    assert (kept.headers["x-hroute-routed-to"], kept.headers["x-hroute-rule"]) == ("claude", "default")


def test_a_loop_that_nobody_remembers_is_decided_by_its_own_turn(stage: tuple[House, SandboxServer]) -> None:
    here, _ = stage
    assert here.post("/v1/messages", loop(LONG)).headers["x-hroute-routed-to"] == "claude"
    asked = message()
    asked["messages"] = [*loop(LONG)["messages"], {"role": "user", "content": "now something else"}]
    assert here.post("/v1/messages", asked).headers["x-hroute-routed-to"] == "cheap"


def test_a_loop_that_a_fallback_took_over_stays_with_it(stage: tuple[House, SandboxServer]) -> None:
    from hroute.providers.sandbox.reading import read_faults

    here, sandbox = stage
    sandbox.play.add(read_faults([{"kind": "overloaded", "provider": "claude", "first": 1}]))
    named = {"x_claude_code_session_id": "s2"}
    assert here.post("/v1/messages", message("look at this"), **named).headers["x-hroute-provider"] == "cheap"
    assert here.post("/v1/messages", loop("short"), **named).headers["x-hroute-routed-to"] == "cheap"


def test_a_loop_that_becomes_tainted_moves_home(stage: tuple[House, SandboxServer]) -> None:
    here, sandbox = stage
    named = {"x_claude_code_session_id": "s3"}
    here.post("/v1/messages", message("look at this"), **named)
    moved = here.post("/v1/messages", loop("the card is 4111 1111 1111 1111"), **named)
    assert moved.headers["x-hroute-routed-to"] == "llama"
    stays = here.post("/v1/messages", loop("the card is gone"), **named)
    assert stays.headers["x-hroute-routed-to"] == "llama"
    assert {call["provider"] for call in sandbox.calls.as_json()[1:]} == {"llama"}


def test_subagents_and_housekeeping_of_a_session_are_conversations_of_their_own(
    stage: tuple[House, SandboxServer],
) -> None:
    here, _ = stage
    named = {"x_claude_code_session_id": "s4"}
    here.post("/v1/messages", message("look at this"), **named)
    other = message("another beginning")
    other["messages"][0]["content"] = [{"type": "document", "title": "d", "source": {"type": "text", "media_type": "text/plain", "data": LONG}}, {"type": "text", "text": "another beginning"}]  # fmt: skip
    assert here.post("/v1/messages", other, **named).headers["x-hroute-routed-to"] == "cheap"
    assert here.post("/v1/messages", loop(LONG), **named).headers["x-hroute-routed-to"] == "claude"


def test_what_carries_on() -> None:
    assert carries_on(anthropic.parse_request(loop("x")))
    assert not carries_on(anthropic.parse_request(message()))
    reminder = loop("x")
    reminder["messages"][-1]["content"].append({"type": "text", "text": "<system-reminder>be brief</system-reminder>"})
    assert carries_on(anthropic.parse_request(reminder))
    reminder["messages"][-1]["content"].append({"type": "text", "text": "and please stop"})
    assert not carries_on(anthropic.parse_request(reminder))
    assert at_its_turn(anthropic.parse_request(loop("x"))).messages[-1].text == "look at this"


PRICED = """
providers:
  claude: {{plugin: anthropic, model: claude-x, base_url: "{url}/claude", api_key: env:KEY, price: {{input: 3, output: 15, cache_read: 0.3, cache_write: 3.75}}}}
  cheap: {{plugin: anthropic, model: cheap-x, base_url: "{url}/cheap", api_key: env:KEY, price: {{input: 0.1, output: 0.5}}}}
routing_rules:
  - {{name: easy, condition: {{message: {{any_of: [thanks]}}}}, route_to: cheap, fallback: [claude]}}
default: {{route_to: claude}}
{more}
"""


@pytest.mark.parametrize(("cached", "stays"), [(40_000, True), (0, False)])
def test_a_cache_is_not_thrown_away_for_less_than_it_is_worth(cached: int, stays: bool) -> None:
    usage = {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": cached}
    answer = json.dumps({**json.loads(ANSWERS["/v1/messages"]), "usage": usage}).encode()
    with Notary((200, JSON, answer)) as notary, house(policy_of(notary.url, text=PRICED)) as here:
        named = {"x_claude_code_session_id": "s"}
        here.post("/v1/messages", message("explain this " * 2000), **named)
        second = message("explain this " * 2000)
        second["messages"] += [{"role": "assistant", "content": "done"}, {"role": "user", "content": "thanks"}]
        second_answer = here.post("/v1/messages", second, **named)
        assert second_answer.headers["x-hroute-routed-to"] == ("claude" if stays else "cheap")


def test_what_a_switch_is_worth() -> None:
    providers = policy_of("http://127.0.0.1:9", text=PRICED).providers
    saved, lost = worth(providers["claude"], providers["cheap"], 100_000)
    assert saved == (30_000 + 7_500 - 10_000 - 250) * 1000
    assert lost == (375_000 - 30_000) * 1000


SEALED = [
    {"role": "user", "content": "look at this"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "seal-of-claude"}, {"type": "text", "text": "Seen."}]},
    {"role": "user", "content": "go further"},
]  # fmt: skip


def test_a_seal_is_shown_to_nobody_but_its_maker() -> None:
    body = {**message("look at this"), "messages": SEALED}
    with SandboxServer(keep_bodies=True) as sandbox, house(policy_of(sandbox.url)) as here:
        named = {"x_claude_code_session_id": "s"}
        here.post("/v1/messages", message("look at this"), **named)
        here.post("/v1/messages", body, **named)
        assert "seal-of-claude" in json.dumps(sandbox.calls.as_json()[-1]["body"])
        for target in ("gpt", "llama"):
            here.post("/v1/messages", body, x_hroute_cost_center=target, **named)
            assert "seal-of-claude" not in json.dumps(sandbox.calls.as_json()[-1]["body"])
    with SandboxServer(keep_bodies=True) as sandbox, house(policy_of(sandbox.url, text=RULES)) as here:
        here.post("/v1/messages", message("look at this"), **named)
        here.post("/v1/messages", {**body, "model": "hroute/cheap"}, **named)
        last = sandbox.calls.as_json()[-1]
        assert last["provider"] == "cheap"
        assert "seal-of-claude" not in json.dumps(last["body"])
        assert "Seen." in json.dumps(last["body"])


def test_no_more_conversations_are_kept_than_allowed() -> None:
    with before_sandbox(more=MORE) as (here, _):
        here.gateway.loops = Loops(most=3)
        for n in range(10):
            here.post("/v1/messages", message(), x_hroute_session=f"s{n}")
        assert len(here.gateway.loops._known) == 3
