"""Phrases and regular expressions with one meaning everywhere: RE2 on normalised text (SEMANTICS 1.7).

A *phrase* counts where it cuts no word: its ends lie at borders of Unicode letters and digits, or it ends in `*` and is
a prefix. A *pattern* is RE2 and is searched for. Both ignore case; `(?-i)` undoes that inside a pattern. Matching is
linear in the text, so nothing that a user writes can hang the router.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, cast

import re2  # type: ignore[import-untyped]

_MEMORY: Final = 16 << 20
_MEMORY_OF_MANY: Final = 64 << 20  # a set of 200 rules does not fit into RE2's default of 8 MiB
_MANY: Final = 50
_LETTERS: Final = r"\p{L}\p{N}"
_ASCII_LETTERS: Final = "0-9a-z"  # of a folded text; RE2 compiles the Unicode classes twenty times slower


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


class PatternError(ValueError):
    """A regular expression that RE2 does not take. `column` is 1-based in the pattern, None where RE2 names no place."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class Prepared:
    """A text, normalised once for many tests: `plain` for patterns, `folded` (case-folded) for phrases, in UTF-8."""

    __slots__ = ("_folded", "_text", "plain")

    def __init__(self, text: str) -> None:
        self._text = normalise(text)
        self._folded: bytes | None = None
        self.plain = encode(self._text)

    @property
    def text(self) -> str:
        return self._text

    @property
    def folded(self) -> bytes:
        if self._folded is None:
            self._folded = self.plain.lower() if self._text.isascii() else encode(self._text.casefold())
        return self._folded


class TextMatcher:
    """A text test. It holds where each part that is given holds:

    `any_of` or `matches` (one phrase occurs or one pattern is found: the two are alternatives), `all_of` (every phrase
    occurs), `unless` (no phrase occurs), `glob` (the whole text fits; `*` is any run, and case counts, as for every
    plain string value).

    Cheap to construct: patterns are compiled at first use. PatternError comes then too, so `check` them before.
    """

    __slots__ = ("_all_of", "_any_of", "_glob", "_matches", "_program", "_unless")

    def __init__(
        self,
        any_of: Sequence[str] = (),
        all_of: Sequence[str] = (),
        matches: Sequence[str] = (),
        unless: Sequence[str] = (),
        glob: str | None = None,
    ) -> None:
        self._any_of = tuple(any_of)
        self._all_of = tuple(all_of)
        self._matches = tuple(matches)
        self._unless = tuple(unless)
        self._glob = glob
        self._program: _Program | None = None

    def holds(self, text: str | Prepared) -> bool:
        """Whether the test holds for `text`; hand over a `Prepared` where several tests look at one text."""
        if self._glob is not None and not _fits(self._glob, text.text if isinstance(text, Prepared) else text):
            return False
        program = self._program
        if program is None:  # two threads may both compile: they make the same program
            program = self._program = _Program(self._any_of, self._all_of, self._matches, self._unless)
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
    """Some phrases, any of which may stand in a text: one RE2 pattern for ASCII texts, one for all others."""

    __slots__ = ("_any", "_ascii", "_of")

    def __init__(self, of: Sequence[str]) -> None:
        self._of = tuple(of)
        self._ascii: Regexp | None = None
        self._any: Regexp | None = None

    def found(self, text: Prepared) -> bool:
        """Whether one of the phrases stands in the text."""
        if text.text.isascii():
            self._ascii = self._ascii or compiled(_phrases(self._of, _ASCII_LETTERS), fold=False)
            return self._ascii.search(text.folded) is not None
        self._any = self._any or compiled(_phrases(self._of, _LETTERS), fold=False)
        return self._any.search(text.folded) is not None


class PatternSet:
    """Many patterns, one pass: `hits` says which of them a text (UTF-8) holds."""

    __slots__ = ("_fold", "_patterns", "_set", "_singles")

    def __init__(self, patterns: Sequence[str], *, fold: bool = True) -> None:
        self._patterns = tuple(patterns)
        self._fold = fold
        self._set: re2.Set | None = None
        self._singles: tuple[Regexp, ...] | None = None

    def hits(self, text: bytes) -> list[int]:
        """Indices of the patterns found in `text`, ascending. Raises PatternError where a pattern is not RE2."""
        found = (self._set or self._compile()).Match(text)
        if found is None:  # the pattern that always matches did not: RE2 ran out of memory, and would say "nothing"
            return self._one_by_one(text)
        return sorted(index for index in found if index < len(self._patterns))

    def _compile(self) -> re2.Set:
        options = _options(self._fold, _MEMORY_OF_MANY if len(self._patterns) > _MANY else _MEMORY)
        several = re2.Set.SearchSet(options)
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
            self._singles = tuple(compiled(pattern, fold=self._fold) for pattern in self._patterns)
        return [index for index, single in enumerate(self._singles) if single.search(text)]


