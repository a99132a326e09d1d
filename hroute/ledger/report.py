"""What the ledger can tell: costs, logs and how providers do, as plain data. Money is nano-dollars, None unknown.

Costs come from the daily sums, so they are quick over any number of rows; what a sum does not hold is read from rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from hroute.ledger import rollup
from hroute.ledger.journal import ATTEMPT, REQUEST
from hroute.ledger.store import Transaction

By = Literal["provider", "model", "rule", "cost_center", "intent", "day"]
BY: Final[tuple[By, ...]] = ("provider", "model", "rule", "cost_center", "intent", "day")

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class CostRow:
    """Requests of one kind. `cost` is None where the price of any of them is unknown; `known` is the sum of the others.

    `escalated`, `diverted`, `failed`, `spoiled` (a reply failed validation) and `follow_ups` are counts of requests.
    """

    name: str
    requests: int
    known: int
    unpriced: int
    failed: int = 0
    refused: int = 0
    escalated: int = 0
    diverted: int = 0
    spoiled: int = 0
    follow_ups: int = 0
    estimated: int = 0
    input: int = 0
    output: int = 0
    would: int = 0
    would_unpriced: int = 0

    @property
    def cost(self) -> int | None:
        return None if self.unpriced else self.known

    @property
    def answered(self) -> int:
        return self.requests - self.failed


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs by one column, the dearest first, from day `since` to day `until` (both included). Rehearsals in the sandbox
    cost nobody anything: they are counted only where there is nothing else (`rehearsed`)."""

    by: str
    since: str
    until: str
    rows: tuple[CostRow, ...]
    total: CostRow
    rehearsed: bool = False


@dataclass(frozen=True, slots=True)
class Doing:
    """How a provider did (or a provider under one rule): latency in milliseconds, None without an answer."""

    provider: str
    rule: str | None
    answers: int
    p50: float | None
    p95: float | None
    ttft_p50: float | None
    calls: int = 0
    failed: int = 0
    cost: int = 0
    unpriced: int = 0


_SUMS: Final = (
    "sum(requests), sum(cost), sum(unpriced), sum(failed), sum(refused), sum(escalated), sum(diverted), sum(spoiled), "
    "sum(follow_ups), sum(estimated), sum(input), sum(output), sum(would_cost), sum(would_unpriced)"
)


def costs(transaction: Transaction, by: By, since: str, until: str) -> Costs:
    """Costs from day `since` to day `until`, in the ledger's time zone.

    By provider and by model, money is what was spent there, calls without an answer included; what nobody can place
    (a request whose process went away) stands under "".
    """
    real = transaction.run(
        "SELECT 1 FROM rollup WHERE day BETWEEN ? AND ? AND mode <> 'sandbox' LIMIT 1", (since, until)
    )
    which = "mode <> 'sandbox'" if real else "mode = 'sandbox'"
    rows = [
        CostRow(name, *(int(value) for value in values))
        for name, *values in transaction.run(
            f"SELECT {by}, {_SUMS} FROM rollup WHERE day BETWEEN ? AND ? AND {which} GROUP BY {by}", (since, until)
        )
    ]
    total = _added("", rows)
    if by in ("provider", "model"):
        rows = _where_spent(transaction, by, since, until, rows, which)
    rows = [row for row in rows if row.requests or row.known or row.unpriced]
    rows.sort(key=(lambda row: row.name) if by == "day" else (lambda row: (-row.known, -row.requests, row.name)))
    return Costs(by, since, until, tuple(rows), total, rehearsed=bool(rows) and not real)


def costs_by_column(transaction: Transaction, column: str, since: int, until: int) -> list[CostRow]:
    """Costs by a column that no sum knows (tenant, client, variant, policy, outcome ...), read from the rows: slow where
    there are many. `since` and `until` are milliseconds since 1970."""
    if column not in REQUEST:
        raise ValueError(f"{column} is no column of the ledger")
    found = transaction.run(
        f"SELECT {column}, count(*), coalesce(sum(cost), 0), sum(CASE WHEN cost IS NULL THEN 1 ELSE 0 END), "
        "sum(CASE WHEN outcome <> 'ok' THEN 1 ELSE 0 END), sum(CASE WHEN outcome = 'refused' THEN 1 ELSE 0 END), "
        "sum(escalated), sum(CASE WHEN escalation <> '' AND escalated = 0 THEN 1 ELSE 0 END) "
        f"FROM request WHERE ts >= ? AND ts < ? AND state <> 'started' GROUP BY {column}",
        (since, until),
    )
    rows = [CostRow(str(name), *(int(value) for value in values)) for name, *values in found]
    return sorted(rows, key=lambda row: (-row.known, -row.requests, row.name))


