"""The timeouts of one call, carried to the socket that it ends up on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from hroute.providers.protocol import Target


class Timer:
    """The timeouts of one call, all in seconds. `said` is called at the first event that says something.

    `headers` are those of the answer: an SDK that drops them with its error still lets Retry-After be read.
    """

    def __init__(self, target: Target, *, stream: bool, now: Callable[[], float] = time.monotonic) -> None:
        self._target = target
        self._now = now
        self._until = now() + target.total
        self._first = now() + (target.first_token if stream else target.total)
        self._spoken = False
        self.headers: Mapping[str, str] = {}

    def said(self) -> None:
        self._spoken = True

    def connect(self) -> float:
        """Seconds that may be waited for a connection."""
        return min(self._target.connect, self._until - self._now())

    def read(self) -> float:
        """Seconds that may be waited for the next bytes."""
        left = self._until - self._now()
        return min(self._target.idle, left) if self._spoken else min(self._first - self._now(), left)


CURRENT: ContextVar[Timer | None] = ContextVar("hroute_timer", default=None)


@contextmanager
def timed(timer: Timer) -> Iterator[None]:
    """What is sent inside is under `timer`, and so is its reply, also where it is read later."""
    token = CURRENT.set(timer)
    try:
        yield
    finally:
        CURRENT.reset(token)
