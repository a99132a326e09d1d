"""The article's second breakage: 3,500 tokens of context at a server whose default is 2,048, and "a response about nothing"."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest

from hroute.errors import RequestError
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.client import Answer, AsyncClient, Client
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.clock import VirtualClock
from hroute.terms.message import Message, Request, Text
from hroute.terms.outcome import Reason

POLICY = """
version: 1
providers:
  ollama: {{plugin: ollama, model: "llama3.1:8b", base_url: "{url}/ollama", local: true, context_window: {window}}}
  claude_sonnet: {{plugin: anthropic, model: claude-sonnet-5-5, base_url: "{url}/claude_sonnet", api_key: env:KEY}}
routing_rules:
  - {{name: private, condition: {{contains_pii: true}}, route_to: ollama, fallback: null}}
  - {{name: documents, condition: {{task_type: qa}}, route_to: ollama, fallback: claude_sonnet}}
default: {{route_to: claude_sonnet}}
guarantees:
  - {{name: home, when: {{contains_pii: true}}, only: {{local: true}}}}
"""
NEEDLE: Final = "The kitchen closes at a quarter past nine."
FILLING: Final = "Every table has a number, and every order has a table. "
KNOWS: Final = "At a quarter past nine."


def asked(words: int) -> Request:
    """A question whose answer stands at the very beginning of `words` words of retrieved text."""
    text = f"{NEEDLE} " + FILLING * (words // len(FILLING.split()))
    return Request((Message("user", (Text("When does the kitchen close?"),)),), files=(("handbook.txt", text),))


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(keep_bodies=True) as made:
        faults = [{"kind": "context", "tokens": 2048, "provider": "ollama"}]
        answers = [{"prompt": {"any_of": ["quarter past nine"]}, "text": KNOWS}]
        made.play.script = Script.from_data({"faults": faults, "answers": answers})
        made.play.reset()
        yield made


def served(server: SandboxServer, window: int = 32768) -> Policy:
    policy, findings, _ = load_text(POLICY.format(url=server.url, window=window), "documents.yaml")
    assert policy is not None, [f.message for f in findings]
    return policy


def client(server: SandboxServer, window: int = 32768) -> Client:
    return Client.from_policy(policy=served(server, window), environ={"KEY": "k"}, clock=VirtualClock())


def bodies(server: SandboxServer) -> list[dict[str, Any]]:
    return [row["body"] for row in server.calls.as_json()]


def test_the_breakage_is_real_a_call_without_num_ctx_is_answered_from_a_part(server: SandboxServer) -> None:
    import ollama

    prompt = f"{NEEDLE} {FILLING * 320}When does the kitchen close?"
    told = ollama.Client(host=f"{server.url}/ollama").chat(
        model="llama3.1:8b", messages=[{"role": "user", "content": prompt}]
    )
    assert KNOWS not in (told.message.content or "")


def test_3500_tokens_of_context_at_a_default_of_2048_are_read_from_the_first_word_on(server: SandboxServer) -> None:
    with client(server) as made:
        made.complete("hello", task_type="qa")  # the model is loaded, with a window for a short prompt
        answer = made.complete(asked(3500), task_type="qa")
    assert (answer.text, answer.actual_provider) == (KNOWS, "ollama")
    assert answer.usage.input >= 3500
    short, long = (body["options"]["num_ctx"] for body in bodies(server))
    assert long > short
    assert long >= 3500 + 500, "with headroom above what is really there"
    assert all(body["truncate"] is False for body in bodies(server))


def test_so_it_is_streamed_and_asynchronously(server: SandboxServer) -> None:
    async def main() -> Answer:
        made = AsyncClient.from_policy(policy=served(server), environ={"KEY": "k"})
        async with made, made.stream(asked(3500), task_type="qa") as stream:
            async for _ in stream:
                pass
            return stream.answer

    assert asyncio.run(main()).text == KNOWS
    with client(server) as made:
        stream = made.stream(asked(3500), task_type="qa")
        assert "".join(stream.text()) == KNOWS
    assert all(body["options"]["num_ctx"] >= 4000 for body in bodies(server))


def test_what_does_not_fit_goes_to_who_can_hold_it_and_is_not_cut(server: SandboxServer) -> None:
    with client(server, window=4096) as made:
        answer = made.complete(asked(9000), task_type="qa")
    assert (answer.text, answer.actual_provider, answer.escalation) == (KNOWS, "claude_sonnet", Reason.CAPABILITY)
    assert [row["provider"] for row in server.calls.as_json()] == ["claude_sonnet"]


def test_what_does_not_fit_and_may_not_leave_is_refused_and_not_cut(server: SandboxServer) -> None:
    with client(server, window=4096) as made, pytest.raises(RequestError):
        made.complete(asked(9000), contains_pii=True)
    assert server.calls.as_json() == []


def test_a_window_that_only_the_server_knows_is_kept_to_as_well(server: SandboxServer) -> None:
    """The policy believes in more than the model was trained with: the sandbox says 32,768."""
    with client(server, window=200_000) as made:
        answer = made.complete(asked(40_000), task_type="qa")
    assert (answer.text, answer.actual_provider) == (KNOWS, "claude_sonnet")
