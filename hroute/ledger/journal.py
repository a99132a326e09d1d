"""Writing what happened: a batch of entries becomes rows, sums and settled reservations, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from hroute.ledger import budgets, feedback, lengths
from hroute.ledger.periods import Days
from hroute.ledger.records import Aside, AttemptRow, Document, Entry, Feedback, RequestRow, Settlement
from hroute.ledger.rollup import KEY, Deltas
from hroute.ledger.store import Transaction, chunks, marks

FOLLOW_UP_SECONDS: Final = 120
"""Who asks again in the same session within this time after an answer follows up on it."""

REQUEST: Final = (
    "id", "ts", "day", "state", "outcome", "policy", "rule", "variant", "mode", "routed_to", "provider", "model",
    "escalation", "escalated", "error", "cost_center", "tenant", "client", "user_key", "session_key", "prompt_key",
    "intent", "purpose", "user_turn", "stream", "tainted", "score", "confidence", "latency_ms", "ttft_ms", "input",
    "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "cost", "would_cost", "estimated", "prices",
    "versions", "signals", "around", "task_type",
)  # fmt: skip
ATTEMPT: Final = (
    "request", "n", "day", "kind", "provider", "model", "terms", "outcome", "status", "code", "latency_ms", "ttft_ms",
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "cost", "estimated",
)  # fmt: skip

_WRITE: Final = (
    f"INSERT INTO request ({', '.join(REQUEST)}) VALUES ({marks(REQUEST)}) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in REQUEST[1:])
    + " WHERE request.state <> 'done'"
)
_WRITE_ATTEMPT: Final = (
    f"INSERT INTO attempt ({', '.join(ATTEMPT)}) VALUES ({marks(ATTEMPT)}) ON CONFLICT (request, n) DO NOTHING"
)
_WRITE_DOCUMENT: Final = "INSERT INTO document (hash, kind, ts, body) VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING"
_WRITE_SAID: Final = (
    "INSERT INTO said (id, ts, redacted, prompt, answer) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_WRITE_FOLLOW_UP: Final = (
    "INSERT INTO follow_up (id, earlier, ts, seconds) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_EARLIER: Final = (
    f"SELECT id, ts + latency_ms, ts, {', '.join(KEY)} FROM request "
    "WHERE session_key = ? AND session_key <> '' AND ts < ? AND ts >= ? AND state = 'done' AND outcome = 'ok' ORDER BY ts DESC LIMIT 1"
)
_ASIDE: Final = f"SELECT ts, cost, estimated, around, {', '.join(KEY)} FROM request WHERE id = ? AND state = 'done'"
_LONGEST_ANSWER: Final = 3_600_000
"""Milliseconds: how far back an answer may have been asked for that somebody follows up on now."""


@dataclass(slots=True)
class Batch:
    """Entries made ready: all that can be worked out before the database is locked is worked out here."""

    requests: dict[str, RequestRow] = field(default_factory=dict)
    rows: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    attempts: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    entries: int = 0


def prepared(entries: Iterable[Entry], days: Days) -> Batch:
    """A batch of `entries`; of a request that comes twice the first counts."""
    batch = Batch()
    for entry in entries:
        batch.entries += 1
        match entry:
            case RequestRow():
                if entry.id not in batch.rows:
                    _prepare(entry, days.of(entry.ts), batch)
            case Settlement():
                batch.settlements.append(entry)
            case Document():
                batch.documents.append(entry)
            case Feedback():
                batch.feedback.append(entry)
            case Aside():
                batch.asides.append(entry)
    return batch


def write(transaction: Transaction, batch: Batch, now: int) -> None:
    """Everything of `batch`, each entry once however often it is written; `now` is in milliseconds since 1970."""
    deltas = Deltas()
    if batch.documents:
        documents = {d.hash: (d.hash, d.kind, now, d.body) for d in batch.documents}
        transaction.each(_WRITE_DOCUMENT, list(documents.values()))
    if batch.rows:
        _write_requests(transaction, batch, deltas)
    if batch.feedback:
        feedback.write(transaction, batch.feedback, deltas)
    for aside in batch.asides:
        _write_aside(transaction, aside, deltas)
    deltas.write(transaction)
    if batch.settlements:
        budgets.settle(transaction, batch.settlements, now)


def close_lost(transaction: Transaction, now: int, grace: int) -> int:
    """Settle reservations whose time has run out, and close their requests as `unknown`; gives the number of those.

    A request that was started more than `grace` milliseconds ago and holds no reservation is closed too: its process
    went away between its last call and its row.
    """
    budgets.expire(transaction, now)
    holds = "EXISTS (SELECT 1 FROM lease WHERE lease.request = request.id AND lease.expired = 0)"
    lost = transaction.run(
        f"SELECT id, cost, ts, {', '.join(KEY)} FROM request WHERE state = 'started' AND NOT {holds} "
        "AND (ts < ? OR EXISTS (SELECT 1 FROM lease WHERE lease.request = request.id AND lease.expired = 1))",
        (now - grace,),
    )
    deltas = Deltas()
    for id, cost, ts, *key in lost:
        transaction.run("UPDATE request SET state = 'unknown', outcome = 'unknown', estimated = 1 WHERE id = ?", (id,))
        deltas.unknown(tuple(key), ts, cost)
    deltas.write(transaction)
    return len(lost)


def start(transaction: Transaction, row: tuple[Any, ...]) -> None:
    """A request whose first byte has not left yet (`started_row`)."""
    transaction.run(
        f"INSERT INTO request ({', '.join(REQUEST)}) VALUES ({marks(REQUEST)}) ON CONFLICT (id) DO NOTHING", row
    )


def fingerprint(text: str) -> str:
    """The hash by which rows refer to a document."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@lru_cache(maxsize=64)
