"""Anthropic's stream of a message, read into events and written from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hroute.terms.message import Done, Event, StopReason, TextDelta, ThinkingDelta, ToolUseDelta
from hroute.terms.usage import Usage
from hroute.wire.anthropic import NAME, STOP_NAMES, STOPS, usage_body, usage_of
from hroute.wire.errors import error_body
from hroute.wire.fields import Json, VendorFault, count, dumps, inner, loads, mapping, word
from hroute.wire.framing import SseReader, sse
from hroute.wire.sequence import Assembly, Blocks, Closed, Grown, Opened


class Reader:
    """Chunks of a stream in, events out. After `message_stop` nothing more is said."""

    def __init__(self) -> None:
        self._sse = SseReader()
        self._said = Assembly()
        self._usage: dict[str, Any] = {}
        self._stop = StopReason.END
        self._calls: dict[int, int] = {}
        self.done = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Raises Malformed for what is no event, VendorFault for an `error` event."""
        return [event for frame in self._sse.feed(chunk) for event in self.frame(mapping(loads(frame.data), "event"))]

    def end(self) -> list[Event]:
        """The connection is closed: where no terminal event came, the reply is marked as truncated."""
        return [] if self.done else self._finish(StopReason.TRUNCATED)

    def frame(self, frame: Json) -> list[Event]:
        match frame.get("type"):
            case _ if self.done:
                return []
            case "message_start":
                message = inner(frame, "message")
                self._said.model = word(message, "model")
                self._note(inner(message, "usage"))
            case "content_block_start":
                return self._said.add(list(self._start(count(frame, "index"), inner(frame, "content_block"))))
            case "content_block_delta":
                return self._said.add(list(self._delta(count(frame, "index"), inner(frame, "delta"))))
            case "message_delta":
                self._stop = STOPS.get(word(inner(frame, "delta"), "stop_reason"), self._stop)
                self._note(inner(frame, "usage"))
            case "message_stop":
                return self._finish(self._stop)
            case "error":
                raise VendorFault(word(inner(frame, "error"), "type"))
        return []

    def _start(self, index: int, block: Json) -> Iterator[Event]:
        match block.get("type"):
            case "text" if word(block, "text"):
                yield TextDelta(word(block, "text"))
            case "thinking" if word(block, "thinking") or word(block, "signature"):
                yield ThinkingDelta(word(block, "thinking"), word(block, "signature"), sealed_by=NAME)
            case "redacted_thinking":
                yield ThinkingDelta("", word(block, "data"), redacted=True, sealed_by=NAME)
            case "tool_use":
                self._calls[index] = len(self._calls)
                given = inner(block, "input")
                yield ToolUseDelta(
                    self._calls[index], word(block, "id"), word(block, "name"), dumps(given) if given else ""
                )

    def _delta(self, index: int, delta: Json) -> Iterator[Event]:
        match delta.get("type"):
            case "text_delta":
                yield TextDelta(word(delta, "text"))
            case "thinking_delta":
                yield ThinkingDelta(word(delta, "thinking"))
            case "signature_delta":
                yield ThinkingDelta("", word(delta, "signature"), sealed_by=NAME)
            case "input_json_delta" if index in self._calls:
                yield ToolUseDelta(self._calls[index], json=word(delta, "partial_json"))

    def _note(self, usage: Json) -> None:
        self._usage |= {key: value for key, value in usage.items() if value is not None}

    def _finish(self, stop: StopReason) -> list[Event]:
        self.done = True
        return [Done(self._said.reply(stop, usage_of(self._usage)))]


class Writer:
    """Events in, frames out, in the order that the API's grammar demands. `usage` is what is known of the prompt."""

    def __init__(self, model: str, *, id: str = "msg_hroute", usage: Usage = Usage()) -> None:
        self._start = {
            "type": "message_start",
            "message": {
                "id": id,
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": usage_body(usage),
            },
        }
        self._blocks = Blocks()
        self._started = False

    def write(self, event: Event) -> bytes:
        return b"".join(sse(dumps(frame), frame["type"]) for frame in self.frames(event))

    def fail(self, status: int, type: str, message: str) -> bytes:
        """The stream ends with an error, in the dialect's own shape."""
        return sse(dumps(error_body("anthropic", status, type, message)), "error")

    def frames(self, event: Event) -> list[dict[str, Any]]:
        frames = [] if self._started else [self._start]
        self._started = True
        for change in self._blocks.feed(event):
            frames += _frames(change)
        if isinstance(event, Done):
            frames += _end(event)
        return frames


def _frames(change: Opened | Grown | Closed) -> Iterator[dict[str, Any]]:
    block = change.block
    match change, block.kind:
        case _, "thinking" if block.redacted:
            if isinstance(change, Closed) and block.sealed_by == NAME:
                content = {"type": "redacted_thinking", "data": block.signature}
                yield {"type": "content_block_start", "index": block.index, "content_block": content}
                yield {"type": "content_block_stop", "index": block.index}
        case Opened(), kind:
            empty: dict[str, dict[str, Any]] = {
                "text": {"type": "text", "text": ""},
                "thinking": {"type": "thinking", "thinking": "", "signature": ""},
                "tool": {"type": "tool_use", "id": block.id, "name": block.name, "input": {}},
            }
            yield {"type": "content_block_start", "index": block.index, "content_block": empty[kind]}
        case Grown(_, piece), kind:
            delta = {
                "text": {"type": "text_delta", "text": piece},
                "thinking": {"type": "thinking_delta", "thinking": piece},
                "tool": {"type": "input_json_delta", "partial_json": piece},
            }[kind]
            yield {"type": "content_block_delta", "index": block.index, "delta": delta}
        case Closed(), _:
            if block.signature and block.sealed_by == NAME:
                delta = {"type": "signature_delta", "signature": block.signature}
                yield {"type": "content_block_delta", "index": block.index, "delta": delta}
            yield {"type": "content_block_stop", "index": block.index}


def _end(event: Done) -> Iterator[dict[str, Any]]:
    reply = event.reply
    if reply.stop is StopReason.TRUNCATED:
        yield error_body("anthropic", 500, "api_error", "the reply was cut off")
        return
    delta = {"stop_reason": STOP_NAMES[reply.stop], "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": usage_body(reply.usage)}
    yield {"type": "message_stop"}
