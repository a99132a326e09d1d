"""JSON out of what models write around it: bare, fenced, embedded in prose, and repaired."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

_STARTS: Final = 64
"""How many opening brackets are tried as the start of an embedded value: what prose could ask of us is bounded."""


_GOES_ON: Final = 200
"""Characters behind a value in which a sentence goes on, if it does."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value and the text it was read from, nothing around it."""

    value: Any
    text: str


def readings(text: str, *, mend: bool = True) -> Iterator[Parsed]:
    """The JSON values that `text` may have been meant as, the most literal reading first; lazily, perhaps none.

    `mend` also tries what is no JSON, repaired.
    """
    seen: set[str] = set()
    for candidate in (text.strip(), *_fenced(text)):
        if candidate not in seen and (found := _load(candidate)) is not None:
            seen.add(candidate)
            yield found
    yield from _embedded(text)
    if not mend:
        return
    for candidate in (*_fenced(text), _outermost(text)):
        if candidate and (repaired := _repair(candidate)) is not None:
            yield repaired


def encodable(text: str) -> str:
    """`text` without lone surrogates, which half an emoji in a reply is and which RE2 cannot read; `?` for each."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _load(text: str) -> Parsed | None:
    """`text` as JSON; a line break or a backslash inside a string is taken as it was meant."""
    for loads in (json.loads, _loads_loosely):
        try:
            return Parsed(loads(text, parse_constant=_no_constant), text)
        except (ValueError, RecursionError):
            continue
    return None


def _loads_loosely(text: str, parse_constant: Any) -> Any:
    """Small models break lines inside strings, and write LaTeX there without doubling its backslashes."""
    if not text.startswith(("{", "[", '"')):
        raise ValueError("no object, array or string")
    if "\\" in text:
        text = _escapes().sub(_doubled, encodable(text))
    return json.loads(text, parse_constant=parse_constant, strict=False)


def _doubled(found: Any) -> str:
    pair: str = found.group(0)
    return pair if pair[1] in '"\\/bfnrtu' else "\\" + pair


@lru_cache(maxsize=1)
def _escapes() -> Any:
    import re2  # type: ignore[import-untyped,unused-ignore]

    return re2.compile(r"(?s)\\.")


def _fenced(text: str) -> Iterator[str]:
    """The contents of ``` blocks; the last may lack its end."""
    blocks = text.split("```")[1::2]
    for block in blocks:
        tag, newline, body = block.partition("\n")
        content = body if newline and not tag.strip().startswith(("{", "[")) else block.removeprefix("json")
        if content.strip():
            yield content.strip()


def _embedded(text: str) -> list[Parsed]:
    """Objects and arrays that stand whole in `text`, none inside another; the longest first: a `[1]` is a footnote."""
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    found: list[Parsed] = []
    at = _opening(text, 0)
    for _ in range(_STARTS):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
            if not _is_of_the_prose(value, text[end:]):
                found.append(Parsed(value, text[at:end]))
        except (ValueError, RecursionError):
            end = at + 1
        at = _opening(text, end)
    return sorted(found, key=lambda parsed: -len(parsed.text))


def _is_of_the_prose(value: Any, rest: str) -> bool:
    """Whether a value is no answer but a part of the sentence that goes on behind it: a footnote's `[1]`, a `{}`."""
    small = not value or (isinstance(value, list) and len(value) == 1 and isinstance(value[0], int))
    return small and any(sign.isalpha() for sign in rest[:_GOES_ON])


def _outermost(text: str) -> str:
    """From the first opening bracket to the last closing one of its kind."""
    start = _opening(text, 0)
    end = text.rfind("}" if text[start] == "{" else "]") if start >= 0 else -1
    return text[start : end + 1] if end > start else ""


def _repair(text: str) -> Parsed | None:
    """`text` mended by the `json_repair` package, where it is installed; only objects and arrays count as mended.

    What does not end with a bracket was cut off: closing it would pass half a value off as a whole one. What does not begin
    as an object or a list does is prose in brackets, and the package makes something of anything.
    """
    whole = (text.startswith("{") and text.endswith("}")) or (text.startswith("[") and text.endswith("]"))
    if not whole or _beginning().match(encodable(text[:_GOES_ON])) is None:
        return None
    try:
        from json_repair import repair_json
    except ImportError:
        return None
    try:
        value = repair_json(text, return_objects=True)
    except (ValueError, RecursionError, IndexError):
        return None
    meant = dict if text.startswith("{") else list
    return Parsed(value, json.dumps(value, ensure_ascii=False)) if isinstance(value, meant) and value else None


@lru_cache(maxsize=1)
def _beginning() -> Any:
    """An object up to its first colon, or a list up to the end of a value; also with quotes of another kind, or none."""
    import re2  # type: ignore[import-untyped,unused-ignore]

    key = r"""(?:"[^"]*"|'[^']*'|“[^”]*”|[\pL_][\pL\pN_-]*)\s*:"""
    value = r"""(?:["'“{\[]|(?:-?\d[\d.eE+-]*|true|false|null|True|False|None)\s*,)"""
    return re2.compile(rf"\{{\s*(?:(?://[^\n]*|/\*.*?\*/)\s*)*{key}|\[\s*{value}")


def _opening(text: str, at: int) -> int:
    found = [place for place in (text.find("{", at), text.find("[", at)) if place >= 0]
    return min(found, default=-1)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
