"""Work through a long list with so many at a time, and stop in good order when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final, TypeVar

T = TypeVar("T")

GRACE: Final = 5.0
"""Seconds for which what was begun may still end after a stop: it is paid for."""


class Stop:
    """How a run is told to stop: once to begin nothing more, twice to drop what was begun. For one event loop."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.now = asyncio.Event()

    def __call__(self) -> None:
        if self.asked.is_set():
            self.now.set()
        self.asked.set()


async def work_through(
    source: Iterator[T], work: Callable[[T], Awaitable[None]], concurrency: int, stop: Stop, grace: float = GRACE
) -> None:
    """`work` on each item of `source`, at most `concurrency` at a time; the source is read only as fast as that.

    What `work` raises ends the run and is raised here, once everything that was begun is over.
    """

    async def worker() -> None:
        while not stop.asked.is_set() and (item := next(source, None)) is not None:
            await work(item)

    async def end_in_time() -> None:
        await stop.asked.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):  # `wait_for` of Python 3.11 may swallow a cancellation
                await stop.now.wait()
        for each in workers:
            each.cancel()

    workers = [asyncio.ensure_future(worker()) for _ in range(concurrency)]
    watcher = asyncio.ensure_future(end_in_time())
    try:
        await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in (watcher, *workers):
            task.cancel()
        ended = await asyncio.gather(*workers, return_exceptions=True)
    for end in ended:
        if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError):
            raise end
