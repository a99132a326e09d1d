"""Answers in a form in which two models' words can be compared: a number, a choice, a label, a JSON value, a short text.

Nothing here guesses what is right; it only says when two ways of writing are the same answer. Where that is in doubt the
two count as different, and the question goes on to a stronger model.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, Literal

from hroute.router.json_in_text import encodable

Kind = Literal["number", "choice", "label", "json", "text"]

LONGEST: Final = 160
"""Characters of a text that can be compared as a whole; a longer one says the same thing in too many ways."""
_MOST_WORDS: Final = 14
_MOST_DIGITS: Final = 40

REASONS: Final = frozenset(
    {"reasoning", "reason", "reasons", "explanation", "explanations", "rationale", "thought", "thoughts", "thinking", "analysis", "steps",
     "step_by_step", "chain_of_thought", "justification", "comment", "comments", "note", "notes", "confidence", "working", "evidence"}
)  # fmt: skip
"""Keys of a JSON reply that say how an answer was found; two models never word that alike."""


@dataclass(frozen=True, slots=True)
class Canonical:
    """One answer. `beside` are the words beside a number or an option's letter (a unit, the option's text).

    `decimals` are the digits after the point of a number, None where it has no end (a fraction).
    """

    kind: Kind
    value: str | Fraction
    beside: frozenset[str] = frozenset()
    decimals: int | None = 0

    def same(self, other: Canonical) -> bool:
        """Whether both are one answer. Words beside a value decide only where both have some."""
        if self.kind != other.kind:
            return False
        apart = self.beside and other.beside and self.beside.isdisjoint(other.beside)
        return not apart and (self.value == other.value or _rounded_alike(self, other))


def number(text: str) -> Canonical | None:
    """The number that `text` is, with a currency, a unit or "about" beside it: `$1,200.50`, `18 eggs`, `3 1/2`, `65 %`."""
    plain = tidy(text)
    found = _re(_NUMBER).fullmatch(_spelled(plain)) if len(plain) <= LONGEST else None
    value = _value(found) if found else None
    if found is None or value is None:
        return None
    words = _words(found.group("rest"))
    if words and words[0] in _SCALES:
        value *= _SCALES[words.pop(0)]
    beside = {_unit(word) for word in words} | {
        _MONEY[sign] for sign in found.group("money") or found.group("cash") or ""
    }
    endless = found.group("under") or found.group("mixed")
    european = "," in found.group("digits") and _re(_EUROPEAN).fullmatch(found.group("digits"))
    point = found.group("digits").rpartition(",")[2] if european else (found.group("point") or ".")[1:]
    decimals = None if endless else len(point)
    return Canonical("number", value, frozenset(beside - _IDLE), decimals)


def only_number(text: str) -> Canonical | None:
    """The number in `text` where it holds but one, however often: "so she makes $18 a day"; after the last `=` where
    there is a sum."""
    plain = _spelled(tidy(text))
    tail = plain.rpartition("=")[2]
    for part in (tail, plain):
        if _re(_OPEN_SUM).search(part) is not None:
            continue
        values = {
            str(found.value): found for token in _re(_TOKEN).findall(part) if (found := number(token)) is not None
        }
        broken = any(number(token) is None for token in _re(_TOKEN).findall(part))
        if len(values) == 1 and not broken:
            return next(iter(values.values()))
    return None


def total(text: str) -> Canonical | None:
    """The number that a sum written out comes to: `240 + 70 = 310 ounces`."""
    found = _re(_SUM).search(tidy(text))
    return number(found.group(1)) if found else None


def choose(text: str, choices: Iterable[str]) -> str | None:
    """The choice that `text` is, give or take case, quotes, markup, a full stop, and a label before a colon."""
    wanted = {choice.casefold(): choice for choice in choices}
    for form in (text, text.rpartition(":")[2]):
        found = wanted.get(form.strip().strip("\"'`*_.!“”„«»() \n\t").casefold())
        if found is not None:
            return found
    return None


def choice(text: str, choices: Iterable[str] = ()) -> Canonical | None:
    """One of `choices`; without any, an option's letter: `B`, `(b)`, `Option B`, `B) Paris`."""
    wanted = tuple(choices)
    if wanted:
        chosen = choose(text, wanted)
        return None if chosen is None else Canonical("choice", chosen)
    found = _re(_OPTION).fullmatch(tidy(text))
    if found is None:
        return None
    said = found.groupdict()
    letter = said["alone"] or said["closed"] or said["open"]
    return Canonical("choice", letter.upper(), frozenset(_words(said["closed_text"] or said["open_text"] or "")))


