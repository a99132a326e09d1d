"""Detectors over one text: one shared pass for what each needs, then candidates of those detectors that have all of it.

A finding is a kind and a place, never the text. The pass is linear in the text and never cut by its size.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from hroute.router.signals.kinds.detector import DIGIT, DIGITS, Candidate, Detector
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


class _FirstPass:
    """Which detectors have all that they need in a text.

    What counts long rows of letters has a set of its own, asked only where a detector lacks nothing else: in one
    automaton with the words, it would have to know of every word how long it is.
    """

    def __init__(self, detectors: Sequence[Detector]) -> None:
        needs = dict.fromkeys(need for detector in detectors for need in detector.needs)
        alone = {detector.needs[0] for detector in detectors if len(detector.needs) == 1}
        self._long = tuple(need for need in needs if _counts_long_rows(need) and need not in alone)
        self._short = tuple(need for need in needs if need not in self._long)
        self._sets = (PatternSet(self._short), PatternSet(self._long))
        self._needs = tuple(frozenset(detector.needs).intersection(self._short) for detector in detectors)
        self._rows = tuple(frozenset(detector.needs).intersection(self._long) for detector in detectors)
        self._by_rarest: dict[str, list[int]] = {}
        for index, short in enumerate(self._needs):
            self._by_rarest.setdefault(min(short, key=lambda need: need not in (DIGIT, DIGITS)), []).append(index)

    def asked(self, text: bytes) -> list[int]:
        """Indices of those detectors, ascending."""
        there = frozenset(self._short[hit] for hit in self._sets[0].hits(text))
        asked = [i for need in there for i in self._by_rarest.get(need, ()) if self._needs[i] <= there]
        if any(self._rows[i] for i in asked):
            rows = frozenset(self._long[hit] for hit in self._sets[1].hits(text))
            asked = [i for i in asked if self._rows[i] <= rows]
        return sorted(asked)


def _counts_long_rows(need: str) -> bool:
    """Whether a pattern repeats something twenty times or more."""
    return any(piece[:2].isdigit() and int(piece[:2]) >= 20 for piece in need.split("{")[1:])


class TextScanner:
    """Some detectors, compiled as they are needed. Thread-safe; keeps no text.

    `version` names what is looked for, so that answers can be kept; `allowed` says which values are nothing.
    """

    def __init__(self, detectors: Sequence[Detector], version: str, allowed: Callable[[str], bool] = _nothing) -> None:
        self.version = version
        self._detectors = tuple(detectors)
        self._allowed = allowed
        self._first = _FirstPass(self._detectors)
        self._patterns: dict[int, Regexp] = {}

    def scan(self, text: str) -> tuple[Place, ...]:
        """Every place, by its position; places never overlap: an earlier detector claims first."""
        reading = Reading(text)
        asked = self._first.asked(reading.data)
        if not asked:
            return ()
        claimed: list[tuple[int, int]] = []
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
