"""Keys that stand twice in one JSON object: parsers disagree on which of them counts, so no text may hide behind one."""

from __future__ import annotations

import json
from typing import Any


class _Twice(Exception):
    pass


def doubled(text: str | bytes) -> bool:
    """Whether a key stands twice in an object of the JSON `text`; False where it is no JSON."""
    try:
        json.loads(text, object_pairs_hook=_once)
    except _Twice:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def plain(text: str) -> bool:
    """Whether `text` is JSON in which no key stands twice."""
    try:
        json.loads(text, object_pairs_hook=_once)
    except (_Twice, ValueError, RecursionError):
        return False
    return True


def entries(text: str) -> Any:
    """JSON with every entry of every object, also of keys that stand twice; the text itself where it is no JSON."""
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: [{key: value} for key, value in pairs])
    except (ValueError, RecursionError):
        return text


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len({key for key, _ in pairs}) != len(pairs):
        raise _Twice
