"""Which threshold of a score pays: quality gained against dear calls made, on requests whose outcomes are known.

A row says what a cheap and a dear model's answers to one request were worth, 0 to 1, and what the score said of it. From a
threshold t on, requests go to the dear model:

    c(t)   = share of requests with score >= t
    PGR(t) = (quality reached - quality of all cheap) / (quality of all dear - quality of all cheap)
    APGR   = area under PGR over c from 0 to 1; sending at random gives one half

Requests with one score go together; between two thresholds the curve is a line. All of it is pure: no clock, no files,
and randomness by a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby, pairwise
from operator import itemgetter
from random import Random
from typing import Final

ROUNDS: Final = 500
"""Resamplings behind an interval."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One request with known outcomes: what each answer was worth, and the scores that are compared, by name."""

    cheap: float
    dear: float
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold leads to. `threshold` None: nothing is sent to the dear model.

    `dear` is the share of dear calls, `quality` the mean worth of the answers, `missed` the share of requests that were
    answered cheaply though the dear answer was worth more (weighed by how much), `cost` dear calls plus `miss_cost` times missed.
    """

    threshold: float | None
    dear: float
    quality: float
    missed: float
    cost: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the range that holds it in 95 of 100 resamplings."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Advice:
    """The threshold that costs least, beside sending everything to one side. None: nothing beats always-dear."""

    threshold: float | None
    cost: Interval
    always_dear: float
    always_cheap: float

    @property
    def pays(self) -> bool:
        """Whether it costs less than always-dear even at the unfavourable end of the interval."""
        return self.threshold is not None and self.cost.high < self.always_dear


def points(rows: Sequence[Labelled], which: int, miss_cost: float) -> list[Point]:
    """One point a threshold, from none sent to the dear model to all; `which` picks the score."""
    if not rows:
        return []
    count = len(rows)
    quality = sum(row.cheap for row in rows)
    missed = sum(max(0.0, row.dear - row.cheap) for row in rows)
    found = [_point(None, 0, quality, missed, count, miss_cost)]
    sent = 0
    ordered = sorted(rows, key=lambda row: -row.scores[which])
    for threshold, together in groupby(ordered, key=lambda row: row.scores[which]):
        for row in together:
            sent += 1
            quality += row.dear - row.cheap
            missed -= max(0.0, row.dear - row.cheap)
        found.append(_point(threshold, sent, quality, missed, count, miss_cost))
    return found


def _point(threshold: float | None, sent: int, quality: float, missed: float, count: int, miss_cost: float) -> Point:
    missed = max(0.0, missed) / count
    return Point(threshold, sent / count, quality / count, missed, sent / count + miss_cost * missed)


def apgr(rows: Sequence[Labelled], which: int) -> float | None:
    """The area under PGR over the share of dear calls; None where the dear model is no better than the cheap one."""
    gap = sum([row.dear - row.cheap for row in rows])
    if not rows or gap <= 1e-9 * len(rows):
        return None
    area = height = 0.0
    together: float | None = None
    start = count = 0
    won = 0.0
    for score, gain in sorted([(-row.scores[which], row.dear - row.cheap) for row in rows], key=itemgetter(0)):
        if score != together:
            area += (count - start) * (2 * height + won) / 2
            height, start, won, together = height + won, count, 0.0, score
        won += gain
        count += 1
    area += (count - start) * (2 * height + won) / 2
    return area / gap / len(rows)


def calls_for(rows: Sequence[Labelled], which: int, share: float) -> float | None:
    """CPT: the smallest share of dear calls that recovers `share` of the gap; None where there is no gap."""
    curve = points(rows, which, 0.0)
    if not curve or curve[-1].quality - curve[0].quality <= 1e-9:
        return None
    wanted = curve[0].quality + share * (curve[-1].quality - curve[0].quality)
    for before, after in pairwise(curve):
        if after.quality >= wanted:
            rise = after.quality - before.quality
            return before.dear + (after.dear - before.dear) * ((wanted - before.quality) / rise if rise > 0 else 0.0)
    return 1.0


def advise(rows: Sequence[Labelled], which: int, miss_cost: float, *, seed: int = 7) -> Advice:
    """The cheapest threshold, chosen on one half of the rows and judged on the other, so that luck is not praised."""
    chosen_on, judged_on = _halves(rows, seed)
    best = min(points(chosen_on, which, miss_cost), key=lambda p: (p.cost, p.dear), default=None)
    everything = points(judged_on, which, miss_cost)
    if best is None or not everything:
        return Advice(None, Interval(1.0, 1.0, 1.0), 1.0, 0.0)
    threshold = best.threshold if best.threshold is not None else float("inf")

    def cost(of: Sequence[Labelled]) -> float:
        return sum(
            1.0 if row.scores[which] >= threshold else miss_cost * max(0.0, row.dear - row.cheap) for row in of
        ) / len(of)

    measured = interval(judged_on, cost, seed=seed)
    return Advice(threshold if best.dear < 1 else None, measured, 1.0, everything[0].cost)


def interval(
    rows: Sequence[Labelled],
    figure: Callable[[Sequence[Labelled]], float | None],
    *,
    rounds: int = ROUNDS,
    seed: int = 7,
) -> Interval:
    """A figure of the rows with its bootstrap interval: the rows drawn again with replacement, the percentiles 2.5 and 97.5."""
    random, seen = Random(seed), list[float]()
    for _ in range(rounds):
        value = figure(random.choices(rows, k=len(rows)))
        if value is not None:
            seen.append(value)
    whole = figure(rows)
    if whole is None or not seen:
        return Interval(float("nan"), float("nan"), float("nan"))
    seen.sort()
    return Interval(whole, seen[int(0.025 * len(seen))], seen[min(len(seen) - 1, int(0.975 * len(seen)))])


def difference(rows: Sequence[Labelled], which: int, other: int, *, rounds: int = 200) -> Interval:
    """By how much one score's APGR is above another's on the same rows, with its interval: rows are drawn in pairs, so that
    what makes both better or worse falls out."""

    def ahead(some: Sequence[Labelled]) -> float | None:
        own, others = apgr(some, which), apgr(some, other)
        return None if own is None or others is None else own - others

    return interval(rows, ahead, rounds=rounds)


def at_random(name: str) -> float:
    """A score without meaning that is the same whenever it is asked of one request."""
    return int.from_bytes(blake2b(name.encode("utf-8", "replace"), digest_size=6).digest(), "big") / 2**48


def _halves(rows: Sequence[Labelled], seed: int) -> tuple[list[Labelled], list[Labelled]]:
    mixed = list(rows)
    Random(seed).shuffle(mixed)
    return mixed[::2], mixed[1::2]
