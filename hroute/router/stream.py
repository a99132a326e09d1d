"""Streams: read up to the commit point, pass on after it, never splice, and say when the end is missing.

A stream commits at the first event that says something (text, thinking, a tool call). Until then a failure falls back
silently; after it the caller has seen words of one model, and another one's cannot follow.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

from hroute.providers.protocol import ProviderError
from hroute.router.attempts import Accepted, Broken, Opened
from hroute.router.egress import Forbidden
from hroute.terms.message import (
    Done,
    Event,
    Part,
    Reply,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolUse,
    ToolUseDelta,
)
from hroute.terms.outcome import Failure, Outcome

NO_END = Failure(Outcome.TRANSPORT, "the stream ended without its terminal event")


def failure_of(error: Exception) -> Failure:
    """What a plugin raised, as a failure. What it should not have raised is a defect of the plugin: nothing is quoted."""
    if isinstance(error, ProviderError):
        return error.failure
    if isinstance(error, Forbidden):
        raise error
    return Failure(Outcome.SERVER, f"the plugin failed with {type(error).__name__}", code="plugin")


def says_something(event: Event) -> bool:
    """Whether `event` commits a stream."""
    match event:
        case TextDelta(text=text) | ThinkingDelta(text=text):
            return bool(text)
        case ToolUseDelta():
            return True
        case _:
            return False


def open_stream(events: Iterator[Event]) -> Reply | Failure | Opened:
    """Read `events` up to the commit point. Raises ProviderError as the stream does."""
    read: list[Event] = []
    for event in events:
        if isinstance(event, Done):
            return event.reply
        read.append(event)
        if says_something(event):
            return Opened(tuple(read), events)
    return NO_END


async def aopen_stream(events: AsyncIterator[Event]) -> Reply | Failure | Opened:
    """`open_stream` for asynchronous streams."""
    read: list[Event] = []
    async for event in events:
        if isinstance(event, Done):
            return event.reply
        read.append(event)
        if says_something(event):
            return Opened(tuple(read), events)
    return NO_END


def pass_on(opened: Opened, model: str) -> Generator[Event, None, Reply | Broken]:
    """Yield the events of a committed stream, all but Done; return how it ended."""
    pieces = Pieces(model)
    yield from pieces.keep(opened.events)
    try:
        for event in opened.rest:
            if isinstance(event, Done):
                return event.reply
            pieces.add(event)
            yield event
    except Exception as error:
        return Broken(failure_of(error), pieces.reply())
    finally:
        _close(opened.rest)
    return Broken(NO_END, pieces.reply())


async def apass_on(opened: Opened, model: str, ended: list[Reply | Broken]) -> AsyncGenerator[Event, None]:
    """`pass_on` for asynchronous streams; how it ended is appended to `ended`."""
    pieces = Pieces(model)
    for event in pieces.keep(opened.events):
        yield event
    try:
        async for event in opened.rest:
            if isinstance(event, Done):
                ended.append(event.reply)
                return
            pieces.add(event)
            yield event
    except Exception as error:
        ended.append(Broken(failure_of(error), pieces.reply()))
        return
    finally:
        if (aclose := getattr(opened.rest, "aclose", None)) is not None:
            await aclose()
    ended.append(Broken(NO_END, pieces.reply()))


def as_events(accepted: Accepted) -> Iterator[Event]:
    """A reply that was held back until it was judged, as a stream: its clean text and its calls, all but Done."""
    if accepted.text:
        yield TextDelta(accepted.text)
    calls = [part for part in accepted.reply.parts if isinstance(part, ToolUse)]
    for index, call in enumerate(calls):
        yield ToolUseDelta(index, call.id, call.name, json.dumps(dict(call.input), ensure_ascii=False))


class Pieces:
    """What has come of a stream, to be told where it breaks."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: dict[int, list[str]] = {}

    def add(self, event: Event) -> None:
        match event:
            case TextDelta(text):
                self._text.append(text)
            case ThinkingDelta(text=text):
                self._thinking.append(text)
            case ToolUseDelta(index, id, name, fragment):
                known = self._calls.setdefault(index, ["", "", ""])
                known[0], known[1], known[2] = known[0] or id, known[1] or name, known[2] + fragment

    def keep(self, events: tuple[Event, ...]) -> Iterator[Event]:
        for event in events:
            self.add(event)
            yield event

    def reply(self) -> Reply:
        """The parts so far. A tool call whose arguments are not complete is left out: nobody may execute it."""
        parts: list[Part] = [Thinking("".join(self._thinking))] if self._thinking else []
        if self._text:
            parts.append(Text("".join(self._text)))
        for id, name, fragment in self._calls.values():
            try:
                given = json.loads(fragment)
            except ValueError:
                continue
            if isinstance(given, dict):
                parts.append(ToolUse(id, name, given))
        return Reply(tuple(parts), self._model, StopReason.TRUNCATED)


def _close(events: object) -> None:
    close = getattr(events, "close", None)
    if close is not None:
        close()
