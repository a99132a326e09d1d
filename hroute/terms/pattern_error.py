"""What is wrong with a regular expression, and at which column."""

from __future__ import annotations


class PatternError(ValueError):
    """A regular expression that RE2 does not take. `column` is 1-based in the pattern, None where RE2 names no place."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


def reason(error: Exception, pattern: str) -> PatternError:
    """What RE2 says of `pattern`, `missing ): a(b`, as an error with its column."""
    said = error.args[0] if error.args else ""
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    message, _, place = words.partition(": ")
    return PatternError(message, _column(pattern, message, place))


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
