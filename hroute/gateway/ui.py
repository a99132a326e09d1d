"""The page of the gateway for a person: how its providers are, what it decided last, what that cost. It only reads.

Plain HTML without scripts and without anything from elsewhere; whatever stands in it is escaped.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

from hroute.ledger import costs, report
from hroute.ledger.store import StoreError
from hroute.router.bookkeeping import Books
from hroute.router.engine import Engine
from hroute.router.health import Condition
from hroute.schema.policy import Policy
from hroute.terms import money
from hroute.terms.ids import short

SHOWN: Final = 50
"""Decisions on the page."""
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 1em;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%;margin:.5em 0 2em}th,td{text-align:left;padding:.2em .8em .2em 0;"
    "border-bottom:1px solid #8884;vertical-align:top}td.n,th.n{text-align:right}.bad{color:#c33}small{opacity:.7}"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}  # fmt: skip
"""Nothing may be loaded, run, framed or sent from the page, whatever got into it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page shows. `decisions` are rows of the ledger, the newest first; `spent` are today's costs by provider;
    both are empty with `unkept` saying why, where no ledger can be read."""

    policy: str
    path: str
    mode: str
    trouble: str
    conditions: tuple[Condition, ...]
    decisions: tuple[Mapping[str, Any], ...] = ()
    spent: tuple[costs.CostRow, ...] = ()
    total: costs.CostRow | None = None
    unkept: str = ""
    zone: str = "UTC"


def look(engine: Engine, trouble: str = "") -> Seen:
    """How things are now. Waits for the ledger: not for an event loop."""
    policy = engine.policy
    shown = [p for p in policy.providers.values() if not p.catalogued or _serves(policy, p.name)]
    seen = Seen(policy.hash, policy.path, policy.mode, trouble, tuple(engine.health.conditions(shown)))
    if engine.books is None:
        return replace(seen, unkept="no ledger is kept")
    try:
        return _kept(engine.books, seen)
    except (StoreError, OSError):
        return replace(seen, unkept="the ledger cannot be read")


def page(seen: Seen) -> str:
    """The whole page."""
    return "".join(_page(seen))


def _serves(policy: Policy, name: str) -> bool:
    return any(rule.route is not None and name in rule.route.chain for rule in policy.all_rules)


def _kept(books: Books, seen: Seen) -> Seen:
    zone = books.ledger.settings.zone
    today = datetime.now(ZoneInfo(zone)).date().isoformat()
    books.ledger.flush(0.5)
    with books.ledger.read() as transaction:
        rows = report.logs(transaction, most=SHOWN)
        spent = costs.costs(transaction, "provider", today, today, zone=zone)
    return replace(seen, decisions=tuple(reversed(rows)), spent=spent.rows, total=spent.total, zone=zone)


def _page(seen: Seen) -> Iterator[str]:
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="15"><title>hroute</title><style>{_STYLE}</style></head><body>'
    observing = " It only observes: everything goes where it went before." if seen.mode == "observe" else ""
    yield f"<h1>hroute</h1><p>Policy <code>{escape(seen.policy[:7])}</code> of <code>{escape(seen.path)}</code>.{observing}</p>"
    if seen.trouble:
        yield f'<p class="bad">The policy in force is not the one in the file: {escape(seen.trouble)}</p>'
    yield "<h2>Providers</h2>"
    yield from _table(("name", "errors breaker", "latency breaker", "p95 (s)", "under way", "waiting", "last error"), map(_condition, seen.conditions), {3, 4, 5})  # fmt: skip
    if seen.unkept:
        yield f"<p>{escape(seen.unkept)}: there is nothing to tell of decisions and costs.</p>"
    else:
        yield "<h2>Costs today</h2>"
        total = [seen.total] if seen.total is not None else []
        named = [*((row.name or "-", row) for row in seen.spent), *(("total", row) for row in total)]
        yield from _table(("provider", "requests", "cost", "escalated"), (_spent(*each) for each in named), {1, 2, 3})
        yield f"<h2>The last {SHOWN} decisions</h2>"
        yield from _table(("id", "time", "rule", "routed to", "served by", "model", "seconds", "cost", "outcome"), (_decided(row, seen.zone) for row in seen.decisions), {6, 7})  # fmt: skip
    yield f"<p><small>{escape(time.strftime('%Y-%m-%d %H:%M:%S %Z'))}. This page only reads. In a terminal: hroute status, hroute logs, hroute costs.</small></p></body></html>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: set[int]) -> Iterator[str]:
    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(f'<{tag}{" class=n" if n in numbers else ""}>{escape(text)}</{tag}>' for n, text in enumerate(texts))  # fmt: skip

    yield f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>"
    yield from (f"<tr>{cells('td', row)}</tr>" for row in rows)
    yield "</tbody></table>"


def _condition(one: Condition) -> tuple[str, ...]:
    opened = f"{one.errors}, {one.open_for:.0f} s more" if one.open_for else one.errors
    p95 = "-" if one.p95 is None else f"{one.p95:.1f}"
    return one.provider, opened, one.latency or "-", p95, str(one.under_way), str(one.waiting), one.last_error or "-"


def _spent(name: str, row: costs.CostRow) -> tuple[str, ...]:
    return name, f"{row.requests:,}", money.show(row.cost, 4), f"{row.escalated:,}"


def _decided(row: Mapping[str, Any], zone: str) -> tuple[str, ...]:
    at = datetime.fromtimestamp(row["ts"] / 1000, ZoneInfo(zone)).strftime("%m-%d %H:%M:%S")
    came = row["outcome"] if not row["escalation"] else f"{row['outcome']}, {row['escalation']}"
    cost = money.show(row["cost"], 4)
    return short(row["id"]), at, row["rule"], row["routed_to"] or "-", row["provider"] or "-", row["model"] or "-", f"{row['latency_ms'] / 1000:.1f}", cost, came  # fmt: skip
