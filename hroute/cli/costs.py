"""`hroute costs`: what was spent, by whom and for what, from the ledger."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hroute.cli import exits, ledger, policies, streams
from hroute.errors import UsageError
from hroute.terms import money

if TYPE_CHECKING:
    from hroute.ledger.costs import CostRow, Costs
    from hroute.ledger.store import Transaction

HELP = """What was spent: by provider, model, rule, cost center, kind of request, session, day or hour.

\b
Examples:
  hroute costs
  hroute costs --by intent --last 30d --plot
  hroute costs --by rule,provider --since 2026-10-01 --until 2026-10-31
  hroute costs --would                         an observed policy's own choices
  hroute costs --holdout                       each rule beside its holdout
  hroute costs --reconcile usage-export.csv    the vendor's own figures
"""

TOP: Final = 30
"""Kinds that a table shows; JSON has all unless told otherwise."""

_DEFAULT = "30d"
_EVER = "2020-01-01"


def register(app: typer.Typer) -> None:
    app.command("costs", help=HELP)(costs)


def costs(
    policy: policies.PolicyOption = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="AXIS[,AXIS]",
            show_default=False,
            help="provider (the default), model, rule, cost_center, intent, task_type, purpose, day, hour; session, tenant, client, "
            "variant, outcome and policy are read from single rows.",
        ),
    ] = None,
    since: ledger.SinceOption = None,
    until: ledger.UntilOption = None,
    last: ledger.LastOption = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top", metavar="N", min=1, help=f"The N dearest; else {TOP}, with --json all.", show_default=False
        ),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw it, too.")] = False,
    would: Annotated[
        bool, typer.Option("--would", help="What the choices of an observed policy would have cost, by rule.")
    ] = False,
    holdout: Annotated[
        bool, typer.Option("--holdout", help="Each rule beside its holdout on the baseline, with intervals.")
    ] = False,
    reconcile: Annotated[
        str | None,
        typer.Option(
            "--reconcile",
            metavar="EXPORT",
            help="Compare with a usage or cost export (CSV, JSON) of Anthropic, OpenAI, OpenRouter or LiteLLM.",
            show_default=False,
        ),
    ] = None,
    as_json: policies.JsonOption = False,
) -> int:
    """Add up the sums of days or hours, or look at what is asked for instead, and show it."""
    if would + holdout + (reconcile is not None) > 1:
        raise UsageError("--would, --holdout and --reconcile are three questions", help="ask one at a time")
    if (holdout or reconcile is not None) and (by or plot or top):
        raise UsageError("--by, --top and --plot say nothing to --holdout and --reconcile", help="leave them out")
    place = ledger.place(policy)
    if reconcile is not None:
        from hroute.cli import reconciling

        span = ledger.days("UTC", since, until, last, default=_EVER) if since or until or last else None
        return reconciling.run(place, reconcile, span, as_json)
    first, final = ledger.days(place.zone, since, until, last, default=_DEFAULT)
    with ledger.view(place) as view:
        if would:
            return _would(view, place, _axes(by or "rule"), first, final, as_json)
        if holdout:
            from hroute.cli import holding_out

            return holding_out.run(view, place, first, final, as_json)
        return _costs(view, place, _axes(by or "provider"), first, final, top, plot, as_json)


def _costs(
    view: Transaction | None,
    place: ledger.Place,
    axes: tuple[str, ...],
    first: str,
    final: str,
    top: int | None,
    plot: bool,
    as_json: bool,
) -> int:
    from hroute.cli.render import costs as render
    from hroute.ledger import bill, change
    from hroute.ledger import costs as spent

    now = int(time.time() * 1000)
    most = top if top or as_json else TOP
    month, alarms = None, []
    if view is None:
        found = spent.Costs(axes, first, final, (), spent.CostRow(()))
    else:
        found = spent.costs(view, axes, first, final, zone=place.zone, most=None if plot else most)
        month = bill.month(view, now, place.zone)
        alarms = change.alarms(view, now, zone=place.zone, thresholds=place.thresholds)
    if as_json:
        content = _as_json(found, most)
        content["month"] = None if month is None else render.month_json(month)
        streams.emit("costs", content | {"alarms": [alarm.payload() for alarm in alarms]})
        return exits.DONE
    if not found.rows:
        streams.talk(f"nothing recorded from {first} to {final} in {place.shown}")
        return exits.DONE
    for line in render.table(found, most or TOP):
        streams.line(line)
    if plot:
        for line in render.plot(found, most or TOP):
            streams.line(line)
    for line in (*render.notes(found, place.zone, most or TOP), *render.month_lines(month, place.baseline)):
        streams.talk(line)
    for alarm in alarms:
        streams.talk(f"alarm: {alarm.text()}")
    return exits.DONE


def _axes(by: str) -> tuple[str, ...]:
    from hroute.ledger import costs as spent

    axes = tuple(dict.fromkeys(axis.strip().replace("-", "_") for axis in by.split(",") if axis.strip()))
    unknown = [axis for axis in axes if axis not in spent.AXES]
    if unknown or not axes:
        named = ", ".join(f"`{axis}`" for axis in unknown) or "nothing"
        raise UsageError(f"costs cannot be told by {named}", help=f"--by {', '.join(spent.AXES)}")
    return axes


def _would(
    view: Transaction | None, place: ledger.Place, axes: tuple[str, ...], first: str, final: str, as_json: bool
) -> int:
    from hroute.cli.render import costs as render
    from hroute.ledger import costs as spent

    if not set(axes) <= set(spent.DAILY):
        raise UsageError(f"--would cannot be told by `{','.join(axes)}`", help=f"--by {', '.join(spent.DAILY)}")
    found = [] if view is None else spent.would(view, first, final, axes)
    if as_json:
        told = render.would_json(found, axes)
        streams.emit("costs", {"by": ",".join(axes), "since": first, "until": final, "would": told})
        return exits.DONE
    if not found:
        streams.talk(f"nothing was observed from {first} to {final} in {place.shown}")
        streams.talk("`mode: observe` in the policy, or `hroute serve --observe`, records what a policy would do")
        return exits.DONE
    for line in render.would(found, axes):
        streams.line(line)
    return exits.DONE


def _as_json(found: Costs, most: int | None) -> dict[str, Any]:
    shown = found.rows if most is None else found.rows[:most]
    return {
        "by": ",".join(found.by),
        "since": found.since,
        "until": found.until,
        "rehearsed": found.rehearsed,
        "groups": found.groups,
        "rows": [{**dict(zip(found.by, row.names, strict=True)), **_figures(row)} for row in shown],
        "total": _figures(found.total),
    }


def _figures(row: CostRow) -> dict[str, Any]:
    figures: dict[str, Any] = {
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
        "good": row.good,
        "bad": row.bad,
    }
    if row.input or row.output:
        figures |= {"input_tokens": row.input, "output_tokens": row.output}
    if row.calls:
        figures |= {"calls": row.calls, "call_failures": row.call_failures}
    for name, value in (("p50_ms", row.p50), ("p95_ms", row.p95), ("ttft_p50_ms", row.ttft)):
        if value is not None:
            figures[name] = round(value, 1)
    return figures
