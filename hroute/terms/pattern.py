"""Phrases and regular expressions with one meaning everywhere: RE2 on normalised text (SEMANTICS 1.7).

A *phrase* counts where it cuts no word: its ends lie at borders of Unicode letters and digits, or it ends in `*` and is
a prefix. A *pattern* is RE2 and is searched for. Both ignore case; `(?-i)` undoes that inside a pattern. Matching is
linear in the text, so nothing that a user writes can hang the router.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, Protocol, cast

import re2  # type: ignore[import-untyped]

from hroute.terms.pattern_error import PatternError, reason

__all__ = [
    "Match", "PatternError", "PatternFilter", "PatternSet", "Phrases", "Prepared", "Regexp", "TextMatcher", "by_signs", "check", "compiled", "encode", "fits", "normalise",
    "phrase_pattern",
]  # fmt: skip

_MEMORY: Final = 16 << 20
_MEMORY_OF_FEW: Final = 6 << 20  # what is remembered of texts grows towards it, in each of a hundred patterns
_MEMORY_OF_MANY: Final = 64 << 20  # a set of 200 rules does not fit into RE2's default of 8 MiB
_MANY: Final = 10_000  # characters of all patterns of a set together
_OF_ONE_FILTER: Final = 400  # so few that the words of one filter fit into RE2's default memory
_ODD_BLANKS: Final = "\n\r\t\x0b\x0c\x1c\x1d\x1e\x1f"  # what `str.split` takes for a blank, beside the blank itself
_LETTERS: Final = r"\p{L}\p{N}"
_BYTES: Final = r"0-9a-z\x80-\xff"  # of `Prepared.words`, byte by byte; RE2 compiles \p{L} twenty times slower


class Match(Protocol):
    """A place where a pattern was found, in bytes."""

    def start(self, group: int = 0) -> int: ...

    def end(self, group: int = 0) -> int: ...

    def group(self, group: int = 0) -> bytes | None: ...


class Regexp(Protocol):
    """A compiled RE2 pattern over UTF-8 bytes; `groups` is 0 unless it was compiled with captures."""

    @property
    def groups(self) -> int: ...

    def search(self, text: bytes, pos: int | None = None, endpos: int | None = None) -> Match | None: ...

    def fullmatch(self, text: bytes) -> Match | None: ...

    def finditer(self, text: bytes, pos: int | None = None, endpos: int | None = None) -> Iterator[Match]: ...


class Prepared:
    """A text, normalised once for many tests, in UTF-8: `plain` for patterns, `folded` (case-folded) and `words` for
    phrases. In `words` every sign beyond ASCII is a blank, so that a byte from 80 up is always part of a letter."""

    __slots__ = ("_folded", "_text", "_words", "plain")

    def __init__(self, text: str) -> None:
        self._text = normalise(text)
        self._folded: bytes | None = None
        self._words: bytes | None = None
        self.plain = encode(self._text)

    @property
    def text(self) -> str:
        return self._text

    @property
    def folded(self) -> bytes:
        if self._folded is None:
            self._folded = self.plain.lower() if self._text.isascii() else encode(self._text.casefold())
        return self._folded

    @property
    def words(self) -> bytes:
        if self._words is None:
            ascii_only = self._text.isascii()
            self._words = self.folded if ascii_only else encode(self._text.casefold().translate(_WITHOUT_SIGNS))
        return self._words


class _WithoutSigns(dict[int, int]):
    """A translation, learnt as it is used: letters, digits and ASCII stay, all else becomes a blank."""

    def __missing__(self, code: int) -> int:
        kept = self[code] = code if code < 0x80 or chr(code).isalnum() else 0x20
        return kept


_WITHOUT_SIGNS: Final = _WithoutSigns()


class TextMatcher:
    """A text test. It holds where each part that is given holds:

    `any_of` or `matches` (one phrase occurs or one pattern is found: the two are alternatives), `all_of` (every phrase
    occurs), `unless` (no phrase occurs), `glob` (the whole text fits; `*` is any run, and case counts, as for every
    plain string value).

    Cheap to construct: patterns are compiled at first use. PatternError comes then too, so `check` them before.
    """

    __slots__ = ("_program", "all_of", "any_of", "glob", "matches", "unless")

    def __init__(
        self,
        any_of: Sequence[str] = (),
        all_of: Sequence[str] = (),
        matches: Sequence[str] = (),
        unless: Sequence[str] = (),
        glob: str | None = None,
    ) -> None:
        self.any_of = tuple(any_of)
        self.all_of = tuple(all_of)
        self.matches = tuple(matches)
        self.unless = tuple(unless)
        self.glob = glob
        self._program: _Program | None = None

    def holds(self, text: str | Prepared) -> bool:
        """Whether the test holds for `text`; hand over a `Prepared` where several tests look at one text."""
        if self.glob is not None and not fits(self.glob, text.text if isinstance(text, Prepared) else text):
            return False
        program = self._program
        if program is None:  # two threads may both compile: they make the same program
            program = self._program = _Program(self.any_of, self.all_of, self.matches, self.unless)
        return program.empty or program.holds(text if isinstance(text, Prepared) else Prepared(text))


class _Program:
    """The compiled parts of a TextMatcher."""

    __slots__ = ("all_of", "any_of", "empty", "matches", "unless")

    def __init__(
        self, any_of: Sequence[str], all_of: Sequence[str], matches: Sequence[str], unless: Sequence[str]
    ) -> None:
        self.any_of = Phrases(any_of) if any_of else None
        self.all_of = tuple(Phrases((phrase,)) for phrase in all_of)
        self.matches = tuple(compiled(pattern) for pattern in matches)
        self.unless = Phrases(unless) if unless else None
        self.empty = not (any_of or all_of or matches or unless)

    def holds(self, text: Prepared) -> bool:
        if self.any_of is not None or self.matches:
            named = self.any_of is not None and self.any_of.found(text)
            if not named and not any(pattern.search(text.plain) for pattern in self.matches):
                return False
        if not all(phrase.found(text) for phrase in self.all_of):
            return False
        return self.unless is None or not self.unless.found(text)


class Phrases:
    """Some phrases, any of which may stand in a text: one RE2 pattern, two where phrases hold signs beyond ASCII."""

    __slots__ = ("_in_folded", "_in_words", "_of")

    def __init__(self, of: Sequence[str]) -> None:
        self._of = tuple(of)
        self._in_words: Regexp | None = None
        self._in_folded: Regexp | None = None

    def found(self, text: Prepared) -> bool:
        """Whether one of the phrases stands in the text."""
        if self._in_words is None:
            plain, signed = by_signs(self._of)
            self._in_folded = compiled(_phrases(signed, _LETTERS), fold=False) if signed else None
            self._in_words = compiled(phrase_pattern(plain), fold=False, by_bytes=True)
        if self._in_words.search(text.words):
            return True
        return self._in_folded is not None and self._in_folded.search(text.folded) is not None


def by_signs(phrases: Sequence[str]) -> tuple[list[str], list[str]]:
    """The phrases that can be looked for in `Prepared.words`, and those with signs beyond ASCII, which cannot."""
    plain: list[str] = []
    signed: list[str] = []
    for phrase in phrases:
        (plain if phrase.isascii() or all(c < "\x80" or c.isalnum() for c in _folded(phrase)) else signed).append(
            phrase
        )
    return plain, signed


def phrase_pattern(phrases: Sequence[str]) -> str:
    """One RE2 pattern that finds any of the phrases in `Prepared.words`, read byte by byte."""
    return _phrases(phrases, _BYTES)


class PatternSet:
    """Many patterns, one pass: `hits` says which of them a text (UTF-8) holds.

    For phrases and for patterns without long gaps: gaps of several patterns multiply in one automaton (`PatternFilter`).
    """

    __slots__ = ("_by_bytes", "_fold", "_patterns", "_set", "_singles")

    def __init__(self, patterns: Sequence[str], *, fold: bool = True, by_bytes: bool = False) -> None:
        self._patterns = tuple(patterns)
        self._fold = fold
        self._by_bytes = by_bytes
        self._set: re2.Set | None = None
        self._singles: tuple[Regexp, ...] | None = None

    def hits(self, text: bytes) -> list[int]:
        """Indices of the patterns found in `text`, ascending. Raises PatternError where a pattern is not RE2."""
        found = (self._set or self._compile()).Match(text)
        if found is None:  # the pattern that always matches did not: RE2 ran out of memory, and would say "nothing"
            return self._one_by_one(text)
        if len(found) == 1:
            return []
        return sorted(index for index in found if index < len(self._patterns))

    def _compile(self) -> re2.Set:
        memory = _MEMORY_OF_MANY if sum(map(len, self._patterns)) > _MANY else _MEMORY
        several = re2.Set.SearchSet(_options(self._fold, memory, by_bytes=self._by_bytes))
        for pattern in self._patterns:
            try:
                several.Add(encode(pattern))
            except re2.error:
                check(pattern)
                raise PatternError("too large") from None
        several.Add(b"")
        try:
            several.Compile()
        except re2.error:
            raise PatternError("the patterns together are too large") from None
        self._set = several
        return several

    def _one_by_one(self, text: bytes) -> list[int]:
        if self._singles is None:
            self._singles = tuple(compiled(p, fold=self._fold, by_bytes=self._by_bytes) for p in self._patterns)
        return [index for index, single in enumerate(self._singles) if single.search(text)]


class PatternFilter:
    """Many patterns, ignoring case: one pass for the words that each needs, then only those patterns whose words are there."""

    __slots__ = ("_filters", "_patterns")

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(patterns)
        self._filters: tuple[tuple[int, re2.Filter], ...] | None = None

    def hits(self, text: bytes) -> list[int]:
        """Indices of the patterns found in `text`, ascending. Raises PatternError where a pattern is not RE2."""
        filters = self._filters if self._filters is not None else self._compile()
        return sorted(first + index for first, several in filters for index in several.Match(text) or ())

    def _compile(self) -> tuple[tuple[int, re2.Filter], ...]:
        filters = []
        for first in range(0, len(self._patterns), _OF_ONE_FILTER):
            several = re2.Filter()
            for pattern in self._patterns[first : first + _OF_ONE_FILTER]:
                try:
                    several.Add(encode(unicodedata.normalize("NFC", pattern)), _options(True, _MEMORY))
                except re2.error:
                    check(pattern)
                    raise PatternError("too large") from None
            several.Compile()
            filters.append((first, several))
        self._filters = tuple(filters)
        return self._filters


def check(pattern: str) -> None:
    """Raises PatternError, with the column, where `pattern` is not RE2 syntax."""
    compiled(pattern, captures=True)


def normalise(text: str) -> str:
    """`text` in NFKC, every run of blanks (line ends too) as one blank, none at the ends; lone surrogates as `?`."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", encode(text).decode())
    elif "  " not in text and not any(blank in text for blank in _ODD_BLANKS):
        return text.strip()
    return " ".join(text.split())


