"""A concrete request and a region, in the words that a person and `hroute explain --signal` understand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hroute.router.analysis.reach import Found
from hroute.router.analysis.world import World
from hroute.schema.condition import TextTest
from hroute.schema.region import INFINITY, Box, Finite, Members, Part, Spans, full
from hroute.terms.signal import ABSENT, MICRO, SIGNALS, Kind, Value


def witness(world: World, found: Found) -> dict[str, Any]:
    """The signals that matter for a witness, as JSON values: what the region constrains, defaults left out."""
    shown: dict[str, Any] = {}
    for feature, part in found.box.items():
        if world.root.get(feature) == part or part == full(feature):
            continue
        if feature == "pii":
            shown.update(_personal(world, found))
        elif "~" in feature:
            shown[feature] = bool(found.signals.get(feature, False))
        else:
            value = found.signals.get(feature, ABSENT)
            if not _usual(feature, value):
                shown[feature] = as_json(value)
    return {feature: shown[feature] for feature in sorted(shown, key=_order)}


def as_json(value: Value) -> Any:
    """A signal's value in JSON: sets as sorted lists, absence as null."""
    if value is ABSENT:
        return None
    return sorted(value) if isinstance(value, frozenset) else value


def words(world: World, shown: Mapping[str, Any]) -> str:
    """`contains_pii=true, task_type=chat, message matching any of "refund"=true`: a witness on one line."""
    return ", ".join(f"{_name(world, feature)}={_word(value)}" for feature, value in shown.items()) or "any request"


def describe(world: World, box: Box) -> str:
    """A box in words: `prompt_tokens >= 8000, contains_pii false`; "every request" for the whole space."""
    texts = []
    for feature in sorted(box, key=_order):
        part = box[feature]
        if world.root.get(feature) != part != full(feature):
            texts.append(_part(world, feature, part))
    return ", ".join(texts) or "every request"


def text_name(test: TextTest) -> str:
    """A text test in words."""
    if test.glob is not None:
        return f"{test.signal} like `{test.glob}`"
    pieces = []
    for word, items in (
        ("any of", test.any_of),
        ("all of", test.all_of),
        ("matching", test.matches),
        ("unless", test.unless),
    ):
        if items:
            shown = ", ".join(f'"{item}"' for item in items[:2])
            pieces.append(f"{word} {shown}" + (", ..." if len(items) > 2 else ""))
    return f"{test.signal} ({'; '.join(pieces)})"


def _order(feature: str) -> int:
    """The table's order."""
    return list(SIGNALS).index(feature.partition("~")[0])


def _personal(world: World, found: Found) -> dict[str, Any]:
    pii = found.signals.get("pii", frozenset())
    used = {feature for index in world.indexes for feature in index.columns}
    shown: dict[str, Any] = {"contains_pii": found.signals["contains_pii"]}
    if "pii" in used and pii:
        shown["pii"] = as_json(pii)
    return shown


def _usual(feature: str, value: Value) -> bool:
    default = SIGNALS[feature].default
    return value == default or (default is ABSENT and value == frozenset())


def _name(world: World, feature: str) -> str:
    for policy in world.policies:
        if (test := policy.texts.get(feature)) is not None:
            return text_name(test)
    return feature


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "absent" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _part(world: World, feature: str, part: Part) -> str:
    if feature == "pii" and isinstance(part, Members):
        return _members(world, part)
    name = _name(world, feature)
    if isinstance(part, Spans):
        return " or ".join(
            [_range(feature, low, high) for low, high in part.ranges] + ([f"{name} absent"] if part.absent else [])
        )
    if isinstance(part, Finite):
        part = _shorter(part, feature)
        words_ = ", ".join(sorted(_word(as_json(value)) for value in part.values))
        if part.values <= {True, False}:
            return f"{name} {words_}"
        return f"{name} not {words_}" if part.others else f"{name} {words_}"
    return ", ".join(
        _clause(name, holds, names) for holds, names in sorted(part.clauses, key=lambda c: (c[0], sorted(c[1] or ())))
    )


def _shorter(part: Finite, feature: str) -> Finite:
    """Most of a closed domain is better said by what is missing."""
    whole = full(feature)
    if part.others or not isinstance(whole, Finite) or whole.others or len(whole.values) <= 3:
        return part
    missing = whole.values - part.values
    return Finite(missing, others=True) if len(missing) < len(part.values) else part


def _members(world: World, part: Members) -> str:
    pieces = []
    ((_, counting),) = world.counts.clauses
    for holds, names in sorted(part.clauses, key=lambda c: (c[0], sorted(c[1] or ()))):
        pieces.append(f"contains_pii {str(holds).lower()}" if names == counting else _clause("pii", holds, names))
    return ", ".join(pieces)


def _clause(name: str, holds: bool, names: frozenset[str] | None) -> str:
    if names is None:
        return f"{name} holds something" if holds else f"{name} empty"
    return f"{name} holds {'one' if holds else 'none'} of {', '.join(sorted(names))}"


def _range(feature: str, low: int, high: int) -> str:
    def shown(number: int) -> str:
        return f"{number / MICRO:g}" if SIGNALS[feature].kind is Kind.FRACTION else str(number)

    ((lowest, highest),) = _whole(feature)
    if low == high:
        return f"{feature} = {shown(low)}"
    if high >= min(highest, INFINITY):
        return f"{feature} >= {shown(low)}"
    return f"{feature} <= {shown(high)}" if low <= lowest else f"{feature} {shown(low)}..{shown(high)}"


def _whole(feature: str) -> tuple[tuple[int, int], ...]:
    whole = full(feature)
    assert isinstance(whole, Spans)
    return whole.ranges
