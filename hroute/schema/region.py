"""Conditions as regions: unions of boxes over the features' domains, with exact intersection and subtraction.

A *box* maps a feature to the part of its domain that is allowed; a feature it does not name is unconstrained. The parts:

- `Finite`   a set of values, or everything but a set of values (booleans, enums, strings, text tests)
- `Spans`    disjoint number ranges on the signal's grid, and whether absence is in
- `Members`  for set signals: clauses "holds one of these" and "holds none of these", all of which must be true

Absence is one more point of each domain (SEMANTICS 1.1). At most `MAX_BOXES` boxes a condition (SEMANTICS 1.8).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from hroute.schema.condition import All, Any, Condition, Missing, Not, OneOf, Range, Test, grid
from hroute.terms.signal import ABSENT, MICRO, SIGNALS, Kind, Value

MAX_BOXES = 256


@dataclass(frozen=True, slots=True)
class Finite:
    """Exactly `values`, or with `others` everything except `values`."""

    values: frozenset[Value]
    others: bool = False


@dataclass(frozen=True, slots=True)
class Spans:
    """Ranges (both ends in, ascending, disjoint, not adjacent) on the grid; `absent` admits absence."""

    ranges: tuple[tuple[int, int], ...]
    absent: bool = False


Clause = tuple[bool, frozenset[str] | None]
"""(True, names): the set holds one of the names; (False, names): none of them. None stands for every name there is."""


@dataclass(frozen=True, slots=True)
class Members:
    clauses: frozenset[Clause]


Part = Finite | Spans | Members
Box = Mapping[str, Part]
Region = tuple[Box, ...]

EVERYTHING: Region = ({},)
INFINITY = 1 << 62


class TooLarge(Exception):
    """The condition needs more than MAX_BOXES boxes (HR206)."""


def region_of(condition: Condition) -> Region:
    """The region where `condition` holds, without empty or contained boxes. Raises TooLarge."""
    return _tidy(_boxes(condition, True))


def complement_of(condition: Condition) -> Region:
    """The region where `condition` does not hold. Raises TooLarge."""
    return _tidy(_boxes(condition, False))


@cache
def full(feature: str) -> Part:
    """The whole domain of a feature, absence included where the feature can lack a value."""
    if "~" in feature:
        return Finite(frozenset((True, False)))
    signal = SIGNALS[feature]
    optional = signal.default is ABSENT
    match signal.kind:
        case Kind.BOOL:
            return Finite(frozenset((True, False, ABSENT) if optional else (True, False)))
        case Kind.ENUM:
            return Finite(frozenset((*signal.values, ABSENT) if optional else signal.values))
        case Kind.INTEGER:
            return Spans(((0, INFINITY if signal.top is None else signal.top),), optional)
        case Kind.FRACTION:
            return Spans(((0, MICRO),), optional)
        case Kind.SET:
            return Members(frozenset())
        case _:
            return Finite(frozenset(), others=True)


def part_of(test: Test) -> Part | None:
    """The part of its feature's domain in which a single test holds; None where it never holds."""
    part = _accepts(test.feature, test.want)
    if not test.negated:
        return part
    if part is None:
        return full(test.feature)
    pieces = without(full(test.feature), part)
    return pieces[0] if pieces else None  # the complement of one test is one part


def meet(a: Part, b: Part) -> Part | None:
    """What is in both parts; None where nothing is."""
    if isinstance(a, Finite) and isinstance(b, Finite):
        if a.others and b.others:
            return Finite(a.values | b.values, True)
        if a.others:
            values = b.values - a.values
        elif b.others:
            values = a.values - b.values
        else:
            values = a.values & b.values
        return Finite(values) if values else None
    if isinstance(a, Spans) and isinstance(b, Spans):
        ranges = _overlap(a.ranges, b.ranges)
        absent = a.absent and b.absent
        return Spans(ranges, absent) if ranges or absent else None
    assert isinstance(a, Members)
    assert isinstance(b, Members)
    joined = Members(a.clauses | b.clauses)
    return joined if _possible(joined) else None


def without(a: Part, b: Part) -> list[Part]:
    """What is in `a` and not in `b`, as disjoint parts."""
    if isinstance(a, Finite) and isinstance(b, Finite):
        rest = meet(a, Finite(b.values, not b.others)) if (b.values or not b.others) else None
        return [rest] if rest is not None else []
    if isinstance(a, Spans) and isinstance(b, Spans):
        ranges = _overlap(a.ranges, _gaps(b.ranges))
        absent = a.absent and not b.absent
        return [Spans(ranges, absent)] if ranges or absent else []
    assert isinstance(a, Members)
    assert isinstance(b, Members)
    pieces: list[Part] = []
    kept = a.clauses
    for holds, names in sorted(b.clauses, key=_clause_order):
        piece = Members(kept | {(not holds, names)})
        if _possible(piece):
            pieces.append(piece)
        kept = kept | {(holds, names)}
        if not _possible(Members(kept)):
            break
    return pieces


def covers(b: Part, a: Part) -> bool:
    """Whether `b` holds everything that `a` holds."""
    if isinstance(a, Finite) and isinstance(b, Finite):
        if a.others:
            return b.others and b.values <= a.values
        return a.values.isdisjoint(b.values) if b.others else a.values <= b.values
    return a == b or not without(a, b)


def admits(part: Part, feature: str, value: Value) -> bool:
    """Whether a feature's value lies in the part."""
    if isinstance(part, Finite):
        return (value in part.values) is not part.others
    if isinstance(part, Spans):
        if value is ABSENT:
            return part.absent
        assert isinstance(value, (int, float))
        number = grid(feature, value)
        return any(low <= number <= high for low, high in part.ranges)
    held = value if isinstance(value, frozenset) else frozenset()
    return all((bool(held) if names is None else not held.isdisjoint(names)) is holds for holds, names in part.clauses)


