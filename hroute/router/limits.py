"""How much one provider may be asked: slots, token buckets for requests and tokens a minute, and the vendor's own word.

Who has to wait stands in a line, first come, first served. A slot that is given back rings the bell of the first in the
line; nothing is polled, and nothing here knows threads from an event loop: waiting is a step of the ladder.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from hroute.router.attempts import Wait
from hroute.schema.policy import Limits
from hroute.terms.allowance import Allowance
from hroute.terms.clock import Bell, Clock

LONGEST: Final = 3600.0
"""Seconds for which a vendor's word is believed; then it is asked again."""

_SLACK: Final = 1e-6
"""Seconds, or tokens, that do not count: a clock that wakes a moment early."""


@dataclass(frozen=True, slots=True)
class Size:
    """Tokens of one call, as estimated."""

    prompt: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.output


@dataclass(frozen=True, slots=True)
class Shortage:
    """The limit that is hit: its key (`concurrency`, `requests_per_minute`, `retry_after`, `vendor requests`, ...), what
    to tell a person, and the seconds until it is over; None where that depends on a call that is under way."""

    limit: str
    detail: str
    seconds: float | None


@dataclass(eq=False, slots=True)
class Taken:
    """What a call holds of a provider's limits, until `leave`."""

    size: Size
    held: bool = True


@dataclass(eq=False, slots=True)
class _Turn:
    """A place in the line."""

    bell: Bell = field(default_factory=Bell)


