"""What a dry-run found, as frozen data; money is nano-dollars, None where it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hroute.replay.redecide import Verdict
from hroute.replay.rows import BadLine, Row
from hroute.terms.money import to_json
from hroute.terms.signal import ABSENT, Value


@dataclass(frozen=True, slots=True)
class Line:
    """Rows that one rule sends to one provider. `rule` is None where several could be the one, `route_to` also for a
    refusal; both are None for rows whose way cannot be told: their cost is that of the dearest way."""

    rule: str | None
    route_to: str | None
    requests: int
    share: float
    cost: int | None
    baseline: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that have one value of the key that was asked for."""

    key: str
    requests: int
    share: float
    cost: int | None
    baseline: int | None


@dataclass(frozen=True, slots=True)
class Constant:
    """One provider for everything: what no policy at all would cost."""

    provider: str
    cost: int | None


@dataclass(frozen=True, slots=True)
class Moved:
    """Rows that change: from, to, by which rule of the new policy, and what they cost on either route."""

    before: str | None
    after: str | None
    rule: str | None
    requests: int
    cost_then: int | None
    cost_now: int | None


@dataclass(frozen=True, slots=True)
class Total:
    """`saved` is a share of the baseline, between `saved_low` and `saved_high` (`dry_run._Bounds` has the formula);
    `escalated` is the cost where 5 % of the local answers have to be asked again elsewhere, `before` that of the
    compared rows on the routes of before (the other policy's, the baseline's, the logged ones)."""

    cost: int | None
    baseline: int | None
    saved: float | None
    saved_low: float | None
    saved_high: float | None
    escalated: int | None
    before: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """A dry-run. `compared` rows have a route of before: they are `same`, `changed` or `cannot_tell`. `same`, `changed`, `newly_reaching` are None without a comparison; `cannot_tell` then counts the rows
    whose way the log does not settle (`untold` always does). `unknown` counts the signals that were missing for it.

    `maybe_reaching` is the part of `newly_reaching` that rests on a taint nobody recorded. `assumed_output`,
    `estimated_input` and `unsized` count rows whose output length was assumed, whose prompt was measured by the
    heuristic, and whose size nobody knows.
    """

    policy: str
    path: str
    baseline: str
    requests: int
    left_out: int
    bad_lines: int
    bad: tuple[BadLine, ...]
    first: datetime | None
    last: datetime | None
    routes: tuple[Line, ...]
    groups: tuple[Group, ...]
    constants: tuple[Constant, ...]
    total: Total
    compared: int
    same: int | None
    changed: int | None
    cannot_tell: int
    newly_reaching: Mapping[str, int] | None
    maybe_reaching: Mapping[str, int] | None
    moves: tuple[Moved, ...]
    untold: int
    unknown: Mapping[str, int]
    near: int
    misfits: Mapping[str, int]
    out_tokens: int
    assumed_output: int
    estimated_input: int
    unsized: int
    unpriced: tuple[str, ...]


def line_of(row: Row, verdict: Verdict, cost: int | None) -> dict[str, Any]:
    """One row for `--each`. A row whose way cannot be told has no rule and no route, and names the signals it lacks."""
    line: dict[str, Any] = {
        "id": row.id,
        "rule": verdict.rule,
        "route_to": verdict.route_to,
        "fallback": list(verdict.decisions[0].fallback) if verdict.told else None,
        "signals": {name: plain(value) for name, value in verdict.signals.items() if value is not ABSENT},
        "cost_usd": to_json(cost),
    }
    if not verdict.told:
        line["cannot_tell"] = list(verdict.unknown)
    return line


def plain(value: Value) -> Any:
    """A signal's value as JSON: sets sorted, absence null."""
    if isinstance(value, frozenset):
        return sorted(value)
    return None if value is ABSENT else value
