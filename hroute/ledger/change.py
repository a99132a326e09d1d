"""Alarms: rates of rules that have grown, told from chance with a stated number of false alarms, and what it looks like.

Once in each hour that is over, the last 24 hours and the last 7 days are held against the 28 days before them, for each
rule and rate, by Fisher's exact test (R. A. Fisher, The Design of Experiments, 1935; one-sided: has it grown?). It is exact
for any rate and any number of requests. A look is one of 8,766 in a year, over `tests` pairs of rates; each pair is held
to `FALSE_ALARMS_A_YEAR / 8766 / tests` (the union bound: O. J. Dunn, JASA 56, 1961). So where nothing changes and requests
are independent draws, the number of false alarms expected in a year is at most `FALSE_ALARMS_A_YEAR`, however often and by
however many processes somebody looks. Requests that come in bursts of their like are not independent: then there are more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from hroute.ledger import alerts, periods
from hroute.ledger.health import Counted, grown
from hroute.ledger.rollup import HOUR
from hroute.ledger.store import Transaction

FALSE_ALARMS_A_YEAR: Final = 0.5
"""At most so many are expected in a year over everything that is watched: one in two years."""

WINDOWS: Final = (24, 168)
"""Hours that are held against what was before."""

REFERENCE: Final = 672
"""Hours before a window that say what is usual: 28 days."""

LEAST: Final = 30
"""Requests that each side must have."""

NEAR: Final = 5
"""Hundredths of the score within which a score is near a threshold."""

Metric = Literal["escalated", "follow_ups", "spoiled", "failed"]
METRICS: Final[tuple[Metric, ...]] = ("escalated", "follow_ups", "spoiled", "failed")
Cause = Literal["traffic", "model", "thresholds", "provider", ""]

Thresholds = Sequence[float]
"""Scores at which the policy decides otherwise."""

_LOOKS_A_YEAR: Final = 8_766
_LOOK: Final = "look"  # the name under which the last look is kept
_OVER: Final = 0.05  # an alarm is over once so much growth is no rarer than this
_BUCKET: Final = 5  # hundredths of the score that are counted together
_SUMMED: Final = ("requests", "failed", "refused", "escalated", "spoiled", "follow_ups")


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rate of a rule ("": of all together) that has grown in the last `hours`. `chance` is that of so much growth where
    nothing has changed, `cause` what an escalation's growth looks like ("" where that cannot be told)."""

    rule: str
    metric: Metric
    hours: int
    before: Counted
    now: Counted
    chance: float
    cause: Cause = ""

    def text(self) -> str:
        """One sentence for a person."""
        return alerts.text(self.payload())

    def payload(self) -> dict[str, Any]:
        """What an alert says: names and numbers."""
        return {
            "kind": "change", "rule": self.rule, "metric": self.metric, "hours": self.hours, "rate_before": round(self.before.rate, 6),
            "rate_now": round(self.now.rate, 6), "requests": self.now.total, "cause": self.cause,
            "false_alarms": FALSE_ALARMS_A_YEAR,
        }  # fmt: skip