def intersect(a: Box, b: Box) -> Box | None:
    """What is in both boxes; None where nothing is."""
    if not a:
        return b
    joined = dict(a)
    for feature, part in b.items():
        mine = joined.get(feature)
        if mine is None:
            joined[feature] = part
        elif mine != part:
            both = meet(mine, part)
            if both is None:
                return None
            joined[feature] = both
    return joined


def subtract(a: Box, b: Box) -> list[Box]:
    """What is in `a` and not in `b`, as disjoint boxes; `[a]` itself where they do not meet."""
    if intersect(a, b) is None:
        return [a]
    pieces: list[Box] = []
    kept = dict(a)
    for feature, part in b.items():
        mine = kept.get(feature) or full(feature)
        for rest in without(mine, part):
            pieces.append({**kept, feature: rest})
        both = meet(mine, part)
        assert both is not None
        kept[feature] = both
    return pieces


def contains(outer: Box, inner: Box) -> bool:
    """Whether `outer` holds every request that `inner` holds."""
    return all(
        (feature in inner and covers(part, inner[feature])) or covers(part, full(feature))
        for feature, part in outer.items()
    )


def subtract_region(region: Iterable[Box], other: Iterable[Box]) -> list[Box]:
    """What is in `region` and in no box of `other`."""
    rest = list(region)
    for hole in other:
        rest = [piece for box in rest for piece in subtract(box, hole)]
    return rest


def intersect_region(a: Iterable[Box], b: Iterable[Box]) -> list[Box]:
    """What is in both regions."""
    others = list(b)
    return [both for box in a for other in others if (both := intersect(box, other)) is not None]


def _accepts(feature: str, want: OneOf | Range | Missing) -> Part | None:
    whole = full(feature)
    if isinstance(whole, Members):
        if isinstance(want, Missing):
            return Members(frozenset({(False, None)}))
        assert isinstance(want, OneOf)
        names = frozenset(v for v in want.values if isinstance(v, str))
        return Members(frozenset({(True, names)})) if names else None
    if isinstance(whole, Spans):
        if isinstance(want, Missing):
            return Spans((), True) if whole.absent else None
        ((lowest, highest),) = whole.ranges
        if isinstance(want, Range):
            wanted = [(lowest if want.low is None else want.low, highest if want.high is None else want.high)]
        else:
            wanted = [(n, n) for n in (grid(feature, v) for v in want.values if isinstance(v, (int, float)))]
        ranges = _overlap(_merge(wanted), whole.ranges)
        return Spans(ranges) if ranges else None
    values: frozenset[Value] = frozenset((ABSENT,)) if isinstance(want, Missing) else frozenset(_values(want))
    return meet(Finite(values), whole) if values else None


def _values(want: OneOf | Range) -> tuple[Value, ...]:
    assert isinstance(want, OneOf)
    return want.values


def _boxes(condition: Condition, positive: bool) -> list[Box]:
    if isinstance(condition, Test):
        test = condition if positive else Test(condition.feature, condition.want, not condition.negated)
        part = part_of(test)
        return [] if part is None else [{test.feature: part}] if part != full(test.feature) else [{}]
    if isinstance(condition, Not):
        return _boxes(condition.item, not positive)
    if isinstance(condition, All if positive else Any):
        boxes: list[Box] = [{}]
        for item in condition.items:
            others = _boxes(item, positive)
            boxes = intersect_region(boxes, _tidy(others) if len(others) > 1 else others)
            if len(boxes) > MAX_BOXES:
                boxes = _different(boxes)
            if len(boxes) > MAX_BOXES:
                boxes = list(_tidy(boxes))
        return boxes
    kept: list[Box] = []
    more: list[Box] = []
    for item in condition.items:
        more += _boxes(item, positive)
        if len(kept) + len(more) > MAX_BOXES:
            kept, more = list(_tidy(more, kept)), []
    return kept + more


def _tidy(boxes: list[Box], tidied: Iterable[Box] = ()) -> Region:
    """`boxes` beside those already `tidied`, without boxes that another one contains. Raises TooLarge."""
    kept = list(tidied)
    for box in _different(boxes):
        if any(contains(other, box) for other in kept):
            continue
        kept = [other for other in kept if not contains(box, other)]
        kept.append(box)
        if len(kept) > MAX_BOXES:
            raise TooLarge
    return tuple(kept)


def _different(boxes: list[Box]) -> list[Box]:
    return list({frozenset(box.items()): box for box in boxes}.values())


def _merge(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(r for r in ranges if r[0] <= r[1]):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _overlap(a: tuple[tuple[int, int], ...], b: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if len(a) == 1 and len(b) == 1:
        low, high = max(a[0][0], b[0][0]), min(a[0][1], b[0][1])
        return ((low, high),) if low <= high else ()
    both = [(max(p[0], q[0]), min(p[1], q[1])) for p in a for q in b]
    return tuple(sorted(r for r in both if r[0] <= r[1]))


def _gaps(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    gaps, start = [], 0
    for low, high in ranges:
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= INFINITY:
        gaps.append((start, INFINITY))
    return tuple(gaps)


def _possible(members: Members) -> bool:
    """Whether some set satisfies every clause: the set of all names that no clause forbids is the one to try."""
    forbidden: frozenset[str] = frozenset()
    for holds, names in members.clauses:
        if not holds:
            if names is None:
                return not any(holds for holds, _ in members.clauses)
            forbidden |= names
    return all(names is None or not names <= forbidden for holds, names in members.clauses if holds)


def _clause_order(clause: Clause) -> tuple[bool, bool, list[str]]:
    return (clause[0], clause[1] is None, sorted(clause[1] or ()))
