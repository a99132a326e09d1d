"""Sums of the journal: what a batch of rows adds to them, and how they are written, in the rows' own transaction."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hroute.ledger.records import AttemptRow, RequestRow
    from hroute.ledger.store import Transaction

KEY: Final = ("day", "provider", "model", "rule", "cost_center", "intent", "mode", "purpose", "task_type")
SUMS: Final = (
    "requests", "failed", "refused", "escalated", "diverted", "spoiled", "follow_ups", "input", "output", "cache_read",
    "cache_write", "reasoning", "cost", "unpriced", "estimated", "would_cost", "would_unpriced", "would_refused", "good",
    "bad",
)  # fmt: skip
HOUR_KEY: Final = ("hour", "provider", "rule", "mode")
HOUR: Final = 3_600_000
"""Milliseconds; the hours of the sums are counted from 1970 in UTC, whatever the ledger's time zone."""
ATTEMPT_KEY: Final = ("day", "provider", "model", "mode")
ATTEMPT_SUMS: Final = (
    "attempts", "failed", "input", "output", "cache_read", "cache_write", "reasoning", "cost", "unpriced", "estimated",
)  # fmt: skip
BUCKET_KEY: Final = ("kind", "day", "provider", "model", "rule", "bucket")

_AT: Final = tuple(KEY.index(name) for name in HOUR_KEY[1:])

_GROWTH: Final = 1.08
_BOUNDS: Final = tuple(float(round(_GROWTH**power, 6)) for power in range(260))
"""Upper bounds of the buckets: each 8 % above the last, from 1 to nearly 5 * 10^8 (milliseconds or tokens)."""


def _upsert(table: str, key: Sequence[str], sums: Sequence[str]) -> str:
    columns = ", ".join((*key, *sums))
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
    holders = ", ".join("?" * (len(key) + len(sums)))
    return f"INSERT INTO {table} ({columns}) VALUES ({holders}) ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"


_ADD: Final = _upsert("rollup", KEY, SUMS)
_ADD_HOUR: Final = _upsert("rollup_hour", HOUR_KEY, SUMS)
_ADD_ATTEMPT: Final = _upsert("rollup_attempt", ATTEMPT_KEY, ATTEMPT_SUMS)
_ADD_BUCKET: Final = _upsert("histogram", BUCKET_KEY, ("n",))


