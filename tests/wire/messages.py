"""Requests, replies and streams of events to try the dialects with."""

from __future__ import annotations

from importlib import import_module

from hypothesis import strategies as st

from hroute.terms.message import (
    Done,
    Event,
    Message,
    Reply,
    Request,
    StopReason,
    Text,
    TextDelta,
    ThinkingDelta,
    Tool,
    ToolResult,
    ToolUse,
    ToolUseDelta,
    Unread,
)
from hroute.terms.usage import Usage
from hroute.wire.fields import dumps

NAMES = ("anthropic", "openai_chat", "openai_responses", "openai_completions", "ollama")
CODECS = {name: import_module(f"hroute.wire.{name}") for name in NAMES}
STREAMS = {name: import_module(f"hroute.wire.{name}" + ("" if name == "ollama" else "_stream")) for name in NAMES}

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
names = st.text("abcdefghij_", min_size=1, max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words, lambda v: st.lists(v, max_size=3), max_leaves=5
)
objects = st.dictionaries(names, values, max_size=4)
texts = st.builds(Text, words)
images = st.builds(Unread, st.just("image"), st.just("image/png"), st.sampled_from(["aGk=", "QUJD"]))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns as clients send them: calls are answered at once, and each speaker speaks once in a row."""
    turns: list[Message] = []
    calls = 0
    for _ in range(draw(st.integers(1, 4))):
        turns.append(Message("user", tuple(draw(st.lists(texts | images, min_size=1, max_size=3)))))
        uses = []
        for name in draw(st.lists(names, max_size=3, unique=True)):
            uses.append(ToolUse(f"call_{calls}", name, draw(objects)))
            calls += 1
        said = [draw(texts)] if draw(st.booleans()) or not uses else []
        turns.append(Message("assistant", (*said, *uses)))
        if uses:
            turns.append(Message("user", tuple(ToolResult(u.id, draw(words)) for u in uses)))
            turns.append(Message("assistant", (draw(texts),)))
        if draw(st.booleans()):
            turns.append(Message("system", (draw(texts),)))
    turns.append(Message("user", (draw(texts),)))
    return tuple(turns)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    schema = draw(st.none() | st.just({"type": "object", "properties": {"a": {"type": "string"}}}))
    tools = st.builds(Tool, names, words, st.just({"type": "object", "properties": {"x": {"type": "integer"}}}))
    params = {
        "temperature": 0.5,
        "top_p": 0.9,
        "tool_choice": draw(st.sampled_from(["auto", "none", "required", "tool:f"])),
    }
    kept = {name: value for name, value in params.items() if draw(st.booleans())}
    return Request(
        draw(conversations()),
        system=draw(words),
        tools=tuple(draw(st.lists(tools, max_size=3))),
        max_tokens=draw(st.integers(1, 64_000)),
        stream=draw(st.booleans()),
        response_format="json_schema" if schema else "text",
        json_schema=schema,
        params=kept,
    )


def usages() -> st.SearchStrategy[Usage]:
    number = st.integers(0, 10**6)
    return st.builds(Usage, number, number, number, number, number)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    """Text, then calls, as every dialect can say it."""
    text = (draw(texts),) if draw(st.booleans()) else ()
    uses = tuple(ToolUse(f"call_{n}", draw(names), draw(objects)) for n in range(draw(st.integers(0, 3))))
    stop = StopReason.TOOL_USE if uses else draw(st.sampled_from([StopReason.END, StopReason.LENGTH]))
    return Reply((*text, *uses), "model-1", stop, draw(usages()))


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Events of one reply: thinking, text, and calls whose fragments come in any order."""
    events: list[Event] = []
    events += [ThinkingDelta(w) for w in draw(st.lists(words, max_size=2))]
    events += [TextDelta(w) for w in draw(st.lists(words, max_size=3))]
    inputs = draw(st.lists(objects, max_size=3))
    opened: list[Event] = [ToolUseDelta(n, f"call_{n}", f"tool_{n}") for n in range(len(inputs))]
    fragments = [(n, piece) for n, given in enumerate(inputs) for piece in _cut(dumps(given), draw(st.integers(1, 9)))]
    if draw(st.booleans()):
        order = draw(st.permutations([n for n, _ in fragments]))
        left = {n: [p for m, p in fragments if m == n] for n in range(len(inputs))}
        events += [*opened, *(ToolUseDelta(n, json=left[n].pop(0)) for n in order)]
    else:
        for n, first in enumerate(opened):
            events += [first, *(ToolUseDelta(n, json=piece) for m, piece in fragments if m == n)]
    stop = StopReason.TOOL_USE if inputs else draw(st.sampled_from([StopReason.END, StopReason.LENGTH]))
    parts = tuple(ToolUse(f"call_{n}", f"tool_{n}", given) for n, given in enumerate(inputs))
    return [*events, Done(Reply(parts, "model-1", stop, draw(usages())))]


@st.composite
def odd_streams(draw: st.DrawFn) -> list[Event]:
    """Events as only some vendors send them: parts in any order and more than once, seals, empty pieces, a call whose
    arguments break off, every way to stop."""
    events: list[Event] = []
    calls = 0
    for kind in draw(
        st.lists(st.sampled_from(["text", "thinking", "sealed", "hidden", "call", "nothing"]), max_size=6)
    ):
        word = draw(words)
        match kind:
            case "text":
                events.append(TextDelta(word))
            case "thinking":
                events.append(ThinkingDelta(word))
            case "sealed":
                events += [ThinkingDelta(word), ThinkingDelta("", "c2VhbA==", sealed_by="anthropic")]
            case "hidden":
                events.append(ThinkingDelta("", "aGlkZGVu", True, "anthropic"))
            case "nothing":
                events.append(TextDelta(""))
            case "call":
                pieces = _cut(dumps(draw(objects)), draw(st.integers(1, 9)))
                events.append(ToolUseDelta(calls, f"call_{calls}", f"tool_{calls}"))
                events += [ToolUseDelta(calls, json=piece) for piece in pieces]
                calls += 1
    stop = draw(st.sampled_from([s for s in StopReason if s is not StopReason.TRUNCATED]))
    last = events[-1] if events else None
    if isinstance(last, ToolUseDelta) and not last.id and draw(st.booleans()):
        events, stop = events[:-1], StopReason.LENGTH
    return [*events, Done(Reply((), "model-1", stop, draw(usages())))]


def _cut(text: str, size: int) -> list[str]:
    return [text[n : n + size] for n in range(0, len(text), size)]
