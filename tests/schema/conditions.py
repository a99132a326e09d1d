"""Random conditions over every kind of signal, and random values for them, absence included."""

from __future__ import annotations

from hypothesis import strategies as st

from hroute.schema.condition import All, Any, Condition, Missing, Not, OneOf, Range, Test, Want
from hroute.terms.signal import ABSENT, MICRO, SIGNALS, Kind, Value

TEXT = "message~0a1b2c3d"
FEATURES = (
    "task_type",  # an enum that may be absent
    "complexity",  # an enum without a default, but always there with a text
    "priority",  # an enum with a default
    "contains_pii",
    "has_code",
    "tenant",
    "expected_tokens",
    "batch_size",
    "arrival_hour",
    "score",
    "pii",
    "intent",
    TEXT,
)
WORDS = ("a", "b", "c")


def numbers(feature: str) -> st.SearchStrategy[int]:
    """Numbers on the feature's grid, dense at the ends of its domain."""
    top = MICRO if SIGNALS[feature].kind is Kind.FRACTION else (SIGNALS[feature].top or 12)
    return st.one_of(st.integers(0, min(4, top)), st.integers(max(0, top - 3), top))


def _names(feature: str) -> tuple[Value, ...]:
    if feature == TEXT:
        return (True, False)
    signal = SIGNALS[feature]
    if signal.kind is Kind.BOOL:
        return (True, False)
    return signal.values[:4] or WORDS


def values(feature: str) -> st.SearchStrategy[Value]:
    """What the feature may hold."""
    if feature == TEXT:
        return st.booleans()
    signal = SIGNALS[feature]
    held: st.SearchStrategy[Value]
    match signal.kind:
        case Kind.INTEGER:
            held = numbers(feature)
        case Kind.FRACTION:
            held = numbers(feature).map(lambda n: n / MICRO)
        case Kind.SET:
            return st.frozensets(st.sampled_from(signal.values[:4]), max_size=3)
        case _:
            held = st.sampled_from(_names(feature))
    return held if signal.default is not ABSENT else st.one_of(st.just(ABSENT), held)


def _wants(feature: str) -> st.SearchStrategy[Want]:
    if feature == TEXT:
        return st.just(OneOf((True,)))
    signal = SIGNALS[feature]
    missing = st.just(Missing())
    if signal.numeric:
        grid = st.one_of(st.none(), numbers(feature))
        ones = st.lists(numbers(feature), max_size=3)
        plain = ones.map(lambda ns: OneOf(tuple(n / MICRO if signal.kind is Kind.FRACTION else n for n in ns)))
        return st.one_of(missing, st.builds(Range, grid, grid), plain)
    return st.one_of(missing, st.lists(st.sampled_from(_names(feature)), max_size=3).map(lambda vs: OneOf(tuple(vs))))


def single_on(feature: str) -> st.SearchStrategy[Test]:
    """Single tests on one feature."""
    return st.builds(Test, st.just(feature), _wants(feature), st.booleans())


single: st.SearchStrategy[Condition] = st.sampled_from(FEATURES).flatmap(single_on)
conditions: st.SearchStrategy[Condition] = st.recursive(
    single,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: All(tuple(items))),
        st.lists(inner, max_size=3).map(lambda items: Any(tuple(items))),
        inner.map(Not),
    ),
    max_leaves=8,
)
asks: st.SearchStrategy[dict[str, Value]] = st.fixed_dictionaries({feature: values(feature) for feature in FEATURES})
