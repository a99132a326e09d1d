"""Sums of the journal: what a batch of rows adds to them, and how they are written, in the rows' own transaction."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hroute.ledger.records import AttemptRow, RequestRow
from hroute.ledger.store import Transaction

KEY: Final = ("day", "provider", "model", "rule", "cost_center", "intent", "mode")
SUMS: Final = (
    "requests", "failed", "refused", "escalated", "diverted", "spoiled", "follow_ups", "input", "output", "cache_read",
    "cache_write", "reasoning", "cost", "unpriced", "estimated", "would_cost", "would_unpriced",
)  # fmt: skip
ATTEMPT_KEY: Final = ("day", "provider", "model", "mode")
ATTEMPT_SUMS: Final = (
    "attempts", "failed", "input", "output", "cache_read", "cache_write", "reasoning", "cost", "unpriced", "estimated",
)  # fmt: skip
BUCKET_KEY: Final = ("kind", "day", "provider", "model", "rule", "bucket")

_FOLLOW_UP: Final = tuple(int(name == "follow_ups") for name in SUMS)

_GROWTH: Final = 1.08
_BOUNDS: Final = tuple(float(round(_GROWTH**power, 6)) for power in range(260))
"""Upper bounds of the buckets: each 8 % above the last, from 1 to nearly 5 * 10^8 (milliseconds or tokens)."""


def _upsert(table: str, key: Sequence[str], sums: Sequence[str]) -> str:
    columns = ", ".join((*key, *sums))
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
    holders = ", ".join("?" * (len(key) + len(sums)))
    return f"INSERT INTO {table} ({columns}) VALUES ({holders}) ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"


_ADD: Final = _upsert("rollup", KEY, SUMS)
_ADD_ATTEMPT: Final = _upsert("rollup_attempt", ATTEMPT_KEY, ATTEMPT_SUMS)
_ADD_BUCKET: Final = _upsert("histogram", BUCKET_KEY, ("n",))


class Deltas:
    """What a batch adds to the sums; rows of one key are added up before the database hears of them."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, ...], list[int]] = {}
        self.attempts: dict[tuple[str, ...], list[int]] = {}
        self.buckets: defaultdict[tuple[Any, ...], int] = defaultdict(int)

    def add(self, row: RequestRow, day: str) -> None:
        """A request that has ended, with its attempts."""
        key = (day, row.provider, row.model, row.rule, row.cost_center, row.intent, row.mode)
        _grow(self.requests, key, _sums(row))
        for attempt in row.tries:
            _grow(self.attempts, (day, attempt.provider, attempt.model, row.mode), _attempt_sums(attempt))
        if row.outcome == "ok":
            self._count(row, day)

    def unknown(self, key: tuple[str, ...], cost: int | None, sign: int = 1) -> None:
        """A request whose process went away; taken back (-1) where it turns out to have ended after all."""
        values = dict.fromkeys(SUMS, 0) | {"requests": sign, "failed": sign, "estimated": sign}
        values["cost" if cost is not None else "unpriced"] = sign if cost is None else sign * cost
        _grow(self.requests, key, tuple(values[name] for name in SUMS))

    def follow_up(self, key: tuple[str, ...]) -> None:
        """Somebody asked again soon after the answer of a request with this key."""
        _grow(self.requests, key, _FOLLOW_UP)

    def write(self, transaction: Transaction) -> None:
        if self.requests:
            transaction.each(_ADD, [(*key, *sums) for key, sums in self.requests.items()])
        if self.attempts:
            transaction.each(_ADD_ATTEMPT, [(*key, *sums) for key, sums in self.attempts.items()])
        if self.buckets:
            transaction.each(_ADD_BUCKET, [(*key, n) for key, n in self.buckets.items()])

    def _count(self, row: RequestRow, day: str) -> None:
        served = (day, row.provider, row.model, row.rule)
        self.buckets["latency", *served, bucket(row.latency_ms)] += 1
        if row.ttft_ms is not None:
            self.buckets["ttft", *served, bucket(row.ttft_ms)] += 1
        written = row.usage.output + row.usage.reasoning
        if written:
            self.buckets["output", *served, bucket(written)] += 1
        if row.score is not None:
            self.buckets["score", *served, int(row.score * 100)] += 1
            if row.escalated:
                self.buckets["escalated_score", *served, int(row.score * 100)] += 1


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


