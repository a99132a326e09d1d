"""The stream of an older completion, read into events and written from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hroute.terms.message import Done, Event, StopReason, Text, TextDelta
from hroute.terms.usage import Usage
from hroute.wire.errors import error_body
from hroute.wire.fields import Json, VendorFault, count, dumps, inner, loads, mapping, maps, word
from hroute.wire.framing import SseReader, sse
from hroute.wire.openai_chat import STOPS, usage_body, usage_of
from hroute.wire.openai_chat_stream import END
from hroute.wire.openai_completions import STOP_NAMES
from hroute.wire.sequence import Assembly


class Reader:
    """Chunks of a stream in, events out; of several choices the first one. A finish reason ends it, usage may follow."""

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
                if word(choice, "text"):
                    events.append(TextDelta(word(choice, "text")))
                if word(choice, "finish_reason"):
                    self._stop = STOPS.get(word(choice, "finish_reason"), StopReason.END)
        return self._said.add(events)


class Writer:
    """Events in, chunks out; thinking and calls have no place here. `include_usage` is what the client asked for."""

    def __init__(self, model: str, *, id: str = "cmpl-hroute", created: int = 0, include_usage: bool = True) -> None:
        self._head = {"id": id, "object": "text_completion", "created": created, "model": model}
        self._include_usage = include_usage
        self._said = False

    def write(self, event: Event) -> bytes:
        ended = isinstance(event, Done) and event.reply.stop is not StopReason.TRUNCATED
        return b"".join(sse(dumps(frame)) for frame in self.frames(event)) + (sse(END) if ended else b"")

    def fail(self, status: int, type: str, message: str) -> bytes:
        """The stream ends with an error, in the dialect's own shape, and without `[DONE]`."""
        return sse(dumps(error_body("openai_completions", status, type, message)))

    def frames(self, event: Event) -> list[dict[str, Any]]:
        match event:
            case TextDelta(text) if text:
                self._said = True
                return [self._chunk(text)]
            case Done():
                return list(self._end(event))
        return []

    def _end(self, event: Done) -> Iterator[dict[str, Any]]:
        reply = event.reply
        if reply.stop is StopReason.TRUNCATED:
            yield error_body("openai_completions", 500, "", "the reply was cut off")
            return
        if not self._said:
            yield from (self._chunk(part.text) for part in reply.parts if isinstance(part, Text) and part.text)
        yield self._chunk("", STOP_NAMES[reply.stop])
        if self._include_usage:
            yield {**self._head, "choices": [], "usage": usage_body(reply.usage)}

    def _chunk(self, text: str, finish: str | None = None) -> dict[str, Any]:
        return {**self._head, "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]}
