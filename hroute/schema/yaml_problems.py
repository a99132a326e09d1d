"""libyaml's complaints in words that a person understands, with the place to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

Explained = tuple[int, str, str, int]
"""Where it starts, what is wrong, what to do, where it ends."""


def explain(text: str, error: yaml.MarkedYAMLError) -> Explained:
    """What libyaml found wrong in `text`, mended by looking at what stands there."""
    problem, context = error.problem or "", error.context or ""
    at = _index(error.problem_mark, len(text))
    begin = _index(error.context_mark, len(text)) if error.context_mark else at
    here = text[at : at + 1]
    if "quoted scalar" in context:
        return _in_quotes(text, problem, begin, at)
    if "scanning an alias" in context or "scanning an anchor" in context:
        word = _word(text, begin)
        return (
            begin,
            f"`{word}` is read as a YAML alias or anchor",
            f'quote a text that begins with `{word[:1]}`: "{word}"',
            begin + len(word),
        )
    if "tag" in context or "tag" in problem:
        word = _word(text, begin)
        return (
            begin,
            f"`{word}` is read as a YAML tag",
            f'quote a text that begins with `!`: "{word}"',
            begin + len(word),
        )
    if "block scalar" in context:
        line = _line_from(text, begin)
        return begin, f"`{line}` begins a text of several lines", f'quote a comparison: "{line}"', begin + len(line)
    if "cannot start any token" in problem:
        return _bad_start(text, at, here)
    if "tab" in problem:
        return at, "a tab stands where the line is indented", "indent with spaces", at + 1
    if "mapping values are not allowed" in problem:
        return _stray_colon(text, at)
    if "entries are not allowed" in problem or "keys are not allowed" in problem:
        return (
            at,
            f"`{here}` cannot stand here",
            f"begin a new line for it, or quote the text that begins with `{here}`",
            at + 1,
        )
    if "flow sequence" in context or "flow mapping" in context:
        opened = text[begin : begin + 1]
        closing = "]" if "sequence" in context else "}"
        return (
            begin,
            f"this `{opened}` is not closed, or a comma is missing in it",
            f"{_line_of(text, at)} is where a `,` or `{closing}` should be",
            begin + 1,
        )
    return _in_block(text, problem, context, at, here)


def _in_block(text: str, problem: str, context: str, at: int, here: str) -> Explained:
    if "could not find expected ':'" in problem:
        start, end = _content(text, min(at, len(text.rstrip())) if here.strip() else _previous(text, at))
        return (
            start,
            "this is neither `key: value` nor an item that begins with `- `",
            "add the `:`, or indent it under its key",
            end,
        )
    if here and here in "]}":
        return at, f"`{here}` closes nothing", "delete it, or open it before", at + 1
    if "block mapping" in context:
        start, end = _content(text, at)
        if text[start:end].startswith(":"):
            return start, "a key is missing before this `:`", "write one, or quote the text", start + 1
        if start < at:  # something precedes it on its line: a value that was closed already
            return at, "something stands after the end of this value", "quote the whole value", end
        return (
            start,
            "this line is indented differently from the keys that it stands beside",
            "give it the same indent as its neighbours",
            end,
        )
    if "block collection" in context:
        start, end = _content(text, at)
        return (
            start,
            "a list goes on above, but this line is no item of it",
            "begin it with `- `, or indent it as the key it belongs to",
            end,
        )
    if "document start" in problem:
        start, end = _content(text, at)
        return (
            at,
            "this belongs to nothing above",
            "a policy is one mapping: check the indent, and the blank after `:`",
            end,
        )
    if "node content" in problem:
        return at, "a value is missing here", "write one, or delete the comma", at + 1
    return at, f"this cannot be read as YAML: {problem or 'it ends too early'}", "", at + 1


def _in_quotes(text: str, problem: str, begin: int, at: int) -> Explained:
    if "unknown escape" in problem:
        start = text.find("\\", at) if at >= begin else at
        start = at if start < 0 else start
        return (
            start,
            f"`{text[start : start + 2]}` is no escape in double quotes",
            "use single quotes for a pattern: '\\d+'",
            start + 2,
        )
    if "Unicode character escape" in problem or "hexdecimal" in problem:
        start = max(text.rfind("\\", begin, at + 1), begin)
        return start, "this escape names no character", "write the character itself", start + 2
    return (
        begin,
        f"the quote {text[begin : begin + 1]} that opens here is not closed",
        "close it on the same line",
        begin + 1,
    )


def _bad_start(text: str, at: int, here: str) -> Explained:
    if here == "\t":
        return at, "a tab stands where the line is indented", "indent with spaces", at + 1
    word = _line_from(text, at)
    return at, f"a value cannot begin with `{here}`", f"quote it: '{word}'", at + 1


def _stray_colon(text: str, at: int) -> Explained:
    start, end = _content(text, at)
    before = text[start:at]
    if ": " in before or before.endswith(":"):
        return at, "a second `:` on this line", "quote the value if the `:` belongs to it, or begin a new line", at + 1
    return (
        start,
        "this key cannot stand here",
        "check its indent, and that the line above ends with `:` if it belongs there",
        end,
    )


def _index(mark: yaml.Mark | None, size: int) -> int:
    return min(mark.index, size) if mark is not None else size


def _previous(text: str, at: int) -> int:
    return max(len(text[:at].rstrip()) - 1, 0)


def _content(text: str, at: int) -> tuple[int, int]:
    """The line at `at` without its indent and without blanks at its end."""
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", begin)
    line = text[begin : end if end >= 0 else None]
    start = begin + len(line) - len(line.lstrip())
    return start, max(begin + len(line.rstrip()), start)


def _line_from(text: str, at: int) -> str:
    end = text.find("\n", at)
    return _shown(text[at : end if end >= 0 else None].split(" #")[0].strip())


def _word(text: str, at: int) -> str:
    """From `at` to the next blank or flow sign."""
    end = at
    while end < len(text) and text[end] not in " \t\n,]}":
        end += 1
    return _shown(text[at:end])


def _shown(words: str) -> str:
    return words if len(words) <= 60 else words[:60]


def _line_of(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}"
