"""Postal addresses in the forms that a pattern can know: a number beside a street word."""

from __future__ import annotations

from typing import Final

from hroute.router.signals.kinds.detector import Candidate, Detector

_STREET: Final = r"street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|terrace|parkway|pkwy|highway|hwy|crescent|close|gardens|grove|circle|cir|trail|mews|walk|row|hill"
_WEAK: Final = r"way|place|pl|square|sq|park|plaza|alley|loop|run|pass|point|view|ridge|station"
_NAME: Final = r"(?:[NSEW]\.? |North |South |East |West )?(?:(?-i:\p{Lu})[\pL'.-]*|\d{1,3}(?:st|nd|rd|th))(?: (?-i:\p{Lu})[\pL'.-]*){0,3}"


def _address(found: Candidate) -> bool:
    """Alone, and its street's name begins with a capital (patterns ignore case, people do not)."""
    if not found.stands_alone:
        return False
    words = found.value.replace(",", " ").split()
    return all(word[0].isupper() or not word[0].isalpha() for word in words[1:]) and not found.inside_number


def _loose(found: Candidate) -> bool:
    """Street words in other languages are distinctive: only the edges are checked."""
    return found.stands_alone and not found.inside_number


def _capital(found: Candidate) -> bool:
    return found.stands_alone and found.value[0].isupper()


PLACES: Final[tuple[Detector, ...]] = (
    Detector("address", rf"\d [^\n]* (?:{_STREET})", rf"\d{{1,6}}[a-z]?,? {_NAME} (?:{_STREET})\b", _address),
    Detector("address", rf"\d [^\n]* (?:{_WEAK})", rf"(\d{{1,6}}[a-z]?,? {_NAME} (?:{_WEAK}))(?:,|\.|\n|$| apt| unit| suite)", _address),
    Detector("address", r"p\.? ?o\.? box", r"p\.? ?o\.? box:? \d{1,6}", _loose),
    Detector("address", r"(?:straße|strasse|str\.|weg|platz|allee|gasse) \d", r"\pL[\pL-]+(?:straße|strasse|str\.|weg|platz|allee|gasse) \d{1,4} ?[a-z]?\b", _capital),
    Detector("address", r"(?:rue|avenue|boulevard|impasse|chemin) (?:de|du|des|d'|\pL)", r"\d{1,4}(?: ?(?:bis|ter))?,? (?:rue|avenue|boulevard|impasse|chemin|allée|quai) [\pL'-]+", _loose),
    Detector("address", r"(?:calle|avenida|plaza|via|viale|piazza|corso|rua) ", r"\b((?:calle|avenida|plaza|via|viale|piazza|corso|rua) \pL[\pL' -]{2,40}?,? (?:n[º°.] ?)?\d{1,4})\b", _capital),
)  # fmt: skip
