"""Upstreams that speak nonsense, over real sockets: before the first word somebody else answers, after it the error is
well-formed in the client's dialect, whatever the upstream's was."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hroute.providers.sandbox.server import SandboxServer
from hroute.terms.message import Event, TextDelta, ThinkingDelta, ToolUseDelta
from hroute.wire.grammar import violations
from tests.gateway.house import BODIES, CHATS, DIALECTS, House, house, policy_of
from tests.wire.messages import STREAMS

TEXT = """
providers:
  anthropic: {{plugin: anthropic, model: m, base_url: "{url}", api_key: env:KEY, retry: {{attempts: 1}}, timeout: {timeout}}}
  openai_chat: {{plugin: openai, model: m, base_url: "{url}", api_key: env:KEY, retry: {{attempts: 1}}, timeout: {timeout}}}
  openai_responses: {{plugin: openai, model: m, base_url: "{url}", api_key: env:KEY, options: {{responses: true, completions: true}}, retry: {{attempts: 1}}, timeout: {timeout}}}
  ollama: {{plugin: ollama, model: m, base_url: "{url}", local: true, retry: {{attempts: 1}}, timeout: {timeout}}}
  fine: {{plugin: anthropic, model: fine-x, base_url: "SANDBOX", api_key: env:KEY}}
routing_rules:
  - {{name: a, condition: {{cost_center: anthropic}}, route_to: anthropic, fallback: fine}}
  - {{name: b, condition: {{cost_center: openai_chat}}, route_to: openai_chat, fallback: fine}}
  - {{name: c, condition: {{cost_center: openai_responses}}, route_to: openai_responses, fallback: fine}}
  - {{name: d, condition: {{cost_center: ollama}}, route_to: ollama, fallback: fine}}