def label(text: str) -> Canonical | None:
    """A name of a class: few words, without a heading (`Sentiment: positive`), case, marks or a reason after a comma."""
    plain = tidy(text).casefold()
    head, colon, tail = plain.rpartition(":")
    if colon and tail.strip() and len(_words(head)) <= 3:
        plain = tail
    words = _words(plain.replace("_", " ").replace("-", " "))
    if words[:1] and words[0] in _YES_NO and _re(_FIRST_WORD).match(plain.strip()) is not None:
        words = words[:1]
    return Canonical("label", " ".join(words)) if 0 < len(words) <= 6 else None


def json_value(value: Any) -> Canonical | None:
    """A JSON value: keys in any order, numbers by value, strings without regard to case and blanks, reasons left out."""
    try:
        plain = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return None
    return Canonical("json", plain)


def short_text(text: str) -> Canonical | None:
    """A few words, without case, articles, marks and markup. None where it is empty or too long to be compared."""
    plain = tidy(text).casefold()
    words = _words(plain.replace(",", " "))
    if not words or len(words) > _MOST_WORDS or len(plain) > LONGEST:
        return None
    return Canonical("text", " ".join(words))


def symbols(text: str) -> Canonical | None:
    """A formula, a list or a quoted value, by its signs: blanks and the kind of quotes are nothing."""
    plain = tidy(text).replace('"', "'")
    if not plain or len(plain) > LONGEST or _re(_SIGNS).search(plain) is None:
        return None
    return Canonical("text", _re(_BLANKS_AT_SIGNS).sub(r"\1", plain))


