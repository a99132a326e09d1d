"""The stream of a response, read into events and written from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hroute.terms.message import Done, Event, StopReason, TextDelta, ThinkingDelta, ToolUseDelta
from hroute.terms.usage import Usage
from hroute.wire.fields import Json, VendorFault, count, dumps, inner, loads, mapping, word
from hroute.wire.framing import SseReader, sse
from hroute.wire.openai_responses import (
    NAME,
    call_item,
    ending,
    envelope,
    reasoning_item,
    stop_of,
    text_item,
    usage_of,
)
from hroute.wire.sequence import Assembly, Block, Blocks, Change, Closed, Grown, Opened

_PREFIXES = {"text": "msg", "thinking": "rs", "tool": "fc"}
_ENDS = ("response.completed", "response.incomplete")


class Reader:
    """Chunks of a stream in, events out. `response.completed` and `response.incomplete` end it."""

    def __init__(self) -> None:
        self._sse = SseReader()
        self._said = Assembly()
        self._calls: dict[int, int] = {}
        self._grown: set[int] = set()
        self._refused = False
        self.done = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Raises Malformed for what is no event, VendorFault for `error` and `response.failed`."""
        frames = (frame.data for frame in self._sse.feed(chunk) if frame.data.strip() != "[DONE]")
        return [event for data in frames for event in self.frame(mapping(loads(data), "event"))]

    def end(self) -> list[Event]:
        """The connection is closed: where no terminal event came, the reply is marked as truncated."""
        return [] if self.done else self._finish(StopReason.TRUNCATED, Usage())

    def frame(self, frame: Json) -> list[Event]:
        kind = frame.get("type")
        if self.done:
            return []
        if kind in ("error", "response.failed"):
            error = inner(inner(frame, "response"), "error") or inner(frame, "error") or frame
            raise VendorFault(word(error, "code") or word(error, "type"))
        if kind == "response.created":
            self._said.model = word(inner(frame, "response"), "model")
        if kind in _ENDS:
            return self._ended(inner(frame, "response"))
        return self._said.add(list(self._delta(frame)))

    def _delta(self, frame: Json) -> Iterator[Event]:
        piece = word(frame, "delta")
        match frame.get("type"):
            case "response.output_text.delta":
                yield TextDelta(piece)
            case "response.refusal.delta":
                self._refused = True
                yield TextDelta(piece)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield ThinkingDelta(piece)
            case "response.output_item.added" if word(inner(frame, "item"), "type") == "function_call":
                item, index = inner(frame, "item"), len(self._calls)
                self._calls[count(frame, "output_index")] = index
                yield ToolUseDelta(index, word(item, "call_id"), word(item, "name"))
            case "response.function_call_arguments.delta" if count(frame, "output_index") in self._calls:
                self._grown.add(count(frame, "output_index"))
                yield ToolUseDelta(self._calls[count(frame, "output_index")], json=piece)
            case "response.output_item.done":
                yield from self._item_done(count(frame, "output_index"), inner(frame, "item"))

    def _item_done(self, at: int, item: Json) -> Iterator[Event]:
        """The seal of a reasoning comes with its end, and so do arguments that were not streamed."""
        if item.get("type") == "reasoning" and word(item, "encrypted_content"):
            yield ThinkingDelta("", word(item, "encrypted_content"), sealed_by=NAME)
        if at in self._calls and at not in self._grown:
            yield ToolUseDelta(self._calls[at], json=word(item, "arguments"))

    def _ended(self, response: Json) -> list[Event]:
        stop = StopReason.REFUSAL if self._refused else stop_of(response)
        if stop is StopReason.END and self._calls:
            stop = StopReason.TOOL_USE
        self._said.model = word(response, "model") or self._said.model
        return self._finish(stop, usage_of(inner(response, "usage")))

    def _finish(self, stop: StopReason, usage: Usage) -> list[Event]:
        self.done = True
        return [Done(self._said.reply(stop, usage))]


