"""What an unquoted YAML scalar means: YAML 1.2's core schema, and a complaint where YAML 1.1 would read another thing."""

from __future__ import annotations

import re
from typing import Any, Final

Surprise = tuple[str, str, "str | None"]
"""What is surprising, what to do about it, and the text to put there where only one is likely."""

MAX_DIGITS: Final = 18
"""Longer whole numbers are no longer exact everywhere a policy travels (JSON, databases)."""

_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_OLD_TRUE: Final = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_OLD_FALSE: Final = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_MAYBE_NUMBER: Final = frozenset("0123456789+-.")

_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_HEX: Final = re.compile(r"[-+]?0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]+")
_UNDERSCORED: Final = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?")
_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_OTHER_BASE: Final = re.compile(r"[-+]?0(b[01_]+|o[0-7]+)")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read_plain(raw: str) -> tuple[Any, Surprise | None]:
    """The value of an unquoted scalar, and what is surprising about it. The value is then the text itself."""
    if raw in _WORDS:
        return _WORDS[raw], None
    if raw[0] not in _MAYBE_NUMBER:
        if raw in _OLD_TRUE or raw in _OLD_FALSE:
            return raw, _old_boolean(raw)
        return raw, None
    if _INTEGER.fullmatch(raw):
        return _integer(raw)
    if _FLOAT.fullmatch(raw):
        number = float(raw)
        if number in (float("inf"), float("-inf")):
            return raw, _quote(raw, "is too large a number")
        return number, None
    return _odd_number(raw)


def _integer(raw: str) -> tuple[Any, Surprise | None]:
    if _LEADING_ZERO.fullmatch(raw):
        meant = raw.lstrip("+-0") or "0"
        return raw, (
            f"`{raw}` is octal in YAML 1.1 and decimal in YAML 1.2",
            f'write `{meant}` if the number is meant, or quote it: "{raw}"',
            None,
        )
    if len(raw.lstrip("+-")) > MAX_DIGITS:
        return raw, _quote(raw, f"has more than {MAX_DIGITS} digits; as a number it would not stay exact")
    return int(raw), None


def _odd_number(raw: str) -> tuple[Any, Surprise | None]:
    if _HEX.fullmatch(raw):
        return (int(raw, 16), None) if len(raw) < MAX_DIGITS else (raw, _quote(raw, "is too large a number"))
    if _UNDERSCORED.fullmatch(raw):
        meant = raw.replace("_", "")
        return raw, (f"`{raw}` is the number {meant} in YAML 1.1 and a text in YAML 1.2", f"write `{meant}`", meant)
    if _SEXAGESIMAL.fullmatch(raw):
        return raw, _quote(raw, "is a number in base 60 in YAML 1.1")
    if _OTHER_BASE.fullmatch(raw):
        return raw, (
            f"`{raw}` is a number in YAML 1.1 or in YAML 1.2, but not in both",
            f'write it in decimal, or quote it: "{raw}"',
            None,
        )
    if _DATE.fullmatch(raw):
        return raw, _quote(raw, "is a date in YAML 1.1 and a text in YAML 1.2")
    if _NOT_FINITE.fullmatch(raw):
        return raw, _quote(raw, "is no finite number")
    return raw, None


def _old_boolean(raw: str) -> Surprise:
    boolean = "true" if raw in _OLD_TRUE else "false"
    return (
        f"`{raw}` is the boolean {boolean} in YAML 1.1 and a text in YAML 1.2",
        f'write `{boolean}`, or quote it if the word is meant: "{raw}"',
        None,
    )


def _quote(raw: str, why: str) -> Surprise:
    shown = raw if len(raw) <= 40 else raw[:40] + "..."
    return f"`{shown}` {why}", f'quote it: "{shown}"', f'"{raw}"'
