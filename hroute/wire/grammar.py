"""Whether a stream obeys its vendor's event grammar: what every stream that hroute emits is checked against in tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from hroute.wire.errors import Dialect
from hroute.wire.fields import Malformed, inner, loads, maps
from hroute.wire.framing import NdjsonReader, ServerEvent, SseReader

Frame = Mapping[str, Any]


def violations(dialect: Dialect, stream: bytes) -> list[str]:
    """Everything in `stream` that a strict client of `dialect` could stumble over; empty for a proper stream.

    A stream that ends with the dialect's own error event is proper too.
    """
    try:
        return list(_CHECKS[dialect](stream))
    except Malformed as error:
        return [str(error)]


def _anthropic(stream: bytes) -> Iterator[str]:
    frames, found = _named(stream)
    yield from found
    opened: Frame | None = None
    index, phase = 0, "start"
    for n, frame in enumerate(frames):
        kind = frame.get("type")
        if kind == "ping":
            continue
        if kind == "error":
            if n != len(frames) - 1:
                yield "something follows the error"
            return
        if phase == "stopped":
            yield f"{kind} follows message_stop"
        elif kind == "message_start":
            if phase != "start" or n:
                yield "message_start is not the first event"
            yield from _lacks(inner(frame, "message"), "id", "model", "role", "content", "usage")
            phase = "blocks"
        elif phase == "start":
            yield f"{kind} comes before message_start"
        elif kind == "content_block_start":
            if opened is not None or phase != "blocks":
                yield f"block {frame.get('index')} opens at a wrong moment"
            if frame.get("index") != index:
                yield f"block {frame.get('index')} is not the next one, {index}"
            opened = inner(frame, "content_block")
        elif kind == "content_block_delta":
            delta = inner(frame, "delta").get("type")
            if opened is None or frame.get("index") != index:
                yield "a delta belongs to no open block"
            elif delta not in _DELTAS.get(str(opened.get("type")), ()):
                yield f"{delta} in a block of type {opened.get('type')}"
        elif kind == "content_block_stop":
            if opened is None or frame.get("index") != index:
                yield "a block is closed that is not open"
            opened, index = None, index + 1
        elif kind == "message_delta":
            if opened is not None or phase != "blocks":
                yield "message_delta at a wrong moment"
            if not inner(frame, "delta").get("stop_reason") or "output_tokens" not in inner(frame, "usage"):
                yield "message_delta lacks stop_reason or usage"
            phase = "ended"
        elif kind == "message_stop":
            if phase != "ended":
                yield "message_stop without message_delta"
            phase = "stopped"
        else:
            yield f"{kind} is no event"
    if phase != "stopped":
        yield "no message_stop"


def _openai_chat(stream: bytes) -> Iterator[str]:
    events = _events(stream)
    error = bool(events) and "error" in _data(events[-1])
    if not error and (not events or events[-1].data != "[DONE]"):
        yield "no [DONE] at the end"
    frames = [_data(event) for event in events if event.data != "[DONE]"]
    frames = frames[:-1] if error else frames
    if len({(f.get("id"), f.get("created"), f.get("model")) for f in frames}) > 1:
        yield "id, created or model changes"
    finished, calls = False, set()
    for n, frame in enumerate(frames):
        yield from _lacks(frame, "id", "object", "created", "model", "choices")
        if frame.get("object") != "chat.completion.chunk":
            yield "object is not chat.completion.chunk"
        choices = list(maps(frame.get("choices")))
        if finished and choices:
            yield "a choice follows finish_reason"
        if not choices and not (finished and inner(frame, "usage")):
            yield "a chunk without choices that is not the usage at the end"
        for choice in choices:
            delta = inner(choice, "delta")
            if (n == 0) != ("role" in delta):
                yield "the role belongs into the first chunk, and only there"
            for call in maps(delta.get("tool_calls")):
                new = call.get("index") not in calls
                calls.add(call.get("index"))
                if new != bool(call.get("id") and inner(call, "function").get("name")):
                    yield "id and name belong into the first fragment of a call, and only there"
            finished = finished or choice.get("finish_reason") is not None
    if not finished and not error:
        yield "no finish_reason"


def _openai_completions(stream: bytes) -> Iterator[str]:
    events = _events(stream)
    error = bool(events) and "error" in _data(events[-1])
    if not error and (not events or events[-1].data != "[DONE]"):
        yield "no [DONE] at the end"
    frames = [_data(event) for event in events if event.data != "[DONE]"]
    frames = frames[:-1] if error else frames
    if len({(f.get("id"), f.get("created"), f.get("model")) for f in frames}) > 1:
        yield "id, created or model changes"
    finished = False
    for frame in frames:
        yield from _lacks(frame, "id", "object", "created", "model", "choices")
        if frame.get("object") != "text_completion":
            yield "object is not text_completion"
        choices = list(maps(frame.get("choices")))
        if finished and choices:
            yield "a choice follows finish_reason"
        if not choices and not (finished and inner(frame, "usage")):
            yield "a chunk without choices that is not the usage at the end"
        for choice in choices:
            if not isinstance(choice.get("text"), str):
                yield "a choice has no text"
            finished = finished or choice.get("finish_reason") is not None
    if not finished and not error:
        yield "no finish_reason"


def _openai_responses(stream: bytes) -> Iterator[str]:
    frames, found = _named(stream)
    yield from found
    if [f.get("sequence_number") for f in frames] != list(range(len(frames))):
        yield "sequence numbers do not count up from 0"
    if [f.get("type") for f in frames[:2]] != ["response.created", "response.in_progress"]:
        yield "response.created and response.in_progress do not come first"
    if not frames or frames[-1].get("type") not in ("response.completed", "response.incomplete", "response.failed"):
        yield "the last event ends no response"
    done: list[Any] = []
    opened: str | None = None
    grown: dict[str, str] = {}
    for frame in frames[2:-1]:
        kind = str(frame.get("type"))
        if kind == "response.output_item.added":
            if opened is not None or frame.get("output_index") != len(done):
                yield "an item opens at a wrong moment"
            opened = inner(frame, "item").get("id")
        elif kind == "response.output_item.done":
            if opened is None or inner(frame, "item").get("id") != opened:
                yield "an item is done that is not open"
            opened = None
            done.append(frame.get("item"))
        elif frame.get("item_id") != opened or frame.get("output_index") != len(done):
            yield f"{kind} belongs to no open item"
        elif kind.endswith(".delta"):
            grown[f"{opened} {kind[:-6]}"] = grown.get(f"{opened} {kind[:-6]}", "") + str(frame.get("delta"))
        elif kind.endswith(".done") and "part" not in frame:
            written = frame.get("text", frame.get("arguments"))
            yield from [f"{kind} is not the sum of its deltas"] * (written != grown.get(f"{opened} {kind[:-5]}", ""))
    last = inner(frames[-1], "response") if frames else {}
    if last.get("status") != "failed" and (opened is not None or last.get("output") != done):
        yield "the final response does not hold the items that were done"


def _ollama(stream: bytes) -> Iterator[str]:
    reader = NdjsonReader()
    frames = [*reader.feed(stream), *reader.end()]
    if frames and "error" in frames[-1]:
        frames = frames[:-1]
    elif [f.get("done") for f in frames[-1:]] != [True]:
        yield "the last line does not say done"
    for n, frame in enumerate(frames):
        yield from _lacks(frame, "model", "created_at", "message", "done")
        if frame.get("done") and n != len(frames) - 1:
            yield "a line follows the one that says done"
        if frame.get("done"):
            yield from _lacks(frame, "done_reason", "prompt_eval_count", "eval_count")
        for call in maps(inner(frame, "message").get("tool_calls")):
            if not isinstance(inner(call, "function").get("arguments"), Mapping):
                yield "the arguments of a call are no object"


_DELTAS: Final = {
    "text": ("text_delta", "citations_delta"),
    "thinking": ("thinking_delta", "signature_delta"),
    "tool_use": ("input_json_delta",),
}

_CHECKS: Final[Mapping[Dialect, Callable[[bytes], Iterator[str]]]] = {
    "anthropic": _anthropic,
    "openai_chat": _openai_chat,
    "openai_responses": _openai_responses,
    "openai_completions": _openai_completions,
    "ollama": _ollama,
}


def _events(stream: bytes) -> list[ServerEvent]:
    if stream and not stream.endswith(b"\n\n"):
        raise Malformed("the stream ends within an event")
    return SseReader().feed(stream)


def _named(stream: bytes) -> tuple[list[Frame], list[str]]:
    """The frames of a stream whose event names repeat the frames' types, and where they do not."""
    events = _events(stream)
    frames = [_data(event) for event in events]
    wrong = [
        f"event {e.event!r} holds {f.get('type')!r}"
        for e, f in zip(events, frames, strict=True)
        if e.event != f.get("type")
    ]
    return frames, wrong


def _data(event: ServerEvent) -> Frame:
    value = loads(event.data) if event.data != "[DONE]" else {}
    if not isinstance(value, Mapping):
        raise Malformed("an event is no object")
    return value


def _lacks(frame: Frame, *names: str) -> Sequence[str]:
    return [f"`{name}` is missing" for name in names if name not in frame]
