"""What the ledger can tell of single requests: the last ones, one in full, all of them, as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hroute.ledger.journal import ATTEMPT, REQUEST
from hroute.ledger.store import Transaction, chunks, marks

_PAGE: Final = 1_000


def logs(
    transaction: Transaction,
    *,
    most: int = 20,
    since: int | None = None,
    where: Mapping[str, str] | None = None,
    would_refuse: bool = False,
    ended: int | None = None,
) -> list[dict[str, Any]]:
    """The last `most` requests that arrived at or after `since` (milliseconds) and ended at or after `ended`, the oldest
    first, as rows with columns by name. `where` asks for values of columns (rule, provider, outcome ...)."""
    tests: list[str] = ["state <> 'started'"]
    values: list[Any] = []
    if since is not None:
        tests.append("ts >= ?")
        values.append(since)
    if ended is not None:
        tests.append("ts + latency_ms >= ?")
        values.append(ended)
    for column, value in (where or {}).items():
        if column not in REQUEST:
            raise ValueError(f"{column} is no column of the ledger")
        tests.append(f"{column} = ?" if column != "outcome" or value == "ok" else "outcome <> 'ok' AND outcome = ?")
        values.append(value)
    if would_refuse:
        tests.append("mode = 'observe' AND routed_to = ''")
    found = transaction.run(
        f"SELECT {', '.join(REQUEST)} FROM request WHERE {' AND '.join(tests)} ORDER BY ts DESC, id DESC LIMIT ?",
        (*values, most),
    )
    return [_row(one) for one in reversed(found)]


def pages(
    transaction: Transaction, since: int | None = None, until: int | None = None, *, beside: bool = False
) -> Iterator[list[dict[str, Any]]]:
    """Every request that has ended, in the order of arrival, some at a time, each with its attempts under `attempts`;
    `beside`: also with its text, where that was kept, under `said`, and with verdicts under `feedback`."""
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
        if beside:
            _add_beside(transaction, {row["id"]: row for row in rows})
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
        {"verdict": verdict, "source": source, "ts": ts, "note": note}
        for verdict, source, ts, note in transaction.run(
            "SELECT verdict, source, ts, note FROM feedback WHERE request = ? ORDER BY ts", (id,)
        )
    ]
    for redacted, prompt, answer in transaction.run("SELECT redacted, prompt, answer FROM said WHERE id = ?", (id,)):
        row["said"] = {"redacted": bool(redacted), "prompt": prompt, "answer": answer}
    for (answer,) in transaction.run("SELECT answer FROM said WHERE id = ?", (f"{id}/shadow",)):
        row["around"]["shadow"]["answer"] = answer
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


def _add_beside(transaction: Transaction, rows: Mapping[str, dict[str, Any]]) -> None:
    for some in chunks(list(rows)):
        for id, redacted, prompt, answer in transaction.run(
            f"SELECT id, redacted, prompt, answer FROM said WHERE id IN ({marks(some)})", some
        ):
            rows[id]["said"] = {"redacted": bool(redacted), "prompt": prompt, "answer": answer}
        for id, verdict in transaction.run(
            f"SELECT request, verdict FROM feedback WHERE request IN ({marks(some)})", some
        ):
            rows[id].setdefault("feedback", []).append({"verdict": verdict})


def _row(values: Sequence[Any]) -> dict[str, Any]:
    row = dict(zip(REQUEST, values, strict=True))
    for name in ("signals", "around"):
        row[name] = json.loads(row[name])
    for name in ("escalated", "user_turn", "stream", "tainted", "estimated"):
        row[name] = bool(row[name])
    return row


def _first(rows: Sequence[Sequence[Any]]) -> Any:
    return rows[0][0] if rows else None
