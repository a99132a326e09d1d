"""Streams through the gateway, generated and cut anywhere: what goes out obeys its dialect's grammar and says the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hroute.gateway.doors import DOORS, Named
from hroute.gateway.exchange import _last_number
from hroute.gateway.passing import Frames, Passed, Told, events_of
from hroute.providers.protocol import ProviderError, Target
from hroute.providers.wires import Wire, wire_of
from hroute.router.attempts import Broken
from hroute.terms.message import Done, Event, Part, Reply, StopReason, TextDelta, Thinking, ToolUse
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage
from hroute.wire.grammar import violations
from hroute.wire.openai_responses_stream import Writer as ResponsesWriter
from tests.wire.messages import CODECS, STREAMS, odd_streams, streams

WIRES: dict[str, Wire] = {
    wire.dialect: wire
    for plugin, target, wanted in (
        ("anthropic", Target("", ""), "anthropic"),
        ("openai", Target("", "", "http://x"), "openai_chat"),
        ("openai", Target("", "", options={"responses": True}), "openai_responses"),
        ("openai", Target("", "", options={"completions": True}), "openai_completions"),
        ("ollama", Target("", ""), "ollama"),
    )
    if (wire := wire_of(plugin, target, wanted)) is not None  # type: ignore[arg-type]
}
upstreams = pytest.mark.parametrize("upstream", [name for name in WIRES if name != "openai_completions"])
"""The older completions are asked through their own door only, as they are."""


class Pieces:
    """What a RawReply gives: chunks, and perhaps a break at their end."""

    headers: Mapping[str, str] = {}
    status = 200

    def __init__(self, chunks: list[bytes], breaks: bool = False) -> None:
        self.chunks = list(chunks)
        self.breaks = breaks

    async def chunk(self) -> bytes:
        if self.chunks:
            return self.chunks.pop(0)
        if self.breaks:
            raise ProviderError(Failure(Outcome.TRANSPORT, "the connection broke off"))
        return b""

    async def rest(self) -> bytes:
        return b"".join(self.chunks)

    def said(self) -> None: ...

    def close(self) -> None: ...


def written(upstream: str, events: list[Event]) -> bytes:
    writer = STREAMS[upstream].Writer("model-1")
    return b"".join(writer.write(event) for event in events)


def cut(raw: bytes, seed: int) -> list[bytes]:
    """`raw` in pieces of any size, none of them empty."""
    rng = random.Random(seed)
    places = sorted({0, len(raw), *(rng.randrange(len(raw) + 1) for _ in range(rng.randrange(12)))})
    return [raw[a:b] for a, b in pairwise(places)]


def told(upstream: str, door: str, chunks: list[bytes], breaks: bool = False) -> tuple[bytes, Reply | Broken]:
    """What a client of `door` gets of a stream in another dialect, and how it ended."""
    wire, at = WIRES[upstream], DOORS[door]
    reader = wire.reader()
    writer = at.writer(Named("0", 1, "model-1"), {"stream_options": {"include_usage": True}})

    async def all_of_it() -> tuple[bytes, Reply | Broken]:
        def partial() -> Reply:
            last = reader.end()[-1:]
            return last[0].reply if last and isinstance(last[0], Done) else Reply((), "")

        stream = Told([], events_of(Pieces(chunks, breaks), wire, reader), partial)  # type: ignore[arg-type]
        out = b"".join([piece async for piece in stream.pieces(writer.write)])
        if isinstance(stream.reply, Broken):
            out += writer.fail(500, "", "broke off")
        return out, stream.reply

    return asyncio.run(all_of_it())


def passed(dialect: str, chunks: list[bytes], breaks: bool = False) -> tuple[bytes, Reply | Broken | None]:
    """What a client gets of a stream in its own dialect; None where it never began."""

    async def all_of_it() -> tuple[bytes, Reply | Broken | None]:
        stream = Passed(Pieces(chunks, breaks), WIRES[dialect])  # type: ignore[arg-type]
        try:
            whole = await stream.opened()
        except ProviderError:
            return b"", None
        if whole is not None:
            return b"", whole
        out = b"".join([piece async for piece in stream.pieces(lambda _: b"")])
        if isinstance(stream.reply, Broken) and not stream.told:
            writer = STREAMS[dialect].Writer("m")
            if dialect == "openai_responses":
                writer = ResponsesWriter("m", number=_last_number(stream.last))
            out += writer.fail(500, "", "broke off")
        return out, stream.reply

    return asyncio.run(all_of_it())


def gist(reply: Reply) -> tuple[str, str, list[tuple[str, str, object, str]], StopReason, Usage]:
    """What a reply says, wherever its parts begin and end."""
    thought = "".join(part.text for part in reply.parts if isinstance(part, Thinking))
    calls = [(p.id, p.name, p.input, p.broken) for p in reply.parts if isinstance(p, ToolUse)]
    return reply.text, thought, calls, reply.stop, reply.usage


def check_told(upstream: str, events: list[Event], seed: int) -> None:
    raw = written(upstream, events)
    whole = [*WIRES[upstream].reader().feed(raw)][-1]
    assert isinstance(whole, Done)
    for path, door in DOORS.items():
        if door.dialect == upstream:
            continue
        out, reply = told(upstream, path, cut(raw, seed))
        assert violations(door.dialect, out) == [], (upstream, path)
        assert isinstance(reply, Reply)
        said = [*STREAMS[door.dialect].Reader().feed(out)][-1].reply
        at_once = CODECS[door.dialect].parse_reply(door.emit(whole.reply, Named("0", 1, "model-1")))
        assert gist(said) == gist(at_once), (upstream, path)
        assert said.usage == whole.reply.usage
        if door.dialect == "openai_completions":
            assert said.text == whole.reply.text
        else:
            assert gist(said)[:3] == gist(whole.reply)[:3], (upstream, path)
        at = random.Random(seed).randrange(len(raw) + 1)
        out, _ = told(upstream, path, cut(raw[:at], seed), breaks=True)
        assert violations(door.dialect, out) == [], (upstream, path, at)


def check_passed(dialect: str, events: list[Event], seed: int) -> None:
    raw = written(dialect, events)
    out, reply = passed(dialect, cut(raw, seed))
    if reply is not None and out:
        assert out == raw
        assert isinstance(reply, Reply)
        assert reply.usage == [*WIRES[dialect].reader().feed(raw)][-1].reply.usage
    at = random.Random(seed).randrange(len(raw) + 1)
    for breaks in (False, True):
        out, _ = passed(dialect, cut(raw[:at], seed), breaks=breaks)
        assert not out or violations(dialect, out) == [], (at, breaks)


@upstreams
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=streams(), seed=st.integers(0, 2**32))
def test_a_translated_stream_obeys_the_clients_grammar(upstream: str, events: list[Event], seed: int) -> None:
    check_told(upstream, events, seed)


@pytest.mark.parametrize("dialect", [d for d in WIRES if d != "ollama"])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=streams(), seed=st.integers(0, 2**32))
def test_a_stream_that_is_passed_on_keeps_every_byte(dialect: str, events: list[Event], seed: int) -> None:
    check_passed(dialect, events, seed)


def mended(part: Part) -> Part:
    return replace(part, broken="") if isinstance(part, ToolUse) else part


@upstreams
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=odd_streams(), seed=st.integers(0, 2**32))
def test_parts_in_any_order_and_calls_that_break_off(upstream: str, events: list[Event], seed: int) -> None:
    raw = written(upstream, events)
    whole = [*WIRES[upstream].reader().feed(raw)][-1]
    assert isinstance(whole, Done)
    for path, door in DOORS.items():
        if door.dialect == upstream:
            continue
        out, reply = told(upstream, path, cut(raw, seed))
        assert violations(door.dialect, out) == [], (upstream, path)
        assert isinstance(reply, Reply)
        said = [*STREAMS[door.dialect].Reader().feed(out)][-1].reply
        at_once = CODECS[door.dialect].parse_reply(door.emit(whole.reply, Named("0", 1, "model-1")))
        # in one piece Anthropic's dialect has no place for arguments that are no object
        same = [replace(r, parts=tuple(map(mended, r.parts))) for r in (said, at_once)]
        assert gist(same[0]) == gist(same[1]), (upstream, path)
        assert "aGlkZGVu" not in out.decode() or door.dialect == "anthropic"
        assert "c2VhbA==" not in out.decode() or door.dialect == "anthropic"


NOISE: dict[str, list[bytes]] = {
    "anthropic": [b": hold on\n\n", b'event: ping\ndata: {"type": "ping"}\n\n', b'event: x_new\ndata: {"type": "x_new", "delta": {"text": "no"}}\n\n'],
    "openai_chat": [b": OPENROUTER PROCESSING\n\n", b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"model-1","choices":[]}\n\n', b'data: {"choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":null,"refusal":null},"finish_reason":null}],"usage":null}\n\n', b'data: {"choices":[{"index":1,"delta":{"content":"another choice"},"finish_reason":null}]}\n\n'],
    "openai_responses": [b": hold on\n\n", b'event: response.x_new\ndata: {"type": "response.x_new", "delta": "no"}\n\n', b'event: keepalive\ndata: {"type": "keepalive"}\n\n'],
    "ollama": [b"\n", b'{"model":"model-1","created_at":"x","message":{"role":"assistant","content":""},"done":false}\n', b'{"model":"model-1","created_at":"x","x_new":[1],"done":false}\n'],
}  # fmt: skip


def noisy(upstream: str, raw: bytes, seed: int) -> bytes:
    """The stream as an odd server sends it: with frames and fields that nobody knows, other line ends, no blanks or many."""
    rng = random.Random(seed)
    end = b"\n" if upstream == "ollama" else b"\n\n"
    made = []
    for frame in raw.removesuffix(end).split(end):
        made += rng.sample(NOISE[upstream], rng.randrange(2))
        if rng.random() < 0.3:
            frame = frame.replace(b'{"type":', b'{"x_unknown": {"text": "no", "content": [null]}, "type":', 1)
            frame = frame.replace(b'{"model":', b'{"x_unknown": null, "model" :', 1)
        made.append(frame + end)
    told = b"".join(made)
    return told.replace(b"\n", b"\r\n") if rng.random() < 0.3 else told


@upstreams
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=streams(), seed=st.integers(0, 2**32))
def test_what_nobody_knows_in_a_stream_changes_nothing(upstream: str, events: list[Event], seed: int) -> None:
    raw = written(upstream, events)
    odd = noisy(upstream, raw, seed)
    for path, door in DOORS.items():
        plain, strange = told(upstream, path, [raw]), told(upstream, path, cut(odd, seed))
        assert violations(door.dialect, strange[0]) == []
        assert isinstance(strange[1], Reply)
        first, second = ([*STREAMS[door.dialect].Reader().feed(out)][-1].reply for out, _ in (plain, strange))
        assert gist(first) == gist(second), path


@pytest.mark.slow
@upstreams
@settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=streams(), seed=st.integers(0, 2**32))
def test_thousands_of_translated_streams_obey_the_grammar(upstream: str, events: list[Event], seed: int) -> None:
    check_told(upstream, events, seed)


SAMPLE: list[Event] = [TextDelta("é and 日本"), TextDelta(" more"), Done(Reply((), "model-1", usage=Usage(5, 7)))]


@upstreams
def test_a_cut_at_every_byte_changes_nothing(upstream: str) -> None:
    raw = written(upstream, SAMPLE)
    for path in DOORS:
        whole, _ = told(upstream, path, [raw])
        for at in range(1, len(raw)):
            assert told(upstream, path, [raw[:at], raw[at:]])[0] == whole
            if DOORS[path].dialect == upstream:
                assert passed(upstream, [raw[:at], raw[at:]])[0] == raw
        assert told(upstream, path, [bytes([byte]) for byte in raw])[0] == whole


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_frames_leave_only_as_a_whole(end: bytes) -> None:
    frames = Frames()
    raw = b"data: one" + end + b"data: two" + end + b"data: thr"
    assert b"".join(frames.feed(bytes([byte])) for byte in raw).startswith(b"data: one" + end + b"data: two")
    assert not frames.feed(b"ee")


def test_null_fields_of_every_chunk_end_nothing() -> None:
    chunk = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}],"usage":%s}\n\n'
    parts = [
        chunk % (b'{"role":"assistant","content":""}', b"null", b"null"),
        chunk % (b'{"content":"say \\"finish_reason\\": \\"stop\\" and [DONE]"}', b"null", b"null"),
        chunk % (b'{"content":"more"}', b"null", b"null"),
        chunk % (b"{}", b'"stop"', b'{"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}'),
        b"data: [DONE]\n\n",
    ]
    out, reply = passed("openai_chat", parts)
    assert out == b"".join(parts)
    assert isinstance(reply, Reply)
    assert (reply.usage.input, reply.usage.output) == (4, 2)


@pytest.mark.parametrize("end", [b"", b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\n\n"])
def test_an_end_that_a_server_leaves_out_is_said(end: bytes) -> None:
    raw = written("openai_chat", SAMPLE).removesuffix(b"data: [DONE]\n\n")
    out, reply = passed("openai_chat", [raw, end] if end else [raw])
    assert out == raw + b"data: [DONE]\n\n"
    assert isinstance(reply, Reply)


def test_an_error_inside_a_stream_is_passed_on_and_nothing_is_added() -> None:
    raw = written("anthropic", SAMPLE[:2])
    fault = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    out, reply = passed("anthropic", [raw, fault])
    assert out == raw + fault
    assert isinstance(reply, Broken)
    assert reply.failure.outcome is Outcome.CAPACITY
    assert passed("anthropic", [fault]) == (b"", None)