class Writer:
    """Events in, frames out, numbered, each item opened, filled and closed before the next. `number` is the last one
    that was used before, where another has begun the stream."""

    def __init__(self, model: str, *, id: str = "resp_hroute", created: int = 0, number: int = -1) -> None:
        self._id = id
        self._envelope = envelope(id, created, model)
        self._blocks = Blocks()
        self._items: list[dict[str, Any]] = []
        self._number = number

    def write(self, event: Event) -> bytes:
        return b"".join(sse(dumps(frame), frame["type"]) for frame in self.frames(event))

    def fail(self, status: int, type: str, message: str) -> bytes:
        """The stream ends with `response.failed`, as the API ends one."""
        return b"".join(sse(dumps(f), f["type"]) for f in [*self._opening(), self._failed(type, message)])

    def frames(self, event: Event) -> list[dict[str, Any]]:
        frames = self._opening()
        for change in self._blocks.feed(event):
            frames += [self._frame(kind, **fields) for kind, fields in self._change(change)]
        if isinstance(event, Done):
            frames.append(self._end(event))
        return frames

    def _opening(self) -> list[dict[str, Any]]:
        if self._number >= 0:
            return []
        kinds = ("response.created", "response.in_progress")
        return [self._frame(kind, response=dict(self._envelope)) for kind in kinds]

    def _frame(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        return {"type": kind, "sequence_number": self._number, **fields}

    def _change(self, change: Change) -> Iterator[tuple[str, dict[str, Any]]]:
        block = change.block
        at: dict[str, Any] = {"output_index": block.index}
        if isinstance(change, Opened):
            yield "response.output_item.added", at | {"item": self._item(block, "", "in_progress")}
        if isinstance(change, Closed):
            item = self._item(block, block.text, "completed")
            self._items.append(item)
            yield from _inside(change, self._item_id(block))
            yield "response.output_item.done", at | {"item": item}
        else:
            yield from _inside(change, self._item_id(block))

    def _item_id(self, block: Block) -> str:
        return f"{_PREFIXES[block.kind]}_{self._id}_{block.index}"

    def _item(self, block: Block, text: str, status: str) -> dict[str, Any]:
        id = self._item_id(block)
        if block.kind == "text":
            return text_item(id, text, status)
        if block.kind == "thinking":
            return reasoning_item(id, text, block.signature if block.sealed_by == NAME else None)
        return call_item(id, block.id, block.name, text, status)

    def _end(self, event: Done) -> dict[str, Any]:
        if event.reply.stop is StopReason.TRUNCATED:
            return self._failed("server_error", "the reply was cut off")
        response = self._envelope | ending(event.reply) | {"output": self._items}
        return self._frame(f"response.{response['status']}", response=response)

    def _failed(self, code: str, message: str) -> dict[str, Any]:
        error = {"code": code or "server_error", "message": message}
        response = self._envelope | {"status": "failed", "error": error, "output": self._items}
        return self._frame("response.failed", response=response)


def _inside(change: Change, id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What happens within an item: its one content part, or its arguments."""
    block = change.block
    at = {"item_id": id, "output_index": block.index}
    if block.kind == "tool":
        match change:
            case Grown(_, piece):
                yield "response.function_call_arguments.delta", at | {"delta": piece}
            case Closed():
                yield "response.function_call_arguments.done", at | {"name": block.name, "arguments": block.text}
        return
    extra: dict[str, Any] = {}
    if block.kind == "text":
        place: dict[str, Any] = at | {"content_index": 0}
        prefix, part_name, extra = "response.output_text", "response.content_part", {"logprobs": []}
        part: dict[str, Any] = {"type": "output_text", "text": block.text, "annotations": [], "logprobs": []}
    else:
        place = at | {"summary_index": 0}
        prefix, part_name = "response.reasoning_summary_text", "response.reasoning_summary_part"
        part = {"type": "summary_text", "text": block.text}
    match change:
        case Opened():
            yield f"{part_name}.added", place | {"part": part | {"text": ""}}
        case Grown(_, piece):
            yield f"{prefix}.delta", place | {"delta": piece} | extra
        case Closed():
            yield f"{prefix}.done", place | {"text": block.text} | extra
            yield f"{part_name}.done", place | {"part": part}