def alarms(
    transaction: Transaction,
    now: int,
    *,
    zone: str = "UTC",
    thresholds: Thresholds = (),
    false_alarms: float = FALSE_ALARMS_A_YEAR,
) -> list[Alarm]:
    """Rates that have grown, as of the last full hour before `now` (milliseconds since 1970), the surest first. Of all
    rules together only what no single rule explains. `zone` is the ledger's."""
    pairs = _pairs(transaction, now // HOUR)
    bar = false_alarms / _LOOKS_A_YEAR / max(1, len(pairs))
    found: dict[tuple[str, Metric], Alarm] = {}
    for rule, metric, hours, before, after in pairs:
        if after.rate > before.rate and (chance := grown(before, after)) <= bar:
            alarm = Alarm(rule, metric, hours, before, after, chance)
            if (rule, metric) not in found or chance < found[rule, metric].chance:
                found[rule, metric] = alarm
    single = {metric for rule, metric in found if rule}
    kept = [alarm for alarm in found.values() if alarm.rule or alarm.metric not in single]
    spoiled = {
        (rule, hours): after.rate - before.rate for rule, metric, hours, before, after in pairs if metric == "spoiled"
    }
    caused = [_with_cause(transaction, alarm, now, zone, thresholds, spoiled) for alarm in kept]
    said = {alarm.rule for alarm in caused if alarm.cause == "model"}  # its spoiled replies are the same news
    told = [alarm for alarm in caused if alarm.metric != "spoiled" or alarm.rule not in said]
    return sorted(told, key=lambda alarm: (alarm.chance, alarm.rule, alarm.metric))


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found: alarms, and every rate that is still higher than chance would have it."""

    alarms: tuple[Alarm, ...]
    lasting: frozenset[tuple[str, str]]


def due(transaction: Transaction, now: int) -> bool:
    """Whether nobody has looked in this hour yet."""
    last = transaction.run("SELECT ts FROM done WHERE name = ?", (_LOOK,))
    return not last or int(last[0][0]) // HOUR != now // HOUR


def look(transaction: Transaction, now: int, *, zone: str = "UTC", thresholds: Thresholds = ()) -> Looked:
    """All that `tell` needs; reads only."""
    found = alarms(transaction, now, zone=zone, thresholds=thresholds)
    return Looked(tuple(found), frozenset(_lasting(transaction, now // HOUR)))


def tell(transaction: Transaction, looked: Looked, now: int) -> list[Alarm]:
    """Leave an alert for what has grown and was not told yet, unless another process was first in this hour; gives what
    is told now. An alarm that is over is forgotten, so that the next one is told."""
    if not due(transaction, now):
        return []
    transaction.run(
        "INSERT INTO done (name, ts) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET ts = excluded.ts", (_LOOK, now)
    )
    known = {(rule, metric) for rule, metric in transaction.run("SELECT rule, metric FROM alarm")}
    fresh = [alarm for alarm in looked.alarms if (alarm.rule, alarm.metric) not in known]
    for alarm in fresh:
        transaction.run(
            "INSERT INTO alarm (rule, metric, ts, cause) VALUES (?, ?, ?, ?)",
            (alarm.rule, alarm.metric, now, alarm.cause),
        )
        alerts.add(transaction, alarm.payload(), now)
    for rule, metric in known - looked.lasting:
        transaction.run("DELETE FROM alarm WHERE rule = ? AND metric = ?", (rule, metric))
    return fresh


def _lasting(transaction: Transaction, hour: int) -> set[tuple[str, str]]:
    """Rates that are still higher than chance would have them."""
    return {
        (rule, metric)
        for rule, metric, _, before, now in _pairs(transaction, hour)
        if now.rate > before.rate and grown(before, now) < _OVER
    }


def _pairs(transaction: Transaction, hour: int) -> list[tuple[str, Metric, int, Counted, Counted]]:
    """Every rate that can be looked at: rule, metric, window, what was before and what is now."""
    counts = _counts(transaction, hour)
    pairs = []
    for rule, parts in counts.items():
        for metric in METRICS:
            day, week, month, rest = (_counted(part, metric) for part in parts)
            sides = ((WINDOWS[0], week + month, day), (WINDOWS[1], month + rest, day + week))
            pairs += [
                (rule, metric, hours, before, now)
                for hours, before, now in sides
                if before.total >= LEAST and now.total >= LEAST
            ]
    return pairs


def _counts(transaction: Transaction, hour: int) -> dict[str, list[dict[str, int]]]:
    """Of each rule, and of all together, the sums of four stretches: the last day, the days of the week before it, the 28
    days after which the short window's reference begins, and what the long one's has besides."""
    day, week = hour - WINDOWS[0], hour - WINDOWS[1]
    bounds = (day, week, day - REFERENCE, week - REFERENCE)
    sums = ", ".join(f"sum({name})" for name in _SUMMED)
    part = f"CASE WHEN hour >= {bounds[0]} THEN 0 WHEN hour >= {bounds[1]} THEN 1 WHEN hour >= {bounds[2]} THEN 2 ELSE 3 END"
    found: dict[str, list[dict[str, int]]] = {}
    for rule, which, *values in transaction.run(
        f"SELECT rule, {part}, {sums} FROM rollup_hour WHERE hour >= ? AND hour < ? AND mode <> 'sandbox' "
        f"GROUP BY rule, {part}",
        (bounds[3], hour),
    ):
        for name in (rule, ""):
            parts = found.setdefault(name, [dict.fromkeys(_SUMMED, 0) for _ in range(4)])
            for column, value in zip(_SUMMED, values, strict=True):
                parts[which][column] += int(value)
    if len(found) == 2:  # one rule and all together are the same
        found.pop("", None)
    return found


def _counted(sums: Mapping[str, int], metric: Metric) -> Counted:
    """Failures among all requests that were not refused on purpose; the others among those with an answer."""
    if metric == "failed":
        asked = sums["requests"] - sums["refused"]
        return Counted(min(sums["failed"] - sums["refused"], asked), asked)
    answered = sums["requests"] - sums["failed"]
    return Counted(min(sums[metric], answered), answered)


# what it looks like


@dataclass(frozen=True, slots=True)
class Mix:
    """Answers, escalations and spoiled replies in one stretch of the score."""

    total: int = 0
    escalated: int = 0
    spoiled: int = 0

    def __add__(self, other: Mix) -> Mix:
        return Mix(self.total + other.total, self.escalated + other.escalated, self.spoiled + other.spoiled)

    @property
    def rate(self) -> float:
        return self.escalated / self.total if self.total else 0.0


Stratum = tuple[str, int]
"""A rule and a twentieth of the score."""


def cause_of(old: Mapping[Stratum, Mix], new: Mapping[Stratum, Mix], thresholds: Thresholds) -> Cause:
    """What a grown escalation rate looks like, by where in the score the growth lies.

    The growth is taken apart into what the mix of scores explains at equal rates and what the rates explain at equal mix
    (E. M. Kitagawa, JASA 50, 1955). `thresholds`: at least half of it lies near a threshold, and either more requests lie
    there than before or elsewhere nothing has grown. `traffic`: the mix explains at least half. Else the rates do: `model`
    where spoiled replies are at least half of the growth, `provider` where calls fail for other reasons.
    """
    before, now = sum(old.values(), Mix()), sum(new.values(), Mix())
    growth = now.rate - before.rate
    if not before.total or not now.total or growth <= 0:
        return ""
    near = {stratum for stratum in (*old, *new) if _is_near(stratum[1], thresholds)}
    if near and _lies_near(old, new, near, growth):
        return "thresholds"
    if _by_mix(old, new, before.total, now.total) >= growth / 2:
        return "traffic"
    spoiled = now.spoiled / now.total - before.spoiled / before.total
    return "model" if spoiled >= growth / 2 else "provider"


def _by_mix(old: Mapping[Stratum, Mix], new: Mapping[Stratum, Mix], before: int, now: int) -> float:
    """The growth that the mix explains. A score that one side never saw says nothing of a change at equal scores."""
    explained = 0.0
    for stratum in {*old, *new}:
        one, other = old.get(stratum, Mix()), new.get(stratum, Mix())
        rates = [mix.rate for mix in (one, other) if mix.total]
        explained += (other.total / now - one.total / before) * sum(rates) / len(rates)
    return explained


def _lies_near(old: Mapping[Stratum, Mix], new: Mapping[Stratum, Mix], near: set[Stratum], growth: float) -> bool:
    sides = []
    for strata in (old, new):
        close = sum((mix for stratum, mix in strata.items() if stratum in near), Mix())
        far = sum((mix for stratum, mix in strata.items() if stratum not in near), Mix())
        sides.append((close, far, close.total + far.total))
    (close, far, total), (close_now, far_now, total_now) = sides
    if close_now.escalated / total_now - close.escalated / total < growth / 2:
        return False
    denser = grown(Counted(close.total, total), Counted(close_now.total, total_now)) < _OVER / 5
    elsewhere = grown(Counted(far.escalated, far.total), Counted(far_now.escalated, far_now.total)) < _OVER / 5
    return denser or (not elsewhere and bool(far_now.total))


def _is_near(twentieth: int, thresholds: Thresholds) -> bool:
    low, high = twentieth * _BUCKET, (twentieth + 1) * _BUCKET
    return any(low < round(at * 100) + NEAR and round(at * 100) - NEAR < high for at in thresholds)


def _with_cause(
    transaction: Transaction,
    alarm: Alarm,
    now: int,
    zone: str,
    thresholds: Thresholds,
    spoiled: Mapping[tuple[str, int], float],
) -> Alarm:
    """Without scores only calls that fail can be told from replies that do, by how many more replies were `spoiled`."""
    if alarm.metric != "escalated":
        return alarm
    start = now - alarm.hours * HOUR
    first, edge, today = (periods.day_of(zone, at) for at in (start - REFERENCE * HOUR, start, now))
    old = _strata(transaction, alarm.rule, "day >= ? AND day < ?", (first, edge))
    new = _strata(transaction, alarm.rule, "day > ? AND day <= ?", (edge, today))
    if sum(mix.total for mix in new.values()) < LEAST:  # the day has just begun
        new = _strata(transaction, alarm.rule, "day >= ? AND day <= ?", (edge, today))
    if not old:  # as young as the window: the day on which it began is all that was before
        old = _strata(transaction, alarm.rule, "day >= ? AND day <= ?", (first, edge))
    cause = cause_of(old, new, thresholds)
    growth = alarm.now.rate - alarm.before.rate
    if not old and not new and spoiled.get((alarm.rule, alarm.hours), growth) < growth / 2:
        cause = "provider"
    return Alarm(alarm.rule, alarm.metric, alarm.hours, alarm.before, alarm.now, alarm.chance, cause)


def _strata(transaction: Transaction, rule: str, where: str, days: tuple[str, ...]) -> dict[Stratum, Mix]:
    rules = "rule = ?" if rule else "rule >= ?"
    counts: dict[Stratum, Mix] = {}
    for name, kind, bucket, n in transaction.run(
        "SELECT rule, kind, bucket, sum(n) FROM histogram WHERE kind IN ('score', 'escalated_score', 'spoiled_score') "
        f"AND {rules} AND {where} GROUP BY rule, kind, bucket",
        (rule, *days),
    ):
        number = int(n)
        at = (str(name), int(bucket) // _BUCKET)
        added = {"score": Mix(number), "escalated_score": Mix(0, number), "spoiled_score": Mix(0, 0, number)}[kind]
        counts[at] = counts.get(at, Mix()) + added
    return counts