def encode(text: str) -> bytes:
    """`text` as UTF-8, whatever it holds: a lone surrogate becomes `?`."""
    return text.encode("utf-8", "replace")


def _folded(phrase: str) -> str:
    return normalise(normalise(phrase).casefold())


def _phrases(of: Sequence[str], letters: str) -> str:
    """One RE2 pattern, for case-folded text, that finds any of the phrases.

    Phrases with the same kind of ends share their borders: those are what RE2 takes long to compile.
    """
    by_ends: dict[tuple[bool, bool], list[str]] = {}
    for phrase in of:
        prefix = phrase.endswith("*")
        words = _folded(phrase.removesuffix("*"))
        if words:
            by_ends.setdefault((words[0].isalnum(), words[-1].isalnum() and not prefix), []).append(
                str(re2.escape(words))
            )
    if not by_ends:
        return r"a\A"  # an empty phrase is found nowhere
    return "|".join(
        (rf"(?:\A|[^{letters}])" if start else "") + f"(?:{'|'.join(words)})" + (rf"(?:\z|[^{letters}])" if end else "")
        for (start, end), words in by_ends.items()
    )


def compiled(pattern: str, *, fold: bool = True, captures: bool = False, by_bytes: bool = False) -> Regexp:
    """`pattern` for a search in UTF-8; `fold` ignores case, `by_bytes` takes each byte for a character of its own.

    Raises PatternError.
    """
    text = encode(unicodedata.normalize("NFC", pattern))
    with suppress(re2.error):  # a pattern that is wrong, or needs more
        return cast(Regexp, re2._Regexp(text, _options(fold, _MEMORY_OF_FEW, captures, by_bytes)))
    memory = _MEMORY_OF_MANY if len(pattern) > 2_000 else _MEMORY
    try:
        return cast(Regexp, re2._Regexp(text, _options(fold, memory, captures, by_bytes)))
    except re2.error as error:
        raise reason(error, pattern) from None


def fits(glob: str, text: str) -> bool:
    """Whether the whole `text` fits `glob`; a walk over its pieces, each as far left as it goes, is exact and linear."""
    first, *middle = unicodedata.normalize("NFC", glob).split("*")
    text = unicodedata.normalize("NFC", text)
    if not middle:
        return text == first
    last = middle.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _options(fold: bool, memory: int, captures: bool = False, by_bytes: bool = False) -> re2.Options:
    options = re2.Options()
    if by_bytes:
        options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False  # RE2 would write to stderr
    options.case_sensitive = not fold
    options.never_capture = not captures
    options.max_mem = memory
    return options
