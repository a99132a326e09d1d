"""Time and chance as parameters: the real ones, and virtual ones in which a test waits no second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

Rng = Callable[[], float]
"""A number in [0, 1), uniform; `random.random` is one."""


class Clock(Protocol):
    """Seconds that only grow, and two ways to let them pass. Nobody may read a date from it."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    async def asleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's monotonic clock; `asleep` belongs to asyncio."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        from asyncio import sleep

        await sleep(seconds)


class VirtualClock:
    """A clock that stands still until somebody sleeps or advances it. `waits` lists every sleep, in seconds."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self.waits: list[float] = []

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, as a slow provider does; not counted in `waits`."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        self.waits.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)
