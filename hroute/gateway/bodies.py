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


def decode(raw: bytes, *, leniently: bool = False) -> Json:
    """A body as JSON. Raises Malformed. `leniently`: of a key that stands twice the last value counts."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value, twice = _oddly(raw), doubled(raw)  # what is odd but readable, such as a lone surrogate
    else:
        twice = _maybe_twice(raw, value) and doubled(raw)
    if twice and not leniently:
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
    """Whether a key may stand twice; False is certain. Written anew, `value` is what most clients have sent, byte for byte.
    Else it has fewer quotes than `raw` where a key came twice, unless quotes were spelled as numbers."""
    try:
        again = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise Malformed(_TOO_DEEP) from None
    return again != raw and (raw.count(b'"') != again.count(b'"') or b"\\u0022" in raw)
