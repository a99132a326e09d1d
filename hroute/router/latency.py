"""The latency breaker of one provider: a windowed p95 that moves it to the end of the plan; it never refuses anybody.

Its own component with its own state, apart from errors and from classification: a server that queues what it cannot do
at once gives no errors, it only gets slow. What failed has no latency, and the load of a cold model is not counted.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from hroute.router.breaker import period
from hroute.schema.policy import LatencyBreaker as Settings
from hroute.terms.clock import Clock, Rng

MOST: Final = 1000
"""Samples in the window; of more the oldest go."""

Phase = Literal["closed", "open", "half-open"]


class Window:
    """The latencies of the last `within` seconds, sorted, with what is too old forgotten."""

    def __init__(self, within: float, most: int = MOST) -> None:
        self.within = within
        self._most = most
        self._timed: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, now: float, seconds: float) -> None:
        self._timed.append((now, seconds))
        insort(self._sorted, seconds)
        self.forget(now)

    def forget(self, now: float) -> None:
        """Drop what is older than the window, and the oldest of too many."""
        while self._timed and (self._timed[0][0] < now - self.within or len(self._timed) > self._most):
            _, seconds = self._timed.popleft()
            del self._sorted[bisect_left(self._sorted, seconds)]

    def p95(self) -> float | None:
        """The smallest latency that 95 % do not exceed (nearest rank); None without samples."""
        rank = -(-95 * len(self._sorted) // 100)
        return self._sorted[rank - 1] if rank else None

    def clear(self) -> None:
        self._timed.clear()
        self._sorted.clear()


class LatencyBreaker:
    """Opens when the p95 of at least `samples` answers exceeds the limit, for `open_for`; then at most `probes` calls at
    a time find the provider at its old place, and so many answers in time close it again, one that is late opens it for
    longer. Safe between threads and event loops: it never waits."""

    def __init__(
        self,
        settings: Settings,
        probes: int,
        clock: Clock,
        rng: Rng,
        changed: Callable[[str, str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.probes = probes
        self.clock = clock
        self.until = float("-inf")
        self._rng = rng
        self._changed = changed
        self._lock = threading.RLock()  # an abandoned generator may be closed while it is held
        self._window = Window(settings.within)
        self._level: int | None = None  # None: closed
        self._probing: set[object] = set()
        self._in_time = 0
        self._told: Phase = "closed"

    @property
    def state(self) -> Phase:
        with self._lock:
            return self._phase(self.clock.now())

    @property
    def p95(self) -> float | None:
        """Seconds, over the window as it is now; None where it is empty."""
        with self._lock:
            self._window.forget(self.clock.now())
            return self._window.p95()

    def postpones(self) -> bool:
        """Whether the provider is to be asked after all others."""
        with self._lock:
            phase = self._phase(self.clock.now())
            return phase == "open" or (phase == "half-open" and len(self._probing) + self._in_time >= self.probes)

    def enter(self) -> object:
        """A call begins; what is returned is handed to `leave` at its end."""
        call = object()
        with self._lock:
            before, self._told = self._told, self._phase(self.clock.now())
            after = self._told
            if after == "half-open":
                self._probing.add(call)
        self._tell(before, after)
        return call

    def leave(self, call: object, seconds: float | None) -> None:
        """The call has ended: `seconds` is its latency, None where it failed or was given up."""
        with self._lock:
            now = self.clock.now()
            probe = call in self._probing
            self._probing.discard(call)
            if seconds is not None:
                self._window.add(now, seconds)
                self._judge(now, seconds, probe)
            before, self._told = self._told, self._phase(now)
            after = self._told
        self._tell(before, after)

    def adjust(self, settings: Settings, probes: int) -> None:
        """Go on under other settings, with what is known."""
        with self._lock:
            self.settings, self.probes = settings, probes
            self._window.within = settings.within

    def _tell(self, before: Phase, after: Phase) -> None:
        if self._changed is not None and before != after:
            self._changed(before, after)

    def _judge(self, now: float, seconds: float, probe: bool) -> None:
        if self._level is None:
            late = self._window.p95()
            if len(self._window) >= self.settings.samples and late is not None and late > self.settings.p95:
                self._open(0, now)
        elif probe and seconds > self.settings.p95:
            self._open(self._level + 1, now)
        elif probe:
            self._in_time += 1
            if self._in_time >= self.probes:
                self._level = None
                self._window.clear()

    def _open(self, level: int, now: float) -> None:
        self._level = level
        self._in_time = 0
        self._probing.clear()
        self.until = max(self.until, now + period(self.settings.open_for, level, self._rng))

    def _phase(self, now: float) -> Phase:
        if self._level is None:
            return "closed"
        return "open" if now < self.until else "half-open"
