"""A dry-run's result for programs (JSON) and, as plain rows and sentences, for whoever draws it."""

from __future__ import annotations

from typing import Any

from hroute.replay.result import Group, Line, Moved, Result
from hroute.terms.money import show, to_json

HEADER = ("rule", "route", "requests", "share", "cost", "all on {baseline}")
CANNOT_TELL = "(cannot tell)"
SEVERAL = "(one of several)"
REFUSED = "(refused)"


def as_json(result: Result) -> dict[str, Any]:
    """What `dry-run --json` prints (DESIGN 9); keys are only ever added."""
    total = result.total
    return {
        "requests": result.requests,
        "bad_lines": result.bad_lines,
        "routes": [_line(line) for line in result.routes],
        "constants": [{"provider": c.provider, "cost_usd": to_json(c.cost)} for c in result.constants],
        "total": {
            "cost_usd": to_json(total.cost),
            "baseline_usd": to_json(total.baseline),
            "saved": _share(total.saved),
            "saved_low": _share(total.saved_low),
            "saved_high": _share(total.saved_high),
            "escalated_usd": to_json(total.escalated),
            "before_usd": to_json(total.before),
        },
        "compared": result.compared,
        "same": result.same,
        "changed": result.changed,
        "cannot_tell": result.cannot_tell,
        "newly_reaching": None if result.newly_reaching is None else dict(result.newly_reaching),
        "maybe_reaching": None if result.maybe_reaching is None else dict(result.maybe_reaching),
        "moves": [_moved(move) for move in result.moves],
        "unknown_signals": dict(result.unknown),
        "near_threshold": result.near,
        "groups": [_group(group) for group in result.groups],
        "baseline": result.baseline,
        "policy": result.policy,
        "first": result.first.isoformat() if result.first else None,
        "last": result.last.isoformat() if result.last else None,
        "left_out": result.left_out,
        "bad": [{"file": line.file, "line": line.number, "reason": line.reason} for line in result.bad],
        "misfits": dict(result.misfits),
        "basis": list(basis(result)),
    }


def table(result: Result) -> list[tuple[str, ...]]:
    """The table by rule and provider: a header, a row for each route, the total."""
    rows = [tuple(title.format(baseline=result.baseline) for title in HEADER)]
    for line in result.routes:
        rule, route = _names(line)
        share = f"{line.share:.1%}".replace("%", " %")
        rows.append((rule, route, f"{line.requests:,}", share, show(line.cost), show(line.baseline)))
    rows.append(("total", "", f"{result.requests:,}", "", show(result.total.cost), show(result.total.baseline)))
    return rows


def basis(result: Result) -> tuple[str, ...]:
    """What the figures rest on where the log did not say, one sentence each."""
    facts = []
    if result.estimated_input:
        facts.append(f"prompt tokens estimated from the text in {result.estimated_input:,} requests")
    if result.assumed_output:
        facts.append(f"output assumed {result.out_tokens} tokens in {result.assumed_output:,} requests")
    if result.unsized:
        facts.append(f"no token count and no text in {result.unsized:,} requests: their cost is not known")
    if result.unpriced:
        facts.append(f"no price known for {', '.join(result.unpriced)}")
    if result.untold and result.total.cost is not None:
        facts.append(f"{result.untold:,} requests whose way cannot be told are counted at their dearest way")
    for name, count in result.misfits.items():
        facts.append(f"recorded `{name}` is no value of that signal in {count:,} requests: taken as not recorded")
    return tuple(facts)


def _names(line: Line) -> tuple[str, str]:
    if line.route_to is None:
        return (line.rule, REFUSED) if line.rule is not None else (CANNOT_TELL, "")
    return line.rule or SEVERAL, line.route_to


def _line(line: Line) -> dict[str, Any]:
    return {
        "route_to": line.route_to,
        "rule": line.rule,
        "requests": line.requests,
        "share": _share(line.share),
        "cost_usd": to_json(line.cost),
        "baseline_usd": to_json(line.baseline),
    }


def _moved(move: Moved) -> dict[str, Any]:
    return {
        "from": move.before,
        "to": move.after,
        "rule": move.rule,
        "requests": move.requests,
        "cost_then_usd": to_json(move.cost_then),
        "cost_now_usd": to_json(move.cost_now),
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "key": group.key,
        "requests": group.requests,
        "share": _share(group.share),
        "cost_usd": to_json(group.cost),
        "baseline_usd": to_json(group.baseline),
    }


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 6)