def tidy(text: str) -> str:
    """`text` in one line without Markdown, LaTeX and the signs that only typesetting tells apart."""
    plain = encodable(text[: 4 * LONGEST])
    if not plain.isascii():
        plain = "".join(map(_spread, plain))
    plain = plain.translate(_SAME_SIGN)
    if "\\" in plain:
        for pattern, instead in _LATEX:
            plain = _re(pattern).sub(instead, plain)
    plain = plain.replace("**", "").replace("`", "")
    stripped = plain.strip()
    if len(stripped) > 2 and stripped[0] == stripped[-1] == "$":
        stripped = stripped.strip("$")
    return " ".join(stripped.split()).strip(" *_,;").rstrip(" *_.,;!")


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            kept = {k: v for k, v in value.items() if str(k).casefold() not in REASONS} or value
            return {str(k): _plain(v) for k, v in kept.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case str():
            return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
        case float():
            return int(value) if value.is_integer() else value
        case _:
            return value


def _value(found: Any) -> Fraction | None:
    digits = found.group("digits").replace("'", "").replace(" ", "")
    if "," in digits:
        european = _re(_EUROPEAN).fullmatch(digits) is not None
        digits = digits.replace(".", "").replace(",", ".") if european else digits.replace(",", "")
    point, over = found.group("point") or "", found.group("over") or "0"
    under, mixed = found.group("under") or "1", found.group("mixed") or "1"
    power = found.group("power") or found.group("tens") or "0"
    shown = (digits + point).strip(".")
    if not shown or shown.count(".") > 1 or max(map(len, (shown, over, under, mixed))) > _MOST_DIGITS:
        return None
    if not int(under) or not int(mixed):
        return None
    value = Fraction(f"0{digits}{point}".rstrip(".")) / int(under) + Fraction(int(over), int(mixed))
    value *= Fraction(10) ** int(power)
    return -value if "-" in (found.group("sign"), found.group("inner")) else value


def _rounded_alike(one: Canonical, other: Canonical) -> bool:
    """33.33 and 33.3333, 0.33 and 1/3: equal at the decimals of the shorter, two at least."""
    if not isinstance(one.value, Fraction) or not isinstance(other.value, Fraction):
        return False
    places = min((n for n in (one.decimals, other.decimals) if n is not None), default=0)
    return places >= 2 and round(one.value, places) == round(other.value, places)


def _spelled(text: str) -> str:
    """A number word at the start as digits."""
    first, blank, rest = text.partition(" ")
    digits = _NUMBER_WORDS.get(first.casefold())
    return text if digits is None else digits + blank + rest


def _words(text: str) -> list[str]:
    """Words with the marks at their borders cut off, articles left out (where there is anything else)."""
    words = [word for raw in text.casefold().split() if (word := raw.strip(_MARKS))]
    return [word for word in words if word not in _ARTICLES] or words


def _unit(word: str) -> str:
    word = word.removesuffix("s") if len(word) > 2 else word
    return _UNITS.get(word, word)


def _spread(sign: str) -> str:
    """One sign in its plain form; a raised digit stays a power, a fraction sign stays apart from the digit before it."""
    form = unicodedata.decomposition(sign)
    if form.startswith("<fraction>"):
        return " " + unicodedata.normalize("NFKC", sign).replace("⁄", "/")
    if form.startswith("<super>"):
        return "^" + unicodedata.normalize("NFKC", sign)
    return unicodedata.normalize("NFKC", sign) if sign not in "\u00a0\u202f\u2009" else "'"


@lru_cache(maxsize=64)
def _re(pattern: str) -> Any:
    import re2  # type: ignore[import-untyped,unused-ignore]

    return re2.compile(pattern)


_DIGITS: Final = r"\d{1,3}(?:[,']\d{3})+|\d{1,3}(?:\.\d{3})+,\d+|\d+,\d{1,2}|\d*"
_EUROPEAN: Final = r"\d{1,3}(?:\.\d{3})+,\d+|\d+,\d{1,2}"
_NUMBER: Final = (
    r"(?i)(?:(?:about|approximately|approx\.?|around|roughly|exactly|only|a total of|in total|[a-z]{1,2} ?=|[≈~=]) ?)*"
    r"(?P<sign>[-+]?) ?(?P<money>[$€£¥]?) ?(?P<inner>[-+]?)"
    rf"(?:(?P<digits>{_DIGITS})(?P<point>\.\d*)?)"
    r"(?: ?/ ?(?P<under>\d+)|(?: (?P<over>\d+) ?/ ?(?P<mixed>\d+)))?"
    r"(?:e(?P<power>[-+]?\d{1,2})| ?[x*×·] ?10\^\{?(?P<tens>[-+]?\d{1,2})\}?)?"
    r" ?(?P<cash>[$€£¥]?)(?P<rest>(?:[ /%°-]?[^\d=<>+*^:/-]*){0,4})"
)
"""A number with what may stand around it; no further digit."""
_SUM: Final = r"[\d)%]\s*=\s*([^=]+)$"
_OPEN_SUM: Final = r"\s[*/+-]\s|\*"
_TOKEN: Final = r"[-+]?[$€£¥]?\d(?:[\d.,'/:^-]*\d)?%?"
_OPTION: Final = (
    r"(?i)(?:(?:option|choice|answer) )?"
    r"(?:\(?(?P<alone>[a-j])[).:]?|\((?P<closed>[a-j])\) (?P<closed_text>.+)|(?P<open>[a-j])[).:] (?P<open_text>.+))"
)
_SIGNS: Final = r"[\[\]{}=^\\/*+<>|]|^'.*'$"
_BLANKS_AT_SIGNS: Final = r" *([\[\](){}=^\\/*+<>|,:-]) *"
_FIRST_WORD: Final = r"\w+(?:[,.;:!]|$| because\b)"
_SCALES: Final = {"hundred": 100, "thousand": 1_000, "k": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_MONEY: Final = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen"}
_UNITS: Final = {
    "usd": "dollar", "buck": "dollar", "eur": "euro", "gbp": "pound", "hr": "hour", "h": "hour", "min": "minute", "sec": "second", "%": "percent",
    "percentage": "percent", "mile": "mi", "kilometer": "km", "kilometre": "km", "meter": "m", "metre": "m", "centimeter": "cm", "centimetre": "cm",
    "kilogram": "kg", "gram": "g", "lb": "pound", "feet": "foot", "ft": "foot", "inche": "inch", "people": "person",
}  # fmt: skip
_IDLE: Final = frozenset(
    {"of", "in", "per", "to", "is", "are", "and", "or", "for", "total", "each", "left", "more", ""}
)
_ARTICLES: Final = frozenset({"a", "an", "the"})
_YES_NO: Final = frozenset({"yes", "no", "true", "false", "ja", "nein", "oui", "non", "sí", "так", "ні"})
_COUNTED: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_NUMBER_WORDS: Final = {word: str(value) for value, word in enumerate(_COUNTED)}
_MARKS: Final = ".,;:!?\"'()[]{}*_“”„«»‘’…"
_SAME_SIGN: Final = str.maketrans({"−": "-", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "⁄": "/", "×": "*", "·": "*", "\u200b": None})  # fmt: skip
_LATEX: Final = (
    (r"\\[dt]?frac *(\d)(\d)", r" \1/\2"),
    (r"\\[dt]?frac *\{([^{}]*)\} *\{([^{}]*)\}", r" \1/\2"),
    (r"\\(?:text|mathrm|mathbf|textbf|mathit|operatorname|mbox) *\{([^{}]*)\}", r"\1"),
    (r"\\(?:left|right|displaystyle|quad|qquad)\b", ""),
    (r"\\[,;:! ]", ""),
    (r"\^ *\{? *\\circ *\}?", "°"),
    (r"\\(?:cdot|times)\b", "*"),
    (r"\\[()\[\]]", ""),
    (r"\\([%$#&_{}])", r"\1"),
    (r"\{,\}", ","),
)
