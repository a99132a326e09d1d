"""The decision tree over the rule bit sets: ask the cheapest signal that the answer depends on, and stop early.

The tree is never built: an eager one blows up (50 overlapping rules, 8,000 nodes). A walk keeps the boxes that are still
possible as one mask. It looks at the first rule that may still match and asks only for what that rule needs, cheap
signals before dear ones; it is done as soon as one of the rule's boxes has nothing left to ask. `branches` unfolds the
same walk over all classes of values, for `check --tree`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from hroute.router.index import Column, Index, NumberColumn, SetColumn, ValueColumn, bits
from hroute.schema.condition import Ask
from hroute.schema.region import admits
from hroute.terms.signal import SIGNALS, Value

QUESTIONS = 1024
"""Nodes of the tree that are remembered, as they are come across."""

_ORDER = {name: position for position, name in enumerate(SIGNALS)}


def walk(index: Index, ask: Ask) -> int:
    """The position of the first rule that matches, asking for as few and as cheap features as the answer allows."""
    mask, asked = index.everything, frozenset[str]()
    while True:
        found = index.questions.get((mask, asked))
        if found is None:
            found = next_question(index, mask, asked)
            if len(index.questions) < QUESTIONS:
                index.questions[mask, asked] = found
        rule, feature = found
        if feature is None:
            return rule
        mask &= index.columns[feature].accept(ask(feature))
        asked |= {feature}


def next_question(index: Index, mask: int, asked: frozenset[str]) -> tuple[int, str | None]:
    """The first rule still possible, and what to ask about it next; None where it is certain."""
    if not mask:
        return index.default, None
    rule = index.owner[(mask & -mask).bit_length() - 1]
    wanted: set[str] = set()
    for box in bits(mask & index.of_rule(rule)):
        open_features = index.needs[box] - asked
        if not open_features:
            return rule, None
        wanted |= open_features
    return rule, min(wanted, key=rank)


def rank(feature: str) -> tuple[int, int, str]:
    """Cheap signals first, then the order of the table."""
    signal = feature.partition("~")[0]
    return (SIGNALS[signal].cost, _ORDER[signal], feature)


@dataclass(frozen=True, slots=True)
class Branch:
    """One answer to a question: what the value is, in words, and the node that it leads to."""

    label: str
    node: Node


@dataclass(frozen=True, slots=True)
class Node:
    """A question (`feature`, `branches`), or an answer (`rule`). `cut` says that the drawing stops here."""

    rule: int | None = None
    feature: str | None = None
    branches: tuple[Branch, ...] = ()
    cut: bool = False


def branches(index: Index, limit: int = 400) -> Node:
    """The tree unfolded, at most `limit` nodes; branches that lead to the same node are one."""
    budget = [limit]
    return _unfold(index, index.everything, frozenset(), budget)


def _unfold(index: Index, mask: int, asked: frozenset[str], budget: list[int]) -> Node:
    budget[0] -= 1
    rule, feature = next_question(index, mask, asked)
    if feature is None:
        return Node(rule=rule)
    if budget[0] <= 0:
        return Node(cut=True)
    outcomes: dict[int, list[str]] = {}
    for label, accepted in _classes(index.columns[feature]):
        outcomes.setdefault(mask & accepted, []).append(label)
    return Node(
        feature=feature,
        branches=tuple(
            Branch(_joined(labels), _unfold(index, left, asked | {feature}, budget))
            for left, labels in outcomes.items()
        ),
    )


def _joined(labels: list[str]) -> str:
    return "otherwise" if "otherwise" in labels else ", ".join(labels)


def _classes(column: Column) -> Iterator[tuple[str, int]]:
    if isinstance(column, ValueColumn):
        for value in column.classes:
            yield _word(value), column.accept(value)
        if not _closed(column):
            yield "otherwise", column.rest
    elif isinstance(column, NumberColumn):
        yield from _intervals(column)
    else:
        assert isinstance(column, SetColumn)
        yield from _set_classes(column)


def _closed(column: ValueColumn) -> bool:
    return {True, False} <= set(column.table)


def _intervals(column: NumberColumn) -> Iterator[tuple[str, int]]:
    """Each interval between two points, in words; a point at 0 bounds nothing, since no number is below it."""
    edges = [point for point in column.points if point > 0]
    for low, high in pairwise((None, *edges, None)):
        yield _interval(low, high), column.accept(low or 0)
    if SIGNALS[column.feature].may_be_absent:
        yield "absent", column.absent


def _interval(low: float | None, high: float | None) -> str:
    if low is None:
        return "any number" if high is None else f"< {high:g}"
    return f">= {low:g}" if high is None else f"{low:g} .. < {high:g}"


def _set_classes(column: SetColumn) -> Iterator[tuple[str, int]]:
    """The sets that differ for the rules: none, and each clause's names alone; combinations are shown as they arise."""
    yield "holds none", column.accept(frozenset())
    named: set[frozenset[str]] = set()
    for part, _ in column.parts:
        for _, names in part.clauses:
            if names:
                named.add(names)
    for names in sorted(named, key=sorted):
        mask = column.free
        one = frozenset(sorted(names)[:1])
        for part, own in column.parts:
            if admits(part, column.feature, one):
                mask |= own
        yield "holds " + " or ".join(sorted(names)), mask


def _word(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else "absent" if not isinstance(value, str) else value
