"""`hroute costs --reconcile EXPORT`: the ledger beside a vendor's own figures, by day and model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hroute.cli import exits, ledger, streams
from hroute.cli.render.table import fitted
from hroute.cli.render.text import count, visible
from hroute.terms import money

if TYPE_CHECKING:
    from hroute.ledger.reconcile import Figures, Reconciled, Row
    from hroute.ledger.vendor_exports import Export

MOST: Final = 60
"""Rows that a table shows; of more those that differ most."""

_TOKENS: Final = ("input", "output", "cache_read", "cache_write", "reasoning")


def run(place: ledger.Place, path: str, days: tuple[str, str] | None, as_json: bool) -> int:
    """Read, compare (only the days from the first to the second, where two are given), show."""
    from hroute.ledger import reconcile, vendor_exports

    export = vendor_exports.read(path)
    if days is not None:
        export = replace(export, lines=tuple(line for line in export.lines if days[0] <= line.day <= days[1]))
    with ledger.view(place) as view:
        found = reconcile.reconcile(view, export, place.zone)
    if as_json:
        streams.emit("costs", _as_json(export, found))
        return exits.DONE
    for line in _table(found):
        streams.line(line)
    for line in _notes(export, found, place):
        streams.talk(line)
    return exits.DONE


def _table(found: Reconciled) -> list[str]:
    if not found.rows:
        return []
    shown = list(found.rows)
    if len(shown) > MOST:
        worst = sorted(shown, key=lambda row: abs(row.difference or 0), reverse=True)[:MOST]
        shown = [row for row in shown if row in worst]
    cells = [["day", "model", "export", "ledger", "difference", "tokens (export)", "tokens (ledger)", ""]]
    cells += [_cells(row) for row in shown]
    total = _total(found.rows)
    cells.append(["total", "", *(money.show(value) for value in total[:2]), _signed(total[2]), "", "", ""])
    lines = fitted(cells, fixed=2, dear=("tokens (export)", "tokens (ledger)"))
    if len(shown) < len(found.rows):
        lines.append(f"({len(found.rows) - len(shown)} more, which differ less: --json)")
    return lines


def _cells(row: Row) -> list[str]:
    mark = "~" if row.listed else ""
    return [
        row.day,
        visible(row.model) or "(all)",
        "-" if row.export is None else money.show(row.export.cost) + mark,
        "-" if row.ledger is None else money.show(row.ledger.cost),
        _signed(row.difference),
        _tokens(row.export),
        _tokens(row.ledger),
        _note(row),
    ]


def _note(row: Row) -> str:
    if row.ledger is None:
        return "only in the export"
    if row.export is None:
        return "only in the ledger"
    if row.ledger.unpriced:
        return f"{count(row.ledger.unpriced, 'call')} without a known price"
    share = "" if not row.difference or not row.export.cost else f"{100 * row.difference / row.export.cost:+.1f} %"
    return share


def _notes(export: Export, found: Reconciled, place: ledger.Place) -> Iterator[str]:
    yield f"{export.kind}: {count(len(export.lines), 'line')}" + (
        f", {found.since} .. {found.until}, days of UTC" if found.rows else ", none of them with figures"
    )
    if found.read:
        yield f"the ledger's own days are those of {place.zone}: its single rows were read"
    if found.began is None:
        yield f"nothing is recorded in {place.shown}"
    elif found.rows and found.began > found.since:
        yield f"the ledger {'has rows' if found.read else 'knows'} from {found.began} on: what was before is the export's alone"
    if any(row.listed for row in found.rows):
        yield "~ the export has tokens and no money: they are priced by our list (hroute prices)"
    if export.bad:
        told = "; ".join(f"line {number}: {why}" if number else why for number, why in export.problems)
        yield f"{count(export.bad, 'line')} could not be read: {visible(told)}"
    if export.unknown:
        yield f"columns that are not known, and not used: {visible(', '.join(export.unknown))}"


def _tokens(figures: Figures | None) -> str:
    return "-" if figures is None or figures.tokens is None else f"{figures.tokens:,}"


def _signed(nano: int | None) -> str:
    if nano is None:
        return "-"
    return f"{'-' if nano < 0 else '+'}{money.show(abs(nano))}" if nano else money.show(0)


def _total(rows: Sequence[Row]) -> tuple[int | None, int | None, int | None]:
    theirs = [0 if row.export is None else row.export.cost for row in rows]
    ours = [0 if row.ledger is None else row.ledger.cost for row in rows]
    sums = [None if None in side else sum(value for value in side if value is not None) for side in (theirs, ours)]
    return sums[0], sums[1], None if sums[0] is None or sums[1] is None else sums[1] - sums[0]


def _as_json(export: Export, found: Reconciled) -> dict[str, Any]:
    total = _total(found.rows)
    return {
        "export": export.kind,
        "vendor": export.vendor,
        "lines": len(export.lines),
        "bad_lines": export.bad,
        "problems": [{"line": number or None, "message": why} for number, why in export.problems],
        "unknown_columns": list(export.unknown),
        "since": found.since or None,
        "until": found.until or None,
        "timezone": "UTC",
        "rows": [
            {
                "day": row.day,
                "model": row.model,
                "export": _figures(row.export),
                "ledger": _figures(row.ledger),
                "difference_usd": money.to_json(row.difference),
                "at_list_prices": row.listed,
            }
            for row in found.rows
        ],
        "total": dict(zip(("export_usd", "ledger_usd", "difference_usd"), map(money.to_json, total), strict=True)),
    }


def _figures(figures: Figures | None) -> dict[str, Any] | None:
    if figures is None:
        return None
    tokens = {} if figures.usage is None else {f"{name}_tokens": getattr(figures.usage, name) for name in _TOKENS}
    return {
        "requests": figures.requests,
        "cost_usd": money.to_json(figures.cost),
        "unpriced": figures.unpriced,
        **tokens,
    }
