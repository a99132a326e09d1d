"""The stream of a chat completion, read into events and written from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hroute.terms.message import Done, Event, StopReason, TextDelta, ThinkingDelta, ToolUseDelta
from hroute.terms.usage import Usage
from hroute.wire.errors import error_body
from hroute.wire.fields import Json, VendorFault, count, dumps, inner, loads, mapping, maps, word
from hroute.wire.framing import SseReader, sse
from hroute.wire.openai_chat import STOP_NAMES, STOPS, usage_body, usage_of
from hroute.wire.sequence import Assembly, pieces

END = "[DONE]"


class Reader:
    """Chunks of a stream in, events out.

    A finish reason ends the reply; its usage may follow in a chunk of its own, so Done comes with `[DONE]`, or at the
    end of a stream that had its finish reason.
    """

    def __init__(self) -> None:
        self._sse = SseReader()
        self._said = Assembly()
        self._usage = Usage()
        self._stop: StopReason | None = None
        self.done = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Raises Malformed for what is no chunk, VendorFault for an error in the stream."""
        found: list[Event] = []
        for frame in self._sse.feed(chunk):
            if frame.data.strip() == END:
                found += self.end()
            else:
                found += self.frame(mapping(loads(frame.data), "chunk"))
        return found

    def end(self) -> list[Event]:
        """The stream is over: truncated, where no finish reason came."""
        if self.done:
            return []
        self.done = True
        return [Done(self._said.reply(self._stop or StopReason.TRUNCATED, self._usage))]

    def frame(self, frame: Json) -> list[Event]:
        if self.done:
            return []
        if frame.get("error"):
            error = inner(frame, "error")
            raise VendorFault(word(error, "code") or word(error, "type"), count(error, "code"))
        self._said.model = word(frame, "model") or self._said.model
        if inner(frame, "usage"):
            self._usage = usage_of(inner(frame, "usage"))
        events: list[Event] = []
        for choice in maps(frame.get("choices")):
            if count(choice, "index") == 0:
                events += self._delta(inner(choice, "delta"))
                if word(choice, "finish_reason") and self._stop is not StopReason.REFUSAL:
                    self._stop = STOPS.get(word(choice, "finish_reason"), StopReason.END)
        return self._said.add(events)

    def _delta(self, delta: Json) -> Iterator[Event]:
        thought = word(delta, "reasoning_content") or word(delta, "reasoning")
        if thought:
            yield ThinkingDelta(thought)
        if word(delta, "content"):
            yield TextDelta(word(delta, "content"))
        if word(delta, "refusal"):
            self._stop = StopReason.REFUSAL
            yield TextDelta(word(delta, "refusal"))
        for n, call in enumerate(maps(delta.get("tool_calls"))):
            function = inner(call, "function")
            index = count(call, "index") if "index" in call else n
            yield ToolUseDelta(index, word(call, "id"), word(function, "name"), word(function, "arguments"))


class Writer:
    """Events in, chunks out. `include_usage` is what the client's `stream_options` asked for."""

    def __init__(
        self, model: str, *, id: str = "chatcmpl-hroute", created: int = 0, include_usage: bool = True
    ) -> None:
        self._head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._include_usage = include_usage
        self._started = False
        self._said = False
        self._known: set[int] = set()

    def write(self, event: Event) -> bytes:
        ended = isinstance(event, Done) and event.reply.stop is not StopReason.TRUNCATED
        return b"".join(sse(dumps(frame)) for frame in self.frames(event)) + (sse(END) if ended else b"")

    def fail(self, status: int, type: str, message: str) -> bytes:
        """The stream ends with an error, in the dialect's own shape, and without `[DONE]`."""
        return sse(dumps(error_body("openai_chat", status, type, message)))

    def frames(self, event: Event) -> list[dict[str, Any]]:
        frames = [] if self._started else [self._chunk({"role": "assistant", "content": ""})]
        self._started = True
        if isinstance(event, Done):
            return frames + list(self._end(event))
        return frames + [self._chunk(delta) for delta in self._deltas(event)]

    def _deltas(self, event: Event) -> Iterator[dict[str, Any]]:
        self._said = True
        match event:
            case TextDelta(text) if text:
                yield {"content": text}
            case ThinkingDelta(text) if text:
                yield {"reasoning_content": text}
            case ToolUseDelta(index, id, name, json):
                call: dict[str, Any] = {"index": index, "function": {"arguments": json}}
                if index not in self._known:
                    self._known.add(index)
                    call = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": json}}
                yield {"tool_calls": [call]}

    def _end(self, event: Done) -> Iterator[dict[str, Any]]:
        reply = event.reply
        if reply.stop is StopReason.TRUNCATED:
            yield error_body("openai_chat", 500, "", "the reply was cut off")
            return
        if not self._said:
            yield from (self._chunk(delta) for piece in pieces(reply) for delta in self._deltas(piece))
        yield self._chunk({}, STOP_NAMES[reply.stop])
        if self._include_usage:
            yield {**self._head, "choices": [], "usage": usage_body(reply.usage)}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]}
