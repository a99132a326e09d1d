"""Rules as bit sets: per feature, value -> the boxes that accept it; a match is one AND a feature and the lowest bit.

Each box of each rule's region (`schema.region`) owns one bit, in rule order, so the lowest bit that survives belongs to
the first rule that matches. Tables hold one mask for each class of values that the policy tells apart; memory is linear
in what the policy mentions times its length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Protocol

from hroute.router.decision import Signals
from hroute.router.features import DEFAULTS, text_holds
from hroute.schema.policy import Policy
from hroute.schema.region import Finite, Members, Part, Spans, admits, full
from hroute.terms.signal import ABSENT, MICRO, SIGNALS, Kind, Value

SET_CACHE = 4096
"""How many distinct sets of names a set column remembers the answer for."""


class Column(Protocol):
    """What one feature's values mean for every box."""

    feature: str

    def accept(self, value: Value | None) -> int:
        """The boxes that accept a value, as a mask; None and ABSENT are absence (or the table's default)."""


class Index:
    """A policy's rules, ready to match. `match` takes signals that are all known; `router.tree` asks lazily."""

    def __init__(self, policy: Policy) -> None:
        boxes = [(position, box) for position, rule in enumerate(policy.rules) for box in rule.region]
        self.texts = policy.texts
        self.owner = [position for position, _ in boxes]
        self.default = len(policy.rules)
        shared: dict[frozenset[str], frozenset[str]] = {}
        self.needs = [shared.setdefault(names, names) for names in (frozenset(box) for _, box in boxes)]
        self.everything = (1 << len(boxes)) - 1
        self.questions: dict[
            tuple[int, frozenset[str]], tuple[int, str | None]
        ] = {}  # nodes that walks have come across
        self.first_bit = [0, *accumulate(len(rule.region) for rule in policy.rules)]

        parts: dict[str, list[tuple[int, Part]]] = defaultdict(list)
        for bit, (_, box) in enumerate(boxes):
            for feature, part in box.items():
                parts[feature].append((bit, part))
        self.columns: dict[str, Column] = {}
        self._tables: list[tuple[str, dict[Value | None, int], int]] = []
        self._scales: list[tuple[str, list[float], list[int], int]] = []
        self._others: list[Column] = []
        for feature, constrained in parts.items():
            self._add(feature, constrained)

    def match(self, signals: Signals, without: int | None = None) -> int:
        """The position in `policy.all_rules` of the first rule that matches; `without` leaves out one rule."""
        mask = self.everything if without is None else self.everything & ~self.of_rule(without)
        get = signals.get
        for feature, table, rest in self._tables:
            mask &= table.get(get(feature), rest)
        for feature, points, masks, absent in self._scales:
            value = get(feature)
            mask &= absent if value is None or value is ABSENT else masks[bisect_right(points, value)]
        for column in self._others:
            mask &= column.accept(self._value(column.feature, signals))
        return self.owner[(mask & -mask).bit_length() - 1] if mask else self.default

    def of_rule(self, position: int) -> int:
        """The boxes of a rule, as a mask."""
        return (1 << self.first_bit[position + 1]) - (1 << self.first_bit[position])

    def _value(self, feature: str, signals: Signals) -> Value | None:
        value = signals.get(feature)
        if value is None and (test := self.texts.get(feature)) is not None:
            return text_holds(test, signals.get(test.signal, ABSENT))
        return value

    def _add(self, feature: str, constrained: list[tuple[int, Part]]) -> None:
        free = self.everything & ~_mask(bit for bit, _ in constrained)
        sample = constrained[0][1]
        if isinstance(sample, Spans):
            scale = NumberColumn(feature, free, constrained)
            self._scales.append((feature, scale.points, scale.masks, scale.absent))
            self.columns[feature] = scale
        elif isinstance(sample, Finite):
            table = ValueColumn(feature, free, constrained)
            self.columns[feature] = table
            if "~" in feature:
                self._others.append(table)
            else:
                self._tables.append((feature, table.table, table.rest))
        else:
            self.columns[feature] = SetColumn(feature, free, constrained)
            self._others.append(self.columns[feature])


