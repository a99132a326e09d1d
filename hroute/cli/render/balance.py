"""Budgets and the ledger as `hroute status` shows them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hroute.cli.render.decision import price
from hroute.cli.render.table import rows
from hroute.cli.render.text import count, visible
from hroute.ledger.export import moment
from hroute.router.balance import Balance, Standing, action
from hroute.schema.quantities import show_percent
from hroute.terms import money


def lines(standing: Standing) -> Iterator[str]:
    """The budgets as a table, and the ledger where something is wrong with it."""
    if standing.balances:
        yield ""
        table = [["budget", "spent", "reserved", "limit", "left", "resets", "now"]]
        unread = "no ledger is kept: nothing is counted" if standing.ledger is None else "the ledger cannot be read"
        yield from rows([*table, *(_row(one, unread) for one in standing.balances)], right=(1, 2, 3, 4))
    if standing.state is not None:
        yield ""
        yield f"ledger  {standing.state.value.upper()}: {visible(standing.trouble)}"


def as_json(balance: Balance) -> dict[str, Any]:
    budget = balance.budget
    return {
        "name": budget.name,
        "where": {key: list(names) for key, names in budget.where.items()},
        "per": budget.per,
        "spent_usd": money.to_json(balance.spent),
        "reserved_usd": money.to_json(balance.reserved),
        "limit_usd": money.to_json(budget.limit),
        "unpriced_calls": balance.unpriced,
        "since": moment(balance.start),
        "resets": moment(balance.end),
        "timezone": budget.timezone,
        "reached": [{"share": t.share, "action": action(t)} for t in balance.reached],
    }


def _row(balance: Balance, unread: str) -> list[str]:
    budget = balance.budget
    where = ", ".join(f"{key} {' or '.join(names)}" for key, names in budget.where.items())
    until = datetime.fromtimestamp(balance.end / 1000, ZoneInfo(budget.timezone)).strftime("%Y-%m-%d %H:%M")
    left, now = "-", unread
    if balance.spent is not None and balance.reserved is not None:
        left = price(max(0, budget.limit - balance.spent - balance.reserved))
        now = "; ".join(f"{show_percent(t.share)}: {action(t)}" for t in balance.reached) or "open"
    if balance.unpriced:
        now += f"; {count(balance.unpriced, 'call')} of unknown price"
    return [
        visible(budget.name + (f" ({where})" if where else "")),
        price(balance.spent),
        price(balance.reserved),
        price(budget.limit),
        left,
        f"{until} {budget.timezone}",
        visible(now),
    ]
