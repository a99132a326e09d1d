"""An answer on its way to whoever asked for a stream: its events, how it ended, and hanging up when nobody listens."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from hroute.errors import UsageError
from hroute.router.answer import Answer
from hroute.router.attempts import Accepted, Broken, End
from hroute.router.drive import Ending, adrive_stream, asender, drive_stream, sender
from hroute.router.stream import as_events
from hroute.terms.message import Done, Event, TextDelta

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from hroute.router.engine import Engine, Run


@dataclass(slots=True)
class _Told:
    """Where the events leave the answer. They do not know the stream, so that one that is dropped is gone at once."""

    answer: Answer | None = None


class _Streaming:
    """A stream on its way: what is known before its end, and the answer after it."""

    def __init__(self, engine: Engine, run: Run) -> None:
        self._run = run
        self._told = _Told()
        self.id = run.id
        self.decision = run.decision

    @property
    def held_back(self) -> bool:
        """Whether the first event comes only after the whole reply was judged: the route validates it."""
        return not self._run.streams

    @property
    def answer(self) -> Answer:
        """The answer, once the stream has ended; of a broken one what had come, its stop is `truncated`."""
        if self._told.answer is None:
            raise UsageError("the stream has not ended yet", help="read its events to the end first")
        return self._told.answer


class Stream(_Streaming):
    """An iterator of events that ends with Done; `text()` gives only the words. Closing or dropping it hangs up on the
    provider.

    A stream that breaks after its first words raises AllFailed where it breaks; `answer` then holds what had come.
    """

    def __init__(self, engine: Engine, run: Run) -> None:
        super().__init__(engine, run)
        self._events = _events(engine, run, self._told)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def text(self) -> Iterator[str]:
        return (event.text for event in self if isinstance(event, TextDelta))

    def close(self) -> None:
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncStream(_Streaming):
    """`Stream` for an event loop."""

    _loop: AbstractEventLoop | None = None  # the one that it is read on, while it is

    def __init__(self, engine: Engine, run: Run) -> None:
        super().__init__(engine, run)
        self._events = _aevents(engine, run, self._told)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._loop is None:
            from asyncio import get_running_loop

            self._loop = get_running_loop()
        try:
            return await anext(self._events)
        except StopAsyncIteration:
            self._loop = None
            raise

    async def text(self) -> AsyncIterator[str]:
        async for event in self:
            if isinstance(event, TextDelta):
                yield event.text

    async def aclose(self) -> None:
        self._loop = None
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        """Dropped in the middle: the loop that it was read on closes it, the outermost generator first."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_close, loop, self._events)


_closing: set[Any] = set()
"""Tasks that close dropped streams; a loop itself holds its tasks weakly."""


def _close(loop: AbstractEventLoop, events: AsyncGenerator[Event, None]) -> None:
    async def close() -> None:
        await events.aclose()

    task = loop.create_task(close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _events(engine: Engine, run: Run, told: _Told) -> Generator[Event, None, None]:
    send = sender(engine.plugin)
    end = yield from drive_stream(run.steps, send, engine.clock)
    yield from _settled(engine, run, end, told, lambda answer: engine.shadows.cast(run, answer, send, engine.clock))


async def _aevents(engine: Engine, run: Run, told: _Told) -> AsyncGenerator[Event, None]:
    ending, send = Ending(), asender(engine.plugin)
    async with aclosing(adrive_stream(run.steps, send, engine.clock, ending)) as driver:
        async for event in driver:
            yield event
    for event in _settled(
        engine, run, ending.end, told, lambda answer: engine.shadows.acast(run, answer, send, engine.clock)
    ):
        yield event


def _settled(engine: Engine, run: Run, end: End, told: _Told, cast: Callable[[Answer], None]) -> Iterator[Event]:
    """The events that are still due: all of a reply that was held back, and the terminal one. `cast` sends the shadow."""
    if isinstance(end, Broken):
        told.answer = engine.partial(run, end)
    told.answer = answer = engine.settle(run, end)
    if not run.streams and isinstance(end, Accepted):
        yield from as_events(end)
    cast(answer)
    yield Done(answer.reply)
