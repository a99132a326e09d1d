"""The whole way with the vendors' own SDKs over real sockets: a policy, three vendors, and what fails on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hroute.errors import HrouteError, RequestError
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.client import AsyncClient, Client
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.clock import VirtualClock
from hroute.terms.message import TextDelta
from hroute.terms.outcome import Outcome, Reason
from tests.router.test_client import CARD, POLICY, loaded, providers

KEYS = {"ANTHROPIC_API_KEY": "sk-ant-test-0123456789", "OPENAI_API_KEY": "sk-test-0123456789"}


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(keep_bodies=True) as made:
        yield made


def served(server: SandboxServer) -> Policy:
    """The policy with each provider at the sandbox's own path for it; only ollama is local by claim."""
    text = POLICY.replace("plugin: ollama,", f"plugin: ollama, base_url: {server.url}/ollama,")
    text = text.replace("plugin: anthropic,", f"plugin: anthropic, base_url: {server.url}/claude_sonnet,")
    text = text.replace("plugin: openai,", f"plugin: openai, base_url: {server.url}/gpt4o/v1,")
    policy, findings = load_text(text)[:2]
    assert policy is not None, findings
    return policy


def play(server: SandboxServer, *faults: dict[str, Any], answers: Any = ()) -> None:
    server.play.script = Script.from_data({"faults": list(faults), "answers": list(answers)})
    server.play.reset()
    server.calls.clear()


def test_each_vendor_serves_through_its_own_sdk(server: SandboxServer) -> None:
    with Client.from_policy(policy=served(server), environ=KEYS) as client:
        assert client.complete("hello").actual_provider == "claude_sonnet"
        assert client.complete("hello", down=["claude_sonnet"]).actual_provider == "gpt4o"
        assert client.complete(CARD).actual_provider == "ollama"
    rows = server.calls.as_json()
    assert [row["dialect"] for row in rows] == ["anthropic", "openai_chat", "ollama"]
    assert [row["credentials"] for row in rows] == [["authorization"], ["authorization"], []]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("overloaded", Reason.CAPACITY), ("server_error", Reason.OUTAGE), ("unauthorized", Reason.CREDENTIAL), ("down", Reason.OUTAGE), ("empty", Reason.BAD_CONTENT), ("too_long", Reason.CAPABILITY)],
)  # fmt: skip
def test_an_outage_of_one_vendor_is_served_by_the_other(server: SandboxServer, fault: str, reason: Reason) -> None:
    play(server, {"kind": fault, "provider": "claude_sonnet"})
    clock = VirtualClock()
    with Client.from_policy(policy=served(server), environ=KEYS, clock=clock) as client:
        answer = client.complete("hello", task_type="code")
        assert answer.actual_provider == "gpt4o"
        assert answer.escalation is reason
        stream = client.stream("hello", task_type="code")
        assert "".join(stream.text())
        assert stream.answer.actual_provider == "gpt4o"


def test_tainted_text_reaches_no_other_address_whatever_fails(server: SandboxServer) -> None:
    for fault in ("down", "overloaded", "empty", "server_error", "cut", "unauthorized"):
        play(server, {"kind": fault, "provider": "ollama"})
        with (
            Client.from_policy(policy=served(server), environ=KEYS, clock=VirtualClock()) as client,
            pytest.raises(RequestError),
        ):
            client.complete(CARD)
        assert {row["provider"] for row in server.calls.as_json()} <= {"ollama"}


def test_the_asynchronous_client_streams_from_a_real_socket(server: SandboxServer) -> None:
    play(
        server, {"kind": "cut", "provider": "claude_sonnet", "at": 0.1}, answers=[{"text": "a b c d e f g h i j k l m"}]
    )

    async def main() -> None:
        async with AsyncClient.from_policy(policy=served(server), environ=KEYS) as client:
            answer = await client.complete("hello", tenant="x")
            assert answer.actual_provider in ("claude_sonnet", "gpt4o")
            play(server, answers=[{"text": "one two three four five six seven"}])
            stream = client.stream("hello")
            pieces = [event.text async for event in stream if isinstance(event, TextDelta)]
            assert "".join(pieces) == stream.answer.text
            assert len(pieces) > 1
            many = await asyncio.gather(*(client.complete(f"hello {n}") for n in range(20)))
            assert len({answer.id for answer in many}) == 20

    asyncio.run(main())


def test_a_caller_who_leaves_a_stream_hangs_up_on_the_vendor(server: SandboxServer) -> None:
    play(
        server,
        {"kind": "stall", "provider": "claude_sonnet", "for": 30, "at": 0.5},
        answers=[{"text": "one two three four five six"}],
    )
    with Client.from_policy(policy=served(server), environ=KEYS) as client:
        stream = client.stream("hello")
        next(stream)
        stream.close()
        assert [a.outcome for a in stream._run.log.attempts] == [Outcome.CANCELLED]
        pool = client.engine._plugins.of("anthropic")._clients  # type: ignore[attr-defined]
        (sdk,) = pool.values()
        assert [c for c in sdk._client._transport._pool.connections if not c.is_idle()] == []


FAULTS = ("overloaded", "rate_limit", "server_error", "down", "empty", "unauthorized", "too_long", "bad_request", "cut", "broken_json", "refusal")  # fmt: skip
NAMES = ("ollama", "claude_sonnet", "gpt4o")
faults = st.lists(
    st.builds(
        lambda kind, name, first: {"kind": kind, "provider": name, "first": first},
        st.sampled_from(FAULTS),
        st.sampled_from(NAMES),
        st.integers(1, 4),
    ),
    max_size=5,
)
texts = st.sampled_from([CARD, "Write python code", "hello", "IBAN DE89 3704 0044 0532 0130 00", "classify this: good"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    faults=faults,
    text=texts,
    task=st.sampled_from([None, "code", "classification"]),
    raised=st.booleans(),
    streamed=st.booleans(),
)
def test_no_failure_of_anybody_sends_tainted_text_away(
    faults: list[dict[str, Any]], text: str, task: str | None, raised: bool, streamed: bool
) -> None:
    leaky = POLICY.replace(
        "  - {name: private, condition: {contains_pii: true}, route_to: ollama, fallback: null}\n", ""
    )
    client = Client.from_policy(
        policy=loaded(leaky), sandbox=Script.from_data({"faults": faults}), environ={}, clock=VirtualClock()
    )
    tainted = raised or text in (CARD, "IBAN DE89 3704 0044 0532 0130 00")
    signals = {"task_type": task, "contains_pii": raised}
    try:
        if streamed:
            stream = client.stream(text, **signals)
            list(stream)
            tried = providers(stream.answer)
        else:
            tried = providers(client.complete(text, **signals))
    except HrouteError as error:
        tried = providers(error)
    if tainted:
        assert set(tried) <= {"ollama"}
    moved = [name for i, name in enumerate(tried) if i == 0 or tried[i - 1] != name]
    assert len(moved) == len(set(moved))
