"""Columns of text, aligned by what a terminal shows."""

from __future__ import annotations

from collections.abc import Sequence

from hroute.cli.render.text import pad, pad_left, width


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
