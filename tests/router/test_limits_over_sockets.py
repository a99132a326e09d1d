"""Limits and latency over real sockets, through the vendors' own SDKs: the headers of their answers, and a server that queues."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest

from hroute.errors import AllFailed
from hroute.providers.sandbox import server as sandbox
from hroute.providers.sandbox.script import Script
from hroute.router.client import AsyncClient, Client
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.clock import VirtualClock
from hroute.terms.outcome import Outcome

KEYS = {"ANTHROPIC_API_KEY": "sk-ant-test-0123456789", "OPENAI_API_KEY": "sk-test-0123456789"}
NOON: Final = 1_800_000_000
HEADERS = {
    "claude": {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": formatdate(NOON + 40, usegmt=True),
    },
    "gpt": {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "40s",
    },
}


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[sandbox.SandboxServer]:
    """The sandbox, whose answers to `claude` and `gpt` bear their vendor's headers: nothing is left for 40 seconds."""
    plain = sandbox._Handler._head
    monkeypatch.setattr(sandbox._Handler, "date_time_string", lambda self, *_: formatdate(NOON, usegmt=True))

    def head(self: Any, status: int, media: str, **more: Any) -> None:
        told = HEADERS.get(self.path.split("/")[1], {})
        plain(self, status, media, **{**more, "more": {**told, **(more.get("more") or {})}})

    monkeypatch.setattr(sandbox._Handler, "_head", head)
    with sandbox.SandboxServer() as made:
        yield made


def loaded(text: str) -> Policy:
    policy, findings = load_text(text)[:2]
    assert policy is not None, findings
    return policy


def served(vendors: sandbox.SandboxServer, first: str) -> Policy:
    return loaded(f"""
version: 1
providers:
  claude: {{plugin: anthropic, model: claude-sonnet-4-5, base_url: "{vendors.url}/claude", api_key: env:ANTHROPIC_API_KEY}}
  gpt: {{plugin: openai, model: gpt-4o, base_url: "{vendors.url}/gpt/v1", api_key: env:OPENAI_API_KEY}}
  home: {{plugin: ollama, model: "llama3.1:8b", local: true, base_url: "{vendors.url}/home"}}
default: {{route_to: {first}, fallback: home}}
""")


@pytest.mark.parametrize("first", ["claude", "gpt"])
@pytest.mark.parametrize("how", ["whole", "stream", "failure", "async whole", "async stream"])
def test_what_a_vendors_headers_say_is_heeded_by_the_next_request(
    vendors: sandbox.SandboxServer, first: str, how: str
) -> None:
    clock = VirtualClock()
    if how == "failure":
        vendors.play.script = Script.from_data(
            {"faults": [{"kind": "rate_limit", "retry_after": "1s", "provider": first}]}
        )
        vendors.play.reset()
    with Client.from_policy(policy=served(vendors, first), environ=KEYS, clock=clock) as client:
        if how.startswith("async"):
            asyncio.run(asked(AsyncClient(client.engine), how))
        elif how == "stream":
            stream = client.stream("hi")
            assert "".join(stream.text())
            assert stream.answer.actual_provider == first
        else:
            answer = client.complete("hi")
            assert answer.attempts[0].provider == first
        vendors.play.script = Script.from_data({})
        vendors.play.reset()
        clock.advance(30)
        moved = client.complete("hi")
        assert moved.actual_provider == "home"
        assert "its vendor's limit on requests is reached" in moved.skipped[0].detail
        clock.advance(11)
        assert client.complete("hi").actual_provider == first


async def asked(client: AsyncClient, how: str) -> None:
    if how == "async stream":
        stream = client.stream("hi")
        assert "".join([word async for word in stream.text()])
    else:
        await client.complete("hi")
    await client.aclose()


