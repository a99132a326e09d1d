"""Streams: read up to the commit point, pass on after it, never splice, and say when the end is missing.

A stream commits at the first event that says something (text, thinking, a tool call). Until then a failure falls back
silently; after it the caller has seen words of one model, and another one's cannot follow.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

from hroute.providers.protocol import ProviderError
from hroute.router.attempts import Accepted, Broken, Opened
from hroute.router.egress import Forbidden
from hroute.terms.message import Done, Event, Reply, StopReason, TextDelta, ThinkingDelta, ToolUseDelta
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage
from hroute.wire.sequence import Assembly, pieces

NO_END = Failure(Outcome.BAD_CONTENT, "the stream ended without its terminal event", code="cut_off")
UNKNOWN_TOOL = Failure(Outcome.BAD_CONTENT, "the reply calls a tool that was not offered", code="unknown_tool")


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


def open_stream(events: Iterator[Event], tools: frozenset[str]) -> Reply | Failure | Opened:
    """Read `events` up to the commit point; `tools` are those that were offered. Raises ProviderError as the stream does.

    A stream that does not commit is closed.
    """
    read: list[Event] = []
    found: Reply | Failure | Opened = NO_END
    try:
        for event in events:
            read.append(event)
            if isinstance(event, Done) or says_something(event):
                found = _found(read, events, tools)
                break
    finally:
        if not isinstance(found, Opened):
            _close(events)
    return found


async def aopen_stream(events: AsyncIterator[Event], tools: frozenset[str]) -> Reply | Failure | Opened:
    """`open_stream` for asynchronous streams."""
    read: list[Event] = []
    found: Reply | Failure | Opened = NO_END
    try:
        async for event in events:
            read.append(event)
            if isinstance(event, Done) or says_something(event):
                found = _found(read, events, tools)
                break
    finally:
        if not isinstance(found, Opened):
            await _aclose(events)
    return found


def _found(read: list[Event], rest: object, tools: frozenset[str]) -> Reply | Failure | Opened:
    """What a stream is, by its last event so far: a whole reply, or one that commits, unless its first word is already
    wrong."""
    last = read[-1]
    if isinstance(last, Done):
        return last.reply
    if isinstance(last, ToolUseDelta) and last.name and last.name not in tools:
        return UNKNOWN_TOOL
    return Opened(tuple(read), rest)


def pass_on(opened: Opened, model: str) -> Generator[Event, None, Reply | Broken]:
    """Yield the events of a committed stream, all but Done; return how it ended."""
    so_far = Assembly(model)
    yield from so_far.add(list(opened.events))
    try:
        for event in opened.rest:
            if isinstance(event, Done):
                return event.reply
            so_far.add([event])
            yield event
    except Exception as error:
        return _broken(so_far, failure_of(error))
    finally:
        _close(opened.rest)
    return _broken(so_far, NO_END)


async def apass_on(opened: Opened, model: str, ended: list[Reply | Broken]) -> AsyncGenerator[Event, None]:
    """`pass_on` for asynchronous streams; how it ended is appended to `ended`."""
    so_far = Assembly(model)
    for event in so_far.add(list(opened.events)):
        yield event
    try:
        async for event in opened.rest:
            if isinstance(event, Done):
                ended.append(event.reply)
                return
            so_far.add([event])
            yield event
    except Exception as error:
        ended.append(_broken(so_far, failure_of(error)))
        return
    finally:
        await _aclose(opened.rest)
    ended.append(_broken(so_far, NO_END))


def as_events(accepted: Accepted) -> Iterator[Event]:
    """A reply that was held back until it was judged, as a stream: its clean text and its calls, all but Done."""
    if accepted.text:
        yield TextDelta(accepted.text)
    yield from (event for event in pieces(accepted.reply) if isinstance(event, ToolUseDelta))


def _broken(so_far: Assembly, failure: Failure) -> Broken:
    """What had come. A tool call whose arguments are not complete is marked `broken`: nobody may execute it."""
    return Broken(failure, so_far.reply(StopReason.TRUNCATED, Usage()))


def _close(events: object) -> None:
    close = getattr(events, "close", None)
    if close is not None:
        close()


async def _aclose(events: object) -> None:
    aclose = getattr(events, "aclose", None)
    if aclose is not None:
        await aclose()
