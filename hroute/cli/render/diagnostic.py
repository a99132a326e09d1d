"""Findings as `hroute check` prints them: in full with excerpts, one line each, for programs, for GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hroute.cli import streams
from hroute.cli.render import values
from hroute.cli.render.excerpt import Files, draw
from hroute.cli.render.text import visible
from hroute.schema.diagnostic import Diagnostic, Level
from hroute.terms.secret import redact

_STYLE: Final = {Level.ERROR: "red", Level.WARNING: "yellow", Level.INFO: "cyan"}
_GITHUB: Final = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "notice"}


def full(finding: Diagnostic, files: Files, colour: bool = False) -> str:
    """The finding with its lines of the file, carets, help and witness."""
    style = _STYLE[finding.level]
    title = streams.paint(f"{finding.level}[{finding.code}]", style, colour)
    drawn = draw((finding.primary, *finding.others), files, colour, style)
    indent = " " * (max(len(str(label.span.line)) for label in (finding.primary, *finding.others)) + 1)
    for text in _helps(finding):
        drawn.append(f"{indent}{streams.paint('=', 'blue', colour)} help: {_said(text)}")
    return "\n".join((f"{title}: {streams.paint(_said(finding.message), 'bold', colour)}", *drawn))


def concise(finding: Diagnostic) -> str:
    """`file:line:column: level[code] message`."""
    return f"{visible(str(finding.primary.span))}: {finding.level}[{finding.code}] {_said(finding.message)}"


def github(finding: Diagnostic) -> str:
    """A workflow command that puts the finding beside the line in a pull request."""
    span = finding.primary.span
    places = f"file={_property(span.file)},line={span.line},endLine={span.end_line},col={span.column}"
    text = "\n".join((finding.message, *_helps(finding)))
    return f"::{_GITHUB[finding.level]} {places},title={_property(finding.code)}::{_escaped(redact(visible(text, keep=chr(10))))}"


def as_json(finding: Diagnostic) -> dict[str, Any]:
    """The keys that programs may rely on (DESIGN 9), and where the finding ends."""
    span = finding.primary.span
    return {
        "code": finding.code,
        "level": str(finding.level),
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "message": _said(finding.message),
        "help": _said(finding.help),
        "witness": values.plain(finding.witness),
        "related": [
            {
                "file": label.span.file,
                "line": label.span.line,
                "column": label.span.column,
                "message": _said(label.text),
            }
            for label in finding.others
        ],
    }


def tally(findings: Iterable[Diagnostic]) -> Mapping[Level, int]:
    """How many findings there are of each level."""
    counts = dict.fromkeys(Level, 0)
    for finding in findings:
        counts[finding.level] += 1
    return counts


def _helps(finding: Diagnostic) -> list[str]:
    helps = [finding.help] if finding.help else []
    if finding.witness and "for example" not in finding.help:
        helps.append(f"for example: {values.assignments(finding.witness)}")
    return helps


def _said(text: str) -> str:
    return redact(visible(text))


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