class Queueing(BaseHTTPRequestHandler):
    """Ollama on one graphics card: one request at a time, whoever waits. `server.seconds` is what one takes."""

    protocol_version = "HTTP/1.1"
    turn = threading.Lock()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        with self.turn:
            time.sleep(self.server.seconds)  # type: ignore[attr-defined]
        message = {"role": "assistant", "content": "hello"}
        body = json.dumps({"model": "m", "message": message, "done": True, "done_reason": "stop", "eval_count": 1})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def card() -> Iterator[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128
        seconds = 0.02

    with Server(("127.0.0.1", 0), Queueing) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


def test_the_latency_spike_of_the_article_over_real_sockets(card: Any, vendors: sandbox.SandboxServer) -> None:
    """A spike makes a queue, the queue opens the p95 breaker, traffic moves, private requests stay, and it comes back."""
    of = loaded(f"""
version: 1
providers:
  home:
    plugin: ollama
    model: "llama3.1:8b"
    local: true
    base_url: "http://127.0.0.1:{card.server_port}"
    breaker: {{latency: {{p95: 300ms, samples: 10, within: 60s, open_for: 1s}}}}
  cloud: {{plugin: openai, model: gpt-4o, base_url: "{vendors.url}/cloud/v1", api_key: env:OPENAI_API_KEY}}
default: {{route_to: home, fallback: cloud}}
guarantees: [{{name: stays, when: {{contains_pii: true}}, only: {{local: true}}}}]
""")

    async def spike() -> None:
        async with AsyncClient.from_policy(policy=of, environ=KEYS) as client:

            async def served_by(**given: Any) -> str:
                return (await client.complete("hi", **given)).actual_provider

            async def all_at_once(number: int, **given: Any) -> set[str]:
                return set(await asyncio.gather(*(served_by(**given) for _ in range(number))))

            home = client.engine.health.of(of.providers["home"])
            assert home.latency is not None
            assert [await served_by() for _ in range(5)] == ["home"] * 5
            assert await all_at_once(40) == {"home"}, "they came before anybody could know"
            assert home.latency.state == "open"
            assert await all_at_once(5) == {"cloud"}
            assert await all_at_once(5, contains_pii=True) == {"home"}
            assert home.breaker.state == "closed", "slowness was taken for an error"
            while home.latency.state == "open":
                await asyncio.sleep(0.05)
            assert await served_by() == "home"
            assert home.latency.state == "closed"
            assert await all_at_once(3) == {"home"}

    asyncio.run(spike())


def test_one_slot_on_this_side_keeps_the_queue_off_the_server(card: Any) -> None:
    of = loaded(f"""
version: 1
providers:
  home: {{plugin: ollama, model: m, local: true, base_url: "http://127.0.0.1:{card.server_port}", limits: {{concurrency: 1}}}}
default: {{route_to: home, deadline: 30s}}
""")

    async def many() -> list[Any]:
        async with AsyncClient.from_policy(policy=of, environ={}) as client:
            await client.complete("the SDK is imported now")
            return await asyncio.gather(*(client.complete(f"hi {n}") for n in range(20)))

    answers = asyncio.run(many())
    waited = [answer.attempts[0].waited_ms for answer in answers]
    assert waited == sorted(waited), "not first come, first served"
    assert waited[-1] > max(answer.attempts[0].latency_ms for answer in answers), "the server had to queue them"


def test_a_server_that_is_gone_opens_the_breaker_of_a_lone_provider() -> None:
    of = loaded("""
version: 1
providers: {home: {plugin: ollama, model: m, local: true, base_url: "http://127.0.0.1:1", breaker: {failures: 2}}}
default: {route_to: home}
""")
    with Client.from_policy(policy=of, environ={}, clock=VirtualClock()) as client:
        with pytest.raises(AllFailed) as first:
            client.complete("hi")
        with pytest.raises(AllFailed) as second:
            client.complete("hi")
    assert [a.outcome for a in first.value.attempts] == [Outcome.TRANSPORT] * 2
    assert second.value.attempts == ()
    assert "errors breaker is open" in second.value.skipped[0].detail
