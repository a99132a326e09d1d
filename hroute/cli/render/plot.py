"""Curves in characters: what share of the gap is recovered at what share of dear calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hroute.router.tune import Point

_WIDTH: Final = 50
_HEIGHT: Final = 12


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
