"""A stream that is cut after any of its frames, or inside one, through the vendors' own SDKs over real sockets.

Before the first word another provider answers and nobody notices; after it nothing is spliced, and the caller is told.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import pytest

from hroute.errors import AllFailed
from hroute.router.client import AsyncClient, Client
from hroute.router.stream import says_something
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.message import (
    Done,
    Event,
    Message,
    Reply,
    Request,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolUse,
    ToolUseDelta,
)
from hroute.terms.usage import Usage
from hroute.wire import anthropic_stream, ollama, openai_chat_stream

REPLY: Final = Reply(
    (Thinking("Let me see."), Text("It is open."), ToolUse("t1", "look", {"at": "door"})),
    "m",
    StopReason.TOOL_USE,
    Usage(5, 9),
)
EVENTS: Final[tuple[Event, ...]] = (
    ThinkingDelta("Let me "),
    ThinkingDelta("see."),
    TextDelta("It is"),
    TextDelta(" open."),
    ToolUseDelta(0, "t1", "look", '{"at":'),
    ToolUseDelta(0, json=' "door"}'),
    Done(REPLY),
)
SPOKEN: Final[tuple[Event, ...]] = (TextDelta("It is"), TextDelta(" open."), Done(Reply((Text("It is open."),), "m")))

DIALECTS: Final[dict[str, tuple[str, Callable[[str], Any], Callable[[], Any], re.Pattern[bytes]]]] = {
    "anthropic": ("", anthropic_stream.Writer, anthropic_stream.Reader, re.compile(rb".*?\n\n", re.DOTALL)),
    "openai": ("/v1", openai_chat_stream.Writer, openai_chat_stream.Reader, re.compile(rb".*?\n\n", re.DOTALL)),
    "ollama": ("", ollama.Writer, ollama.Reader, re.compile(rb".*?\n")),
}


def frames(vendor: str, events: tuple[Event, ...]) -> list[bytes]:
    writer = DIALECTS[vendor][1]("m")
    raw = b"".join(writer.write(event) for event in events)
    found = DIALECTS[vendor][3].findall(raw)
    assert b"".join(found) == raw
    return found


@dataclass
class Plays:
    """What the first provider sends before it breaks off, and whether the connection is closed in order."""

    vendor: str
    sends: bytes = b""
    clean: bool = True


@contextmanager
def served(plays: Plays) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == "/api/show":
                self.send_error(404)
                return
            first = asked["model"] == "first"
            self.send_response(200)
            self.send_header(
                "content-type", "application/x-ndjson" if plays.vendor == "ollama" else "text/event-stream"
            )
            self.send_header("transfer-encoding", "chunked")
            self.send_header("connection", "close")
            self.end_headers()
            sent = plays.sends if first else b"".join(frames(plays.vendor, (TextDelta("The second."), Done(SECOND))))
            if sent:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(sent), sent))
            if plays.clean or not first:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


SECOND: Final = Reply((Text("The second."),), "second")
ASKED: Final = Request((Message("user", (Text("Is it open?"),)),), tools=(Tool("look", "", {"type": "object"}),))


def policy(vendor: str, url: str) -> Policy:
    each = f"plugin: {vendor}, base_url: '{url}{DIALECTS[vendor][0]}', api_key: env:KEY, retry: {{attempts: 1}}, breaker: {{failures: 1000}}"
    made, findings, _ = load_text(
        f"providers:\n  first: {{{each}, model: first}}\n  second: {{{each}, model: second}}\n"
        "routing_rules:\n  - {name: a, condition: {}, route_to: first, fallback: second}\n"
    )
    assert made is not None, findings
    return made


def heard(stream: Any, events: list[Event]) -> tuple[list[Event], bool]:
    """The events, and whether the stream broke."""
    try:
        for event in stream:
            events.append(event)
    except AllFailed:
        return events, True
    return events, False


async def aheard(client: AsyncClient) -> tuple[list[Event], bool, Any]:
    stream, events = client.stream(ASKED), []
    try:
        async for event in stream:
            events.append(event)
    except AllFailed:
        return events, True, stream.answer
    return events, False, stream.answer


def judged(plays: Plays, events: list[Event], broke: bool, answer: Any, whole: str) -> str:
    """What came of one cut: `fell back`, `told` or `whole`; anything else is an error."""
    before = DIALECTS[plays.vendor][2]().feed(plays.sends)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    if not any(says_something(event) or isinstance(event, Done) for event in before):
        assert (text, broke, answer.actual_provider) == ("The second.", False, "second")
        assert [str(a.outcome) for a in answer.attempts][-1] == "ok"
        return "fell back"
    assert answer.actual_provider == "first"
    assert len(answer.attempts) == 1, "somebody else was asked after words of the first were out"
    assert whole.startswith(text)
    assert "second" not in text
    if broke:
        assert answer.reply.stop is StopReason.TRUNCATED
        return "told"
    assert text == whole
    assert isinstance(events[-1], Done)
    assert events[-1].reply.stop is not StopReason.TRUNCATED
    return "whole"


@pytest.mark.parametrize("spoken", [EVENTS, SPOKEN], ids=["thinking, text, tool", "text"])
@pytest.mark.parametrize("vendor", DIALECTS)
def test_a_stream_may_be_cut_anywhere(vendor: str, spoken: tuple[Event, ...]) -> None:
    parts = frames(vendor, spoken)
    places = [b"".join(parts[:at]) for at in range(len(parts) + 1)]
    places += [b"".join(parts[:at]) + parts[at][: len(parts[at]) // 2] for at in range(len(parts))]
    plays, seen = Plays(vendor), []
    with (
        served(plays) as url,
        Client.from_policy(policy=policy(vendor, url), environ={"KEY": "k" * 20}, ledger=False) as client,
    ):
        for plays.clean in (True, False):
            for plays.sends in places:
                stream = client.stream(ASKED)
                events, broke = heard(stream, [])
                seen.append(judged(plays, events, broke, stream.answer, "It is open."))

        async def main() -> list[str]:
            found = []
            async with AsyncClient.from_policy(
                policy=policy(vendor, url), environ={"KEY": "k" * 20}, ledger=False
            ) as other:
                for plays.clean in (True, False):
                    for plays.sends in places:
                        events, broke, answer = await aheard(other)
                        found.append(judged(plays, events, broke, answer, "It is open."))
            return found

        assert asyncio.run(main()) == seen, "both drivers make the same of each cut"
    assert {"fell back", "told", "whole"} == set(seen)
