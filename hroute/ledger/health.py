"""Whether a rate has changed: the days of late against the days before, with a stated rate of false alarms.

The test is Fisher's exact one, one-sided (has it grown?), over requests as independent draws; with `tests` rates watched
at once each is held to `alpha / tests` (Bonferroni), so that the chance of any false alarm at one look is at most `alpha`
where nothing has changed. Traffic that comes in bursts of like requests is not independent: then alarms are more frequent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, sqrt
from typing import Final, Literal

from hroute.ledger.store import Transaction

ALPHA: Final = 0.001
"""The chance of a false alarm at one look over everything: once in three years of daily looks."""

LEAST: Final = 30
"""Requests that each side must have."""

Metric = Literal["escalated", "follow_ups", "spoiled", "failed"]
METRICS: Final[tuple[Metric, ...]] = ("escalated", "follow_ups", "spoiled", "failed")


@dataclass(frozen=True, slots=True)
class Counted:
    """`hits` of `total` requests."""

    hits: int
    total: int

    @property
    def rate(self) -> float:
        return self.hits / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rate of a rule that has grown. `chance` is that of so much growth where nothing has changed; `false_alarms` is
    what one look at all rates was held to. `cause` says what it looks like, "" where that cannot be told."""

    rule: str
    metric: Metric
    before: Counted
    now: Counted
    chance: float
    false_alarms: float
    cause: str = ""


def grown(before: Counted, now: Counted) -> float:
    """The chance that as many hits, or more, fall into `now` where both sides have the same rate (Fisher's exact test)."""
    hits, total = before.hits + now.hits, before.total + now.total
    most = min(hits, now.total)
    if not hits or now.hits <= max(0, hits - before.total):
        return 1.0
    whole = _log_choose(total, hits)
    chances = (
        _log_choose(now.total, n) + _log_choose(before.total, hits - n) - whole for n in range(now.hits, most + 1)
    )
    return min(1.0, sum(exp(chance) for chance in chances))


def alarms(
    transaction: Transaction, since: str, until: str, *, alpha: float = ALPHA, metrics: Sequence[Metric] = METRICS
) -> list[Alarm]:
    """Rates that grew from the days before `since` to those from `since` until before `until` (days of the ledger)."""
    watched = [
        (rule, metric, before, now)
        for rule, (old, new) in _sides(transaction, since, until).items()
        for metric in metrics
        if (before := _counted(old, metric)).total >= LEAST and (now := _counted(new, metric)).total >= LEAST
    ]
    found = []
    for rule, metric, before, now in watched:
        chance = grown(before, now)
        if chance <= alpha / len(watched) and now.rate > before.rate:
            cause = cause_of(transaction, rule, since, until) if metric == "escalated" else ""
            found.append(Alarm(rule, metric, before, now, chance, alpha, cause))
    return sorted(found, key=lambda alarm: alarm.chance)


def cause_of(transaction: Transaction, rule: str, since: str, until: str) -> str:
    """What a grown escalation rate looks like: `traffic` (requests became harder: the old rates at the new mix of scores
    explain at least half of the growth), `model` (more escalations at equal score), or "" without recorded scores."""
    old = _by_score(transaction, rule, "day < ?", (since,))
    new = _by_score(transaction, rule, "day >= ? AND day < ?", (since, until))
    before, now = _total(old), _total(new)
    if not before.total or not now.total or now.rate <= before.rate:
        return ""
    expected = sum(new[score].total * old.get(score, before).rate for score in new) / now.total
    return "traffic" if expected - before.rate >= (now.rate - before.rate) / 2 else "model"


def wilson(counted: Counted, z: float = 1.96) -> tuple[float, float]:
    """The interval of a rate (Wilson's score, 95 % at z = 1.96); (0, 1) where nothing was counted."""
    n, p = counted.total, counted.rate
    if not n:
        return 0.0, 1.0
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _sides(transaction: Transaction, since: str, until: str) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    sides: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    names = ("requests", "failed", "refused", *(m for m in METRICS if m != "failed"))
    sums = ", ".join(f"sum({name})" for name in names)
    for side, where, days in ((0, "day < ?", (since,)), (1, "day >= ? AND day < ?", (since, until))):
        for rule, *values in transaction.run(
            f"SELECT rule, {sums} FROM rollup WHERE {where} AND mode <> 'sandbox' GROUP BY rule", days
        ):
            pair = sides.setdefault(rule, ({}, {}))
            pair[side].update((name, int(value)) for name, value in zip(names, values, strict=True))
    return sides


def _counted(sums: Mapping[str, int], metric: Metric) -> Counted:
    """Failures among all requests that were not refused on purpose; the others among those with an answer."""
    asked = sums.get("requests", 0) - sums.get("refused", 0)
    if metric == "failed":
        return Counted(sums.get("failed", 0) - sums.get("refused", 0), asked)
    answered = sums.get("requests", 0) - sums.get("failed", 0)
    return Counted(min(sums.get(metric, 0), answered), answered)


def _by_score(transaction: Transaction, rule: str, where: str, days: tuple[str, ...]) -> dict[int, Counted]:
    """Answers and escalations in tenths of the score."""
    counts: dict[int, list[int]] = {}
    for kind, bucket, n in transaction.run(
        f"SELECT kind, bucket, sum(n) FROM histogram WHERE kind IN ('score', 'escalated_score') AND rule = ? AND {where} "
        "GROUP BY kind, bucket",
        (rule, *days),
    ):
        counts.setdefault(int(bucket) // 10, [0, 0])[kind == "score"] += int(n)
    return {score: Counted(min(hits, total), total) for score, (hits, total) in counts.items()}


def _total(counted: Mapping[int, Counted]) -> Counted:
    parts: Iterable[Counted] = counted.values()
    pairs = [(part.hits, part.total) for part in parts]
    return Counted(sum(hits for hits, _ in pairs), sum(total for _, total in pairs))


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
