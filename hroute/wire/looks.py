"""The looks that `unread` takes at a body: each passes over what its parser reads there and keeps the rest."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from hroute.wire.fields import Json
from hroute.wire.keys import entries, plain

Found = list[tuple[str, object, bool]]
"""A path, what stands there, and whether it is a field that nobody knows."""
Check = Callable[[Any, str, Found], None]
"""Looks at a value that stands at a path and adds what nobody reads."""

_LARGE: Final = 10**10
"""A count beyond this is no count."""
_LONGEST: Final = 100
"""Characters of a word or an identifier."""
_JOINED: Final = str.maketrans("-./:|", "_____")
_UNJOINED: Final = str.maketrans("", "", "-_./:|")
_LETTERS: Final = string.ascii_letters
_NO_DIGIT: Final = str.maketrans(string.ascii_letters, " " * 52)
_PREFIXES: Final = ("toolu_", "call_", "fc_", "ctc_", "msg_", "rs_", "resp_", "item_", "srvtoolu_", "chatcmpl-", "file-", "file_")  # fmt: skip


_FITS: Final[dict[Check, Callable[[Any], bool]]] = {}
"""Of looks at a single value: whether it is read where it stands."""


def _single(fits: Callable[[Any], bool]) -> Check:
    def check(value: Any, path: str, found: Found) -> None:
        if not fits(value):
            found.append((path, value, False))

    _FITS[check] = fits
    return check


@lru_cache(4096)
def _is_id(value: str) -> bool:
    drawn = value.startswith(_PREFIXES) or (len(value) == 36 and value.count("-") == 4)
    return drawn and is_word(value)


@lru_cache(4096)
def is_word(value: str) -> bool:
    if len(value) > _LONGEST or not value.isascii() or not f"_{value.translate(_JOINED)}".isidentifier():
        return False
    return sum(map(str.isdigit, value)) < 7 or not _numeric(value.translate(_UNJOINED))


def _numeric(value: str) -> bool:
    """Whether it has no letters but its prefix's, or a dozen digits in a row: a number of somebody's may look so."""
    rest = value.lstrip(_LETTERS)
    return rest.isdigit() or max(map(len, rest.translate(_NO_DIGIT).split())) >= 12


def _is_base64(value: str) -> bool:
    return value.isascii() and value.encode().translate(None, b"+/-_=").isalnum()


a_text: Final = _single(lambda value: type(value) is str or value is None)
"""Read whole, where it is a text."""
a_flag: Final = _single(lambda value: value is True or value is False or value is None)
a_count: Final = _single(lambda v: v is None or (isinstance(v, (int, float)) and abs(v) < _LARGE))
a_word: Final = _single(lambda value: (type(value) is str and is_word(value)) or value is None)
"""A word of the dialect: nothing that could be read as a sentence or as somebody's number."""
an_id: Final = _single(lambda value: (type(value) is str and _is_id(value)) or value is None)
"""An identifier as vendors and their clients draw it; one of another shape is looked at."""
opaque: Final = _single(lambda v: v is None or v == "" or (type(v) is str and len(v) >= 40 and _is_base64(v)))
"""Base64: nobody can read it, and it holds no text that a detector could."""
an_object: Final = _single(lambda value: isinstance(value, dict) or value is None)
"""Read whole elsewhere, where it is an object."""


def arguments(value: Any, path: str, found: Found) -> None:
    """The JSON text of a call: read where it is an object whose keys stand once."""
    if type(value) is str:
        if value.strip() and not (value.lstrip().startswith("{") and plain(value)):
            found.append((path, entries(value), False))
    else:
        an_object(value, path, found)


def a_url(value: Any, path: str, found: Found) -> None:
    """An address, which is read, or data."""
    if type(value) is not str:
        a_text(value, path, found)
    elif value[:8].lower().startswith(("http:", "https:", "file:")):
        return
    elif value.startswith("data:"):
        head, _, data = value.partition(",")
        a_word(head.replace(";", "/").replace("=", "/"), path, found)
        opaque(data, path, found)
    else:
        found.append((path, value, False))


def object_of(**fields: Check) -> Check:
    singles = {key: _FITS[shape] for key, shape in fields.items() if shape in _FITS}

    def check(value: Any, path: str, found: Found) -> None:
        if not isinstance(value, dict):
            an_object(value, path, found)
            return
        for key, item in value.items():
            if (fits := singles.get(key)) is not None:
                if not fits(item):
                    found.append((f"{path}.{key}", item, False))
            elif (shape := fields.get(key)) is not None:
                shape(item, f"{path}.{key}", found)
            else:
                found.append((f"{path}.{key}", item, True))

    return check


def items_of(choose: Callable[[Json], Check], *, text: bool = False) -> Check:
    """A list of objects of several kinds, or one text where that is read, too."""

    def check(value: Any, path: str, found: Found) -> None:
        if isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    choose(item)(item, path, found)
                else:
                    found.append((path, item, False))
        elif not (text and type(value) is str) and value is not None:
            found.append((path, value, False))

    return check


def by_type(kinds: Mapping[str, Check], usual: str = "") -> Callable[[Json], Check]:
    """The shape of the item's `type`; an item of no known type is all unread."""

    def choose(item: Json) -> Check:
        kind = item.get("type", usual)
        return kinds.get(kind, everything) if isinstance(kind, str) else everything

    return choose


def everything(value: Any, path: str, found: Found) -> None:
    found.append((path, value, False))


def first_of(first: str, second: str, shape: Check) -> Check:
    """Of two fields only the first is read where both stand."""

    def check(value: Any, path: str, found: Found) -> None:
        shape(value, path, found)
        if isinstance(value, Mapping) and value.get(first) and value.get(second):
            found.append((f"{path}.{second}", value[second], False))

    return check


def list_of(item: Check) -> Check:
    return items_of(lambda _: item)


def texts(value: Any, path: str, found: Found) -> None:
    """One text or a list of texts."""
    for item in value if isinstance(value, list) else (value,):
        a_text(item, path, found)
