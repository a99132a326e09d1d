"""The lines of a file that a finding points at, with carets under what it means.

Columns count code points; what is drawn counts terminal cells, so carets stand right under wide characters and tabs.
A secret is drawn as asterisks of the same width, and a long line through a window around what is pointed at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hroute.cli import streams
from hroute.cli.render.text import visible, width
from hroute.schema.diagnostic import Diagnostic, Label, Span
from hroute.terms import secret

_TAB: Final = "    "
_WINDOW: Final = 140
"""Code points of one source line that are shown at most."""
_SECRETS: Final = ("HR307",)
"""Findings whose place holds a secret: it is masked in every excerpt that shows that line."""


class Files:
    """The lines of the files that findings point into, read once; a file that cannot be read has none."""

    def __init__(self, texts: Mapping[str, str] | None = None, masked: Sequence[Span] = ()) -> None:
        self._lines = {name: split(text) for name, text in (texts or {}).items()}
        self._masked = tuple(masked)

    def hiding(self, findings: Iterable[Diagnostic]) -> Files:
        """The same files with every place masked that one of the findings knows to be a secret."""
        spans = [d.primary.span for d in findings if d.code in _SECRETS]
        other = Files(masked=(*self._masked, *spans))
        other._lines = self._lines
        return other

    def line(self, file: str, number: int) -> str:
        """One line, 1-based, with its secrets masked; empty where there is none."""
        if file not in self._lines:
            self._lines[file] = _read(file)
        lines = self._lines[file]
        return self._mask(file, number, lines[number - 1]) if 0 < number <= len(lines) else ""

    def _mask(self, file: str, number: int, text: str) -> str:
        for span in self._masked:
            if span.file == file and span.line <= number <= span.end_line:
                start = span.column - 1 if number == span.line else 0
                end = span.end_column - 1 if number == span.end_line else len(text)
                text = text[:start] + "*" * (min(end, len(text)) - start) + text[end:]
        return mask_literals(text)


def split(text: str) -> list[str]:
    """The lines of a text, broken where `hroute.schema.source` breaks them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def mask_literals(text: str) -> str:
    """`text` with everything that looks like a pasted credential as asterisks of the same length."""
    words, word = [], ""
    for c in text + "\n":
        if c.isalnum() or c in "_-.":
            word += c
            continue
        words.append("*" * len(word) if len(word) >= 12 and secret.looks_literal(word) else word)
        words.append(c)
        word = ""
    return "".join(words)[:-1]


def draw(labels: Sequence[Label], files: Files, colour: bool, style: str) -> list[str]:
    """The excerpt: `-->` and the lines of the first label's file, then `:::` and those of the others.

    The first label is the primary one: carets in `style`; the others are underlined with dashes.
    """
    primary = labels[0]
    by_file: dict[str, list[Label]] = {}
    for label in labels:
        by_file.setdefault(label.span.file, []).append(label)
    gutter = max(len(str(label.span.line)) for label in labels)
    drawn: list[str] = []
    for file, own in by_file.items():
        place = own[0].span
        arrow = "-->" if place.file == primary.span.file else ":::"
        drawn.append(f"{' ' * gutter}{streams.paint(arrow, 'blue', colour)} {visible(str(place))}")
        if any(files.line(file, label.span.line) for label in own):
            drawn.append(_gutter("", gutter, colour))
            drawn += _lines(own, primary, files, gutter, colour, style)
    return drawn


def underlined(span: Span, said: str, files: Files) -> list[str]:
    """The line of a place without its indentation, and carets with a remark under it; nothing where there is no line."""
    text = files.line(span.file, span.line)
    if not text.strip():
        return []
    start, end = _window(text, span)
    start = max(start, min(len(text) - len(text.lstrip()), span.column - 1))
    before = " " * width(_drawable(text[start : span.column - 1]))
    return [_drawable(text[start:end]), before + _marker(Label(span, said), "^", text, start, end)]


def _lines(labels: Sequence[Label], primary: Label, files: Files, gutter: int, colour: bool, style: str) -> list[str]:
    drawn: list[str] = []
    previous = 0
    for number in sorted({label.span.line for label in labels}):
        if previous and number > previous + 1:
            drawn.append("...")
        here = [label for label in labels if label.span.line == number]
        text = files.line(here[0].span.file, number)
        start, end = _window(text, here[0].span)
        shown = ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
        drawn.append(f"{_gutter(str(number), gutter, colour)} {_drawable(shown)}".rstrip())
        for label in here:
            mark, paint = ("^", style) if label is primary else ("-", "blue")
            marker = streams.paint(_marker(label, mark, text, start, end), paint, colour)
            drawn.append(f"{_gutter('', gutter, colour)} {_indent(label.span, text, start)}{marker}")
        previous = number
    return drawn


def _gutter(number: str, cells: int, colour: bool) -> str:
    return streams.paint(f"{number:>{cells}} |", "blue", colour)


def _indent(span: Span, text: str, start: int) -> str:
    """Blanks up to the label's first character; a label left of the window starts at the ellipsis."""
    before = text[start : max(span.column - 1, start)]
    return " " * (width(_drawable(before)) + (1 if start else 0))


def _marker(label: Label, mark: str, text: str, start: int, end: int) -> str:
    span = label.span
    last = span.end_column - 1 if span.end_line == span.line else len(text.rstrip())
    cells = width(_drawable(text[max(span.column - 1, start) : min(last, end)]))
    return mark * max(cells, 1) + (f" {visible(label.text)}" if label.text else "")


def _window(text: str, span: Span) -> tuple[int, int]:
    """Which code points of a long line are shown: those around the label's start."""
    if len(text) <= _WINDOW:
        return 0, len(text)
    start = min(max(span.column - 1 - _WINDOW // 3, 0), len(text) - _WINDOW)
    return start, start + _WINDOW


def _drawable(text: str) -> str:
    return visible(text.replace("\t", _TAB))


def _read(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8-sig", errors="replace", newline="") as stream:
            return split(stream.read(16 << 20))
    except (OSError, ValueError):
        return []