def counts(
    transaction: Transaction, kind: str, since: str, *, rule: str | None = None, provider: str | None = None
) -> dict[int, int]:
    """How many values of a histogram fell into each bucket since a day (included)."""
    wanted = [("rule", rule), ("provider", provider)]
    given = [(name, value) for name, value in wanted if value is not None]
    where = "".join(f" AND {name} = ?" for name, _ in given)
    rows = transaction.run(
        f"SELECT bucket, sum(n) FROM histogram WHERE kind = ? AND day >= ?{where} GROUP BY bucket",
        (kind, since, *(value for _, value in given)),
    )
    return {int(number): int(n) for number, n in rows}


def recomputed(transaction: Transaction) -> dict[str, list[tuple[Any, ...]]]:
    """What both rollups should hold, worked out from the rows: for tests and for `doctor`. Slow."""
    ended = "WHERE state <> 'started'"
    spoiled = "EXISTS (SELECT 1 FROM attempt a WHERE a.request = r.id AND a.outcome = 'bad_content')"
    followed = "(SELECT count(*) FROM follow_up f WHERE f.earlier = r.id)"
    requests = f"""
      SELECT {", ".join(KEY)}, count(*), sum(CASE WHEN outcome <> 'ok' THEN 1 ELSE 0 END),
        sum(CASE WHEN outcome = 'refused' THEN 1 ELSE 0 END), sum(escalated),
        sum(CASE WHEN escalation <> '' AND escalated = 0 THEN 1 ELSE 0 END),
        sum(CASE WHEN {spoiled} THEN 1 ELSE 0 END), sum({followed}),
        sum(input), sum(output), sum(cache_read), sum(cache_write), sum(reasoning),
        coalesce(sum(cost), 0), sum(CASE WHEN cost IS NULL THEN 1 ELSE 0 END), sum(estimated),
        coalesce(sum(would_cost), 0), sum(CASE WHEN mode = 'observe' AND would_cost IS NULL THEN 1 ELSE 0 END)
      FROM request r {ended} GROUP BY {", ".join(KEY)}"""
    attempts = """
      SELECT a.day, a.provider, a.model, r.mode, count(*), sum(CASE WHEN a.outcome <> 'ok' THEN 1 ELSE 0 END),
        sum(a.input), sum(a.output), sum(a.cache_read), sum(a.cache_write), sum(a.reasoning),
        coalesce(sum(a.cost), 0), sum(CASE WHEN a.cost IS NULL THEN 1 ELSE 0 END), sum(a.estimated)
      FROM attempt a JOIN request r ON r.id = a.request GROUP BY a.day, a.provider, a.model, r.mode"""
    return {"rollup": _sorted(transaction.run(requests)), "rollup_attempt": _sorted(transaction.run(attempts))}


def kept(transaction: Transaction) -> dict[str, list[tuple[Any, ...]]]:
    """What both rollups do hold, in the same form."""
    requests = f"SELECT {', '.join((*KEY, *SUMS))} FROM rollup WHERE requests <> 0"
    attempts = f"SELECT {', '.join((*ATTEMPT_KEY, *ATTEMPT_SUMS))} FROM rollup_attempt WHERE attempts <> 0"
    return {"rollup": _sorted(transaction.run(requests)), "rollup_attempt": _sorted(transaction.run(attempts))}


def _sums(row: RequestRow) -> tuple[int, ...]:
    observed = row.mode == "observe"
    return (
        1,
        row.outcome != "ok",
        row.outcome == "refused",
        row.escalated,
        bool(row.escalation) and not row.escalated,
        any(a.outcome == "bad_content" for a in row.tries),
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
    )


def _attempt_sums(row: AttemptRow) -> tuple[int, ...]:
    used = row.usage
    counts = (used.input, used.output, used.cache_read, used.cache_write, used.reasoning)
    return (1, row.outcome != "ok", *counts, row.cost or 0, row.cost is None, row.estimated)


def _grow(sums: dict[tuple[str, ...], list[int]], key: tuple[str, ...], values: Iterable[int]) -> None:
    known = sums.get(key)
    if known is None:
        sums[key] = [int(value) for value in values]
    else:
        for at, value in enumerate(values):
            known[at] += value


def _sorted(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(value if isinstance(value, str) else int(value) for value in row) for row in rows)
