"""Timing a call honestly: several rounds, and the minimum, median and maximum of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """Rounds of one measurement, in one unit."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.rounds)

    def line(self, name: str, unit: str, bound: str = "") -> str:
        """`name   min / median / max unit   bound`."""
        low, high = min(self.rounds), max(self.rounds)
        return f"  {name:<44} {low:9.2f} {self.median:9.2f} {high:9.2f} {unit:<3}  {bound}"


def per_item(call: Callable[[object], object], items: Sequence[object], rounds: int = 9) -> Figure:
    """Microseconds of CPU of `call(item)`, averaged over all items, for each round after one that does not count."""
    results = []
    for number in range(rounds + 1):
        start = time.process_time()
        for item in items:
            call(item)
        if number:
            results.append((time.process_time() - start) / len(items) * 1e6)
    return Figure(tuple(results))


def whole(call: Callable[[], object], rounds: int = 5) -> Figure:
    """Milliseconds of CPU of `call()` for each round after one that does not count."""
    results = []
    for number in range(rounds + 1):
        start = time.process_time()
        call()
        if number:
            results.append((time.process_time() - start) * 1e3)
    return Figure(tuple(results))


HEADER = f"  {'':<44} {'min':>9} {'median':>9} {'max':>9}"
