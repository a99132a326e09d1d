"""`hroute costs`: what was spent, by whom and for what, from the ledger."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hroute.cli import exits, ledger, policies, streams
from hroute.cli.render.table import rows
from hroute.cli.render.text import count, visible
from hroute.errors import UsageError
from hroute.terms import money

if TYPE_CHECKING:
    from hroute.ledger.report import CostRow, Costs

HELP = """What was spent: by provider, model, rule, cost center, intent or day.

\b
Examples:
  hroute costs
  hroute costs --by intent --since 30d
  hroute costs --would
"""

SMALL = 50 * money.NANO
"""A month's bill below which one provider is the better answer (the article's own advice)."""

_MONTH_DAYS = 30


def register(app: typer.Typer) -> None:
    app.command("costs", help=HELP)(costs)


def costs(
    policy: policies.PolicyOption = None,
    by: Annotated[
        str, typer.Option("--by", metavar="COLUMN", help="provider, model, rule, cost_center, intent or day.")
    ] = "provider",
    since: ledger.SinceOption = None,
    would: Annotated[
        bool, typer.Option("--would", help="What the choices of an observed policy would have cost.")
    ] = False,
    as_json: policies.JsonOption = False,
) -> int:
    """Add up the daily sums and show them."""
    from hroute.ledger import report
    from hroute.ledger.periods import day_of

    if by not in report.BY:
        raise UsageError(f"costs cannot be told by `{by}`", help=f"--by {', '.join(report.BY)}")
    place = ledger.place(policy)
    now = int(time.time() * 1000)
    start = ledger.instant(since or f"{_MONTH_DAYS}d", place.zone) or 0
    first, last = day_of(place.zone, start), day_of(place.zone, now)
    with ledger.view(place) as view:
        if view is None:
            found = report.Costs(by, first, last, (), report.CostRow("", 0, 0, 0))
        else:
            found = report.costs(view, by, first, last)
    if as_json:
        streams.emit("costs", _as_json(found))
        return exits.DONE
    if not found.rows:
        streams.talk(f"nothing recorded since {first} in {place.where}")
        return exits.DONE
    if would:
        _print_would(found)
        return exits.DONE
    table = [[by, "requests", "cost", "per request", "escalated", "follow-up < 2 min"]]
    table += [_row(row) for row in found.rows]
    table.append(_row(found.total, "total"))
    for line in rows(table, right=(1, 2, 3, 4, 5)):
        streams.line(visible(line))
    _talk(found, since)
    return exits.DONE


def _row(row: CostRow, name: str | None = None) -> list[str]:
    each = None if row.cost is None or not row.requests else round(row.cost / row.requests)
    return [
        name or row.name or "-",
        f"{row.requests:,}",
        money.show(row.cost) if row.cost is not None else f"{money.show(row.known)} + ?",
        money.show(each, 4),
        _share(row.escalated, row.requests),
        _share(row.follow_ups, row.answered),
    ]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if part and whole else "-"


def _talk(found: Costs, since: str | None) -> None:
    """What a reader should know besides the figures."""
    streams.talk(
        f"{found.since} .. {found.until}"
        + ("  (rehearsals in the sandbox: nobody was billed)" if found.rehearsed else "")
    )
    if found.total.unpriced:
        streams.talk(
            f"{count(found.total.unpriced, 'request', 'requests')} without a known price: `+ ?`, and null with --json"
        )
    if found.total.estimated:
        streams.talk(f"{count(found.total.estimated, 'cost is', 'costs are')} estimated: the vendor's count never came")
    if since is None and not found.rehearsed and found.total.cost is not None and found.total.cost < SMALL:
        streams.talk(
            f"under {money.show(SMALL, 0)} a month: one provider for everything is less to look after, and hardly dearer"
        )


def _print_would(found: Costs) -> None:
    total = found.total
    would = None if total.would_unpriced else total.would
    streams.line(
        f"{total.requests:,} requests, {money.show(total.cost)} as served; "
        f"the policy would have cost {money.show(would)} of what it observed."
    )


def _as_json(found: Costs) -> dict[str, Any]:
    return {
        "by": found.by,
        "since": found.since,
        "until": found.until,
        "rehearsed": found.rehearsed,
        "rows": [{found.by: row.name, **_figures(row)} for row in found.rows],
        "total": {**_figures(found.total), "would_cost_usd": _would(found.total)},
    }


def _figures(row: CostRow) -> dict[str, Any]:
    return {
        "requests": row.requests,
        "cost_usd": money.to_json(row.cost),
        "known_usd": money.to_json(row.known),
        "unpriced": row.unpriced,
        "estimated": row.estimated,
        "escalated": row.escalated,
        "diverted": row.diverted,
        "failed": row.failed,
        "refused": row.refused,
        "spoiled": row.spoiled,
        "follow_up": row.follow_ups,
    }


def _would(row: CostRow) -> float | None:
    return None if row.would_unpriced else money.to_json(row.would)
