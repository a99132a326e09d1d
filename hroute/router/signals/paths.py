"""Which files a request is about: those it brings, those its tools have worked on, those its messages name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from hroute.terms.message import Request, Text, ToolUse
from hroute.terms.pattern import Regexp, compiled, encode

VERSION: Final = "files/1"

_READ: Final = 200_000
"""Bytes of each message that are searched for names of files."""
_KEYS: Final = ("path", "file_path", "filename", "file", "notebook_path", "paths", "files", "target_file")
_ENDINGS: Final = "py|pyi|js|mjs|cjs|ts|tsx|jsx|go|rs|java|kt|scala|c|h|cc|cpp|hpp|cs|rb|php|swift|sh|bash|ps1|sql|html|css|scss|vue|svelte|r|jl|lua|pl|ex|exs|erl|hs|ml|clj|dart|tf|ipynb|md|rst|txt|json|yaml|yml|toml|ini|cfg|xml|csv|proto|gradle|lock"
CODE_ENDINGS: Final = tuple(f".{ending}" for ending in (*_ENDINGS.split("|md|")[0].split("|"), "diff", "patch"))


def files(request: Request) -> frozenset[str]:
    """The different paths, as they are written, without a leading `./`."""
    names = (*(name for name, _ in request.files), *_named(request))
    return frozenset(name.removeprefix("./") for name in names if name)


def _named(request: Request) -> Iterator[str]:
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolUse):
                yield from _worked_on(part.input)
            elif isinstance(part, Text) and message.role == "user":
                yield from named(part.text)


def _worked_on(given: Mapping[str, Any]) -> Iterator[str]:
    """The paths that a tool call names by the keys that tools use."""
    for key in _KEYS:
        value = given.get(key)
        values: Iterable[object] = value if isinstance(value, list) else (value,)
        yield from (v for v in values if isinstance(v, str) and 0 < len(v) <= 400 and "\n" not in v)


def named(text: str) -> Iterator[str]:
    """Names of files in a text: words with an ending that source files and documents have."""
    if "." not in text:
        return
    data = encode(text[:_READ])
    for match in _names().finditer(data):
        yield data[match.start() : match.end()].decode("utf-8", "replace")


def has_code(names: Iterable[str]) -> bool:
    """Whether one of the files is program code, by its name."""
    return any(name.lower().endswith(CODE_ENDINGS) for name in names)


@cache
def _names() -> Regexp:
    return compiled(rf"(?:[\w.@~-]+/)*[\w@-][\w.@-]*\.(?:{_ENDINGS})\b")
