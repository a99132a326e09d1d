"""A token estimate without a tokenizer: counts of letters, words, digits and signs, weighted.

The weights are set by known ratios of current tokenizers: English prose some 4.3 characters a token, source code some 3,
Chinese and Japanese about one token a character. It is a heuristic with a version; bills use the vendor's numbers
(SEMANTICS 1.12). Everything is counted by byte classes, so ten megabytes take a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from hroute.terms.pattern import Regexp, compiled, encode

VERSION: Final = "tokens/2"
FRAME: Final = 4
"""Tokens that a dialect spends around each message."""
UNREAD: Final = {"image": 1_500, "audio": 1_000, "document": 3_000}
"""Tokens assumed for a part that cannot be read."""

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BLANKS: Final = b" \t\n\r\x0b\x0c"
_CLASSES: Final = (
    # (bytes, tokens for each)
    (b"0123456789", 0.4),
    (b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 0.9),
    (b"\n", 0.3),
    (b"\t", 0.2),
    (bytes(range(0xC2, 0xC4)), 0.5),  # Latin with accents
    (bytes(range(0xC4, 0xE0)), 0.45),  # further Latin, Greek, Cyrillic, Hebrew, Arabic: two bytes each
    (bytes(range(0xE0, 0xE3)), 0.8),  # Indic, Thai, typographic signs
    (bytes(range(0xE3, 0xEE)), 1.0),  # Chinese, Japanese, Korean
    (bytes(range(0xEE, 0xF0)), 0.8),
    (bytes(range(0xF0, 0xF5)), 2.0),  # emoji and rare scripts
)
_WORD: Final = 0.5
_LETTER: Final = 0.12
_SHAPE: Final = bytes(0x20 if byte in _BLANKS else 0x78 for byte in range(256))
"""Every blank as a blank and all else as `x`: a word begins where `x` follows a blank."""


def estimate(text: str) -> int:
    """Tokens of one text; 0 for an empty one, else at least 1."""
    if not text:
        return 0
    data = encode(text)
    words = data.translate(_SHAPE).count(b" x") + (data[0] not in _BLANKS)
    left = data.translate(None, _LETTERS)
    total = _WORD * words + _LETTER * (len(data) - len(left))
    left = left.translate(None, b" ")
    for members, weight in _CLASSES:
        if not left:
            break
        rest = left.translate(None, members)
        total += weight * (len(left) - len(rest))
        left = rest
    return max(1, round(total))


def estimate_all(texts: Iterable[str]) -> int:
    return sum(estimate(text) for text in texts)


_IDEOGRAPHS: Final = bytes(range(0xE3, 0xEE))


def words(text: str) -> int:
    """How many words a text has, formulas left out: what stands between blanks; of Chinese, Japanese and Korean two
    characters count as one."""
    data = encode(text).strip()
    if b"$" in data or b"\\" in data:
        data = _without(data, _formulas())
    single = b"  " not in data and b"\n" not in data and b"\t" not in data  # then counting does, which is faster
    count = data.count(b" ") + bool(data) if single else len(data.split())
    if text.isascii():
        return count
    return count + (len(data) - len(data.translate(None, _IDEOGRAPHS))) // 2


@cache
def _formulas() -> Regexp:
    return compiled(r"\$[^$\s](?:[^$]{0,600}[^$\s])?\$|\\\([^)]*\\\)|\\\[[^\]]*\\\]")


def _without(data: bytes, pattern: Regexp) -> bytes:
    pieces, at = [], 0
    for match in pattern.finditer(data):
        pieces.append(data[at : match.start()])
        at = match.end()
    return b" ".join([*pieces, data[at:]])
