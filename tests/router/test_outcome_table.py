"""What follows each outcome, row by row (DESIGN 7): the vendors' own SDKs over real sockets, sync and async, whole and
streamed. Only the waiting is not real: the ladder's clock is a virtual one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from hroute.errors import CallerFault, RequestError
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.client import Answer, AsyncClient, Client
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.clock import VirtualClock
from hroute.terms.message import Message, Request, Text, Tool
from hroute.terms.outcome import Outcome, Reason

JSON: Final = "validate: {attempts: 2, format: json}"
SCHEMA: Final = "validate: {attempts: 2, schema: {type: object, required: [city], properties: {city: {type: string}}}}"


@dataclass(frozen=True)
class Row:
    """The first provider meets `fault` (or gives `answer`) and is called `tries` times, each ending in `outcome`; then the
    second serves for `reason`, or nobody where it is None and the outcome is not ok. `waits` are the seconds between."""

    outcome: Outcome
    fault: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 1
    reason: Reason | None = None
    waits: tuple[float, ...] = ()
    rule: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)
    tools: bool = False

    def __str__(self) -> str:
        details = "-".join(f"{value}" for value in (*self.fault.values(), *self.answer.values()))
        return f"{self.outcome}-{details}"[:60] or str(self.outcome)


HALF: Final = (0.125,)
"""Half of the base: the chance of these tests is always 0.5."""

ROWS: Final = [
    Row(Outcome.OK),
    Row(Outcome.OK, {"kind": "fenced_json"}, rule=JSON),
    Row(Outcome.CALLER_FAULT, {"kind": "error", "status": 400}),
    Row(Outcome.CALLER_FAULT, {"kind": "error", "status": 422}),
    Row(Outcome.CAPABILITY, {"kind": "error", "status": 400}, reason=Reason.CAPABILITY, rule="params: {top_p: 0.5}"),
    Row(Outcome.CAPABILITY, {"kind": "too_long"}, reason=Reason.CAPABILITY),
    Row(Outcome.CAPABILITY, {"kind": "error", "status": 413}, reason=Reason.CAPABILITY),
    Row(Outcome.CAPABILITY, {"kind": "error", "status": 400, "text": "x does not support tools"}, reason=Reason.CAPABILITY),
    Row(Outcome.CREDENTIAL, {"kind": "error", "status": 401}, reason=Reason.CREDENTIAL),
    Row(Outcome.CREDENTIAL, {"kind": "error", "status": 402}, reason=Reason.CREDENTIAL),
    Row(Outcome.CREDENTIAL, {"kind": "error", "status": 403}, reason=Reason.CREDENTIAL),
    Row(Outcome.CREDENTIAL, {"kind": "error", "status": 404}, reason=Reason.CREDENTIAL),
    Row(Outcome.CREDENTIAL, {"kind": "error", "status": 410}, reason=Reason.CREDENTIAL),
    Row(Outcome.CAPACITY, {"kind": "rate_limit", "retry_after": 2}, tries=2, reason=Reason.CAPACITY, waits=(2.0,)),
    Row(Outcome.CAPACITY, {"kind": "error", "status": 429, "headers": {"retry-after-ms": "500"}}, tries=2, reason=Reason.CAPACITY, waits=(0.5,)),
    Row(Outcome.CAPACITY, {"kind": "rate_limit", "retry_after": 60}, reason=Reason.CAPACITY),
    Row(Outcome.CAPACITY, {"kind": "overloaded"}, tries=2, reason=Reason.CAPACITY, waits=HALF),
    Row(Outcome.SERVER, {"kind": "server_error"}, tries=2, reason=Reason.OUTAGE, waits=HALF),
    Row(Outcome.SERVER, {"kind": "unavailable"}, tries=2, reason=Reason.OUTAGE, waits=HALF),
    Row(Outcome.SERVER, {"kind": "error", "status": 307, "headers": {"location": "http://127.0.0.1:9"}}, tries=2, reason=Reason.OUTAGE, waits=HALF),
    Row(Outcome.TRANSPORT, {"kind": "down"}, tries=2, reason=Reason.OUTAGE, waits=HALF),
    Row(Outcome.TIMEOUT, {"kind": "slow", "for": 5}, tries=2, reason=Reason.SLOW, waits=HALF),
    Row(Outcome.BAD_CONTENT, {"kind": "empty"}, tries=2, reason=Reason.BAD_CONTENT),
    Row(Outcome.BAD_CONTENT, {"kind": "broken_json"}, tries=2, reason=Reason.BAD_CONTENT, rule=JSON),
    Row(Outcome.BAD_CONTENT, answer={"text": "No JSON at all."}, tries=2, reason=Reason.BAD_CONTENT, rule=JSON),
    Row(Outcome.BAD_CONTENT, answer={"json": {"town": "Kyiv"}}, tries=2, reason=Reason.BAD_CONTENT, rule=SCHEMA),
    Row(Outcome.BAD_CONTENT, answer={"text": "maybe"}, tries=2, reason=Reason.BAD_CONTENT, rule="validate: {choices: ['yes', 'no']}"),
    Row(Outcome.BAD_CONTENT, answer={"text": "abc"}, tries=2, reason=Reason.BAD_CONTENT, rule="validate: {matches: '^[0-9]+$'}"),
    Row(Outcome.BAD_CONTENT, {"kind": "refusal"}, tries=2, reason=Reason.BAD_CONTENT, rule="validate: {not_refusal: true}"),
    Row(Outcome.BAD_CONTENT, answer={"tools": [{"name": "format_disk", "input": {}}]}, tries=2, reason=Reason.BAD_CONTENT, tools=True),
]  # fmt: skip

RIGHT: Final = {"city": "Kyiv"}
"""What the second provider answers: it passes every check but the two that ask for a word."""

SECOND: Final = {"choices": {"text": "yes"}, "matches": {"text": "42"}}

VENDORS: Final = {"anthropic": ("anthropic", ""), "openai": ("openai", "/v1"), "ollama": ("ollama", "")}


def policy_for(server: SandboxServer, vendor: str, rule: str) -> Policy:
    plugin, path = VENDORS[vendor]
    second = "openai" if vendor != "openai" else "anthropic"
    timeout = "timeout: {first_token: 300ms, total: 300ms}"
    text = f"""