class ValueColumn:
    """Booleans, enums, strings, text tests: a dictionary from value to mask, and a mask for every other value."""

    def __init__(self, feature: str, free: int, constrained: Sequence[tuple[int, Part]]) -> None:
        self.feature = feature
        named: dict[Value, list[int]] = defaultdict(list)
        open_bits: list[int] = []
        holes: dict[Value, list[int]] = defaultdict(list)
        for bit, part in constrained:
            assert isinstance(part, Finite)
            for value in part.values:
                (holes if part.others else named)[value].append(bit)
            if part.others:
                open_bits.append(bit)
        self.rest = free | _mask(open_bits)
        self.table: dict[Value | None, int] = {
            value: (self.rest & ~_mask(holes.get(value, ()))) | _mask(named.get(value, ()))
            for value in {*named, *holes}
        }
        default = DEFAULTS.get(feature, False if "~" in feature else ABSENT)
        self.table[None] = self.table[ABSENT] = self.table.get(default, self.rest)

    def accept(self, value: Value | None) -> int:
        return self.table.get(value, self.rest)

    @property
    def classes(self) -> list[Value]:
        """One value for each class that the policy tells apart, without the open rest."""
        return [value for value in self.table if value is not None]


class NumberColumn:
    """Integers and fractions: ascending points, and a mask for each interval between them."""

    def __init__(self, feature: str, free: int, constrained: Sequence[tuple[int, Part]]) -> None:
        self.feature = feature
        toggles: dict[int, list[int]] = defaultdict(list)
        absent: list[int] = []
        whole = full(feature)
        assert isinstance(whole, Spans)
        highest = whole.ranges[-1][1]
        for bit, part in constrained:
            assert isinstance(part, Spans)
            for low, high in part.ranges:
                toggles[low].append(bit)
                if high < highest:
                    toggles[high + 1].append(bit)
            if part.absent:
                absent.append(bit)
        starts = sorted(toggles)
        fraction = SIGNALS[feature].kind is Kind.FRACTION
        self.points: list[float] = [start / MICRO for start in starts] if fraction else list(starts)
        self.masks = [free]
        for start in starts:
            self.masks.append(self.masks[-1] ^ _mask(toggles[start]))
        default = DEFAULTS[feature]
        self.absent = free | _mask(absent) if default is ABSENT else self.accept(default)

    def accept(self, value: Value | None) -> int:
        if value is None or value is ABSENT:
            return self.absent
        assert isinstance(value, (int, float))
        return self.masks[bisect_right(self.points, value)]


class SetColumn:
    """Sets of names: the mask of a set is worked out once and remembered, within SET_CACHE."""

    def __init__(self, feature: str, free: int, constrained: Sequence[tuple[int, Part]]) -> None:
        self.feature = feature
        self.free = free
        grouped: dict[Members, list[int]] = defaultdict(list)
        for bit, part in constrained:
            assert isinstance(part, Members)
            grouped[part].append(bit)
        self.parts = [(part, _mask(bits)) for part, bits in grouped.items()]
        self._seen: dict[Value | None, int] = {}

    def accept(self, value: Value | None) -> int:
        mask = self._seen.get(value)
        if mask is None:
            mask = self.free
            for part, bits in self.parts:
                if admits(part, self.feature, ABSENT if value is None else value):
                    mask |= bits
            if len(self._seen) >= SET_CACHE:
                self._seen.clear()
            self._seen[value] = mask
        return mask


def bits(mask: int) -> Iterable[int]:
    """The positions of the bits of a mask, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _mask(positions: Iterable[int]) -> int:
    mask = 0
    for position in positions:
        mask |= 1 << position
    return mask
