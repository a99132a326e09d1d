"""A progress bar on stderr, only where a person looks at it; `rich` is imported only then."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hroute.cli import streams

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
    """`bar.at(done, position)` from time to time; silent off a terminal. `size` is what `position` runs to (None: unknown)."""

    def __init__(self, noun: str, size: int | None) -> None:
        self._bar = _bar(noun) if streams.is_terminal(sys.stderr) else None
        self._task = self._bar.add_task("", total=size, done=0, rate=0.0) if self._bar else None

    def at(self, done: int, position: int = 0) -> None:
        """Say how far it is: `done` requests, at `position`."""
        if self._bar is not None and self._task is not None:
            elapsed = self._bar.tasks[0].elapsed
            self._bar.update(self._task, completed=position, done=done, rate=done / elapsed if elapsed else 0.0)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(noun: str) -> Bar:
    """`━━━━━━━━━━━━╸       62 %  37,200 requests  8,012/s`; gone when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[done]:,} " + noun),
        TextColumn("{task.fields[rate]:,.0f}/s"),
    )
    return Bar(*columns, console=Console(file=sys.stderr), transient=True)
