"""Pictures in characters: curves of what is recovered at what share of dear calls, and bars of what was spent."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hroute.cli.render.table import terminal_width
from hroute.cli.render.text import pad, pad_left, shorten, width

if TYPE_CHECKING:
    from hroute.router.tune import Point

_WIDTH: Final = 50
_HEIGHT: Final = 12
_WIDEST: Final = 100
_PARTS: Final = " ▏▎▍▌▋▊▉"
_STEPS: Final = " ▁▂▃▄▅▆▇█"
_MOST_BARS: Final = 62
_COLUMN: Final = 8


def bars(
    names: Sequence[str], figures: Sequence[float], labels: Sequence[str], *, of: Sequence[float] | None = None
) -> list[str]:
    """One bar a name, as long as its figure, with a label behind it; of very many names columns side by side, each the
    sum of its neighbours, or where figures are shares `of` something their mean. Plain characters where the output takes
    no others."""
    room = min(terminal_width() or 80, _WIDEST)
    if len(names) > _MOST_BARS:
        return _columns(names, figures, labels, room, of)
    longest = min(max(map(width, names), default=0), max(8, room // 3))
    most = max(figures, default=0.0)
    space = max(5, room - longest - max(map(width, labels), default=0) - 4)
    return [
        f"{pad(shorten(name, longest), longest)}  {pad(_bar(figure / most * space if most > 0 else 0.0), space)}  {label}"
        for name, figure, label in zip(names, figures, labels, strict=True)
    ]


def _bar(length: float) -> str:
    if not _blocks():
        return "#" * max(round(length), int(length > 0))
    whole, part = divmod(max(round(length * 8), int(length > 0)), 8)
    return "█" * whole + (_PARTS[part] if part else "")


def _columns(
    names: Sequence[str], figures: Sequence[float], labels: Sequence[str], room: int, of: Sequence[float] | None
) -> list[str]:
    each = -(-len(figures) // max(10, room - 12))
    parts = [slice(at, at + each) for at in range(0, len(figures), each)]
    if of is None:
        sums = [sum(figures[part]) for part in parts]
    else:
        weighed = [(sum(f * n for f, n in zip(figures[p], of[p], strict=True)), sum(of[p])) for p in parts]
        sums = [hits / whole if whole else 0.0 for hits, whole in weighed]
    most = max(sums)
    top = labels[max(range(len(figures)), key=lambda at: figures[at])] if each == 1 else ""
    lines = []
    for row in range(_COLUMN, 0, -1):
        heights = [value / most * _COLUMN - (row - 1) if most > 0 else 0.0 for value in sums]
        lines.append(f"{pad_left(top if row == _COLUMN else '', 9)} |{''.join(map(_step, heights)).rstrip()}")
    ends = f"{names[0]} .. {names[-1]}" + (f", {each} to a column" if each > 1 else "")
    return [*lines, f"{'':>9} +{'-' * len(sums)}", f"{'':>10} {ends}"]


def _step(height: float) -> str:
    if not _blocks():
        return "#" if height >= 0.5 else " "
    return _STEPS[max(0, min(8, round(height * 8)))]


def _blocks() -> bool:
    """Whether stdout takes block characters."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def curves(named: Mapping[str, Sequence[Point]]) -> list[str]:
    """The curves in one picture; each is drawn with the first letter of its name, the first named on top."""
    grid = [[" "] * (_WIDTH + 1) for _ in range(_HEIGHT + 1)]
    for name, points in reversed(list(named.items())):
        first, last = points[0].quality, points[-1].quality
        for column in range(_WIDTH + 1):
            recovered = (_at(points, column / _WIDTH) - first) / (last - first)
            row = _HEIGHT - round(min(1.0, max(0.0, recovered)) * _HEIGHT)
            grid[row][column] = name[0]
    lines = [f"{label:>6} |{''.join(row)}" for label, row in zip(_labels(), grid, strict=True)]
    legend = "  ".join(f"{name[0]} {name}" for name in named)
    return [
        *lines,
        f"{'':>6} +{'-' * (_WIDTH + 1)}",
        f"{'':>8}0 %{'dear calls':^{_WIDTH - 6}}100 %",
        f"{'':>8}{legend}",
    ]


def _labels() -> list[str]:
    marks = {0: "100 %", _HEIGHT // 2: "50 %", _HEIGHT: "0 %"}
    return [marks.get(row, "") for row in range(_HEIGHT + 1)]


def _at(points: Sequence[Point], share: float) -> float:
    """The quality at a share of dear calls, on the line between the points beside it."""
    before = points[0]
    for after in points:
        if after.dear >= share:
            width = after.dear - before.dear
            return before.quality + (after.quality - before.quality) * ((share - before.dear) / width if width else 0.0)
        before = after
    return points[-1].quality
