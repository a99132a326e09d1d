"""`hroute tune`: which threshold of the score pays on a log with labels, and whether any does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hroute.cli import exits, outcome_log, policies, streams
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.router.tune import Advice, Labelled, Point

HELP = """Propose a threshold of the score from a log with labels, or say that none pays.

A line of LOG is {"prompt": ..., "cheap": 0..1, "dear": 0..1}: what a cheap and a dear model's answers were worth. With
--cheap and --dear, {"prompt": ..., "scores": {"MODEL": 0..1}} is read too. Nothing is sent and nothing is changed.

\b
Examples:
  hroute tune outcomes.jsonl --report
  hroute tune outcomes.jsonl --cheap llama3.1:8b --dear claude-sonnet --miss-cost 10
"""

MISS_COST: Final = 10.0
_SHOWN: Final = 10


def register(app: typer.Typer) -> None:
    app.command("tune", help=HELP)(tune)


def tune(
    log: Annotated[
        str, typer.Argument(metavar="LOG", help="JSON Lines with a prompt and what two answers were worth.")
    ],
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
    cheap: Annotated[
        str | None, typer.Option("--cheap", metavar="MODEL", help="The cheap model's name in `scores`.")
    ] = None,
    dear: Annotated[
        str | None, typer.Option("--dear", metavar="MODEL", help="The dear model's name in `scores`.")
    ] = None,
    miss_cost: Annotated[
        float | None,
        typer.Option(
            "--miss-cost",
            metavar="N",
            help="How many needless dear calls a wrong cheap answer costs; else the policy's `scoring.miss_cost`, else 10.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Cost against error as a table and a plot.")] = False,
) -> int:
    """Read, score, judge, show."""
    from hroute.router import tune as judge
    from hroute.router.outcomes import labelled

    if miss_cost is not None and not 0 < miss_cost < float("inf"):
        raise UsageError("--miss-cost is a number above 0")
    loaded = policies.load(policy)
    cost = miss_cost or loaded.scoring.miss_cost or MISS_COST
    outcomes, bad = outcome_log.read([log], cheap, dear)
    rows = labelled(loaded, outcomes)
    if judge.apgr(rows, 0) is None:
        raise UsageError(
            f"{log}: the dear model's answers are worth no more than the cheap one's",
            help="nothing to tune: use the cheap one",
        )
    advice = judge.advise(rows, 0, cost)
    if as_json:
        streams.emit("tune", _as_json(rows, bad, cost, advice))
        return exits.DONE
    _show(rows, bad, cost, advice, report)
    return exits.DONE


def _show(rows: Sequence[Labelled], bad: int, cost: float, advice: Advice, report: bool) -> None:
    from hroute.cli.render import plot
    from hroute.router import tune as judge
    from hroute.router.outcomes import COMPARED

    unread = f", {bad} lines that are none" if bad else ""
    streams.line(f"{len(rows)} requests with outcomes{unread}; a wrong cheap answer costs {cost:g} needless dear calls")
    streams.line()
    streams.line(f"  {'':<8}{'APGR':>6}   95 of 100     dear calls for 80 % of the gap")
    for which, name in enumerate(COMPARED):
        found = judge.interval(rows, lambda some, which=which: judge.apgr(some, which), rounds=200)  # type: ignore[misc]
        calls = judge.calls_for(rows, which, 0.8)
        streams.line(
            f"  {name:<8}{found.value:>6.3f}   {found.low:.3f} .. {found.high:.3f}   {calls or 0:>6.0%}".replace(
                "%", " %"
            )
        )
    if report:
        curve = judge.points(rows, 0, cost)
        streams.line()
        streams.line("  score from   dear calls   quality   missed   cost of one request")
        for point in _some(curve):
            start = "never" if point.threshold is None else f"{point.threshold:.3f}"
            streams.line(
                f"  {start:>10}   {point.dear * 100:>8.1f} %   {point.quality:>7.3f}   {point.missed:>6.3f}   {point.cost:>7.3f}"
            )
        streams.line()
        for line in plot.curves({name: judge.points(rows, which, cost) for which, name in enumerate(COMPARED)}):
            streams.line(line)
    streams.line()
    for line in _verdict(advice):
        streams.line(line)


def _verdict(advice: Advice) -> list[str]:
    found = f"{advice.cost.value:.3f} a request ({advice.cost.low:.3f} .. {advice.cost.high:.3f} on rows that did not choose it)"
    beside = f"always dear {advice.always_dear:.3f}, always cheap {advice.always_cheap:.3f}"
    if not advice.pays:
        return [
            f"No threshold of the score beats always asking the dear model ({beside}).",
            "Rules that know save instead: intents, task types, a cascade (`validate`).",
        ]
    if advice.cost.high >= advice.always_cheap:
        return [f"Always asking the cheap model costs as little: {beside}; the best threshold costs {found}."]
    return [f"Ask the dear model from score {advice.threshold:.3f} on: {found}; {beside}."]


def _some(curve: Sequence[Point]) -> list[Point]:
    """About ten points, spread over the share of dear calls; both ends are among them."""
    chosen: list[Point] = []
    for point in curve:
        if not chosen or point.dear >= chosen[-1].dear + 1 / _SHOWN or point is curve[-1]:
            chosen.append(point)
    return chosen


def _as_json(rows: Sequence[Labelled], bad: int, cost: float, advice: Advice) -> dict[str, object]:
    from hroute.router import tune as judge
    from hroute.router.outcomes import COMPARED

    compared = {}
    for which, name in enumerate(COMPARED):
        found = judge.interval(rows, lambda some, which=which: judge.apgr(some, which), rounds=200)  # type: ignore[misc]
        compared[name] = {"apgr": round(found.value, 6), "low": round(found.low, 6), "high": round(found.high, 6)}
    return {
        "requests": len(rows),
        "bad_lines": bad,
        "miss_cost": cost,
        "compared": compared,
        "threshold": advice.threshold if advice.pays else None,
        "pays": advice.pays,
        "cost": {
            "threshold": round(advice.cost.value, 6),
            "low": round(advice.cost.low, 6),
            "high": round(advice.cost.high, 6),
            "always_dear": advice.always_dear,
            "always_cheap": round(advice.always_cheap, 6),
        },
        "points": [
            {
                "threshold": p.threshold,
                "dear": round(p.dear, 6),
                "quality": round(p.quality, 6),
                "missed": round(p.missed, 6),
                "cost": round(p.cost, 6),
            }
            for p in _some(judge.points(rows, 0, cost))
        ],
    }
