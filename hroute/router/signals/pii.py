"""Personal data in a text: one pass of a pattern set, then the checks of only those kinds that it names.

A finding is a kind and a place, never the text. Names of persons and free-form places need a language model and are not
found (`kinds.NOT_FOUND`). The pass is linear in the text and never cut by its size.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from hroute.router.signals.kinds import DETECTORS, Candidate
from hroute.router.signals.kinds.detector import formatted
from hroute.router.signals.reading import Reading
from hroute.schema.policy import PiiSettings
from hroute.terms.pattern import PatternSet, Regexp, compiled

VERSION: Final = "pii/2"
MOST: Final = 100
"""At most so many places of one detector are reported for one block: one is enough for the kind."""


class Place(NamedTuple):
    """A kind found in one text, from code point `start` to `end` (exclusive)."""

    kind: str
    start: int
    end: int


class PiiScanner:
    """The detectors that a policy asks for, compiled once. Thread-safe; keeps no text."""

    def __init__(self, kinds: Iterable[str], allow: Iterable[str] = (), custom: Iterable[tuple[str, str]] = ()) -> None:
        wanted, own = frozenset(kinds), tuple(custom)
        self._detectors = (*(formatted(kind, p) for kind, p in own), *(d for d in DETECTORS if d.kind in wanted))
        self._allow = tuple(_compact(value) for value in allow)
        needs = tuple(dict.fromkeys(need for detector in self._detectors for need in detector.needs))
        numbers = {need: number for number, need in enumerate(needs)}
        self._needs = tuple(frozenset(numbers[need] for need in detector.needs) for detector in self._detectors)
        self._first = PatternSet(needs)
        self._patterns: dict[int, Regexp] = {}
        said = repr((VERSION, sorted(wanted), self._allow, own))
        self.version = f"{VERSION}:{blake2b(said.encode('utf-8', 'replace'), digest_size=6).hexdigest()}"

    def scan(self, text: str) -> tuple[Place, ...]:
        """Every place, by its position; places never overlap."""
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

    def _allowed(self, value: str) -> bool:
        """Whether the policy calls it nothing: the value itself, or an address under `@domain`."""
        compact = _compact(value)
        return any(compact == nothing or (nothing[:1] == "@" and compact.endswith(nothing)) for nothing in self._allow)


def candidates(pattern: Regexp, reading: Reading) -> Iterator[Candidate]:
    """Each match as code points of the read text: group 1 where the pattern has one and it took part."""
    for match in pattern.finditer(reading.data):
        group = 1 if pattern.groups and match.group(1) is not None else 0
        start, end = reading.character(match.start(group)), reading.character(match.end(group))
        if end > start:
            yield Candidate(reading.text, start, end)


def scanner_for(settings: PiiSettings) -> PiiScanner:
    """The compiled scanner of a policy's settings; equal settings share one."""
    return _scanner(settings.kinds, settings.allow, tuple(sorted(settings.custom.items())))


@lru_cache(maxsize=16)
def _scanner(kinds: frozenset[str], allow: tuple[str, ...], custom: tuple[tuple[str, str], ...]) -> PiiScanner:
    return PiiScanner(kinds, allow, custom)


def _compact(value: str) -> str:
    return "".join(c for c in value.casefold() if c not in " -")


def _overlaps(claimed: list[tuple[int, int]], found: Candidate) -> bool:
    at = bisect_right(claimed, (found.start, found.end))
    return (at > 0 and claimed[at - 1][1] > found.start) or (at < len(claimed) and claimed[at][0] < found.end)
