"""The body of a request as JSON that means one thing: no key twice, no NaN, UTF-8 and nothing else.

A body goes on as the bytes that it is, and what decides about it is read from it here. So every reader has to see the
same: of a key that stands twice one parser takes the first value, another the last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import orjson

from hroute.wire.fields import Json, Malformed, mapping
from hroute.wire.keys import doubled

DEEPEST: Final = 250
"""Levels of a body, as many as can be written again."""
_TOO_DEEP: Final = "the body is nested too deeply"
_BEFORE: Final = frozenset((b'"', b" ", b"\n", b"\t", b"\r"))
_BLANK_COLONS: Final = (b" :", b"\n:", b"\t:", b"\r:")


def decode(raw: bytes) -> Json:
    """A body as JSON. Raises Malformed."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value, twice = _oddly(raw), doubled(raw)  # what is odd but readable, such as a lone surrogate
    else:
        twice = _maybe_twice(raw, value) and doubled(raw)
    if twice:
        raise Malformed("a key stands twice in one object, and which of them counts nobody can say")
    return mapping(value, "body")


def _oddly(raw: bytes) -> Any:
    try:
        value = json.loads(raw.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [item for node in level for item in _inside(node)]
        if not level:
            return value
    raise Malformed(_TOO_DEEP)


def _inside(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _no_number(name: str) -> None:
    raise ValueError(name)


def _maybe_twice(raw: bytes, value: Any) -> bool:
    """Whether a key may stand twice; False is certain. Most clients write as we do, and nothing is lost then; else the
    keys are counted, by the quote and the colon after them: written anew, `value` has as many as `raw` had, or fewer."""
    try:
        anew = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise Malformed(_TOO_DEEP) from None
    if anew == raw:
        return False
    if b"\\u003a" in raw or b"\\u003A" in raw or any(_apart(raw, mark) for mark in _BLANK_COLONS if mark in raw):
        return True  # colons that are spelled otherwise: look closely
    return _keys(raw) != _keys(anew)


def _apart(raw: bytes, mark: bytes) -> bool:
    """Whether blanks stand between a quote and a colon."""
    return any(piece[-1:] in _BEFORE and piece.rstrip()[-1:] == b'"' for piece in raw.split(mark))


def _keys(raw: bytes) -> int:
    """How often a quote that ends or begins a text stands before a colon: an escaped one has an odd number of `\\` before."""
    total, sign, mark = 0, 1, b'":'
    while found := raw.count(mark):
        total += sign * found
        sign, mark = -sign, b"\\" + mark
    return total
