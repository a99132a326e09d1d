"""A rule beside its holdout on the baseline: what it saves and what it does to quality, with 95 % intervals.

Requests are dealt to the rule's route or to the baseline by a hash of their session, so that the two sides differ by chance
alone; they are compared as they were dealt, whatever served in the end. Only policies that held something back count.

Sessions are the independent units; a request without one stands alone. A figure is a ratio of sums over them (cost by
requests, follow-ups by answers); its variance is that of the ratio estimator by linearisation (W. G. Cochran, Sampling
Techniques, 3rd ed., 1977, ch. 6; A. Deng, U. Knoblich, J. Lu, KDD 2018). Costs: the difference +- 1.96 standard errors.
Rates: the hybrid score interval of a difference (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10), each side's
number of requests divided by the design effect of its sessions (J. N. K. Rao, A. J. Scott, Biometrics 48, 1992).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

from hroute.ledger.health import score_interval
from hroute.ledger.periods import Period
from hroute.ledger.store import Transaction, marks

LEAST: Final = 30
"""Sessions that each side must have before a difference is said."""

Z: Final = 1.96

FIGURES: Final = ("cost", "escalated", "failed", "spoiled", "follow_ups", "bad")
"""What is compared: nano-dollars a request; shares of requests; follow-ups of answers; bad ones of verdicts."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Sums over `units` sessions: of a figure and of what it is divided by, with their squares and products."""

    units: int
    y: float
    x: float
    yy: float
    xy: float
    xx: float

    @property
    def value(self) -> float | None:
        return self.y / self.x if self.x else None

    @property
    def variance(self) -> float:
        """Of the value, between sessions."""
        if self.units < 2 or not self.x:
            return 0.0
        ratio = self.y / self.x
        spread = max(0.0, self.yy - 2 * ratio * self.xy + ratio * ratio * self.xx)
        return self.units / (self.units - 1) * spread / (self.x * self.x)


@dataclass(frozen=True, slots=True)
class Difference:
    """The rule's figure, the holdout's, and the rule's less the holdout's; None where too little is known."""

    rule: float | None
    holdout: float | None
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float | None:
        return None if self.rule is None or self.holdout is None else self.rule - self.holdout

    @property
    def shown(self) -> bool:
        """Whether the interval leaves no difference out: the two differ by more than chance explains."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Side:
    """How many requests and sessions were dealt to one side, and how many costs are unknown."""

    requests: int
    sessions: int
    unpriced: int
    verdicts: int


@dataclass(frozen=True, slots=True)
class Compared:
    """One rule. `arm` is what it is compared with: "holdout", or "rollout", the requests that are not rolled out yet."""

    name: str
    arm: str
    rule: Side
    holdout: Side
    figures: dict[str, Difference]

    @property
    def enough(self) -> bool:
        return min(self.rule.sessions, self.holdout.sessions) >= LEAST

    @property
    def saved(self) -> int | None:
        """Nano-dollars that the rule's own requests cost less than they would have at the holdout's rate."""
        cost = self.figures["cost"].value
        return None if cost is None else round(-cost * self.rule.requests)


def compare(transaction: Transaction, span: Period) -> list[Compared]:
    """Every rule of which something was held back within `span` (milliseconds since 1970). Reads rows."""
    arms: dict[str, str] = {}
    for rule, variant in transaction.run(
        "SELECT DISTINCT rule, variant FROM request WHERE variant IN ('holdout', 'rollout') AND variant <> '' "
        "AND ts >= ? AND ts < ? AND mode = 'enforce'",
        span,
    ):
        if arms.get(rule) != "holdout":
            arms[rule] = variant
    found = [
        one
        for arm in ("holdout", "rollout")
        if (rules := [rule for rule, held in arms.items() if held == arm])
        for one in _compared(transaction, rules, arm, span)
    ]
    return sorted(found, key=lambda one: one.name)


def difference_of_rates(rule: Ratio, holdout: Ratio) -> tuple[float, float]:
    """Newcombe's interval for the difference of two shares, sessions allowed for."""
    (p, low, high), (q, bottom, top) = (_scored(side) for side in (rule, holdout))
    return (
        p - q - sqrt((p - low) ** 2 + (top - q) ** 2),
        p - q + sqrt((high - p) ** 2 + (q - bottom) ** 2),
    )


def difference_of_means(rule: Ratio, holdout: Ratio) -> tuple[float, float]:
    """The difference of two ratios +- 1.96 standard errors."""
    value = (rule.value or 0.0) - (holdout.value or 0.0)
    half = Z * sqrt(rule.variance + holdout.variance)
    return value - half, value + half


