"""A text as detectors read it: odd spellings of characters undone, and every place still known in the original.

Full-width and other digits, mathematical letters, dashes and blanks become their ASCII form one to one; characters that
nobody sees (zero-width, text direction) are dropped; `%40`, `\\u0040`, `\\x40`, `&#64;`, `&#x40;` and `&nbsp;` are read as
the character they stand for. Patterns run over UTF-8 bytes, findings are code points of the original text.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import cache
from typing import Any, Final

from hroute.terms.pattern import encode

_STEP: Final = 4096
_UNSEEN: Final = (
    0xAD,
    0x34F,
    0x61C,
    0x180E,
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
)
_DASHES: Final = (*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0xFF0D)
_BLANKS: Final = (0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)
_STOPS: Final = (0x3002, 0xFE52, 0xFF0E, 0xFF61)
_COMPATIBLE: Final = (*range(0x1D400, 0x1D800), *range(0xFF01, 0xFF5F), *range(0x2460, 0x24EA), *range(0x2070, 0x209D))


class Reading:
    """One text, ready for detectors. `text` is the read form, `data` its UTF-8."""

    __slots__ = ("_counts", "_dropped", "data", "text")

    def __init__(self, original: str) -> None:
        self._counts: list[int] | None = None
        self._dropped: list[list[int]] = []  # of each step: the places, in what it made, before which characters went
        self.text = original
        if not original.isascii():
            self.text = original.translate(_table())
            if len(self.text) != len(original):
                self._dropped.append(_places_of_unseen(original))
        if "%" in original or "\\u00" in original or "\\x" in original or "&" in original:
            self._unescape()
        self.data = encode(self.text)

    def _unescape(self) -> None:
        pieces: list[str] = []
        places: list[int] = []
        at = length = 0
        self.text = encode(self.text).decode()  # RE2 takes no lone surrogate; each becomes one `?`
        for match in _escapes().finditer(self.text):
            start, end = match.span()
            pieces += (self.text[at:start], _meant(match.group()))
            length += start - at + 1
            places += [length] * (end - start - 1)
            at = end
        if pieces:
            self.text = "".join([*pieces, self.text[at:]])
            self._dropped.append(places)

    def character(self, at: int) -> int:
        """The code point of `text` at byte `at` of `data`."""
        if len(self.data) == len(self.text):
            return at
        if self._counts is None:
            self._counts = _counted(self.data)
        step = at // _STEP
        return self._counts[step] + _characters(self.data[step * _STEP : at])

    def original(self, at: int) -> int:
        """The code point of the original text that became code point `at` of `text`."""
        for places in reversed(self._dropped):
            at += bisect_right(places, at)
        return at


@cache
def _escapes() -> Any:
    import re2  # type: ignore[import-untyped,unused-ignore]

    return re2.compile(
        r"%[2-7][0-9A-Fa-f]|\\(?:u00|x)[2-7][0-9A-Fa-f]|&#(?:3[2-9]|[4-9]\d|1[01]\d|12[0-6]|x[2-7][0-9A-Fa-f]);|&(?:nbsp|#160|commat|period|hyphen|dash|lowbar|colon);"
    )


def _meant(escape: str) -> str:
    named = _ENTITIES.get(escape)
    if named is not None:
        return named
    if escape[0] != "&":
        return chr(int(escape[-2:], 16))
    return chr(int(escape[3:-1], 16) if escape[2] == "x" else int(escape[2:-1]))


_ENTITIES: Final = {"&nbsp;": " ", "&#160;": " ", "&commat;": "@", "&period;": ".", "&hyphen;": "-", "&dash;": "-", "&lowbar;": "_", "&colon;": ":"}  # fmt: skip
_TABLE: dict[int, str | None] = {}


def _table() -> dict[int, str | None]:
    """The translation, made when the first text beyond ASCII is read."""
    if not _TABLE:
        table: dict[int, str | None] = dict.fromkeys(_COMPATIBLE)
        for code in _COMPATIBLE:
            plain = unicodedata.normalize("NFKC", chr(code))
            table[code] = plain if len(plain) == 1 else chr(code)
        for start in range(0x660, 0x1D7F6):  # every other decimal digit
            if unicodedata.decimal(chr(start), -1) >= 0:
                table[start] = str(unicodedata.decimal(chr(start)))
        table.update(dict.fromkeys(_DASHES, "-"))
        table.update(dict.fromkeys(_BLANKS, " "))
        table.update(dict.fromkeys(_STOPS, "."))
        table.update(dict.fromkeys(_UNSEEN))
        _TABLE.update(table)
    return _TABLE


def _places_of_unseen(original: str) -> list[int]:
    """For each dropped character, the place in the read text before which it stood."""
    places = []
    for code in _UNSEEN:
        character = chr(code)
        at = original.find(character)
        while at >= 0:
            places.append(at)
            at = original.find(character, at + 1)
    return [at - index for index, at in enumerate(sorted(places))]


def _counted(data: bytes) -> list[int]:
    """Characters before every `_STEP`-th byte."""
    counts, total = [0], 0
    for start in range(0, len(data), _STEP):
        total += _characters(data[start : start + _STEP])
        counts.append(total)
    return counts


_CONTINUATIONS: Final = bytes(range(0x80, 0xC0))


def _characters(data: bytes) -> int:
    """How many characters begin in a piece of UTF-8."""
    return len(data.translate(None, _CONTINUATIONS))