default: {{route_to: fine}}
{more}
"""
UPSTREAMS = ("anthropic", "openai_chat", "openai_responses", "ollama")
SHOWN = b'{"details": {}, "model_info": {}, "capabilities": ["completion", "tools"]}'


class Nonsense:
    """Answers every request with the same bytes and hangs up; what Ollama is asked about its model is answered well."""

    def __init__(self) -> None:
        self.answer = self.later = b""
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65536)
                start, _, body = head.partition(b"\r\n\r\n")
                length = next((int(line[15:]) for line in start.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)  # fmt: skip
                while len(body) < length:
                    body += connection.recv(65536)
                shown = b"/api/show" in start.partition(b"\r\n")[0]
                self.asked += not shown
                connection.sendall(whole(SHOWN) if shown else self.answer)
                if self.later and not shown:
                    time.sleep(0.1)  # so that what came before is on its way
                    connection.sendall(self.later)


def whole(body: bytes, media: str = "application/json", more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {media}\r\n{more}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body  # fmt: skip


def streamed(body: bytes, upstream: str) -> bytes:
    media = "application/x-ndjson" if upstream == "ollama" else "text/event-stream"
    return f"HTTP/1.1 200 OK\r\ncontent-type: {media}\r\nconnection: close\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[House, Nonsense]]:
    nonsense = Nonsense()
    with SandboxServer() as sandbox, house(policy_of(nonsense.url, text=TEXT.replace("SANDBOX", sandbox.url))) as here:
        here.gateway.engine.health.refuses = lambda provider: None  # type: ignore[method-assign]  # breakers stay out of it
        here.gateway.engine.health.enter = lambda provider: None  # type: ignore[method-assign]
        yield here, nonsense
    nonsense.close()


SILENT = {
    "nothing at all": b"",
    "no HTTP": b"hello, who is there?\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-ty",
    "a page": whole(b"<html><body>Please log in</body></html>", "text/html"),
    "no JSON": whole(b'{"content": [{"ty'),
    "another JSON": whole(b"[1, 2, 3]"),
    "an empty object": whole(b"{}"),
    "an empty body": whole(b""),
    "a body that is cut": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{",
    "packed unasked": whole(gzip.compress(b"{}"), more="content-encoding: gzip\r\n"),
    "packed wrongly": whole(b"this is no gzip", more="content-encoding: gzip\r\n"),
    "a redirect": b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "an empty stream": streamed(b"", "anthropic"),
    "comments": streamed(b": keep-alive\n\n" * 5, "anthropic"),
    "frames of nonsense": streamed(b"data: {\n\ndata: ]\n\n", "anthropic"),
    "bytes": streamed(bytes(range(256)) * 20, "anthropic"),
    "an endless line": streamed(b"x" * 300_000, "anthropic"),
}


@pytest.mark.parametrize("name", SILENT)
@pytest.mark.parametrize("stream", [False, True])
def test_nonsense_before_the_first_word_is_answered_by_the_fallback(stage: tuple[House, Nonsense], name: str, stream: bool) -> None:  # fmt: skip
    here, nonsense = stage
    nonsense.answer = SILENT[name]
    for path in BODIES:
        for upstream in UPSTREAMS:
            before = nonsense.asked
            answer = here.post(path, BODIES[path](stream=stream), x_hroute_cost_center=upstream)
            assert nonsense.asked == before + 1
            assert (answer.status_code, answer.headers["x-hroute-model"]) == (200, "fine-x"), (path, upstream, answer.text)  # fmt: skip
            if stream:
                assert violations(DIALECTS[path], answer.content) == []


BEGUN: list[Event] = [ThinkingDelta("hm"), TextDelta("one two "), ToolUseDelta(0, "call_1", "f", '{"a": ')]
BREAKS = {
    "no JSON": b"data: {\n\n",
    "no event": b"data: [1]\n\n",
    "bytes": b"\xff\xfe\x00\n\n",
    "a page": b"<html>502 Bad Gateway</html>\n\n",
    "an error": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy","code":"busy"}}\n\n',
    "half a frame": b'data: {"typ',
    "nothing": b"",
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_nonsense_after_the_first_word_ends_in_an_error_of_the_dialect(stage: tuple[House, Nonsense], upstream: str, name: str) -> None:  # fmt: skip
    if (upstream, name) == ("openai_responses", "an error"):
        pytest.skip("an error of its own dialect is passed on as it came")
    here, nonsense = stage
    writer = STREAMS[upstream].Writer("m")
    begun = b"".join(writer.write(event) for event in BEGUN)
    broken = BREAKS[name].replace(b"\n\n", b"\n").removeprefix(b"event: error\n").removeprefix(b"data: ") if upstream == "ollama" else BREAKS[name]  # fmt: skip
    nonsense.answer, nonsense.later = streamed(begun, upstream), broken
    try:
        for path in CHATS if upstream != "openai_responses" else ("/v1/responses",):
            answer = told(here, path, upstream)
            assert answer.status_code == 200
            assert violations(DIALECTS[path], answer.content) == [], (path, answer.text)
            assert b"error" in answer.content
            assert b"one two" in answer.content
            assert b"fine-x" not in answer.content  # never continued by another
    finally:
        nonsense.later = b""


def told(here: House, path: str, upstream: str) -> httpx.Response:
    """An answer that had begun; what breaks in the same moment in which it begins, the fallback answers."""
    for _ in range(10):
        answer = here.post(path, BODIES[path](stream=True), x_hroute_cost_center=upstream)
        if answer.headers["x-hroute-model"] == "m":
            return answer
        assert violations(DIALECTS[path], answer.content) == []
        assert b"one two" not in answer.content
    raise AssertionError("no answer ever began")


def test_a_packed_answer_that_is_well_is_read(stage: tuple[House, Nonsense]) -> None:
    here, nonsense = stage
    said: dict[str, Any] = {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "packed"}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    nonsense.answer = whole(gzip.compress(json.dumps(said).encode()), more="content-encoding: gzip\r\n")
    answer = here.post("/v1/messages", BODIES["/v1/messages"](), x_hroute_cost_center="anthropic")
    assert answer.status_code == 200
    if answer.headers["x-hroute-model"] == "m":
        assert answer.json()["content"][0]["text"] == "packed"
