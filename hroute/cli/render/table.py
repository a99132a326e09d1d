"""Columns of text, aligned by what a terminal shows."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from shutil import get_terminal_size

from hroute.cli.render.text import pad, pad_left, shorten, width


def rows(cells: Sequence[Sequence[str]], *, indent: int = 0, gap: int = 2, right: Sequence[int] = ()) -> list[str]:
    """One line a row, each column as wide as its widest cell; columns in `right` are set flush right."""
    if not cells:
        return []
    columns = max(len(row) for row in cells)
    widths = [max((width(row[c]) for row in cells if c < len(row)), default=0) for c in range(columns)]
    lines = []
    for row in cells:
        shown = [(pad_left if c in right else pad)(cell, widths[c]) for c, cell in enumerate(row)]
        lines.append((" " * indent + (" " * gap).join(shown)).rstrip())
    return lines


def terminal_width() -> int | None:
    """How many cells a line may have: those of the terminal (or of COLUMNS); None where nobody looks."""
    try:
        seen = sys.stdout.isatty()
    except ValueError:
        seen = False
    columns = get_terminal_size((0, 0)).columns if seen or os.environ.get("COLUMNS") else 0
    return columns or None


def fitted(cells: Sequence[Sequence[str]], *, fixed: int, dear: Sequence[str], least: int = 8) -> list[str]:
    """A table with a header whose first `fixed` columns are names and whose others are figures, flush right.

    Where a terminal has no room for it, columns of `dear` are left out, the last first, and named; then names are cut.
    """
    room = terminal_width()
    kept = [list(row) for row in cells]
    hidden: list[str] = []
    for name in reversed([name for name in dear if name in cells[0]]):
        if room is None or _wide(kept) <= room:
            break
        at = kept[0].index(name)
        for row in kept:
            del row[at]
        hidden.append(name)
    if room is not None and (over := _wide(kept) - room) > 0:
        longest = max(width(row[0]) for row in kept)
        for row in kept:
            row[0] = shorten(row[0], max(least, longest - over))
    lines = rows(kept, right=range(fixed, len(kept[0])))
    if hidden:
        lines.append(f"({', '.join(reversed(hidden))}: no room)")
    return lines


def _wide(cells: Sequence[Sequence[str]], gap: int = 2) -> int:
    return sum(max(width(row[at]) for row in cells) + gap for at in range(len(cells[0]))) - gap