providers:
  first: {{plugin: {plugin}, model: m, base_url: {server.url}/first{path}, api_key: env:KEY, {timeout}}}
  second: {{plugin: {second}, model: m, base_url: {server.url}/second{VENDORS[second][1]}, api_key: env:KEY}}
routing_rules:
  - {{name: it, condition: {{}}, route_to: first, fallback: second{", " + rule if rule else ""}}}
"""
    policy, findings, _ = load_text(text)
    assert policy is not None, findings
    return policy


def play(server: SandboxServer, row: Row) -> None:
    second = next((said for key, said in SECOND.items() if key in row.rule), {"json": RIGHT})
    answers = [{"provider": "second", **second}, {"provider": "first", **(row.answer or {"json": RIGHT})}]
    faults = [{"provider": "first", **row.fault}] if row.fault else []
    server.play.script = Script.from_data({"faults": faults, "answers": answers})
    server.play.reset()
    server.calls.clear()


def asked(row: Row) -> Request:
    tools = (Tool("get_weather", "", {"type": "object"}),) if row.tools else ()
    return Request((Message("user", (Text("Which city?"),)),), tools=tools)


def sync(policy: Policy, row: Row, streamed: bool, clock: VirtualClock) -> Answer:
    with Client.from_policy(policy=policy, environ={"KEY": "k"}, clock=clock, rng=lambda: 0.5) as client:
        if not streamed:
            return client.complete(asked(row))
        stream = client.stream(asked(row))
        list(stream)
        return stream.answer


def asynchronous(policy: Policy, row: Row, streamed: bool, clock: VirtualClock) -> Answer:
    async def main() -> Answer:
        made = AsyncClient.from_policy(policy=policy, environ={"KEY": "k"}, clock=clock, rng=lambda: 0.5)
        async with made as client:
            if not streamed:
                return await client.complete(asked(row))
            stream = client.stream(asked(row))
            async for _ in stream:
                pass
            return stream.answer

    return asyncio.run(main())


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_follows(row: Row, vendor: str) -> None:
    with SandboxServer() as server:
        policy = policy_for(server, vendor, row.rule)
        for way in (sync, asynchronous):
            for streamed in (False, True):
                play(server, row)
                clock = VirtualClock()
                try:
                    result: Answer | RequestError = way(policy, row, streamed, clock)
                except RequestError as error:
                    result = error
                where = f"{way.__name__}, {'streamed' if streamed else 'whole'}: {result!r}"
                made = [(a.provider, a.outcome) for a in result.attempts]
                moved_on = [("second", Outcome.OK)] if row.reason else []
                assert made == [("first", row.outcome)] * row.tries + moved_on, where
                assert [call["provider"] for call in server.calls.as_json()] == [name for name, _ in made], where
                assert tuple(clock.waits) == row.waits, where
                if row.outcome is Outcome.CALLER_FAULT and not row.reason:
                    assert isinstance(result, CallerFault), where
                else:
                    assert isinstance(result, Answer), where
                    assert result.escalation is row.reason, where
