"""`hroute costs --holdout`: each rule beside the requests that were held back on the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from hroute.cli import exits, ledger, streams
from hroute.cli.render.table import rows
from hroute.cli.render.text import count, visible
from hroute.terms import money

if TYPE_CHECKING:
    from hroute.ledger.holdout import Compared, Difference
    from hroute.ledger.store import Transaction

_WORDS: Final = {
    "escalated": "escalated",
    "failed": "no answer",
    "spoiled": "bad replies",
    "follow_ups": "follow-up < 2 min",
    "bad": "verdict bad",
}


def run(view: Transaction | None, place: ledger.Place, first: str, final: str, as_json: bool) -> int:
    """Compare and show."""
    from hroute.ledger import holdout, periods

    found = [] if view is None else holdout.compare(view, periods.span(place.zone, first, final))
    if as_json:
        streams.emit("costs", {"since": first, "until": final, "holdout": [_as_json(one) for one in found]})
        return exits.DONE
    if not found:
        streams.talk(f"nothing was held back from {first} to {final} in {place.shown}")
        streams.talk("`holdout: 5%` at a rule, and a `baseline`, keep some of its requests to compare with")
        return exits.DONE
    for number, one in enumerate(found):
        for line in ([""] if number else []) + list(_lines(one)):
            streams.line(line)
    streams.talk(
        f"{first} .. {final}, whole days of {place.zone}, read from single rows; intervals hold the true difference in 95 "
        "of 100 cases, sessions counted as units"
    )
    return exits.DONE


def _lines(one: Compared) -> Iterator[str]:
    held = "not rolled out yet, on the baseline" if one.arm == "rollout" else "held out on the baseline"
    yield (
        f"{visible(one.name)}   {count(one.rule.requests, 'request')} in {count(one.rule.sessions, 'session')}; "
        f"{held} {one.holdout.requests:,} in {one.holdout.sessions:,}"
    )
    if not one.enough:
        from hroute.ledger.holdout import LEAST

        fewest = min(one.rule.sessions, one.holdout.sessions)
        yield f"  too few to compare: {count(fewest, 'session')} on one side, and at least {LEAST} on each are needed"
    table = [["", "rule", "baseline", "difference", "95 of 100", ""]]
    table.append(_cost(one.figures["cost"], one))
    table += [_rate(word, one.figures[name]) for name, word in _WORDS.items() if one.figures[name].rule is not None]
    yield from rows(table, indent=2, right=(1, 2, 3))
    if one.enough and one.saved is not None and one.figures["cost"].shown:
        verb = "saved" if one.saved >= 0 else "cost more by"
        yield f"  {verb} about {money.show(abs(one.saved))} on its {one.rule.requests:,} requests"


def _cost(figure: Difference, one: Compared) -> list[str]:
    if figure.rule is None:
        unknown = one.rule.unpriced + one.holdout.unpriced
        return ["cost a request", "-", "-", "-", f"{count(unknown, 'cost is', 'costs are')} unknown"]
    cells = [_dollars(value) for value in (figure.rule, figure.holdout, figure.value)]
    if figure.low is None or figure.high is None:
        return ["cost a request", *cells, "-"]
    span = f"{_dollars(figure.low)} .. {_dollars(figure.high)}"
    return ["cost a request", *cells, span, _said(figure, "cheaper", "dearer")]


def _dollars(nano: float | None) -> str:
    if nano is None:
        return "-"
    return f"{'-' if round(nano) < 0 else ''}{money.show(abs(round(nano)), 4)}"


def _rate(word: str, figure: Difference) -> list[str]:
    cells = ["-" if value is None else f"{100 * value:.1f} %" for value in (figure.rule, figure.holdout)]
    if figure.low is None or figure.high is None or figure.value is None:
        return [word, *cells, "-", "-"]
    span = f"{100 * figure.low:+.1f} .. {100 * figure.high:+.1f}"
    return [word, *cells, f"{100 * figure.value:+.1f}", span, _said(figure, "fewer", "more")]


def _said(figure: Difference, less: str, more: str) -> str:
    if not figure.shown:
        return "no difference shown"
    return less if (figure.high or 0) < 0 else more


def _as_json(one: Compared) -> dict[str, Any]:
    return {
        "rule": one.name,
        "arm": one.arm,
        "enough": one.enough,
        "requests": one.rule.requests,
        "sessions": one.rule.sessions,
        "holdout_requests": one.holdout.requests,
        "holdout_sessions": one.holdout.sessions,
        "saved_usd": money.to_json(one.saved) if one.enough else None,
        "figures": {_name(name): _figure(name, figure) for name, figure in one.figures.items()},
    }


def _name(name: str) -> str:
    return {"cost": "cost_usd", "follow_ups": "follow_up"}.get(name, name)


def _figure(name: str, figure: Difference) -> dict[str, float | bool | None]:
    values = {
        "rule": figure.rule, "holdout": figure.holdout, "difference": figure.value, "low": figure.low,
        "high": figure.high,
    }  # fmt: skip
    scale = money.NANO if name == "cost" else 1
    rounded = {key: None if value is None else round(value / scale, 9) for key, value in values.items()}
    return {**rounded, "shown": figure.shown}
