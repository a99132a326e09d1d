"""Time and chance as parameters: the real ones, and virtual ones in which a test waits no second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

Rng = Callable[[], float]
"""A number in [0, 1), uniform; `random.random` is one."""


class Bell:
    """Wakes who sleeps before the time is over. It rings once and stays rung. Safe between threads and event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hearers: list[Callable[[], None]] = []
        self.rung = False

    def ring(self) -> None:
        with self._lock:
            self.rung = True
            hearers, self._hearers = self._hearers, []
        for hearer in hearers:
            hearer()

    def hear(self, hearer: Callable[[], None]) -> None:
        """Call `hearer` when it rings, at once where it has rung; in the thread that rings it."""
        with self._lock:
            if not self.rung:
                self._hearers.append(hearer)
                return
        hearer()

    def forget(self, hearer: Callable[[], None]) -> None:
        """Call `hearer` no more."""
        with self._lock, suppress(ValueError):
            self._hearers.remove(hearer)


class Clock(Protocol):
    """Seconds that only grow, and two ways to let them pass, or less of them where a bell rings. Nobody may read a date
    from it."""

    def now(self) -> float: ...

    def sleep(self, seconds: float, bell: Bell | None = None) -> None: ...

    async def asleep(self, seconds: float, bell: Bell | None = None) -> None: ...


class SystemClock:
    """The machine's monotonic clock; `asleep` belongs to asyncio."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, bell: Bell | None = None) -> None:
        if bell is None:
            time.sleep(seconds)
            return
        rung = threading.Event()
        bell.hear(rung.set)
        try:
            rung.wait(seconds)
        finally:
            bell.forget(rung.set)

    async def asleep(self, seconds: float, bell: Bell | None = None) -> None:
        from asyncio import Event, get_running_loop, sleep, timeout

        if bell is None:
            await sleep(seconds)
            return
        loop, rung = get_running_loop(), Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop may have been closed meanwhile
                loop.call_soon_threadsafe(rung.set)

        bell.hear(wake)
        try:
            with suppress(TimeoutError):
                async with timeout(seconds):  # `wait_for` of Python 3.11 may swallow a cancellation
                    await rung.wait()
        finally:
            bell.forget(wake)


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

    def sleep(self, seconds: float, bell: Bell | None = None) -> None:
        if bell is not None and bell.rung:
            return
        self.advance(seconds)
        self.waits.append(seconds)

    async def asleep(self, seconds: float, bell: Bell | None = None) -> None:
        self.sleep(seconds, bell)
