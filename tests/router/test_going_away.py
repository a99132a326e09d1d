"""Whoever asked and went away hangs up on the vendor at once: nobody pays for words that nobody reads."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest

from hroute.router.client import AsyncClient, Client
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.message import TextDelta
from hroute.terms.outcome import Outcome

FIRST_WORDS: Final = {
    "anthropic": (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant",'
        b'"model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one "}}\n\n'
    ),
    "openai": (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":"one "},"finish_reason":null}]}\n\n'
    ),
    "ollama": b'{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"one "},"done":false}\n',
}  # fmt: skip

MEDIA: Final = {"anthropic": b"text/event-stream", "openai": b"text/event-stream", "ollama": b"application/x-ndjson"}
vendors = pytest.mark.parametrize("vendor", FIRST_WORDS)


class Drip:
    """A vendor that says its first words (or nothing) and then waits, until its caller hangs up: `left` is set then."""

    def __init__(self, vendor: str, *, silent: bool = False) -> None:
        self.vendor = vendor
        self.silent = silent
        self.asked = threading.Event()
        self.left = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def policy(self) -> Policy:
        path = "/v1" if self.vendor == "openai" else ""
        url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{path}"
        text = f"providers:\n  p: {{plugin: {self.vendor}, model: m, base_url: '{url}', api_key: env:KEY}}\n"
        policy, findings, _ = load_text(f"{text}routing_rules: []\ndefault: {{route_to: p, fallback: null}}\n")
        assert policy is not None, findings
        return policy

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        """Whoever is asked what a model is may be asked for an answer on the same connection or on another."""
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._play, args=(made,), daemon=True).start()

    def _play(self, made: socket.socket) -> None:
        with made:
            while (path := read_request(made)) == b"/api/show":
                made.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            if not path:
                return
            if not self.silent:
                words = FIRST_WORDS[self.vendor]
                head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n" % MEDIA[self.vendor]
                made.sendall(head + b"%x\r\n%s\r\n" % (len(words), words))
            self.asked.set()
            try:
                while made.recv(4096):
                    pass
            except OSError:
                pass
            self.left.set()


def read_request(made: socket.socket) -> bytes:
    """The path of the next request, which has been read whole; nothing where there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := made.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += made.recv(65536)
    return head.split(b" ")[1]


def within_a_second(left: threading.Event) -> bool:
    """Whether the caller has hung up within a second in which this process could run: where the machine lets it wait, each
    of these looks comes later, and where it does not, they take a second together."""
    return any(left.wait(0.01) for _ in range(95))


@pytest.fixture
def drips() -> Iterator[Any]:
    made: list[Drip] = []

    def make(vendor: str, **more: Any) -> Drip:
        made.append(Drip(vendor, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def outcomes(stream: Any) -> list[Outcome]:
    return [attempt.outcome for attempt in stream._run.log.attempts]


@vendors
def test_a_stream_that_is_closed_hangs_up(vendor: str, drips: Any) -> None:
    drip = drips(vendor)
    with Client.from_policy(policy=drip.policy, environ={"KEY": "k"}) as client:
        stream = client.stream("hello")
        assert next(stream) == TextDelta("one ")
        stream.close()
        assert within_a_second(drip.left)
        assert outcomes(stream) == [Outcome.CANCELLED]


@vendors
def test_a_stream_that_is_dropped_hangs_up(vendor: str, drips: Any) -> None:
    drip = drips(vendor)
    with Client.from_policy(policy=drip.policy, environ={"KEY": "k"}) as client:
        for _ in client.stream("hello"):
            break
        assert within_a_second(drip.left)


@vendors
def test_an_asynchronous_stream_that_is_closed_hangs_up(vendor: str, drips: Any) -> None:
    drip = drips(vendor)

    async def main() -> None:
        async with AsyncClient.from_policy(policy=drip.policy, environ={"KEY": "k"}) as client:
            stream = client.stream("hello")
            assert await anext(stream) == TextDelta("one ")
            await stream.aclose()
            assert await asyncio.to_thread(within_a_second, drip.left)
            assert outcomes(stream) == [Outcome.CANCELLED]

    asyncio.run(main())


@vendors
def test_an_asynchronous_stream_that_is_dropped_hangs_up(vendor: str, drips: Any) -> None:
    drip = drips(vendor)

    async def main() -> None:
        async with AsyncClient.from_policy(policy=drip.policy, environ={"KEY": "k"}) as client:
            async for _ in client.stream("hello"):
                break
            assert await asyncio.to_thread(within_a_second, drip.left)

    asyncio.run(main())


@vendors
@pytest.mark.parametrize("silent", [True, False], ids=["before the first word", "in mid-stream"])
def test_a_task_that_is_cancelled_hangs_up(vendor: str, silent: bool, drips: Any) -> None:
    drip = drips(vendor, silent=silent)

    async def main() -> None:
        async with AsyncClient.from_policy(policy=drip.policy, environ={"KEY": "k"}) as client:
            stream = client.stream("hello")

            async def read() -> None:
                async for _ in stream:
                    pass

            task = asyncio.create_task(read())
            assert await asyncio.to_thread(drip.asked.wait, 10)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(within_a_second, drip.left)
            assert outcomes(stream) == [Outcome.CANCELLED]

    asyncio.run(main())


@vendors
def test_a_whole_answer_that_nobody_waits_for_any_more_is_hung_up_on(vendor: str, drips: Any) -> None:
    drip = drips(vendor, silent=True)

    async def main() -> None:
        async with AsyncClient.from_policy(policy=drip.policy, environ={"KEY": "k"}) as client:
            task = asyncio.create_task(client.complete("hello"))
            assert await asyncio.to_thread(drip.asked.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(within_a_second, drip.left)

    asyncio.run(main())
