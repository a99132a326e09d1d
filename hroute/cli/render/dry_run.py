"""A dry-run as a person reads it: the table by rule, every single model beside it, and what the figures rest on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from hroute.cli.render.table import rows
from hroute.cli.render.text import count, pad, visible
from hroute.replay import report
from hroute.replay.result import Result
from hroute.schema.policy import Policy
from hroute.terms.money import show

_LABEL = 18


def text(result: Result, logs: Sequence[str], policy: Policy) -> str:
    """The whole report."""
    blocks = [
        [_headline(result)],
        _table(result),
        list(_compared(result)),
        list(_doubts(result, logs)),
        [_proved(policy)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if any(block))


def _headline(result: Result) -> str:
    days = ""
    if result.first and result.last:
        days = f", {result.first:%Y-%m-%d} .. {result.last:%Y-%m-%d}"
    return f"{count(result.requests, 'request')}{days}, judged by {result.policy[:7]} ({visible(os.path.relpath(result.path))})"


def _table(result: Result) -> list[str]:
    cells = [tuple(map(visible, row)) for row in report.table(result)]
    total = result.total
    if total.saved is not None:
        cells[-1] = (*cells[-1], _saved(result))
    lines = rows(cells, indent=2, gap=3, right=(2, 3, 4, 5))
    if result.groups:
        lines += [
            "",
            *rows(
                [(visible(g.key), f"{g.requests:,}", show(g.cost), show(g.baseline)) for g in result.groups],
                indent=2,
                gap=3,
                right=(1, 2, 3),
            ),
        ]
    singles = "   ".join(f"{visible(c.provider)} {show(c.cost)}" for c in result.constants)
    lines += ["", f"  {pad('one model for all', _LABEL)} {singles}"]
    if total.escalated is not None and total.escalated != total.cost:
        lines.append(f"  {pad('if 5 % of the local answers escalate', _LABEL)} {show(total.escalated)}")
    return lines


def _saved(result: Result) -> str:
    total = result.total
    assert total.saved is not None
    if total.saved_low is None or total.saved_high is None or round(total.saved_low, 2) == round(total.saved_high, 2):
        return f"saved {_percent(total.saved)}"
    return f"saved {_percent(total.saved)} ({_percent(total.saved_low)} .. {_percent(total.saved_high)})"


def _compared(result: Result) -> Iterator[str]:
    if result.same is not None and result.changed is not None:
        for label, number in (("same", result.same), ("changed", result.changed), ("cannot tell", result.cannot_tell)):
            share = _percent(number / result.requests, 1) if result.requests else "-"
            yield f"  {pad(label, _LABEL)} {number:>10,}   {share:>7}"
    if result.moves:
        yield ""
        header = ("from", "to", "n", "cost then", "cost now", "by rule")
        cells = [
            (m.before or "-", m.after or "-", f"{m.requests:,}", show(m.cost_then), show(m.cost_now), m.rule or "-")
            for m in result.moves[:20]
        ]
        yield from rows([header, *(tuple(map(visible, row)) for row in cells)], indent=2, gap=3, right=(2, 3, 4))
        if len(result.moves) > 20:
            yield f"  and {len(result.moves) - 20} more: --json"


def _doubts(result: Result, logs: Sequence[str]) -> Iterator[str]:
    """What is not known, said before it is asked."""
    if result.newly_reaching is not None:
        reached = ", ".join(f"{visible(name)} {number:,}" for name, number in result.newly_reaching.items()) or "nobody"
        yield f"  {pad('newly reaching', _LABEL)} {reached}"
        if result.maybe_reaching:
            maybe = ", ".join(f"{visible(name)} {number:,}" for name, number in result.maybe_reaching.items())
            yield f"  {pad('', _LABEL)} of these only perhaps, since a taint was not logged: {maybe}"
    if result.untold:
        missing = ", ".join(f"`{visible(name)}` in {number:,}" for name, number in result.unknown.items())
        yield f"  {pad('cannot tell', _LABEL)} {result.untold:,}   the log lacks {missing}"
    if result.near:
        yield f"  {pad('near a threshold', _LABEL)} {result.near:,}"
    for fact in report.basis(result):
        yield f"  {pad('assumed', _LABEL)} {visible(fact)}"
    if result.left_out:
        yield f"  {pad('left out', _LABEL)} {result.left_out:,} before --since"
    if result.bad_lines:
        yield f"  {pad('bad lines', _LABEL)} {result.bad_lines:,}"
        for line in result.bad:
            yield f"  {pad('', _LABEL)} {visible(line.file)}:{line.number}: {visible(line.reason)}"


def _proved(policy: Policy) -> str:
    names = ", ".join(visible(guarantee.name) for guarantee in policy.guarantees)
    if not names:
        return "Nothing is proved: the policy states no guarantee."
    return (
        f"Proved for every request the policy can see: {names}. Not proved: what the detector misses (check --scope)."
    )


def _percent(share: float, places: int = 0) -> str:
    return f"{share * 100:.{places}f} %"
