"""Conditions as they stand in a policy -> `Condition`, every mistake a finding at its place (SEMANTICS 1)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from hroute.schema import condition as c
from hroute.schema import text_tests, wants
from hroute.schema.codes import finding
from hroute.schema.condition import ALWAYS, NEVER, Condition, Not, OneOf, Test, TextTest
from hroute.schema.diagnostic import Diagnostic
from hroute.schema.source import Path, Source
from hroute.schema.wants import Unfit, did_you_mean
from hroute.terms.signal import BUILT_IN_INTENTS, PII_KINDS, SIGNALS, TEXT_TESTABLE, Kind, Signal

OPERATORS: Final = ("all", "any", "not", "is")
MOST_TESTS: Final = 4_096
"""Tests in one condition, definitions inlined; more is HR206."""
MOST_NESTED: Final = 100


@dataclass(slots=True)
class Vocabulary:
    """The open names that conditions may use, and the text tests met so far, by key."""

    intents: tuple[str, ...] = BUILT_IN_INTENTS
    kinds: tuple[str, ...] = PII_KINDS
    texts: dict[str, TextTest] = field(default_factory=dict)

    def domain(self, signal: Signal) -> tuple[str, ...]:
        """The names that an enum or a set may hold."""
        return {"intent": self.intents, "pii": self.kinds}.get(signal.name, signal.values)

    def key(self, test: TextTest) -> str:
        """The key of the text test; it is collected. Two tests whose hashes begin alike get different keys."""
        hash = text_tests.digits(test)
        for start in range(0, len(hash), 8):
            key = f"{test.signal}~{hash[start : start + 8]}"
            named = replace(test, key=key)
            if self.texts.setdefault(key, named) == named:
                return key
        raise AssertionError("eight different tests with one hash")


@dataclass(slots=True)
class Definition:
    condition: Condition
    tests: int
    depth: int


@dataclass(slots=True)
class Definitions:
    """The policy's named conditions: where each stands, and what it means once it was asked for."""

    places: dict[str, Path] = field(default_factory=dict)
    known: dict[str, Definition] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)


def definitions_of(source: Source) -> Definitions:
    """The definitions of a policy, not yet read."""
    data = source.data.get("define") if isinstance(source.data, dict) else None
    return Definitions({name: ("define", name) for name in data} if isinstance(data, dict) else {})


def parse_condition(
    source: Source,
    path: Path,
    *,
    definitions: Definitions,
    vocabulary: Vocabulary,
    findings: list[Diagnostic],
) -> Condition:
    """The condition at `path`. What is wrong with it is appended to `findings`; the wrong test is then left out."""
    return _Reader(source, definitions, vocabulary, findings).condition(_value(source, path), path)


def parse_definitions(
    source: Source, definitions: Definitions, vocabulary: Vocabulary, findings: list[Diagnostic]
) -> None:
    """Read every definition, the unused ones too."""
    reader = _Reader(source, definitions, vocabulary, findings)
    for name in definitions.places:
        reader.definition(name)