def doing(transaction: Transaction, since: str, *, by_rule: bool = False) -> list[Doing]:
    """Answers and their latency for each provider, or each provider and rule, since a day; failures of its calls too."""
    counts: dict[tuple[str, str | None], dict[str, dict[int, int]]] = {}
    for kind, provider, rule, bucket, n in transaction.run(
        "SELECT kind, provider, rule, bucket, sum(n) FROM histogram WHERE kind IN ('latency', 'ttft') AND day >= ? "
        "GROUP BY kind, provider, rule, bucket",
        (since,),
    ):
        buckets = counts.setdefault((provider, rule if by_rule else None), {}).setdefault(kind, {})
        buckets[int(bucket)] = buckets.get(int(bucket), 0) + int(n)
    calls = {
        provider: [int(value) for value in values]
        for provider, *values in transaction.run(
            "SELECT provider, sum(attempts), sum(failed), sum(cost), sum(unpriced) FROM rollup_attempt WHERE day >= ? "
            "GROUP BY provider",
            (since,),
        )
    }
    keys = {*counts, *(() if by_rule else ((provider, None) for provider in calls))}
    return [
        Doing(
            provider,
            rule,
            sum(counts.get((provider, rule), {}).get("latency", {}).values()),
            rollup.quantile(counts.get((provider, rule), {}).get("latency", {}), 0.5),
            rollup.quantile(counts.get((provider, rule), {}).get("latency", {}), 0.95),
            rollup.quantile(counts.get((provider, rule), {}).get("ttft", {}), 0.5),
            *([] if by_rule else calls.get(provider, [])),
        )
        for provider, rule in sorted(keys, key=lambda key: (key[0], key[1] or ""))
    ]


def logs(
    transaction: Transaction,
    *,
    most: int = 20,
    since: int | None = None,
    where: Mapping[str, str] | None = None,
    would_refuse: bool = False,
) -> list[dict[str, Any]]:
    """The last `most` requests that arrived at or after `since` (milliseconds), the oldest first, as rows with columns by
    name. `where` asks for values of columns (rule, provider, outcome ...)."""
    tests: list[str] = ["state <> 'started'"]
    values: list[Any] = []
    if since is not None:
        tests.append("ts >= ?")
        values.append(since)
    for column, value in (where or {}).items():
        if column not in REQUEST:
            raise ValueError(f"{column} is no column of the ledger")
        tests.append(f"{column} = ?")
        values.append(value)
    if would_refuse:
        tests.append("mode = 'observe' AND routed_to = ''")
    found = transaction.run(
        f"SELECT {', '.join(REQUEST)} FROM request WHERE {' AND '.join(tests)} ORDER BY ts DESC, id DESC LIMIT ?",
        (*values, most),
    )
    return [_row(one) for one in reversed(found)]


