"""What was spent, by whom and for what: costs along axes, as plain data. Money is nano-dollars, None unknown.

Most axes are answered from the sums that are kept by day and by hour, in milliseconds over any number of rows; a few
are in no sum and are read from the rows themselves (`Costs.read`), which takes seconds where there are millions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from hroute.ledger import periods, rollup
from hroute.ledger.rollup import HOUR
from hroute.ledger.store import Transaction

DAILY: Final = ("provider", "model", "rule", "cost_center", "intent", "task_type", "purpose", "day")
HOURLY: Final = ("hour", "provider", "rule")
READ: Final = {
    "session": "session_key", "tenant": "tenant", "client": "client", "variant": "variant", "outcome": "outcome",
    "policy": "policy",
}  # fmt: skip
"""Axes that no sum knows, and their columns."""

AXES: Final = (*DAILY, "hour", *READ)
_TIMED: Final = ("day", "provider", "model", "rule")
_CALLED: Final = ("day", "provider", "model")


@dataclass(frozen=True, slots=True)
class CostRow:
    """Requests of one kind, by its `names` along the axes. `cost` is None where the price of any of them is unknown;
    `known` is the sum of the others.

    `escalated`, `diverted`, `failed`, `spoiled` (a reply failed validation) and `follow_ups` are counts of requests,
    `good` and `bad` of verdicts. `calls` and `call_failures` are known by provider and model; `p50`, `p95` and `ttft`
    (milliseconds, of answers) by provider, model, rule and day.
    """

    names: tuple[str, ...]
    requests: int = 0
    known: int = 0
    unpriced: int = 0
    failed: int = 0
    refused: int = 0
    escalated: int = 0
    diverted: int = 0
    spoiled: int = 0
    follow_ups: int = 0
    estimated: int = 0
    input: int = 0
    output: int = 0
    good: int = 0
    bad: int = 0
    calls: int = 0
    call_failures: int = 0
    p50: float | None = None
    p95: float | None = None
    ttft: float | None = None

    @property
    def name(self) -> str:
        return ", ".join(self.names)

    @property
    def cost(self) -> int | None:
        return None if self.unpriced else self.known

    @property
    def answered(self) -> int:
        return self.requests - self.failed


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs along axes, the dearest first (by day or hour: in order), from day `since` to day `until`, both included.

    Rehearsals in the sandbox cost nobody anything: they are counted only where there is nothing else (`rehearsed`).
    `read`: the figures come from rows, which may have been dropped; `groups` is how many kinds there are, of which
    `rows` may show the first only; `placed` is how many requests they hold together.
    """

    by: tuple[str, ...]
    since: str
    until: str
    rows: tuple[CostRow, ...]
    total: CostRow
    rehearsed: bool = False
    read: bool = False
    groups: int = 0
    placed: int = 0


@dataclass(frozen=True, slots=True)
class Would:
    """What requests of one kind cost under a policy that only observed, and what its own choices would have cost."""

    names: tuple[str, ...]
    requests: int
    known: int
    unpriced: int
    would: int
    would_unpriced: int
    refused: int

    @property
    def cost(self) -> int | None:
        return None if self.unpriced else self.known

    @property
    def would_cost(self) -> int | None:
        return None if self.would_unpriced else self.would


_SUMMED: Final = (
    "requests", "cost", "unpriced", "failed", "refused", "escalated", "diverted", "spoiled", "follow_ups", "estimated",
    "input", "output", "good", "bad",
)  # fmt: skip
_SUMS: Final = ", ".join(f"sum({name})" for name in _SUMMED)


def source(axes: Sequence[str]) -> str:
    """Which table answers: "rollup", "rollup_hour", or "request", the rows. Raises ValueError for an unknown axis."""
    unknown = [axis for axis in axes if axis not in AXES]
    if unknown or not axes:
        raise ValueError(f"costs cannot be told by `{', '.join(unknown)}`")
    if set(axes) <= set(DAILY):
        return "rollup"
    return "rollup_hour" if set(axes) <= set(HOURLY) else "request"


def costs(
    transaction: Transaction,
    by: str | Sequence[str],
    since: str,
    until: str,
    *,
    zone: str = "UTC",
    most: int | None = None,
) -> Costs:
    """Costs from day `since` to day `until` of the ledger's time zone `zone`, along one axis or several.

    By provider, by model and by both (with or without the day), money is what was spent there, calls without an answer
    included; what nobody can place (a request whose process went away) stands under "". Along other axes a request's
    money stands where its answer came from.
    """
    axes = (by,) if isinstance(by, str) else tuple(by)
    table = source(axes)
    real = transaction.run(
        "SELECT 1 FROM rollup WHERE day BETWEEN ? AND ? AND mode <> 'sandbox' LIMIT 1", (since, until)
    )
    which = "mode <> 'sandbox'" if real else "mode = 'sandbox'"
    total = _total(transaction, since, until, which)
    groups = placed = 0
    if table == "request":
        rows, groups, placed = _read(transaction, axes, periods.span(zone, since, until), which, most, zone)
    elif table == "rollup_hour":
        rows = _by_hour(transaction, axes, periods.span(zone, since, until), which, zone)
    else:
        rows = _by_day(transaction, axes, since, until, which)
    rows = sorted((row for row in rows if row.requests or row.known or row.unpriced), key=_order(axes))
    return Costs(
        axes, since, until, tuple(rows if axes[0] in ("day", "hour") else rows[:most]), total, rehearsed=bool(rows) and not real, read=table == "request",
        groups=groups or len(rows), placed=placed or sum(row.requests for row in rows),
    )  # fmt: skip


