"""What a detector is: a pattern, what a text must hold before it is searched for, and a check of each candidate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

DIGIT = r"\d"
DIGITS = r"\d[\d ./:-]{0,2}\d"
"""The least that any number has: two digits, close together."""


def touches(character: str) -> bool:
    """Whether a character is a letter or a digit that a number would be part of; Chinese, Japanese and Korean are written
    without blanks, so that theirs say nothing."""
    return character.isalnum() and character < "\u2e80"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that a pattern found in a read text; code points, end exclusive."""

    text: str
    start: int
    end: int

    @property
    def value(self) -> str:
        return self.text[self.start : self.end]

    @property
    def digits(self) -> str:
        return "".join(c for c in self.value if c.isdigit())

    @property
    def compact(self) -> str:
        """Its letters and digits, in capitals."""
        return "".join(c for c in self.value.upper() if c.isalnum())

    def before(self, count: int) -> str:
        """Up to `count` characters before it, in lower case."""
        return self.text[max(0, self.start - count) : self.start].lower()

    def after(self, count: int) -> str:
        return self.text[self.end : self.end + count].lower()

    @property
    def stands_alone(self) -> bool:
        """Whether no letter or digit touches it; an escape such as `\\n` in JSON text is no letter."""
        before = self.text[max(0, self.start - 2) : self.start]
        after = self.text[self.end : self.end + 1]
        escaped = len(before) == 2 and before[0] == "\\" and before[1] in "nrt"
        return (escaped or not touches(before[-1:])) and not touches(after)

    @property
    def inside_number(self) -> bool:
        """Whether it continues a longer number: `0.` before it, or `.5` after it."""
        before, after = self.text[max(0, self.start - 2) : self.start], self.text[self.end : self.end + 2]
        return (before[-1:] == "." and before[:1].isdigit()) or (after[:1] == "." and after[1:].isdigit())

    @property
    def whole(self) -> bool:
        """Whether it is neither part of a word nor of a longer number."""
        return self.stands_alone and not self.inside_number

    def near(self, words: tuple[str, ...], count: int = 60, behind: int = 20) -> bool:
        """Whether one of `words` stands up to `count` characters before it, or `behind` characters behind it.

        Whole words; those of four letters and more also begin longer ones (`card` in `cardholder`, never in `discard`).
        """
        around = f" {self.before(count)} {self.after(behind)} "
        plain = "".join(c if c.isalnum() else " " for c in around)
        return any(f" {word}" in plain if len(word) > 3 else f" {word} " in plain for word in words)


def always(_: Candidate) -> bool:
    return True


def unchanged(found: Candidate) -> Candidate:
    return found


@dataclass(frozen=True, slots=True)
class Detector:
    """`pattern` is RE2 without regard to case; its group 1, if it has one, is the value.

    It is searched for only in texts that hold every pattern of `needs`: those are cheap, found all in one pass, and shared
    between detectors. `narrow` cuts a candidate that swallowed what follows it, before `accept` decides.
    """

    kind: str
    pattern: str
    needs: tuple[str, ...]
    accept: Callable[[Candidate], bool] = always
    narrow: Callable[[Candidate], Candidate] = unchanged


def formatted(kind: str, pattern: str, accept: Callable[[Candidate], bool] = always) -> Detector:
    """A detector whose pattern is cheap enough to be what it needs."""
    return Detector(kind, pattern, (pattern,), accept)