class _Reader:
    """One condition being read; counts its tests and its depth, since definitions could multiply them without end."""

    def __init__(
        self, source: Source, definitions: Definitions, vocabulary: Vocabulary, findings: list[Diagnostic]
    ) -> None:
        self.source, self.definitions, self.vocabulary, self.findings = source, definitions, vocabulary, findings
        self.tests = 0
        self.depth = 0
        self.deepest = 0

    def condition(self, value: Any, path: Path) -> Condition:
        if not isinstance(value, dict):
            self._find(
                "HR010", "a condition is a mapping of signals to values", path, help="`{}` holds for every request"
            )
            return ALWAYS
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        items = [self._entry(key, entry, (*path, key)) for key, entry in value.items()]
        self.depth -= 1
        return c.conjunction(item for item in items if item is not None)

    def definition(self, name: str) -> Definition | None:
        """What the definition means; None where it is part of a circle."""
        known = self.definitions.known.get(name)
        if known is None and name not in self.definitions.open:
            path = self.definitions.places[name]
            self.definitions.open.append(name)
            reader = _Reader(self.source, self.definitions, self.vocabulary, self.findings)
            condition = reader.condition(_value(self.source, path), path)
            self.definitions.open.pop()
            known = self.definitions.known[name] = Definition(condition, reader.tests, reader.deepest)
        return known

    def _entry(self, key: str, value: Any, path: Path) -> Condition | None:
        match key:
            case "all" | "any":
                return self._several(key, value, path)
            case "not":
                return c.negation(self.condition(value, path))
            case "is":
                return self._inlined(value, path)
        signal = SIGNALS.get(key)
        if signal is None:
            help = did_you_mean(key, (*SIGNALS, *OPERATORS), "docs/signals.md lists the signals")
            self._find("HR011", f"`{key}` is not a signal", path, help=help, at_key=True)
            return None
        self.tests += 1
        if isinstance(value, dict) and key in TEXT_TESTABLE:
            return self._text_test(signal, value, path)
        return self._test(signal, value, path)

    def _several(self, key: str, value: Any, path: Path) -> Condition:
        if not isinstance(value, list):
            self._find("HR010", f"`{key}` takes a list of conditions", path, help=f"{key}: [{{...}}, {{...}}]")
            return ALWAYS
        self.depth += 1
        items = [self.condition(item, (*path, at)) for at, item in enumerate(value)]
        self.depth -= 1
        return c.conjunction(items) if key == "all" else c.disjunction(items)

    def _inlined(self, value: Any, path: Path) -> Condition | None:
        names = value if isinstance(value, list) else [value]
        items = []
        for at, name in enumerate(names):
            place = (*path, at) if isinstance(value, list) else path
            if not isinstance(name, str):
                self._find("HR010", "`is` takes the name of a definition", place)
            elif name not in self.definitions.places:
                help = did_you_mean(name, tuple(self.definitions.places), "named conditions stand under `define:`")
                self._find("HR021", f"there is no definition `{name}`", place, help=help)
            else:
                items.append(self._meaning(name, place))
        return c.conjunction(item for item in items if item is not None)

    def _meaning(self, name: str, path: Path) -> Condition | None:
        if len(self.definitions.open) > MOST_NESTED // 2:
            self._find("HR206", f"definitions are nested more than {MOST_NESTED // 2} deep", path)
            return None
        meant = self.definition(name)
        if meant is None:
            open = self.definitions.open
            circle = " -> ".join((*open[open.index(name) :], name))
            self._find("HR021", f"definition `{name}` is made of itself: {circle}", path)
            return None
        if self.tests + meant.tests > MOST_TESTS or self.depth + meant.depth > MOST_NESTED:
            self._find("HR206", f"the condition is too large once definition `{name}` stands in it", path)
            return None
        self.tests += meant.tests
        self.deepest = max(self.deepest, self.depth + meant.depth)
        return meant.condition

    def _test(self, signal: Signal, value: Any, path: Path) -> Test | None:
        try:
            reading = wants.read(signal, self.vocabulary.domain(signal), value)
        except Unfit as unfit:
            self._find(unfit.code, unfit.message, self._to_blame(signal, value, path), help=unfit.help)
            return None
        feature = signal.name
        if reading.glob is not None:
            feature = self.vocabulary.key(text_tests.named(signal.name, glob=reading.glob))
        return Test(feature, reading.want, reading.negated, as_written(value), self.source.span(path))

    def _to_blame(self, signal: Signal, value: Any, path: Path) -> Path:
        """The item of a list that does not fit by itself; the whole value where none is alone to blame."""
        if isinstance(value, list):
            for at, item in enumerate(value):
                try:
                    wants.read(signal, self.vocabulary.domain(signal), [item])
                except Unfit:
                    return (*path, at)
        return path

    def _text_test(self, signal: Signal, value: dict[str, Any], path: Path) -> Test | None:
        test = text_tests.read(self.source, path, value, signal.name, self.findings)
        if test is None:
            return None
        return Test(self.vocabulary.key(test), OneOf((True,)), False, as_written(value), self.source.span(path))

    def _find(self, code: str, message: str, path: Path, *, help: str = "", at_key: bool = False) -> None:
        span = self.source.key_span(path) if at_key else self.source.span(path)
        self.findings.append(finding(code, message, span, help=help))


def as_written(value: Any) -> str:
    """A value of a condition as its author would say it: `>100`, `complaint, legal`, `true`, `null`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(as_written(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{key} {as_written(item)}" for key, item in value.items())
    return str(value)


def plain(condition: Condition, texts: dict[str, TextTest]) -> dict[str, Any]:
    """The condition as it would stand in a policy: `parse_condition` reads it back as the same condition."""
    match condition:
        case Test():
            return _plain_test(condition, texts)
        case c.All(items):
            parts = [plain(item, texts) for item in items]
            merged: dict[str, Any] = {}
            for part in parts:
                if merged.keys() & part.keys():
                    return {"all": parts}
                merged.update(part)
            return merged
        case c.Any(items):
            return {"any": [plain(item, texts) for item in items]}
        case Not(item):
            return {"not": plain(item, texts)}


def _plain_test(test: Test, texts: dict[str, TextTest]) -> dict[str, Any]:
    written: Any
    if test.feature in texts:
        written = text_tests.plain(texts[test.feature])
    elif isinstance(test.want, c.Missing):
        written = None
    elif isinstance(test.want, c.Range):
        written = _plain_range(SIGNALS[test.signal], test.want)
    else:
        values = test.want.values
        written = values[0] if len(values) == 1 else list(values)
    if not test.negated:
        return {test.signal: written}
    if isinstance(written, str) and written and written == written.strip() and not isinstance(test.want, c.Range):
        return {test.signal: f"!={written}"}
    return {"not": {test.signal: written}}


def _plain_range(signal: Signal, want: c.Range) -> str:
    low, high = want.low, want.high

    def shown(number: int) -> str:
        if signal.kind is not Kind.FRACTION:
            return str(number)
        return f"{number / 1_000_000:.6f}".rstrip("0").rstrip(".")

    if low is not None and high is not None:
        return f"{shown(low)}..{shown(high)}"
    top = 1_000_000 if signal.kind is Kind.FRACTION else (signal.top or wants.GREATEST)
    if low is not None:
        forms = [f">={shown(low)}"] * (low <= top) + [f">{shown(low - 1)}"] * (low > 0)
    else:
        assert high is not None
        forms = [f"<={shown(high)}"] * (high >= 0) + [f"<{shown(high + 1)}"] * (high < top)
    return min(forms, key=len)


def _value(source: Source, path: Path) -> Any:
    value = source.data
    for step in path:
        value = value[step]
    return value


__all__ = [
    "NEVER",
    "Definitions",
    "Vocabulary",
    "as_written",
    "definitions_of",
    "parse_condition",
    "parse_definitions",
    "plain",
]
