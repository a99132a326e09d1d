"""Costs as a person reads them: a table that fits the terminal, bars, and what a reader should know besides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from hroute.cli.render import plot as plots
from hroute.cli.render.table import fitted, rows
from hroute.cli.render.text import count, visible
from hroute.terms import money

if TYPE_CHECKING:
    from hroute.ledger.bill import Month
    from hroute.ledger.costs import CostRow, Costs, Would
    from hroute.schema.policy import Provider

_EXTRA: Final = ("bad replies", "good / bad", "errors", "p50", "p95")
"""Columns that stand only where there is something in them."""


def table(found: Costs, most: int) -> list[str]:
    """The rows with their total; columns that find no room at a terminal are left out and named."""
    shown = kept(found, most)
    header = ["requests", "cost", "per request", "escalated", "follow-up < 2 min", *_EXTRA]
    body = [_row(row) for row in shown]
    total = _row(found.total)
    for at in range(len(header) - 1, 4, -1):
        if all(line[at] == "-" for line in (*body, total)):
            for line in (header, *body, total):
                del line[at]
    width = len(found.by)
    named = [[visible(name_of(a, n)) for a, n in zip(found.by, row.names, strict=True)] for row in shown]
    left = [[*found.by], *named, ["total", *[""] * (width - 1)]]
    cells = [names + figures for names, figures in zip(left, (header, *body, total), strict=True)]
    return fitted(cells, fixed=width, dear=("per request", "p50", "p95", "bad replies", "good / bad", "errors"))


def kept(found: Costs, most: int) -> Sequence[CostRow]:
    """What a table has room for: the dearest, or the latest days or hours."""
    return found.rows[-most:] if found.by[0] in ("day", "hour") else found.rows[:most]


def name_of(axis: str, name: str) -> str:
    """A name along an axis as a table shows it: keyed hashes by their beginning, none as a dash."""
    return (name[:8] if axis in ("session", "policy") else name) or "-"


def plot(found: Costs, most: int) -> list[str]:
    """Bars of the cost, or of the requests where all of it was free, and of the share that escalated where any did."""
    names, drawn = _series(found, most)
    costs = [row.known / money.NANO for row in drawn]
    free = not any(costs)
    figures = [float(row.requests) for row in drawn] if free else costs
    labels = [f"{row.requests:,}" if free else _money(row) for row in drawn]
    by = ", ".join(found.by)
    lines = ["", f"{'requests' if free else 'cost'} by {by}", *plots.bars(names, figures, labels)]
    if any(row.escalated for row in drawn):
        shares = [row.escalated / row.requests if row.requests else 0.0 for row in drawn]
        told = [f"{100 * share:.1f} %" for share in shares]
        lines += ["", f"escalated by {by}", *plots.bars(names, shares, told, of=[row.requests for row in drawn])]
    return lines


def notes(found: Costs, zone: str, most: int) -> Iterator[str]:
    """What the figures mean and what they leave out."""
    days = f"{found.since} .. {found.until}, whole days of {zone}"
    yield days + ("  (rehearsals in the sandbox: nobody was billed)" if found.rehearsed else "")
    if found.groups > most:
        what = "earlier ones" if found.by[0] in ("day", "hour") else "more, with less cost"
        yield f"{found.groups - most:,} {what}: --top {found.groups}, or --json"
    if found.read and found.total.requests > found.placed:
        lost = count(found.total.requests - found.placed, "request", "requests")
        why = "belong to no session, or their rows were dropped" if "session" in found.by else "are not in it: dropped"
        yield f"read from single rows; {lost} {why}"
    elif found.read:
        yield "read from single rows, not from sums"
    if found.total.unpriced:
        yield f"{count(found.total.unpriced, 'request', 'requests')} without a known price: `+ ?`, and null with --json"
    if found.total.estimated:
        yield f"{count(found.total.estimated, 'cost is', 'costs are')} estimated: the vendor's count never came"


def month_lines(month: Month | None, baseline: Provider | None) -> Iterator[str]:
    """Whether the whole bill is so small that one provider would be the better answer."""
    from hroute.ledger.bill import DAYS, SMALL

    if month is None or not month.small:
        return
    if month.days >= DAYS - 1:
        spent = f"{money.show(month.cost)} in the last {DAYS} days"
    else:
        days = f"{month.days:.1f} days"
        spent = f"{money.show(month.cost)} in {days}, about {money.show(month.expected)} in {DAYS} if that goes on"
    yield (
        f"{spent}: under {money.show(SMALL, 0)} a month. One provider for everything is the better answer then: "
        "less to look after, and hardly dearer"
    )
    alone = _alone(month, baseline)
    if alone is not None and baseline is not None and alone >= SMALL:
        yield (
            f"(but all of it on {baseline.name} would be about {money.show(alone)} in {DAYS} days: "
            "it is the routing that keeps it small)"
        )


def month_json(month: Month) -> dict[str, Any]:
    return {
        "cost_usd": money.to_json(month.cost),
        "days": round(month.days, 2),
        "expected_usd": money.to_json(month.expected),
        "small": month.small,
    }


def would(found: Sequence[Would], axes: Sequence[str]) -> list[str]:
    """The sentence for all of it, and each kind."""
    requests = sum(row.requests for row in found)
    served, wanted = (_sum(values) for values in ([r.cost for r in found], [r.would_cost for r in found]))
    refused = sum(row.refused for row in found)
    told = f"{requests:,} requests, {money.show(served)} as served; the policy would have cost {money.show(wanted)}."
    if refused:
        told += f" It would have refused {refused:,}: hroute logs --would-refuse"
    lines = [[*axes, "requests", "as served", "would have cost", "saved", "refused"]]
    lines += [
        [*(visible(name_of(a, n)) for a, n in zip(axes, row.names, strict=True)), *_would_row(row)] for row in found
    ]
    return [
        told,
        "",
        *rows(lines, right=range(len(axes), len(axes) + 5)),
        "",
        "At the tokens that the baseline used; another model writes longer or shorter, and escalations cost extra.",
    ]


def would_json(found: Sequence[Would], axes: Sequence[str]) -> dict[str, Any]:
    return {
        "requests": sum(row.requests for row in found),
        "cost_usd": money.to_json(_sum([row.cost for row in found])),
        "would_cost_usd": money.to_json(_sum([row.would_cost for row in found])),
        "would_refuse": sum(row.refused for row in found),
        "rows": [
            {
                **dict(zip(axes, row.names, strict=True)), "requests": row.requests, "cost_usd": money.to_json(row.cost),
                "would_cost_usd": money.to_json(row.would_cost), "would_refuse": row.refused,
            }
            for row in found
        ],
    }  # fmt: skip


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if part and whole else "-"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms"


def _row(row: CostRow) -> list[str]:
    each = None if row.cost is None or not row.requests else round(row.cost / row.requests)
    errors = share(row.call_failures, row.calls) if row.calls else share(row.failed - row.refused, row.requests)
    return [
        f"{row.requests:,}",
        _money(row),
        money.show(each, 4),
        share(row.escalated, row.requests),
        share(row.follow_ups, row.answered),
        share(row.spoiled, row.requests),
        f"{row.good} / {row.bad}" if row.good or row.bad else "-",
        errors,
        milliseconds(row.p50),
        milliseconds(row.p95),
    ]


def _money(row: CostRow) -> str:
    return money.show(row.cost) if row.cost is not None else f"{money.show(row.known)} + ?"


def _would_row(row: Would) -> list[str]:
    saved = "-"
    if row.cost and row.would_cost is not None:
        saved = f"{100 * (row.cost - row.would_cost) / row.cost:.0f} %"
    cost, wanted = money.show(row.cost), money.show(row.would_cost)
    return [f"{row.requests:,}", cost, wanted, saved, f"{row.refused:,}" if row.refused else "-"]


def _sum(values: Sequence[int | None]) -> int | None:
    return None if None in values else sum(value for value in values if value is not None)


def _series(found: Costs, most: int) -> tuple[list[str], list[CostRow]]:
    """What is drawn: the first rows, and by day every day from the first to the last, also those without a request."""
    from datetime import date, timedelta

    from hroute.ledger.costs import CostRow

    if found.by == ("hour",):
        return [row.names[0] for row in found.rows], list(found.rows)
    if found.by != ("day",):
        rows = kept(found, most)
        return [visible(", ".join(map(name_of, found.by, row.names))) for row in rows], list(rows)
    known = {row.names[0]: row for row in found.rows}
    first, last = (date.fromisoformat(at) for at in (found.rows[0].names[0], found.rows[-1].names[0]))
    days = [(first + timedelta(n)).isoformat() for n in range((last - first).days + 1)]
    return days, [known.get(day, CostRow((day,))) for day in days]


def _alone(month: Month, baseline: Provider | None) -> int | None:
    """Nano-dollars that a month would cost with everything on one provider, at its list price and without length bands."""
    from dataclasses import replace

    from hroute.ledger import prices
    from hroute.ledger.bill import DAYS
    from hroute.router.pricing import price_of

    price = None if baseline is None else price_of(baseline)
    if price is None or not month.days:
        return None
    return round(prices.cost(replace(price, bands=()), month.usage) * DAYS / month.days)
