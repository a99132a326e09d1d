"""Whether a value looks drawn by lot, as keys are, or made of words and numbers, as names are."""

from __future__ import annotations

from itertools import groupby, pairwise
from math import log2
from typing import Final

PLACEHOLDERS: Final = ("your", "xxx", "placeholder", "changeme", "change_me", "redacted", "dummy", "<", "{{", "${", "$(", "...", "***", "insert", "todo", "none", "null", "undefined", "env.", "environ", "getenv", "process.", "example_")  # fmt: skip
_LONGEST: Final = 20
_HASHES: Final = ("sha1", "sha2", "sha3", "sha5", "hash", "digest", "commit", "checksum", "md5", "etag", "fingerprint", "integrity", "revision", "uuid", "guid", "public", "blob")  # fmt: skip


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    size = len(value)
    return -sum(n / size * log2(n / size) for n in (value.count(c) for c in set(value)))


def plausible(value: str) -> bool:
    """No placeholder, and not few characters over and over."""
    low = value.lower()
    return len(set(value)) > 3 and not any(word in low for word in PLACEHOLDERS)


def is_hex(value: str) -> bool:
    return all(c in "0123456789abcdefABCDEF-" for c in value)


def is_uuid(value: str) -> bool:
    return len(value) == 36 and [len(part) for part in value.split("-")] == [8, 4, 4, 4, 12]


def of_words(value: str) -> bool:
    """Whether each piece between signs reads like a name: words, and between or behind them a number or two."""
    pieces = "".join(c if c.isalnum() else " " for c in value).split()
    mixed = sum(not piece.isalpha() and not piece.isdigit() for piece in pieces)
    return mixed < 3 and all(_named(piece) for piece in pieces)


def _named(piece: str) -> bool:
    """At most two words with a number between or behind them (`Draft201909Validator`), as long as words are."""
    runs = [(digit, "".join(run)) for digit, run in groupby(piece, str.isdigit)]
    if len(runs) > 3 or sum(digit for digit, _ in runs) > 1 or (len(runs) > 1 and runs[0][0] and len(runs[0][1]) > 3):
        return False
    return all(len(run) <= 8 if digit else flips(run) <= len(run) / 3 + 1 and _speakable(run) for digit, run in runs)


def _speakable(letters: str) -> bool:
    """Not longer without a capital than words are."""
    return len(letters) <= _LONGEST or flips(letters) > 1


def flips(value: str) -> int:
    """How often neighbours are of different sorts: small letter, capital, digit."""
    return sum(_sort(a) != _sort(b) for a, b in pairwise(value) if a.isalnum() and b.isalnum())


def _sort(character: str) -> int:
    return 0 if character.isdigit() else 1 if character.islower() else 2


def drawn(value: str, least: int = 16) -> bool:
    """Whether `value` looks drawn by lot: long, many different characters, digits among letters in no word's order."""
    letters = sum(c.isalpha() for c in value)
    digits = sum(c.isdigit() for c in value)
    if len(value) < least or not plausible(value) or entropy(value) < 2.8:
        return False
    if digits < 2 or letters < 2:
        return letters > _LONGEST and not of_words(value)
    return not of_words(value)


def named_as_hash(before: str) -> bool:
    """Whether what stands before a value says that it is a checksum or an identifier, which is no secret."""
    words = "".join(c if c.isalnum() else " " for c in before).split()
    return any(word in ("sha", "h1") or word.startswith(_HASHES) or word.endswith(_HASHES) for word in words)