def versions_document(versions: tuple[tuple[str, str], ...]) -> Document:
    """Which extractors read the signals, as a document that rows refer to."""
    body = json.dumps(dict(versions), separators=(",", ":"))
    return Document(fingerprint(body), "extractors", body)


def _prepare(row: RequestRow, day: str, batch: Batch) -> None:
    versions = versions_document(tuple(sorted(row.versions.items())))
    batch.requests[row.id] = row
    batch.documents.append(versions)
    batch.rows[row.id] = request_values(row, day, "done", versions.hash)
    batch.attempts[row.id] = [_attempt_values(row.id, n, day, attempt) for n, attempt in enumerate(row.tries)]


def _write_requests(transaction: Transaction, batch: Batch, deltas: Deltas) -> None:
    known = _known(transaction, list(batch.rows))
    fresh = [id for id in batch.rows if id not in known or known[id][0] != "done"]
    for id in fresh:
        if id in known and known[id][0] == "unknown":
            _, cost, ts, *key = known[id]
            deltas.unknown(tuple(key), ts, cost, -1)
        deltas.add(batch.requests[id], batch.rows[id][2])
    transaction.each(_WRITE, [batch.rows[id] for id in fresh])
    transaction.each(_WRITE_ATTEMPT, [values for id in fresh for values in batch.attempts[id]])
    texts = [(id, row.ts, row.said) for id in fresh if (row := batch.requests[id]).said is not None]
    if texts:
        transaction.each(_WRITE_SAID, [(id, ts, int(s.redacted), s.prompt, s.answer) for id, ts, s in texts if s])
    lengths.add(transaction, [batch.requests[id] for id in fresh])
    _follow_ups(transaction, [batch.requests[id] for id in fresh], deltas)


