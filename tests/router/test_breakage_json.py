"""The article's first breakage: a local model that wraps, or loses, the JSON it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.client import AsyncClient, Client
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.clock import VirtualClock
from hroute.terms.outcome import Outcome, Reason

POLICY = """
version: 1
providers:
  ollama: {{plugin: ollama, model: "llama3.1:8b", base_url: "{url}/ollama", local: true}}
  claude_sonnet: {{plugin: anthropic, model: claude-sonnet-5-5, base_url: "{url}/claude_sonnet", api_key: env:KEY}}
routing_rules:
  - name: classify
    condition: {{task_type: classification}}
    route_to: ollama
    fallback: claude_sonnet
    validate: {{attempts: 2, format: json, schema: {{type: object, required: [intent], properties: {{intent: {{enum: [order, question]}}}}}}}}
default: {{route_to: claude_sonnet}}
"""
GOOD = '{"intent": "order"}'
WRAPPED = [
    '```json\n{"intent": "order"}\n```',
    '```\n{"intent": "order"}\n```',
    'Sure! Here is the JSON you asked for:\n\n```json\n{\n  "intent": "order"\n}\n```\nLet me know if you need anything else.',
    'Based on the message, the classification is {"intent": "order"} since a coffee is ordered.',
    "{'intent': 'order',}",
    '{"intent": "order", "reason": "one\ncoffee"}',
]
SPOILED = [
    "I would say that this is an order.",
    '{"intent": "ord',
    '{"intent": "praise"}',
    "",
    "I cannot classify this.",
]


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as made:
        yield made


def served(server: SandboxServer) -> Policy:
    policy, findings, _ = load_text(POLICY.format(url=server.url), "classify.yaml")
    assert policy is not None, [f.message for f in findings]
    return policy


def play(server: SandboxServer, *faults: dict[str, Any], **texts: list[str]) -> None:
    answers = [{"provider": name, "texts": said} for name, said in texts.items()]
    server.play.script = Script.from_data({"faults": list(faults), "answers": answers})
    server.play.reset()
    server.calls.clear()


def called(server: SandboxServer) -> list[str]:
    return [row["provider"] for row in server.calls.as_json()]


@pytest.mark.parametrize("text", WRAPPED)
def test_json_in_whatever_wrapping_of_the_local_model_is_parsed_and_nobody_else_is_asked(
    server: SandboxServer, text: str
) -> None:
    play(server, ollama=[text])
    with Client.from_policy(policy=served(server), environ={"KEY": "sk-test"}) as client:
        answer = client.complete("One flat white, please", task_type="classification")
    assert called(server) == ["ollama"]
    assert answer.json["intent"] == "order"
    assert answer.escalation is None
    assert "`" not in answer.text


@pytest.mark.parametrize("text", SPOILED)
def test_after_two_spoiled_replies_there_is_one_cloud_call_and_no_third_local_one(
    server: SandboxServer, text: str
) -> None:
    faults = [{"kind": "empty", "provider": "ollama"}] if not text else []
    play(server, *faults, ollama=[text or "x"], claude_sonnet=[GOOD])
    with Client.from_policy(policy=served(server), environ={"KEY": "sk-test"}, clock=VirtualClock()) as client:
        answer = client.complete("One flat white, please", task_type="classification")
    assert called(server) == ["ollama", "ollama", "claude_sonnet"]
    assert answer.json == {"intent": "order"}
    assert (answer.routed_to, answer.actual_provider) == ("ollama", "claude_sonnet")
    assert answer.escalation is Reason.BAD_CONTENT
    assert [a.outcome for a in answer.attempts] == [Outcome.BAD_CONTENT, Outcome.BAD_CONTENT, Outcome.OK]


def test_one_spoiled_reply_is_asked_for_once_more_locally(server: SandboxServer) -> None:
    play(server, ollama=["no JSON", GOOD])
    with Client.from_policy(policy=served(server), environ={"KEY": "sk-test"}) as client:
        answer = client.complete("One flat white, please", task_type="classification")
    assert called(server) == ["ollama", "ollama"]
    assert answer.json == {"intent": "order"}


def test_the_same_holds_on_an_event_loop(server: SandboxServer) -> None:
    play(server, ollama=["no JSON"], claude_sonnet=[GOOD])

    async def main() -> None:
        async with AsyncClient.from_policy(policy=served(server), environ={"KEY": "sk-test"}) as client:
            answer = await client.complete("One flat white, please", task_type="classification")
            assert answer.json == {"intent": "order"}

    asyncio.run(main())
    assert called(server) == ["ollama", "ollama", "claude_sonnet"]


def test_fenced_json_is_parsed_also_where_the_sandbox_writes_the_fence(server: SandboxServer) -> None:
    play(server, {"kind": "fenced_json", "provider": "ollama"}, ollama=[GOOD])
    with Client.from_policy(policy=served(server), environ={"KEY": "sk-test"}) as client:
        answer = client.complete("One flat white, please", task_type="classification")
    assert called(server) == ["ollama"]
    assert answer.text == GOOD
