"""What a dialect writes, it reads again: requests, replies and streams, as properties."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.terms.message import (
    Done,
    Message,
    Reply,
    Request,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolUse,
    ToolUseDelta,
    Unread,
)
from hroute.terms.usage import Usage
from hroute.wire import anthropic, ollama, openai_chat, openai_responses
from hroute.wire.errors import error_body
from hroute.wire.fields import Malformed, VendorFault
from hroute.wire.grammar import violations
from tests.wire.messages import STREAMS, objects, replies, requests, streams

BODIES = {
    "anthropic": anthropic,
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "ollama": ollama,
}
dialects = pytest.mark.parametrize("dialect", BODIES)


def on_the_wire(body: dict[str, object]) -> dict[str, object]:
    return json.loads(json.dumps(body))


def as_carried(dialect: str, request: Request) -> Request:
    """What of `request` the dialect has words for."""
    if dialect != "ollama":
        return request
    params = {name: value for name, value in request.params.items() if name != "tool_choice"}
    turns = []
    for message in request.messages:
        text = "\n".join(p.text for p in message.parts if isinstance(p, Text))
        images = [replace(p, media="") for p in message.parts if isinstance(p, Unread)]
        rest = [p for p in message.parts if not isinstance(p, (Text, Unread))]
        turns.append(Message(message.role, (*([Text(text)] if text else []), *images, *rest)))
    return replace(request, params=params, messages=tuple(turns))


@dialects
@given(request=requests())
@settings(deadline=None)
def test_a_request_survives_its_dialect(dialect, request):
    options = {"system_turns": True} if dialect == "anthropic" else {}
    body = on_the_wire(BODIES[dialect].emit_request(request, "m", **options))
    assert body["model"] == "m"
    assert BODIES[dialect].parse_request(body) == as_carried(dialect, request)


@dialects
@given(reply=replies())
@settings(deadline=None)
def test_a_reply_survives_its_dialect(dialect, reply):
    found = BODIES[dialect].parse_reply(on_the_wire(BODIES[dialect].emit_reply(reply)))
    assert found.parts == reply.parts
    assert (found.stop, found.model) == (reply.stop, reply.model)
    assert found.usage == counted(dialect, reply.usage)


def counted(dialect: str, usage: Usage) -> Usage:
    """What of the five classes the dialect tells apart; nothing gets lost."""
    if dialect == "ollama":
        return Usage(usage.input + usage.cache_read + usage.cache_write, usage.output + usage.reasoning)
    return usage


@dialects
@given(events=streams(), step=st.integers(1, 60))
@settings(deadline=None)
def test_a_stream_obeys_its_grammar_and_is_read_again_wherever_it_is_cut(dialect, events, step):
    writer, reader = STREAMS[dialect].Writer("model-1"), STREAMS[dialect].Reader()
    stream = b"".join(writer.write(event) for event in events)
    assert violations(dialect, stream) == []
    found = [e for n in range(0, len(stream), step) for e in reader.feed(stream[n : n + step])]
    assert reader.end() == []
    done = found[-1]
    assert isinstance(done, Done)
    last = events[-1].reply
    text = "".join(e.text for e in events if isinstance(e, TextDelta))
    thought = "".join(e.text for e in events if isinstance(e, ThinkingDelta))
    assert done.reply.text == text
    assert "".join(p.text for p in done.reply.parts if isinstance(p, Thinking)) == thought
    assert sorted(p.id for p in done.reply.parts if isinstance(p, ToolUse)) == [p.id for p in last.parts]
    assert {p.id: (p.name, p.input) for p in done.reply.parts if isinstance(p, ToolUse)} == {
        p.id: (p.name, p.input) for p in last.parts
    }
    assert done.reply.stop is last.stop
    assert done.reply.usage == counted(dialect, last.usage)
    assert "".join(e.text for e in found if isinstance(e, TextDelta)) == text


@dialects
@given(reply=replies())
@settings(deadline=None)
def test_a_reply_that_comes_as_one_event_is_streamed_whole(dialect, reply):
    stream = STREAMS[dialect].Writer("model-1").write(Done(reply))
    assert violations(dialect, stream) == []
    reader = STREAMS[dialect].Reader()
    assert reader.feed(stream)[-1].reply.parts == reply.parts


@dialects
def test_a_stream_cut_at_any_byte_is_truncated_or_whole_and_never_something_else(dialect):
    reply = Reply((Text("héllo wörld"), ToolUse("c", "f", {"a": "ü"})), "m", StopReason.TOOL_USE, Usage(3, 4))
    events = [
        TextDelta("héllo "),
        TextDelta("wörld"),
        ToolUseDelta(0, "c", "f", '{"a": '),
        ToolUseDelta(0, json='"ü"}'),
    ]
    writer = STREAMS[dialect].Writer("m")
    stream = b"".join(writer.write(event) for event in [*events, Done(reply)])
    for cut in range(len(stream)):
        reader = STREAMS[dialect].Reader()
        found = reader.feed(stream[:cut]) + reader.end()
        done = [event for event in found if isinstance(event, Done)]
        assert len(done) == 1
        if done[0].reply.stop is StopReason.TRUNCATED:
            assert "héllo wörld".startswith(done[0].reply.text)
        else:
            assert done[0].reply.parts == reply.parts


@dialects
def test_an_error_in_the_middle_of_a_stream_is_well_formed_and_is_raised_when_read(dialect):
    writer, reader = STREAMS[dialect].Writer("m"), STREAMS[dialect].Reader()
    stream = writer.write(TextDelta("one ")) + writer.fail(529, "", "busy")
    assert violations(dialect, stream) == []
    with pytest.raises(VendorFault):
        reader.feed(stream)


@dialects
def test_a_truncated_reply_is_never_emitted_as_a_proper_end(dialect):
    writer = STREAMS[dialect].Writer("m")
    stream = writer.write(TextDelta("one ")) + writer.write(Done(Reply((Text("one "),), "m", StopReason.TRUNCATED)))
    assert violations(dialect, stream) == []
    with pytest.raises(VendorFault):
        STREAMS[dialect].Reader().feed(stream)


@dialects
@given(body=st.recursive(objects, lambda v: st.dictionaries(st.sampled_from(
    ["messages", "role", "content", "type", "tools", "input", "output", "usage", "choices", "delta", "message", "text",
     "source", "format", "options", "stop", "response", "item", "tool_calls", "function", "arguments"]),
    v | st.lists(v, max_size=3) | st.sampled_from(["user", "assistant", "tool", "text", "image", "message"]), max_size=5),
    max_leaves=12))  # fmt: skip
@settings(deadline=None)
def test_no_body_breaks_a_parser(dialect, body):
    for parse in (BODIES[dialect].parse_request, BODIES[dialect].parse_reply, STREAMS[dialect].Reader().frame):
        with suppress(Malformed, VendorFault):
            parse(body)


@dialects
def test_an_error_has_the_dialects_own_shape(dialect):
    body = error_body(dialect, 429, "", "slow down")
    if dialect == "anthropic":
        assert body == {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    elif dialect == "ollama":
        assert body == {"error": "slow down"}
    else:
        assert body["error"]["code"] == "rate_limit_exceeded"