def _scored(side: Ratio) -> tuple[float, float, float]:
    rate = side.value or 0.0
    binomial = rate * (1 - rate) / side.x if side.x else 0.0
    between = side.variance * (side.units - 1) / side.units if side.units else 0.0
    effect = max(1.0, between / binomial) if binomial > 0 else max(1.0, side.xx / side.x if side.x else 1.0)
    return rate, *score_interval(rate, side.x / effect, Z)


_ONE: Final = """
  SELECT r.rule AS rule, CASE WHEN r.variant = ? THEN 1 ELSE 0 END AS held,
    CASE WHEN r.session_key = '' THEN r.id ELSE r.session_key END AS unit,
    count(*) AS n, sum(CASE WHEN r.outcome = 'ok' THEN 1 ELSE 0 END) AS ok,
    coalesce(sum(r.cost), 0) * 1.0 AS cost, sum(CASE WHEN r.cost IS NULL THEN 1 ELSE 0 END) AS unpriced,
    sum(r.escalated) AS escalated,
    sum(CASE WHEN r.outcome <> 'ok' AND r.outcome <> 'refused' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN EXISTS (SELECT 1 FROM attempt a WHERE a.request = r.id AND a.outcome = 'bad_content')
        THEN 1 ELSE 0 END) AS spoiled,
    sum(CASE WHEN EXISTS (SELECT 1 FROM follow_up f WHERE f.earlier = r.id) THEN 1 ELSE 0 END) AS follow_ups,
    sum((SELECT count(*) FROM feedback b WHERE b.request = r.id AND b.verdict = 'bad')) AS bad,
    sum((SELECT count(*) FROM feedback b WHERE b.request = r.id)) AS verdicts
  FROM request r
  WHERE r.rule IN ({rules}) AND r.ts >= ? AND r.ts < ? AND r.mode = 'enforce' AND r.state = 'done'
    AND r.variant IN (?, '', 'split')
    AND (r.rule, r.policy) IN (SELECT rule, policy FROM request WHERE variant = ? AND variant <> '')
  GROUP BY 1, 2, 3
"""
_PAIRS: Final = {
    "cost": ("cost", "n"), "escalated": ("escalated", "n"), "failed": ("failed", "n"), "spoiled": ("spoiled", "n"),
    "follow_ups": ("follow_ups", "ok"), "bad": ("bad", "verdicts"),
}  # fmt: skip


_SUMS: Final = ", ".join(
    f"sum({y}) * 1.0, sum({x}) * 1.0, sum({y} * 1.0 * {y}), sum({x} * 1.0 * {y}), sum({x} * 1.0 * {x})"
    for y, x in (_PAIRS[name] for name in FIGURES)
)


def _compared(transaction: Transaction, rules: Sequence[str], arm: str, span: Period) -> Iterator[Compared]:
    one = _ONE.format(rules=marks(rules))
    sides: dict[tuple[str, int], tuple[Side, dict[str, Ratio]]] = {
        (rule, int(held)): _side(values)
        for rule, held, *values in transaction.run(
            f"SELECT rule, held, count(*), sum(n), sum(unpriced), sum(verdicts), {_SUMS} FROM ({one}) one "
            "GROUP BY rule, held",
            (arm, *rules, *span, arm, arm),
        )
    }
    nothing = Side(0, 0, 0, 0), dict.fromkeys(FIGURES, Ratio(0, 0, 0, 0, 0, 0))
    for rule in rules:
        (own, mine), (held, theirs) = sides.get((rule, 0), nothing), sides.get((rule, 1), nothing)
        enough = min(own.sessions, held.sessions) >= LEAST
        priced = not own.unpriced and not held.unpriced
        figures = {
            name: _difference(name, mine[name], theirs[name], enough, priced or name != "cost") for name in FIGURES
        }  # fmt: skip
        yield Compared(rule, arm, own, held, figures)


def _side(values: Sequence[Any]) -> tuple[Side, dict[str, Ratio]]:
    units, requests, unpriced, verdicts, *sums = values
    ratios = {
        name: Ratio(int(units), *(float(value or 0) for value in sums[5 * at : 5 * at + 5]))
        for at, name in enumerate(FIGURES)
    }
    return Side(int(requests), int(units), int(unpriced), int(verdicts)), ratios


def _difference(name: str, rule: Ratio, holdout: Ratio, enough: bool, known: bool) -> Difference:
    if not known:
        return Difference(None, None)
    if not enough or not rule.x or not holdout.x:
        return Difference(rule.value, holdout.value)
    interval = difference_of_means if name == "cost" else difference_of_rates
    return Difference(rule.value, holdout.value, *interval(rule, holdout))