class Bucket:
    """A token bucket: it holds a minute's worth and fills evenly. What is larger than the bucket is let through when it
    is full and leaves a debt."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._level = float(per_minute)
        self._at = now

    def seconds(self, amount: float, now: float) -> float:
        """Seconds until `amount` can be taken; 0 for now."""
        self._fill(now)
        lacking = min(amount, self.per_minute) - self._level
        return lacking * 60 / self.per_minute if lacking > _SLACK else 0.0

    def take(self, amount: float) -> None:
        self._level -= amount

    def give(self, amount: float, now: float) -> None:
        """Give back what was not used; a negative amount takes what was used beyond the estimate."""
        self._fill(now)
        self._level = min(float(self.per_minute), self._level + amount)

    def remember(self, amount: float, now: float) -> None:
        """What somebody else has taken; a debt of theirs is not ours."""
        self.give(-amount, now)
        self._level = max(0.0, self._level)

    def _fill(self, now: float) -> None:
        grown = max(0.0, now - self._at) * self.per_minute / 60
        self._level, self._at = min(float(self.per_minute), self._level + grown), now


@dataclass(slots=True)
class _Told:
    """An allowance of the vendor, less what has been sent since; over at `until`."""

    remaining: int
    limit: int | None
    until: float


class Limiter:
    """The limits of one provider. Safe between threads and event loops; only `enter` waits, as steps of the ladder."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self._lock = threading.RLock()  # an abandoned generator may be closed while it is held
        self._line: deque[_Turn] = deque()
        self._under_way = 0
        self._hold = float("-inf")
        self._told: dict[str, _Told] = {}
        self._requests = _bucket(limits.requests_per_minute, clock)
        self._tokens = _bucket(limits.tokens_per_minute, clock)

    @property
    def under_way(self) -> int:
        """Calls that hold a slot."""
        return self._under_way

    @property
    def waiting(self) -> int:
        """Calls that stand in the line."""
        return len(self._line)

    def shortage(self, size: Size) -> Shortage | None:
        """The limit that a call of this size would hit now. Takes nothing."""
        with self._lock:
            return self._shortage(size, None, self.clock.now())

    @property
    def counts_tokens(self) -> bool:
        """Whether the size of a call matters here."""
        with self._lock:
            return self._tokens is not None or any("tokens" in kind for kind in self._told)

    def enter(self, size: Size, patience: Callable[[], float]) -> Generator[Wait, Any, Taken | Shortage]:
        """Room for one call, or the limit that is hit after waiting for at most `patience` seconds (asked only where
        there is no room at once). Where it is known that the wait would be longer, nobody waits in vain."""
        with self._lock:
            found = self._take(size, None)
        if isinstance(found, Taken) or (seconds := patience()) <= 0:
            return found
        until = self.clock.now() + seconds
        turn = _Turn()
        with self._lock:
            self._line.append(turn)
        try:
            while True:
                with self._lock:
                    turn.bell = Bell()
                    found = self._take(size, turn)
                left = until - self.clock.now()
                if isinstance(found, Taken) or left <= 0 or (found.seconds or 0.0) > left:
                    return found
                yield Wait(left if found.seconds is None else found.seconds, turn.bell)
        finally:
            with self._lock:
                self._line.remove(turn)
            self._ring()

    def leave(self, taken: Taken, used: int | None = None) -> None:
        """Give back the slot; `used` are the tokens that were really used, None where nobody knows. Once is enough."""
        with self._lock:
            if not taken.held:
                return
            taken.held = False
            self._under_way -= 1
            if self._tokens is not None and used is not None:
                self._tokens.give(taken.size.total - used, self.clock.now())
        self._ring()

    def undo(self, taken: Taken) -> None:
        """Give everything back: the call was never made."""
        with self._lock:
            if not taken.held:
                return
            if self._requests is not None:
                self._requests.give(1, self.clock.now())
            for kind, told in self._told.items():
                told.remaining += _need(kind, taken.size)
        self.leave(taken, used=0)

    def heed(self, allowances: Iterable[Allowance], retry_after: float | None = None) -> None:
        """What the vendor said with its answer."""
        with self._lock:
            now = self.clock.now()
            if retry_after is not None:
                self._hold = max(self._hold, now + min(retry_after, LONGEST))
            for one in allowances:
                if one.seconds is None:
                    self._told.pop(one.kind, None)
                else:
                    self._told[one.kind] = _Told(one.remaining, one.limit, now + min(one.seconds, LONGEST))
        self._ring()

    def remember(self, tokens: int) -> None:
        """A call that somebody else has made, of so many tokens."""
        with self._lock:
            now = self.clock.now()
            if self._requests is not None:
                self._requests.remember(1, now)
            if self._tokens is not None:
                self._tokens.remember(tokens, now)

    def adjust(self, limits: Limits) -> None:
        """Go on under other limits, with the calls that are under way."""
        with self._lock:
            before, self.limits = self.limits, limits
            if limits.requests_per_minute != before.requests_per_minute:
                self._requests = _bucket(limits.requests_per_minute, self.clock)
            if limits.tokens_per_minute != before.tokens_per_minute:
                self._tokens = _bucket(limits.tokens_per_minute, self.clock)
        self._ring()

    def _take(self, size: Size, turn: _Turn | None) -> Taken | Shortage:
        now = self.clock.now()
        shortage = self._shortage(size, turn, now)
        if shortage is not None:
            return shortage
        self._under_way += 1
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(size.total)
        for kind, told in self._told.items():
            told.remaining -= _need(kind, size)
        return Taken(size)

    def _shortage(self, size: Size, turn: _Turn | None, now: float) -> Shortage | None:
        limits = self.limits
        if limits.concurrency is not None and self._under_way >= limits.concurrency:
            calls = "1 call" if limits.concurrency == 1 else f"{limits.concurrency} calls"
            return Shortage("concurrency", f"limits.concurrency is reached: {calls} at a time", None)
        if self._hold - now > _SLACK:
            return Shortage("retry_after", f"its vendor asks to wait {_shown(self._hold - now)} more", self._hold - now)
        if self._requests is not None and (seconds := self._requests.seconds(1, now)):
            detail = f"limits.requests_per_minute is reached: {limits.requests_per_minute} requests a minute"
            return Shortage("requests_per_minute", detail, seconds)
        if self._tokens is not None and (seconds := self._tokens.seconds(size.total, now)):
            detail = f"limits.tokens_per_minute is reached: {limits.tokens_per_minute} tokens a minute"
            return Shortage("tokens_per_minute", detail, seconds)
        for kind, told in self._told.items():
            need = _need(kind, size) if told.limit is None else min(_need(kind, size), told.limit)
            if told.until - now > _SLACK and told.remaining < need:
                words, left = kind.replace("-", " "), told.until - now
                detail = f"its vendor's limit on {words} is reached, {_shown(left)} until it is whole again"
                return Shortage(f"vendor {kind}", detail, left)
        if self._line and self._line[0] is not turn:
            return Shortage("line", f"{len(self._line)} others wait for it", None)
        return None

    def _ring(self) -> None:
        with self._lock:
            first = self._line[0].bell if self._line else None
        if first is not None:
            first.ring()


def _bucket(per_minute: int | None, clock: Clock) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute, clock.now())


def _need(kind: str, size: Size) -> int:
    """What a call takes of a vendor's limit."""
    if "tokens" not in kind:
        return 1
    return size.prompt if kind.startswith("input") else size.output if kind.startswith("output") else size.total


def _shown(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
