"""A progress bar on stderr, only where a person looks at it."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from hroute.cli import streams

_WIDTH = 24
_EVERY = 0.1


class Progress:
    """`bar.at(done, position)` from time to time; silent off a terminal. `size` is what `position` runs to (None: unknown)."""

    def __init__(self, noun: str, size: int | None) -> None:
        self._noun = noun
        self._size = size
        self._shown = streams.is_terminal(sys.stderr)
        self._start = self._last = time.monotonic()

    def at(self, done: int, position: int = 0) -> None:
        """Draw where we are, at most ten times a second."""
        now = time.monotonic()
        if not self._shown or now - self._last < _EVERY:
            return
        self._last = now
        sys.stderr.write(f"\r\x1b[K{bar(done, self._noun, position, self._size, now - self._start)}")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def bar(done: int, noun: str, position: int, size: int | None, seconds: float) -> str:
    """`━━━━━━━───  62 %  37,200 requests  8,012/s`."""
    rate = f"{done / seconds:,.0f}/s" if seconds > 0 else ""
    if not size:
        return f"{done:,} {noun}  {rate}"
    share = min(position / size, 1.0)
    full = round(share * _WIDTH)
    return f"{'━' * full}{'─' * (_WIDTH - full)}  {share:.0%}".replace("%", " %") + f"  {done:,} {noun}  {rate}"
