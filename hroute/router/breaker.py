"""The errors breaker of one provider: closed, open, half-open, ramp; each state is a small class, after resilience4j.

It counts what the provider has to answer for and nothing else. While it is open nobody calls; then at most `probes`
calls find out whether the provider answers again, and a ramp lets the others come back one by one, so that a server
that has just got up is not knocked down by everybody at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from hroute.schema import policy
from hroute.terms.clock import Clock, Rng
from hroute.terms.outcome import Outcome

LONGEST: Final = 10.0
"""The growth of the open time ends at so many times `open_for`."""

JITTER: Final = 0.2
"""An open time is stretched by up to this share, so that many processes do not all probe at the same moment."""

RAMP: Final = 8
"""So many answers after the probes close the breaker; each of them lets one more call in beside the others."""


class Verdict(Enum):
    """What the end of a call says about the provider."""

    ANSWERED = "answered"
    FAILED = "failed"
    REJECTED = "rejected"  # a credential that is refused will be refused again: opens at once
    NOTHING = "nothing"


BAD: Final = frozenset({Verdict.FAILED, Verdict.REJECTED})

VERDICTS: Final = {
    Outcome.OK: Verdict.ANSWERED,
    Outcome.BAD_CONTENT: Verdict.ANSWERED,
    Outcome.SERVER: Verdict.FAILED,
    Outcome.TRANSPORT: Verdict.FAILED,
    Outcome.TIMEOUT: Verdict.FAILED,
    Outcome.CAPACITY: Verdict.FAILED,
    Outcome.CREDENTIAL: Verdict.REJECTED,
    Outcome.CALLER_FAULT: Verdict.NOTHING,
    Outcome.CAPABILITY: Verdict.NOTHING,
    Outcome.CANCELLED: Verdict.NOTHING,
}
"""Every outcome (DESIGN 7). What the caller, our own choice of model or a bad answer caused opens nothing."""


class Pass:
    """Leave for one call; `era` is the number of openings before it: what began before the last opening and ends after
    it says nothing about a provider that has been let in again since."""

    __slots__ = ("era",)

    def __init__(self, era: int) -> None:
        self.era = era


class State(Protocol):
    """What the breaker does now."""

    name: str

    def at(self, now: float) -> State:
        """The state that this one has become by the mere passing of time."""

    def seconds(self, now: float) -> float | None:
        """Seconds until a call may be let in, 0 for now; None where that depends on a call that is under way."""

    def enter(self, leave: Pass) -> None:
        """A call begins; asked only where `seconds` is 0."""

    def hear(self, leave: Pass, verdict: Verdict, now: float) -> State:
        """A call has ended; the state that follows."""


class Breaker:
    """The errors breaker of one provider. Safe between threads and event loops: it never waits.

    `until` is the end of the open time on `clock`; it never shrinks. `changed` is told every new state, outside of the
    lock.
    """

    def __init__(
        self,
        settings: policy.Breaker,
        clock: Clock,
        rng: Rng,
        changed: Callable[[str, str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.until = float("-inf")
        self.era = 0
        self._rng = rng
        self._changed = changed
        self._lock = threading.RLock()  # an abandoned generator may be closed while it is held
        self._state: State = Closed(self)

    @property
    def state(self) -> str:
        """`closed`, `open`, `half-open` or `ramp`."""
        with self._lock:
            return self._state.at(self.clock.now()).name

    def seconds(self) -> float | None:
        """Seconds until a call may be let in, 0 for now; None where that depends on a call that is under way."""
        with self._lock:
            now = self.clock.now()
            return self._state.at(now).seconds(now)

    def enter(self) -> Pass | None:
        """Leave for one call, None where nobody may. Every leave is handed back to `hear`."""
        with self._lock:
            now = self.clock.now()
            before, self._state = self._state, self._state.at(now)
            leave = None
            if self._state.seconds(now) == 0:
                leave = Pass(self.era)
                self._state.enter(leave)
            after = self._state
        self._tell(before, after)
        return leave

    def hear(self, leave: Pass, verdict: Verdict) -> None:
        """How the call with this leave ended. A stream may be heard twice: ANSWERED when it begins to speak, and what
        came of it afterwards, NOTHING if that is no news."""
        with self._lock:
            before = self._state
            self._state = after = before.hear(leave, verdict, self.clock.now())
        self._tell(before, after)

    def probe(self) -> None:
        """Let probes in before the open time is over (`on_all_open: probe_best`)."""
        with self._lock:
            before, after = self._state, self._state.at(self.clock.now())
            self._state = after = HalfOpen(self, after.level) if isinstance(after, Open) else after
        self._tell(before, after)

    def opened(self, level: int, now: float) -> Open:
        """The open state that begins now: `open_for`, doubled with each opening that no closing has come between."""
        self.era += 1
        self.extend(level, now)
        return Open(self, level)

    def extend(self, level: int, now: float) -> None:
        """Keep it open for a whole period from now, unless it is open for longer already."""
        self.until = max(self.until, now + period(self.settings.open_for, level, self._rng))

    def _tell(self, before: State, after: State) -> None:
        if self._changed is not None and before.name != after.name:
            self._changed(before.name, after.name)


class Closed:
    """Everybody is let in; failures within the window are counted."""

    name = "closed"

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._failures: deque[float] = deque()

    def at(self, now: float) -> State:
        return self

    def seconds(self, now: float) -> float | None:
        return 0

    def enter(self, leave: Pass) -> None:
        pass

    def hear(self, leave: Pass, verdict: Verdict, now: float) -> State:
        settings = self._breaker.settings
        if leave.era != self._breaker.era or verdict not in BAD:
            return self
        if verdict is Verdict.REJECTED:
            return self._breaker.opened(0, now)
        self._failures.append(now)
        while self._failures[0] < now - settings.within:
            self._failures.popleft()
        return self._breaker.opened(0, now) if len(self._failures) >= settings.failures else self


class Open:
    """Nobody is let in until the time is over. Calls that were under way may prolong it, never shorten it."""

    name = "open"

    def __init__(self, breaker: Breaker, level: int) -> None:
        self._breaker = breaker
        self.level = level

    def at(self, now: float) -> State:
        return self if now < self._breaker.until else HalfOpen(self._breaker, self.level)

    def seconds(self, now: float) -> float | None:
        return max(0.0, self._breaker.until - now)

    def enter(self, leave: Pass) -> None:
        raise AssertionError("an open breaker lets nobody in")

    def hear(self, leave: Pass, verdict: Verdict, now: float) -> State:
        if verdict in BAD and leave.era >= self._breaker.era - 1:
            self._breaker.extend(self.level, now)
        return self


class HalfOpen:
    """At most `probes` calls are let in; all must answer, the first that fails opens it again, for longer."""

    name = "half-open"

    def __init__(self, breaker: Breaker, level: int) -> None:
        self._breaker = breaker
        self._level = level
        self._under_way: set[Pass] = set()
        self._answered = 0

    def at(self, now: float) -> State:
        return self

    def seconds(self, now: float) -> float | None:
        return 0 if len(self._under_way) + self._answered < self._breaker.settings.probes else None

    def enter(self, leave: Pass) -> None:
        self._under_way.add(leave)

    def hear(self, leave: Pass, verdict: Verdict, now: float) -> State:
        self._under_way.discard(leave)
        if leave.era != self._breaker.era:
            return self
        if verdict in BAD:
            return self._breaker.opened(self._level + 1, now)
        self._answered += verdict is Verdict.ANSWERED
        if self._answered < self._breaker.settings.probes:
            return self
        return Ramp(self._breaker, self._level)


class Ramp:
    """As TCP's slow start: each answer lets one more call in beside the others, a failure opens it again."""

    name = "ramp"

    def __init__(self, breaker: Breaker, level: int) -> None:
        self._breaker = breaker
        self._level = level
        self._under_way: set[Pass] = set()
        self._answered = 0

    def at(self, now: float) -> State:
        return self

    def seconds(self, now: float) -> float | None:
        return 0 if len(self._under_way) <= self._breaker.settings.probes + self._answered else None

    def enter(self, leave: Pass) -> None:
        self._under_way.add(leave)

    def hear(self, leave: Pass, verdict: Verdict, now: float) -> State:
        self._under_way.discard(leave)
        if leave.era != self._breaker.era:
            return self
        if verdict in BAD:
            return self._breaker.opened(self._level + 1, now)
        self._answered += verdict is Verdict.ANSWERED
        return Closed(self._breaker) if self._answered >= RAMP else self


def period(open_for: float, level: int, rng: Rng) -> float:
    """Seconds of an open time: doubled `level` times, capped at LONGEST times `open_for`, stretched by up to JITTER."""
    return min(open_for * 2.0 ** min(level, 30), open_for * LONGEST) * (1 + JITTER * rng())