def pages(
    transaction: Transaction, since: int | None = None, until: int | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Every request that has ended, in the order of arrival, some at a time, each with its attempts under `attempts`."""
    at, last = since if since is not None else -(2**62), ""
    end = until if until is not None else 2**62
    while True:
        found = transaction.run(
            f"SELECT {', '.join(REQUEST)} FROM request WHERE state <> 'started' AND ts < ? AND "
            "(ts > ? OR (ts = ? AND id > ?)) ORDER BY ts, id LIMIT ?",
            (end, at, at, last, _PAGE),
        )
        if not found:
            return
        rows = [_row(values) for values in found]
        tries = attempts(transaction, [row["id"] for row in rows])
        for row in rows:
            row["attempts"] = tries.get(row["id"], [])
        yield rows
        at, last = rows[-1]["ts"], rows[-1]["id"]


def attempts(transaction: Transaction, requests: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The attempts of requests, by request, in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for start in range(0, len(requests), 500):
        some = requests[start : start + 500]
        for values in transaction.run(
            f"SELECT {', '.join(ATTEMPT)} FROM attempt WHERE request IN ({', '.join('?' * len(some))}) "
            "ORDER BY request, n",
            some,
        ):
            row = dict(zip(ATTEMPT, values, strict=True))
            found.setdefault(row["request"], []).append(row)
    return found


def named(transaction: Transaction, text: str, most: int = 5) -> list[str]:
    """The ids that `text` can mean: the id itself, else ids that begin or end with it, dashes aside (SEMANTICS 4.8)."""
    wanted = text.strip().lower()
    if transaction.run("SELECT 1 FROM request WHERE id = ?", (text.strip(),)):
        return [text.strip()]
    plain = wanted.replace("-", "")
    if not plain or not all(c in "0123456789abcdef" for c in plain):
        return []
    dashed = "-".join(part for part in (plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]) if part)
    begin = transaction.run("SELECT id FROM request WHERE id >= ? AND id < ? LIMIT ?", (dashed, dashed + "~", most))
    end = transaction.run("SELECT id FROM request WHERE replace(id, '-', '') LIKE ? LIMIT ?", (f"%{plain}", most))
    return list(dict.fromkeys(id for (id,) in (*begin, *end)))[:most]


def whole(transaction: Transaction, id: str) -> dict[str, Any] | None:
    """All that is known of one request: its row, attempts, follow-ups, feedback, and its text where that was kept."""
    found = transaction.run(f"SELECT {', '.join(REQUEST)} FROM request WHERE id = ?", (id,))
    if not found:
        return None
    row = _row(found[0])
    row["attempts"] = attempts(transaction, [id]).get(id, [])
    row["versions"] = json.loads(document(transaction, row["versions"]) or "{}")
    row["follows"] = _first(transaction.run("SELECT earlier FROM follow_up WHERE id = ?", (id,)))
    row["followed_by"] = [
        i for (i,) in transaction.run("SELECT id FROM follow_up WHERE earlier = ? ORDER BY ts", (id,))
    ]
    row["feedback"] = [
        {"verdict": verdict, "source": source, "ts": ts}
        for verdict, source, ts in transaction.run(
            "SELECT verdict, source, ts FROM feedback WHERE request = ? ORDER BY ts", (id,)
        )
    ]
    for redacted, prompt, answer in transaction.run("SELECT redacted, prompt, answer FROM said WHERE id = ?", (id,)):
        row["said"] = {"redacted": bool(redacted), "prompt": prompt, "answer": answer}
    return row


def document(transaction: Transaction, hash: str) -> str | None:
    """A text by its hash, such as a policy in its resolved form."""
    found: str | None = _first(transaction.run("SELECT body FROM document WHERE hash = ?", (hash,)))
    return found


def last_failures(transaction: Transaction, among: int = 1_000) -> dict[str, dict[str, Any]]:
    """Of each provider the last call that failed, among the last requests."""
    found = transaction.run(
        "SELECT a.provider, a.outcome, a.status, a.code, r.ts FROM attempt a "
        "JOIN (SELECT id, ts FROM request ORDER BY ts DESC LIMIT ?) r ON r.id = a.request "
        "WHERE a.outcome NOT IN ('ok', 'cancelled') ORDER BY r.ts, a.n",
        (among,),
    )
    return {
        provider: {"outcome": outcome, "status": status, "code": code, "ts": ts}
        for provider, outcome, status, code, ts in found
    }


def _where_spent(
    transaction: Transaction, by: By, since: str, until: str, rows: Iterable[CostRow], which: str
) -> list[CostRow]:
    """The same requests, with the money where it went: an answer after a failure is paid for at both providers."""
    spent = {
        name: (int(cost), int(unpriced), int(estimated))
        for name, cost, unpriced, estimated in transaction.run(
            f"SELECT {by}, sum(cost), sum(unpriced), sum(estimated) FROM rollup_attempt WHERE day BETWEEN ? AND ? "
            f"AND {which} GROUP BY {by}",
            (since, until),
        )
    }
    kinds = {row.name: row for row in rows}
    placed = [
        _respent(kinds.get(name, CostRow(name, 0, 0, 0)), *spent.get(name, (0, 0, 0)))
        for name in dict.fromkeys((*kinds, *spent))
    ]
    lost = sum(row.known for row in kinds.values()) - sum(cost for cost, _, _ in spent.values())
    return [
        _respent(row, row.known + lost, row.unpriced, row.estimated) if row.name == "" and lost > 0 else row
        for row in placed
    ]


def _respent(row: CostRow, known: int, unpriced: int, estimated: int) -> CostRow:
    return replace(row, known=known, unpriced=unpriced, estimated=estimated)


def _added(name: str, rows: Sequence[CostRow]) -> CostRow:
    numbers = CostRow.__slots__[1:]
    return CostRow(name, **{number: sum(getattr(row, number) for row in rows) for number in numbers})


def _row(values: Sequence[Any]) -> dict[str, Any]:
    row = dict(zip(REQUEST, values, strict=True))
    for name in ("signals", "around"):
        row[name] = json.loads(row[name])
    for name in ("escalated", "user_turn", "stream", "tainted", "estimated"):
        row[name] = bool(row[name])
    return row


def _first(rows: Sequence[Sequence[Any]]) -> Any:
    return rows[0][0] if rows else None
