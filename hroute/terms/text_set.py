"""Many text tests on one text, all answered by one pass for their phrases and one for their patterns (SEMANTICS 1.7)."""

from __future__ import annotations

from collections.abc import Sequence

from hroute.terms.pattern import (
    PatternFilter,
    PatternSet,
    Phrases,
    Prepared,
    TextMatcher,
    by_signs,
    fits,
    phrase_pattern,
)


class TextSet:
    """Tests that are asked of the same texts: `holding` says which of them hold, as `TextMatcher.holds` would one by one.

    Cheap to construct: everything is compiled at first use; PatternError comes then too.
    """

    __slots__ = ("_parts", "_tests")

    def __init__(self, tests: Sequence[TextMatcher]) -> None:
        self._tests = tuple(tests)
        self._parts: _Parts | None = None

    def holding(self, text: Prepared) -> frozenset[int]:
        """Indices of the tests that hold for `text`."""
        if not self._tests:
            return frozenset()
        parts = self._parts
        if parts is None:
            parts = self._parts = _Parts(self._tests)
        found = parts.found(text)
        asked = parts.without_ground.union(test for part in found for test in parts.grounds.get(part, ()))
        return frozenset(test for test in asked if self._holds(test, parts, found, text))

    def _holds(self, test: int, parts: _Parts, found: set[int], text: Prepared) -> bool:
        """The rest of a test of which a phrase of `any_of` or a pattern was found, or that asks for neither."""
        if not parts.needed[test] <= found or parts.unless[test] in found:
            return False
        glob = self._tests[test].glob
        return glob is None or fits(glob, text.text)


class _Parts:
    """The parts of all tests, numbered: what of each must be found, and the sets that find them."""

    __slots__ = ("_filter", "_patterns", "_phrases", "_set", "_signed", "grounds", "needed", "unless", "without_ground")

    def __init__(self, tests: tuple[TextMatcher, ...]) -> None:
        self._phrases: list[tuple[str, ...]] = []
        self.needed: list[frozenset[int]] = []
        self.unless: list[int] = []
        self.grounds: dict[int, list[int]] = {}
        for number, test in enumerate(tests):
            if test.any_of:
                self.grounds[self._phrase(test.any_of)] = [number]
            self.needed.append(frozenset(self._phrase((phrase,)) for phrase in test.all_of))
            self.unless.append(self._phrase(test.unless) if test.unless else -1)
        self._patterns = tuple(dict.fromkeys(pattern for test in tests for pattern in test.matches))
        places = {pattern: len(self._phrases) + place for place, pattern in enumerate(self._patterns)}
        for number, test in enumerate(tests):
            for pattern in test.matches:
                self.grounds.setdefault(places[pattern], []).append(number)
        self.without_ground = frozenset(n for n, test in enumerate(tests) if not (test.any_of or test.matches))
        divided = [by_signs(phrases) for phrases in self._phrases]
        self._set = PatternSet([phrase_pattern(plain) for plain, _ in divided], fold=False, by_bytes=True)
        self._signed = tuple((n, Phrases(signed)) for n, (_, signed) in enumerate(divided) if signed)
        self._filter = PatternFilter(self._patterns)

    def _phrase(self, phrases: tuple[str, ...]) -> int:
        self._phrases.append(phrases)
        return len(self._phrases) - 1

    def found(self, text: Prepared) -> set[int]:
        """Numbers of the parts that stand in `text`."""
        found = set(self._set.hits(text.words)) if self._phrases else set()
        found.update(number for number, phrases in self._signed if phrases.found(text))
        if self._patterns:
            first = len(self._phrases)
            found.update(first + index for index in self._filter.hits(text.plain))
        return found
