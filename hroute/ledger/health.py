"""Rates and what chance makes of them: Fisher's exact test of whether one has grown, and Wilson's interval of one."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, sqrt


@dataclass(frozen=True, slots=True)
class Counted:
    """`hits` of `total` requests."""

    hits: int
    total: int

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.hits + other.hits, self.total + other.total)

    @property
    def rate(self) -> float:
        return self.hits / self.total if self.total else 0.0


def grown(before: Counted, now: Counted) -> float:
    """The chance that as many hits, or more, fall into `now` where both sides have the same rate (Fisher's exact test)."""
    hits, total = before.hits + now.hits, before.total + now.total
    most = min(hits, now.total)
    if not hits or now.hits <= max(0, hits - before.total):
        return 1.0
    usual = (hits + 1) * (now.total + 1) / (total + 2)  # the likeliest number; beyond it chances only fall
    whole, chance = _log_choose(total, hits), 0.0
    for n in range(now.hits, most + 1):
        part = exp(_log_choose(now.total, n) + _log_choose(before.total, hits - n) - whole)
        chance += part
        if n > usual and part <= chance * 1e-12:
            break
    return min(1.0, chance)


def wilson(counted: Counted, z: float = 1.96) -> tuple[float, float]:
    """The interval of a rate (Wilson's score, 95 % at z = 1.96); (0, 1) where nothing was counted."""
    return score_interval(counted.rate, counted.total, z)


def score_interval(rate: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score interval of a rate that rests on `n` requests, not necessarily a whole number of them."""
    if n <= 0:
        return 0.0, 1.0
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