def check(pattern: str) -> None:
    """Raises PatternError, with the column, where `pattern` is not RE2 syntax."""
    compiled(pattern, captures=True)


def normalise(text: str) -> str:
    """`text` in NFKC, every run of blanks (line ends too) as one blank, none at the ends; lone surrogates as `?`."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", encode(text).decode())
    return " ".join(text.split())


def encode(text: str) -> bytes:
    """`text` as UTF-8, whatever it holds: a lone surrogate becomes `?`."""
    return text.encode("utf-8", "replace")


def _phrases(of: Sequence[str], letters: str) -> str:
    """One RE2 pattern, for case-folded text (`Prepared.folded`), that finds any of the phrases.

    Phrases with the same kind of ends share their borders: those are what RE2 takes long to compile.
    """
    by_ends: dict[tuple[bool, bool], list[str]] = {}
    for phrase in of:
        prefix = phrase.endswith("*")
        words = normalise(normalise(phrase.removesuffix("*")).casefold())
        if words:
            by_ends.setdefault((words[0].isalnum(), words[-1].isalnum() and not prefix), []).append(
                str(re2.escape(words))
            )
    if not by_ends:
        return r"[^\x00-\x{10FFFF}]"  # an empty phrase is found nowhere
    return "|".join(
        (rf"(?:\A|[^{letters}])" if start else "") + f"(?:{'|'.join(words)})" + (rf"(?:\z|[^{letters}])" if end else "")
        for (start, end), words in by_ends.items()
    )


def compiled(pattern: str, *, fold: bool = True, captures: bool = False) -> Regexp:
    """`pattern` for a search in UTF-8 bytes; `fold` ignores case. Raises PatternError."""
    memory = _MEMORY_OF_MANY if len(pattern) > 2_000 else _MEMORY
    try:
        return cast(
            Regexp, re2._Regexp(encode(unicodedata.normalize("NFC", pattern)), _options(fold, memory, captures))
        )
    except re2.error as error:
        message, place = _reason(error)
        raise PatternError(message, _column(pattern, message, place)) from None


def _fits(glob: str, text: str) -> bool:
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


def _options(fold: bool, memory: int, captures: bool = False) -> re2.Options:
    options = re2.Options()
    options.log_errors = False  # RE2 would write to stderr
    options.case_sensitive = not fold
    options.never_capture = not captures
    options.max_mem = memory
    return options


def _reason(error: Exception) -> tuple[str, str]:
    """RE2's words, `missing ): a(b`, as ("missing )", "a(b")."""
    said = error.args[0] if error.args else ""
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    message, _, place = words.partition(": ")
    return message, place


def _column(pattern: str, message: str, place: str) -> int | None:
    if message == "missing )":
        return _unclosed(pattern)
    if message == "unexpected )":
        return _unopened(pattern)
    if message.startswith("trailing"):
        return len(pattern)
    at = pattern.find(place) if place else -1
    return at + 1 if at >= 0 else None


def _unclosed(pattern: str) -> int | None:
    return _brackets(pattern)[0]


def _unopened(pattern: str) -> int | None:
    return _brackets(pattern)[1]


def _brackets(pattern: str) -> tuple[int | None, int | None]:
    """Columns of the last `(` left open and of the first `)` too many; escapes and character classes do not count."""
    opened: list[int] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith(r"\Q", at):
            end = pattern.find(r"\E", at)
            at = len(pattern) if end < 0 else end + 2
            continue
        character = pattern[at]
        if character == "\\":
            at += 1
        elif character == "[":
            end = pattern.find("]", at + (3 if pattern.startswith("[^", at) else 2))
            at = len(pattern) if end < 0 else end
        elif character == "(":
            opened.append(at + 1)
        elif character == ")" and not opened:
            return None, at + 1
        elif character == ")":
            opened.pop()
        at += 1
    return (opened[-1] if opened else None), None
