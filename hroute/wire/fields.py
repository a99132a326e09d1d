"""Reading JSON that nobody vouches for: the few typed looks that every dialect takes, and the error of what misfits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import exp
from typing import Any

Json = Mapping[str, Any]


class Malformed(ValueError):
    """A body that is not what its dialect prescribes. The text names the place and quotes nothing."""


class VendorFault(Exception):
    """An error that a vendor sent inside a stream. `type` is the vendor's name for it, `status` an HTTP status or 0."""

    def __init__(self, type: str, status: int = 0) -> None:
        super().__init__(f"the vendor ended the stream with {type or 'an error'}")
        self.type = type
        self.status = status


def loads(data: str | bytes) -> Any:
    """`data` as JSON. Raises Malformed, also where it is nested too deeply to read."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None


def dumps(value: object) -> str:
    """Compact JSON, characters beyond ASCII as they are; a lone surrogate escaped, so that it can be sent."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def mapping(value: object, where: str) -> Json:
    """`value`, which has to be an object. Raises Malformed."""
    if not isinstance(value, Mapping):
        raise Malformed(f"{where}: an object is wanted here")
    return value


def maps(value: object) -> Iterator[Json]:
    """The objects in a list; whatever else stands there is passed over."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, Mapping))


def mean_probability(tokens: object) -> float | None:
    """The mean of the probabilities of `tokens`, objects with a `logprob` (natural logarithm); None where none has one.

    A vendor that marks a token as out of its reach (-9999) counts it as improbable, not as absent.
    """
    logs = [item["logprob"] for item in maps(tokens) if isinstance(item.get("logprob"), (int, float))]
    return sum(exp(min(log, 0.0)) for log in logs) / len(logs) if logs else None


def required(value: object, where: str) -> list[Json]:
    """A list of objects that has to be there. Raises Malformed."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise Malformed(f"{where}: a list of objects is wanted here")
    return value


def inner(value: Json, key: str) -> Json:
    """The object under `key`, or an empty one."""
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def word(value: Json, key: str, default: str = "") -> str:
    found = value.get(key)
    return found if isinstance(found, str) else default


def count(value: Json, key: str) -> int:
    """A number of tokens; 0 where there is none."""
    found = value.get(key)
    return max(int(found), 0) if isinstance(found, (int, float)) and not isinstance(found, bool) else 0


def limit(value: Json, key: str) -> int | None:
    """A `max_tokens` of some spelling. Raises Malformed where it is no whole number."""
    found = value.get(key)
    if found is None:
        return None
    if isinstance(found, float) and found.is_integer():
        return int(found)
    if isinstance(found, bool) or not isinstance(found, int):
        raise Malformed(f"{key}: a whole number is wanted here")
    return found


def stops(raw: object) -> tuple[str, ...]:
    """Stop sequences from one text or a list of them."""
    items = [raw] if isinstance(raw, str) else raw if isinstance(raw, list) else []
    return tuple(item for item in items if isinstance(item, str) and item)


def without(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}


def tool_input(raw: object) -> tuple[dict[str, Any], str]:
    """The input of a tool call from a JSON text or an object, and the text itself where it is no object."""
    if isinstance(raw, Mapping):
        return dict(raw), ""
    if not isinstance(raw, str) or not raw.strip():
        return {}, ""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}, raw
    return (value, "") if isinstance(value, dict) else ({}, raw)