class Deltas:
    """What a batch adds to the sums; rows of one key are added up before the database hears of them.

    A request is known by its `key` (the columns of `KEY`) and by `ts`, its arrival in milliseconds since 1970.
    """

    def __init__(self) -> None:
        self.requests: dict[tuple[str, ...], list[int]] = {}
        self.hours: dict[tuple[Any, ...], list[int]] = {}
        self.attempts: dict[tuple[str, ...], list[int]] = {}
        self.buckets: defaultdict[tuple[Any, ...], int] = defaultdict(int)

    def add(self, row: RequestRow, day: str) -> None:
        """A request that has ended, with its attempts."""
        key = (
            day, row.provider, row.model, row.rule, row.cost_center, row.intent, row.mode, row.purpose, row.task_type
        )  # fmt: skip
        self._add(key, row.ts, _sums(row))
        for attempt in row.tries:
            _grow(self.attempts, (day, attempt.provider, attempt.model, row.mode), _attempt_sums(attempt))
        if row.outcome == "ok" and row.mode != "sandbox":  # a rehearsal's latency and length teach nothing
            self._count(row, day)

    def aside(
        self,
        key: tuple[str, ...],
        ts: int,
        attempt: AttemptRow,
        before: int | None,
        after: int | None,
        *,
        first_estimate: bool,
    ) -> None:
        """A call beside a request, which did cost `before` without it and costs `after` with it."""
        lost = before is not None and after is None
        self._add(
            key, ts, _only(cost=(after or 0) - (before or 0), unpriced=int(lost), estimated=int(first_estimate))
        )  # fmt: skip
        day, mode = key[KEY.index("day")], key[KEY.index("mode")]
        _grow(self.attempts, (day, attempt.provider, attempt.model, mode), _attempt_sums(attempt))

    def unknown(self, key: tuple[str, ...], ts: int, cost: int | None, sign: int = 1) -> None:
        """A request whose process went away; taken back (-1) where it turns out to have ended after all."""
        spent = {"unpriced": sign} if cost is None else {"cost": sign * cost}
        self._add(key, ts, _only(requests=sign, failed=sign, estimated=sign, **spent))

    def follow_up(self, key: tuple[str, ...], ts: int) -> None:
        """Somebody asked again soon after the answer of a request."""
        self._add(key, ts, _only(follow_ups=1))

    def verdict(self, key: tuple[str, ...], ts: int, verdict: str, sign: int = 1) -> None:
        """Somebody thought an answer `good` or `bad`; taken back (-1) where they think otherwise now."""
        self._add(key, ts, _only(**{verdict: sign}))

    def write(self, transaction: Transaction) -> None:
        written = (
            (_ADD, self.requests), (_ADD_HOUR, self.hours), (_ADD_ATTEMPT, self.attempts)
        )  # fmt: skip
        for statement, sums in written:
            if sums:
                transaction.each(statement, [(*key, *values) for key, values in sums.items()])
        if self.buckets:
            transaction.each(_ADD_BUCKET, [(*key, n) for key, n in self.buckets.items()])

    def _add(self, key: tuple[str, ...], ts: int, values: Sequence[int]) -> None:
        _grow(self.requests, key, values)
        _grow(self.hours, (ts // HOUR, *(key[at] for at in _AT)), values)

    def _count(self, row: RequestRow, day: str) -> None:
        served = (day, row.provider, row.model, row.rule)
        self.buckets["latency", *served, bucket(row.latency_ms)] += 1
        if row.ttft_ms is not None:
            self.buckets["ttft", *served, bucket(row.ttft_ms)] += 1
        if row.score is not None:
            self.buckets["score", *served, int(row.score * 100)] += 1
            if row.escalated:
                self.buckets["escalated_score", *served, int(row.score * 100)] += 1
            if _spoiled(row) or row.escalation == "bad_content":
                self.buckets["spoiled_score", *served, int(row.score * 100)] += 1


def bucket(value: float) -> int:
    """The number of the bucket that holds `value` (>= 0)."""
    return bisect_right(_BOUNDS, value)


def within(number: int, share: float = 0.5) -> float:
    """A value in bucket `number`, `share` of the way through it; at most 8 % from any value that fell into it."""
    low = _BOUNDS[number - 1] if number else 0.0
    high = _BOUNDS[min(number, len(_BOUNDS) - 1)]
    return low + (high - low) * share


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The value below which `share` of what was counted lies; None where nothing was."""
    total = sum(counts.values())
    if not total:
        return None
    wanted, seen = share * total, 0
    for number in sorted(counts):
        if counts[number] and seen + counts[number] >= wanted:
            return within(number, max(0.0, wanted - seen) / counts[number])
        seen += counts[number]
    return within(max(counts), 1.0)


def recomputed(transaction: Transaction) -> dict[str, list[tuple[Any, ...]]]:
    """What the rollups should hold, worked out from the rows: for tests. Slow."""
    spoiled = (
        "EXISTS (SELECT 1 FROM attempt a WHERE a.request = r.id AND a.outcome = 'bad_content' AND a.kind <> 'shadow')"
    )
    followed = "(SELECT count(*) FROM follow_up f WHERE f.earlier = r.id)"
    good, bad = (
        f"(SELECT count(*) FROM feedback f WHERE f.request = r.id AND f.verdict = '{verdict}')"
        for verdict in ("good", "bad")
    )
    sums = f"""count(*), sum(CASE WHEN outcome <> 'ok' THEN 1 ELSE 0 END),
        sum(CASE WHEN outcome = 'refused' THEN 1 ELSE 0 END), sum(escalated),
        sum(CASE WHEN escalation <> '' AND escalated = 0 THEN 1 ELSE 0 END),
        sum(CASE WHEN {spoiled} THEN 1 ELSE 0 END), sum({followed}),
        sum(input), sum(output), sum(cache_read), sum(cache_write), sum(reasoning),
        coalesce(sum(cost), 0), sum(CASE WHEN cost IS NULL THEN 1 ELSE 0 END), sum(estimated),
        coalesce(sum(would_cost), 0), sum(CASE WHEN mode = 'observe' AND would_cost IS NULL THEN 1 ELSE 0 END),
        sum(CASE WHEN mode = 'observe' AND routed_to = '' THEN 1 ELSE 0 END), sum({good}), sum({bad})
      FROM request r WHERE state <> 'started'"""
    attempts = """
      SELECT a.day, a.provider, a.model, r.mode, count(*), sum(CASE WHEN a.outcome <> 'ok' THEN 1 ELSE 0 END),
        sum(a.input), sum(a.output), sum(a.cache_read), sum(a.cache_write), sum(a.reasoning),
        coalesce(sum(a.cost), 0), sum(CASE WHEN a.cost IS NULL THEN 1 ELSE 0 END), sum(a.estimated)
      FROM attempt a JOIN request r ON r.id = a.request GROUP BY a.day, a.provider, a.model, r.mode"""
    day, hour = ", ".join(KEY), ", ".join(HOUR_KEY[1:])
    return {
        "rollup": _sorted(transaction.run(f"SELECT {day}, {sums} GROUP BY {day}")),
        "rollup_hour": _sorted(transaction.run(f"SELECT ts / {HOUR}, {hour}, {sums} GROUP BY ts / {HOUR}, {hour}")),
        "rollup_attempt": _sorted(transaction.run(attempts)),
    }


def kept(transaction: Transaction) -> dict[str, list[tuple[Any, ...]]]:
    """What the rollups do hold, in the same form."""
    held = (
        ("rollup", (*KEY, *SUMS), "requests"),
        ("rollup_hour", (*HOUR_KEY, *SUMS), "requests"),
        ("rollup_attempt", (*ATTEMPT_KEY, *ATTEMPT_SUMS), "attempts"),
    )
    return {
        table: _sorted(transaction.run(f"SELECT {', '.join(columns)} FROM {table} WHERE {count} <> 0"))
        for table, columns, count in held
    }


def _sums(row: RequestRow) -> tuple[int, ...]:
    observed = row.mode == "observe"
    return (
        1,
        row.outcome != "ok",
        row.outcome == "refused",
        row.escalated,
        bool(row.escalation) and not row.escalated,
        _spoiled(row),
        0,
        row.usage.input,
        row.usage.output,
        row.usage.cache_read,
        row.usage.cache_write,
        row.usage.reasoning,
        row.cost or 0,
        row.cost is None,
        row.estimated,
        row.would_cost or 0,
        observed and row.would_cost is None,
        observed and not row.routed_to,
        0,
        0,
    )


def _spoiled(row: RequestRow) -> bool:
    return any(attempt.outcome == "bad_content" for attempt in row.tries)


def _only(**values: int) -> tuple[int, ...]:
    return tuple(values.get(name, 0) for name in SUMS)


def _attempt_sums(row: AttemptRow) -> tuple[int, ...]:
    used = row.usage
    counts = (used.input, used.output, used.cache_read, used.cache_write, used.reasoning)
    return (1, row.outcome != "ok", *counts, row.cost or 0, row.cost is None, row.estimated)


def _grow(sums: dict[tuple[Any, ...], list[int]], key: tuple[Any, ...], values: Iterable[int]) -> None:
    known = sums.get(key)
    if known is None:
        sums[key] = [int(value) for value in values]
    else:
        for at, value in enumerate(values):
            known[at] += value


def _sorted(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(value if isinstance(value, str) else int(value) for value in row) for row in rows)
