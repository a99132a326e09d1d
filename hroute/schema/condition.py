"""Conditions as data: what a rule, a definition, a guarantee or a budget tests, and the plain meaning of it.

A condition is a tree of `All`, `Any`, `Not` over `Test`s. A test looks at one *feature*: a signal by its name, or a text
test by its key (`message~3f2a9c01`), whose value is one boolean. Logic is two-valued (SEMANTICS 1.1-1.2): a test on an
absent feature is false, `not` is the exact complement. `holds` below is the reference that everything faster must equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from hroute.schema.diagnostic import Span
from hroute.terms.signal import ABSENT, MICRO, SIGNALS, Kind, Value

Ask = Callable[[str], Value]
"""Gives the value of a feature, defaults filled in; ABSENT where there is none."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """Equal to one of the values; for a set signal: holds any of them."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`, both ends in, on the signal's grid (`grid`); None is open."""

    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class Missing:
    """`null`: absent; for a set: empty."""


Want = OneOf | Range | Missing


@dataclass(frozen=True, slots=True)
class TextTest:
    """A test on a text: phrases as whole words, RE2 searches, or one glob. Case-insensitive, on normalised text.

    `key` names the boolean that this test yields; equal tests have equal keys.
    """

    key: str
    signal: str
    any_of: tuple[str, ...] = ()
    all_of: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    glob: str | None = None


@dataclass(frozen=True, slots=True)
class Test:
    """One key of a condition. `negated` is `!=`; `source` is the value as the policy's author wrote it."""

    __test__: ClassVar[bool] = False  # its name makes test runners look twice

    feature: str
    want: Want
    negated: bool = False
    source: str = field(default="", compare=False)
    span: Span | None = field(default=None, compare=False)

    @property
    def signal(self) -> str:
        return self.feature.partition("~")[0]


@dataclass(frozen=True, slots=True)
class All:
    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    item: Condition


Condition = Test | All | Any | Not

ALWAYS = All(())
"""The empty condition: it always holds."""
NEVER = Any(())


def conjunction(items: Iterable[Condition]) -> Condition:
    """All of the items, in normal form: nothing nested that could be flat, nothing around a single item."""
    return _joined(All, items)


def disjunction(items: Iterable[Condition]) -> Condition:
    """Any of the items, in normal form."""
    return _joined(Any, items)


def negation(item: Condition) -> Condition:
    """The exact complement, in normal form: `not` of a test is the negated test, since `!=` is `not` (SEMANTICS 1.2)."""
    match item:
        case Test():
            source = item.source.removeprefix("not ") if item.source.startswith("not ") else f"not {item.source}"
            return Test(item.feature, item.want, not item.negated, source, item.span)
        case Not(inner):
            return inner
        case _:
            return Not(item)


def _joined(join: type[All] | type[Any], items: Iterable[Condition]) -> Condition:
    flat: list[Condition] = []
    for item in items:
        flat.extend(item.items if isinstance(item, join) else (item,))
    return flat[0] if len(flat) == 1 else join(tuple(flat))


def grid(signal: str, value: bool | int | float) -> int:
    """A number of `signal` on its grid: itself for an integer, millionths for a fraction."""
    if SIGNALS[signal].kind is Kind.FRACTION:
        return round(value * MICRO)
    return int(value)


def test_holds(test: Test, value: Value) -> bool:
    """Whether `test` holds for a feature's `value` (ABSENT included)."""
    return _fits(test, value) is not test.negated


def holds(condition: Condition, ask: Ask) -> bool:
    """The plain meaning of a condition: the reference for the tree and for the regions."""
    match condition:
        case Test():
            return test_holds(condition, ask(condition.feature))
        case All(items):
            return all(holds(item, ask) for item in items)
        case Any(items):
            return any(holds(item, ask) for item in items)
        case Not(item):
            return not holds(item, ask)


def tests(condition: Condition) -> Iterator[Test]:
    """Every test of a condition, left to right."""
    match condition:
        case Test():
            yield condition
        case All(items) | Any(items):
            for item in items:
                yield from tests(item)
        case Not(item):
            yield from tests(item)


def first_failing(condition: Condition, ask: Ask) -> Test | None:
    """The first test that keeps a condition from holding, for a person; None where it holds or none is to blame."""
    match condition:
        case Test():
            return None if holds(condition, ask) else condition
        case All(items):
            for item in items:
                if not holds(item, ask):
                    return first_failing(item, ask)
            return None
        case Any(items):
            failing = [first_failing(item, ask) for item in items]
            return None if not failing or any(f is None for f in failing) else failing[0]
        case Not(item):
            return next(tests(item), None) if holds(item, ask) else None


def _fits(test: Test, value: Value) -> bool:
    want = test.want
    if isinstance(want, Missing):
        return value is ABSENT or value == frozenset()
    if value is ABSENT:
        return False
    if isinstance(want, Range):
        if not isinstance(value, (int, float)):
            return False
        number = grid(test.feature, value)
        return (want.low is None or number >= want.low) and (want.high is None or number <= want.high)
    if isinstance(value, frozenset):
        return not value.isdisjoint(want.values)
    if isinstance(value, float):
        return any(
            isinstance(w, (int, float)) and grid(test.feature, w) == grid(test.feature, value) for w in want.values
        )
    return value in want.values
