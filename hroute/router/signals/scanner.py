"""Detectors over one text: one shared pass for what each needs, then candidates of those detectors that have all of it.

A finding is a kind and a place, never the text. The pass is linear in the text and never cut by its size.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from hroute.router.signals.kinds.detector import Candidate, Detector
from hroute.router.signals.reading import Reading
from hroute.terms.pattern import PatternSet, Regexp, compiled

MOST: Final = 100
"""At most so many places of one detector are reported for one block: one is enough for the kind."""


class Place(NamedTuple):
    """A kind found in one text, from code point `start` to `end` (exclusive)."""

    kind: str
    start: int
    end: int


def _nothing(_: str) -> bool:
    return False


class TextScanner:
    """Some detectors, compiled as they are needed. Thread-safe; keeps no text.

    `version` names what is looked for, so that answers can be kept; `allowed` says which values are nothing.
    """

    def __init__(self, detectors: Sequence[Detector], version: str, allowed: Callable[[str], bool] = _nothing) -> None:
        self.version = version
        self._detectors = tuple(detectors)
        self._allowed = allowed
        needs = tuple(dict.fromkeys(need for detector in self._detectors for need in detector.needs))
        numbers = {need: number for number, need in enumerate(needs)}
        self._needs = tuple(frozenset(numbers[need] for need in detector.needs) for detector in self._detectors)
        self._first = PatternSet(needs)
        self._patterns: dict[int, Regexp] = {}

    def scan(self, text: str) -> tuple[Place, ...]:
        """Every place, by its position; places never overlap: an earlier detector claims first."""
        reading = Reading(text)
        hits = self._first.hits(reading.data)
        if not hits:
            return ()
        there, claimed = frozenset(hits), list[tuple[int, int]]()
        asked = [index for index, needs in enumerate(self._needs) if needs <= there]
        places = [place for index in asked for place in self._places(index, reading, claimed)]
        return tuple(sorted(places, key=lambda place: place.start))

    def _places(self, index: int, reading: Reading, claimed: list[tuple[int, int]]) -> Iterator[Place]:
        """What one detector finds where no earlier one did."""
        detector, count = self._detectors[index], 0
        for found in candidates(self._pattern(index), reading):
            found = detector.narrow(found)
            if not detector.accept(found) or _overlaps(claimed, found) or self._allowed(found.value):
                continue
            insort(claimed, (found.start, found.end))
            yield Place(detector.kind, reading.original(found.start), reading.original(found.end - 1) + 1)
            count += 1
            if count == MOST:
                return

    def _pattern(self, index: int) -> Regexp:
        pattern = self._patterns.get(index)
        if pattern is None:
            pattern = self._patterns[index] = compiled(self._detectors[index].pattern, captures=True)
        return pattern


def candidates(pattern: Regexp, reading: Reading) -> Iterator[Candidate]:
    """Each match as code points of the read text: group 1 where the pattern has one and it took part."""
    for match in pattern.finditer(reading.data):
        group = 1 if pattern.groups and match.group(1) is not None else 0
        start, end = reading.character(match.start(group)), reading.character(match.end(group))
        if end > start:
            yield Candidate(reading.text, start, end)


def _overlaps(claimed: list[tuple[int, int]], found: Candidate) -> bool:
    at = bisect_right(claimed, (found.start, found.end))
    return (at > 0 and claimed[at - 1][1] > found.start) or (at < len(claimed) and claimed[at][0] < found.end)
