"""Text tests `{any_of, all_of, matches, unless}`: read from a policy, and named by the boolean that they yield."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from hroute.schema.codes import finding
from hroute.schema.condition import TextTest
from hroute.schema.diagnostic import Diagnostic, Span
from hroute.schema.source import Path, Source
from hroute.schema.wants import did_you_mean

KEYS: Final = ("any_of", "all_of", "matches", "unless")


def read(source: Source, path: Path, value: dict[str, Any], signal: str, findings: list[Diagnostic]) -> TextTest | None:
    """The text test at `path`; None where a finding was appended instead."""
    before = len(findings)
    parts: dict[str, tuple[str, ...]] = dict.fromkeys(KEYS, ())
    for key, given in value.items():
        place = (*path, key)
        if key not in KEYS:
            help = did_you_mean(key, KEYS, "a text test has " + ", ".join(KEYS))
            findings.append(finding("HR011", f"`{key}` is not part of a text test", source.key_span(place), help=help))
            continue
        parts[key] = _texts(source, place, given, findings)
        if key == "matches":
            _check(source, place, given, findings)
    if not value:
        findings.append(
            finding("HR012", "this text test tests nothing", source.span(path), help="it has " + ", ".join(KEYS))
        )
    if len(findings) > before:
        return None
    return named(signal, parts["any_of"], parts["all_of"], parts["matches"], parts["unless"])


def named(
    signal: str,
    any_of: tuple[str, ...] = (),
    all_of: tuple[str, ...] = (),
    matches: tuple[str, ...] = (),
    unless: tuple[str, ...] = (),
    glob: str | None = None,
) -> TextTest:
    """A text test in its canonical form (order and repetition do not count), with the key made of it."""
    any_of, all_of, matches, unless = (tuple(sorted(set(part))) for part in (any_of, all_of, matches, unless))
    test = TextTest("", signal, any_of, all_of, matches, unless, glob)
    return replace(test, key=f"{signal}~{digits(test)[:8]}")


def digits(test: TextTest) -> str:
    """The hash of a canonical text test, as hex."""
    parts = [test.signal, test.any_of, test.all_of, test.matches, test.unless, test.glob]
    canonical = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return sha256(canonical.encode("utf-8", "replace")).hexdigest()


def plain(test: TextTest) -> Any:
    """The text test as it would stand in a policy."""
    if test.glob is not None:
        return test.glob
    return {key: list(getattr(test, key)) for key in KEYS if getattr(test, key)}


def pattern_finding(source: Source, path: Path, pattern: str) -> Diagnostic | None:
    """HR012 at the column where `pattern`, the value at `path`, is not RE2; None where it is."""
    from hroute.terms.pattern import PatternError, check

    try:
        check(pattern)
    except PatternError as error:
        span = source.span(path)
        where = "" if error.column is None else f" at column {error.column} of the pattern"
        message = f"not a regular expression that RE2 takes: {error.message}{where}"
        place = _inside(source, span, pattern, error.column)
        return finding("HR012", message, place, help="RE2 has no backreferences and no lookaround")
    return None


def _texts(source: Source, path: Path, given: Any, findings: list[Diagnostic]) -> tuple[str, ...]:
    texts = []
    items = enumerate(given) if isinstance(given, list) else [(None, given)]
    for at, item in items:
        place = path if at is None else (*path, at)
        if isinstance(item, str) and item.strip():
            texts.append(item)
        elif isinstance(item, str):
            findings.append(finding("HR012", f"`{path[-1]}` holds an empty text", source.span(place)))
        elif isinstance(item, (bool, int, float)):
            quoted = str(item).lower() if isinstance(item, bool) else str(item)
            message = f"`{path[-1]}` holds texts, not {'true or false' if isinstance(item, bool) else 'numbers'}"
            findings.append(finding("HR010", message, source.span(place), help=f'quote it: "{quoted}"'))
        else:
            findings.append(
                finding("HR010", f"`{path[-1]}` holds texts", source.span(place), help=f'{path[-1]}: ["..."]')
            )
    if given == []:
        findings.append(finding("HR012", f"`{path[-1]}` is empty", source.span(path), help="delete it, or name a text"))
    return tuple(texts)


def _check(source: Source, path: Path, given: Any, findings: list[Diagnostic]) -> None:
    items = enumerate(given) if isinstance(given, list) else [(None, given)]
    for at, item in items:
        if isinstance(item, str) and item.strip():
            found = pattern_finding(source, path if at is None else (*path, at), item)
            if found is not None:
                findings.append(found)


def _inside(source: Source, span: Span, pattern: str, column: int | None) -> Span:
    """The one character of the pattern that is to blame, where the file shows the pattern letter by letter."""
    if column is None or span.line != span.end_line:
        return span
    lines = source.text.split("\n", span.line)
    written = lines[span.line - 1][span.column - 1 : span.end_column - 1]
    start = written.find(pattern)
    if start < 0:
        return span
    at = span.column + start + column - 1
    return Span(span.file, span.line, min(at, span.end_column - 1), span.line, min(at + 1, span.end_column))
