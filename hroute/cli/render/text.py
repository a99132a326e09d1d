"""Text for a terminal: how wide it is, and how what must not reach a terminal is made visible."""

from __future__ import annotations

import unicodedata
from typing import Final

_DANGEROUS: Final = frozenset(
    "\u200b\u200e\u200f\u061c\ufeff\u2028\u2029"
    + "".join(map(chr, range(0x202A, 0x202F)))
    + "".join(map(chr, range(0x2066, 0x206A)))
)
"""Characters that hide or reorder what stands beside them."""


def visible(text: str, *, keep: str = "", show: bool = True) -> str:
    """`text` without anything that a terminal would obey; shown as a picture (`show`) or dropped. `keep` passes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or not _obeyed(c) else (_picture(c) if show else "") for c in text)


def width(text: str) -> int:
    """Terminal cells that `text` takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def pad(text: str, cells: int) -> str:
    """`text` followed by blanks up to `cells`."""
    return text + " " * (cells - width(text))


def pad_left(text: str, cells: int) -> str:
    """`text` after blanks up to `cells`."""
    return " " * (cells - width(text)) + text


def shorten(text: str, cells: int) -> str:
    """`text` cut to `cells`, with an ellipsis where something is missing."""
    if width(text) <= cells:
        return text
    kept, used = [], 1
    for c in text:
        used += _cells(c)
        if used > cells:
            break
        kept.append(c)
    return "".join(kept) + "…"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 rule`, `2 rules`, `1,000 queries`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _obeyed(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cs") or c in _DANGEROUS


def _picture(c: str) -> str:
    code = ord(c)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def _cells(c: str) -> int:
    if unicodedata.east_asian_width(c) in "WF":
        return 2
    return 0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 1