def _write_aside(transaction: Transaction, aside: Aside, deltas: Deltas) -> None:
    """Add a call beside a request to its attempts and to what it did cost, once. Its tokens stay those of the request
    itself: that is what it needs under any policy. Where the request is not there, nothing is written."""
    found = transaction.run(_ASIDE, (aside.request,))
    known = json.loads(found[0][3]) if found else {aside.name: None}
    if aside.name in known:
        return
    ts, cost, estimated, _, *key = found[0]
    attempt, after = aside.attempt, cost
    if attempt is not None:
        n = transaction.run("SELECT coalesce(max(n), -1) + 1 FROM attempt WHERE request = ?", (aside.request,))[0][0]
        transaction.each(_WRITE_ATTEMPT, [_attempt_values(aside.request, n, key[KEY.index("day")], attempt)])
        after = None if cost is None or attempt.cost is None else cost + attempt.cost
        deltas.aside(tuple(key), ts, attempt, cost, after, first_estimate=attempt.estimated and not estimated)
        estimated = int(estimated or attempt.estimated)
    if (said := aside.said) is not None:
        name = f"{aside.request}/{aside.name}"
        transaction.each(_WRITE_SAID, [(name, ts, int(said.redacted), said.prompt, said.answer)])
    around = _json({**known, aside.name: aside.note})
    transaction.run(
        "UPDATE request SET cost = ?, estimated = ?, around = ? WHERE id = ?", (after, estimated, around, aside.request)
    )


def _known(transaction: Transaction, ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Of the requests that have a row already: state, cost, arrival and the key of their sums."""
    known: dict[str, tuple[Any, ...]] = {}
    for some in chunks(ids):
        found = transaction.run(
            f"SELECT id, state, cost, ts, {', '.join(KEY)} FROM request WHERE id IN ({marks(some)})", some
        )
        known.update((row[0], tuple(row[1:])) for row in found)
    return known


def _follow_ups(transaction: Transaction, rows: Iterable[RequestRow], deltas: Deltas) -> None:
    """A row for each request with which a user spoke again soon after an answer (SEMANTICS 4.4)."""
    found = []
    for row in rows:
        if not row.session or not row.user_turn:
            continue
        for earlier, ended, ts, *key in transaction.run(_EARLIER, (row.session, row.ts, row.ts - _LONGEST_ANSWER)):
            seconds = (row.ts - ended) / 1000
            if 0 <= seconds <= FOLLOW_UP_SECONDS:
                found.append((row.id, earlier, row.ts, seconds))
                deltas.follow_up(tuple(key), ts)
    if found:
        transaction.each(_WRITE_FOLLOW_UP, found)


def request_values(row: RequestRow, day: str, state: str, versions: str = "") -> tuple[Any, ...]:
    """The row in the order of `REQUEST`."""
    used = row.usage
    return (
        row.id, row.ts, day, state, row.outcome, row.policy, row.rule, row.variant, row.mode, row.routed_to,
        row.provider, row.model, row.escalation, int(row.escalated), row.error, row.cost_center, row.tenant,
        row.client, row.user, row.session, row.prompt, row.intent, row.purpose, int(row.user_turn), int(row.stream),
        int(row.tainted), row.score, row.confidence, row.latency_ms, row.ttft_ms, used.input, used.output,
        used.cache_read, used.cache_write, used.cache_write_1h, used.reasoning, row.cost, row.would_cost,
        int(row.estimated), row.prices, versions, _json(row.signals), _json(row.around), row.task_type,
    )  # fmt: skip


def _attempt_values(request: str, n: int, day: str, row: AttemptRow) -> tuple[Any, ...]:
    used = row.usage
    return (
        request, n, day, row.kind, row.provider, row.model, row.terms, row.outcome, row.status, row.code,
        row.latency_ms, row.ttft_ms, used.input, used.output, used.cache_read, used.cache_write, used.cache_write_1h,
        used.reasoning, row.cost, int(row.estimated),
    )  # fmt: skip


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    """Sets of names as sorted lists; whatever else comes is named by its type, never by its content."""
    return sorted(value) if isinstance(value, (set, frozenset)) else type(value).__name__