def would(transaction: Transaction, since: str, until: str, by: Sequence[str] = ("rule",)) -> list[Would]:
    """Of the requests that a policy only observed: what they cost as served, and at its own choices, along `DAILY` axes."""
    columns, width = ", ".join(by), len(by)
    found = transaction.run(
        f"SELECT {columns}, sum(requests), sum(cost), sum(unpriced), sum(would_cost), sum(would_unpriced), "
        f"sum(would_refused) FROM rollup WHERE day BETWEEN ? AND ? AND mode = 'observe' GROUP BY {columns}",
        (since, until),
    )
    rows = [Would(tuple(row[:width]), *(int(value) for value in row[width:])) for row in found]
    return sorted((row for row in rows if row.requests), key=lambda row: (-row.known, row.names))


def began(transaction: Transaction) -> int | None:
    """The hour of the first request that was no rehearsal, as milliseconds since 1970; None without any."""
    found = transaction.run("SELECT min(hour) FROM rollup_hour WHERE mode <> 'sandbox' AND requests > 0")[0][0]
    return None if found is None else int(found) * HOUR


def hour_name(hour: int, zone: str) -> str:
    """`2026-11-20 14:00+01:00`: with the offset, since an hour of autumn comes twice."""
    return datetime.fromtimestamp(hour * HOUR / 1000, UTC).astimezone(ZoneInfo(zone)).isoformat(" ", "minutes")


# from sums


def _total(transaction: Transaction, since: str, until: str, which: str) -> CostRow:
    (sums,) = transaction.run(f"SELECT {_SUMS} FROM rollup WHERE day BETWEEN ? AND ? AND {which}", (since, until))
    return CostRow((), *(int(value or 0) for value in sums))


def _by_day(transaction: Transaction, axes: tuple[str, ...], since: str, until: str, which: str) -> list[CostRow]:
    columns, width = ", ".join(axes), len(axes)
    rows = [
        CostRow(tuple(row[:width]), *(int(value) for value in row[width:]))
        for row in transaction.run(
            f"SELECT {columns}, {_SUMS} FROM rollup WHERE day BETWEEN ? AND ? AND {which} GROUP BY {columns}",
            (since, until),
        )
    ]
    if set(axes) <= set(_CALLED) and axes != ("day",):
        rows = _where_spent(transaction, axes, since, until, rows, which)
    if set(axes) <= set(_TIMED):
        rows = _timed(transaction, axes, since, until, rows)
    return rows


def _by_hour(
    transaction: Transaction, axes: tuple[str, ...], span: periods.Period, which: str, zone: str
) -> list[CostRow]:
    columns, width, at = ", ".join(axes), len(axes), axes.index("hour")
    found = transaction.run(
        f"SELECT {columns}, {_SUMS} FROM rollup_hour WHERE hour >= ? AND hour < ? AND {which} "
        f"GROUP BY {columns} ORDER BY hour",
        (span.start // HOUR, -(-span.end // HOUR)),
    )
    named = [[*row[:at], hour_name(row[at], zone), *row[at + 1 :]] for row in found]
    return [CostRow(tuple(row[:width]), *(int(value) for value in row[width:])) for row in named]


def _where_spent(
    transaction: Transaction, axes: tuple[str, ...], since: str, until: str, rows: Iterable[CostRow], which: str
) -> list[CostRow]:
    """The same requests, with the money where it went: an answer after a failure is paid for at both providers."""
    columns, width = ", ".join(axes), len(axes)
    spent = {
        tuple(row[:width]): [int(value) for value in row[width:]]
        for row in transaction.run(
            f"SELECT {columns}, sum(cost), sum(unpriced), sum(estimated), sum(attempts), sum(failed), sum(input), "
            f"sum(output) FROM rollup_attempt WHERE day BETWEEN ? AND ? AND {which} GROUP BY {columns}",
            (since, until),
        )
    }
    kinds = {row.names: row for row in rows}
    lost = sum(row.known for row in kinds.values()) - sum(values[0] for values in spent.values())
    placed = []
    for names in dict.fromkeys((*kinds, *spent)):
        row = kinds.get(names, CostRow(names))
        known, unpriced, estimated, calls, failed, tokens_in, tokens_out = spent.get(names, [0] * 7)
        if lost > 0 and names == ("",) * width:
            known, unpriced, estimated = row.known + lost, row.unpriced, row.estimated
        placed.append(
            replace(
                row, known=known, unpriced=unpriced, estimated=estimated, calls=calls, call_failures=failed,
                input=tokens_in, output=tokens_out,
            )
        )  # fmt: skip
    return placed


def _timed(
    transaction: Transaction, axes: tuple[str, ...], since: str, until: str, rows: Iterable[CostRow]
) -> list[CostRow]:
    """With the latency of answers, from the histograms: within 8 % of the true quantile."""
    columns, width = ", ".join(axes), len(axes)
    counts: dict[tuple[str, ...], dict[str, dict[int, int]]] = {}
    for row in transaction.run(
        f"SELECT {columns}, kind, bucket, sum(n) FROM histogram WHERE kind IN ('latency', 'ttft') "
        f"AND day BETWEEN ? AND ? GROUP BY {columns}, kind, bucket",
        (since, until),
    ):
        kind, bucket, number = row[width:]
        counts.setdefault(tuple(row[:width]), {}).setdefault(kind, {})[int(bucket)] = int(number)
    timed = []
    for one in rows:
        latency, first = (counts.get(one.names, {}).get(kind, {}) for kind in ("latency", "ttft"))
        p50, p95 = (rollup.quantile(latency, share) for share in (0.5, 0.95))
        timed.append(replace(one, p50=p50, p95=p95, ttft=rollup.quantile(first, 0.5)))
    return timed


# from rows


def _read(
    transaction: Transaction, axes: tuple[str, ...], span: periods.Period, which: str, most: int | None, zone: str
) -> tuple[list[CostRow], int, int]:
    """The `most` dearest kinds, how many kinds there are, and how many requests they hold."""
    expressions = [f"r.ts / {HOUR}" if axis == "hour" else f"r.{READ.get(axis, axis)}" for axis in axes]
    columns, width = ", ".join(expressions), len(axes)
    wanted = f"r.ts >= ? AND r.ts < ? AND r.state <> 'started' AND r.{which}"
    if "session" in axes:  # their index holds all that is asked for: `+` keeps the database from the index of arrival
        wanted = f"{wanted.replace('r.ts', '+r.ts')} AND r.session_key <> ''"
    counts = (
        "count(*), coalesce(sum(r.cost), 0), sum(CASE WHEN r.cost IS NULL THEN 1 ELSE 0 END), "
        "sum(CASE WHEN r.outcome <> 'ok' THEN 1 ELSE 0 END), sum(CASE WHEN r.outcome = 'refused' THEN 1 ELSE 0 END), "
        "sum(r.escalated), sum(CASE WHEN r.escalation <> '' AND r.escalated = 0 THEN 1 ELSE 0 END), sum(r.estimated)"
    )
    found = transaction.run(
        f"SELECT {columns}, {counts}, count(*) OVER (), sum(count(*)) OVER () FROM request r WHERE {wanted} "
        f"GROUP BY {columns} ORDER BY coalesce(sum(r.cost), 0) DESC, count(*) DESC, {columns} LIMIT ?",
        (*span, 10**9 if most is None else most),
    )
    beside = {
        name: _beside(transaction, columns, width, few, wanted, span)
        for name, few in (
            ("follow_ups", "(SELECT earlier AS request FROM follow_up)"),
            ("spoiled", "(SELECT DISTINCT request FROM attempt WHERE outcome = 'bad_content')"),
            ("good", "(SELECT request FROM feedback WHERE verdict = 'good')"),
            ("bad", "(SELECT request FROM feedback WHERE verdict = 'bad')"),
        )
    }  # fmt: skip
    rows = [_read_row(axes, row, width, beside, zone) for row in found]
    return rows, int(found[0][-2]) if found else 0, int(found[0][-1]) if found else 0


def _beside(
    transaction: Transaction, columns: str, width: int, few: str, wanted: str, span: periods.Period
) -> dict[tuple[Any, ...], int]:
    """Few requests, each looked up: CROSS JOIN keeps the database from going through all requests instead."""
    rows = transaction.run(
        f"SELECT {columns}, count(*) FROM {few} o CROSS JOIN request r WHERE r.id = o.request AND {wanted} "
        f"GROUP BY {columns}",
        span,
    )
    return {tuple(row[:width]): int(row[-1]) for row in rows}


def _read_row(
    axes: tuple[str, ...], row: Sequence[Any], width: int, beside: dict[str, dict[tuple[Any, ...], int]], zone: str
) -> CostRow:
    key = tuple(row[:width])
    requests, known, unpriced, failed, refused, escalated, diverted, estimated = (
        int(n) for n in row[width : width + 8]
    )
    names = tuple(hour_name(name, zone) if axis == "hour" else str(name) for axis, name in zip(axes, key, strict=True))
    counts = {name: found.get(key, 0) for name, found in beside.items()}
    return CostRow(
        names, requests, known, unpriced, failed, refused, escalated, diverted, estimated=estimated, **counts
    )  # fmt: skip


def _order(axes: Sequence[str]) -> Any:
    if axes[0] in ("day", "hour"):
        return lambda row: (datetime.fromisoformat(row.names[0]), -row.known, -row.requests, row.names)
    return lambda row: (-row.known, -row.requests, row.names)
