"""What of a request's body its parser does not read: unknown fields at any depth, and known ones that hold something odd.

A body that goes on byte for byte carries these to its vendor, so whoever looks for secrets has to look here, too; one
that is translated loses them, so they are named. The shapes below say what each parser reads: a field that stands in
none of them is unread.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from hroute.wire.errors import Dialect
from hroute.wire.fields import Json
from hroute.wire.keys import doubled, entries

Found = list[tuple[str, object]]
Check = Callable[[Any, str, Found], None]
"""Looks at a value that stands at a path and adds what nobody reads."""

_LARGE: Final = 10**10
"""A count beyond this is no count."""
_NAMED: Final = 40
_LONGEST: Final = 100
"""Characters of a word or an identifier."""
_JOINED: Final = str.maketrans("-./:|", "_____")
_UNJOINED: Final = str.maketrans("", "", "-_./:|")
_LETTERS: Final = string.ascii_letters
_NO_DIGIT: Final = str.maketrans(string.ascii_letters, " " * 52)
_PREFIXES: Final = ("toolu_", "call_", "fc_", "ctc_", "msg_", "rs_", "resp_", "item_", "srvtoolu_", "chatcmpl-", "file-", "file_")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unread:
    """`names` are the paths of unknown fields without the numbers of items, `text` is all that stands there, keys and
    values, a line each."""

    names: tuple[str, ...] = ()
    text: str = ""


NOTHING: Final = Unread()


def unread(dialect: Dialect, body: Json, known: frozenset[str]) -> Unread:
    """What the parser of `dialect` leaves of the `known` top-level keys of `body`."""
    found: Found = []
    shapes = SHAPES[dialect]
    for key in known & body.keys() & shapes.keys():
        shapes[key](body[key], key, found)
    found.sort(key=lambda entry: entry[0])
    if not found:
        return NOTHING
    names = dict.fromkeys(path if _is_word(path) else "?" for path, _ in found)
    return Unread(tuple(names)[:_NAMED], "\n".join(line for path, value in found for line in lines(path, value)))


def lines(path: str, value: object) -> Iterator[str]:
    """Every key and every value at `path`, one `key: value` a line, as they are and not as JSON escapes them."""
    stack: list[tuple[str, object]] = [(path.rpartition(".")[2], value)]
    while stack:
        key, node = stack.pop()
        if isinstance(node, Mapping):
            yield key
            stack.extend((str(name), item) for name, item in reversed(list(node.items())))
        elif isinstance(node, list):
            yield key
            stack.extend((key, item) for item in reversed(node))
        else:
            yield f"{key}: {node}"


def _text(value: Any, path: str, found: Found) -> None:
    """Read whole, where it is a text."""
    if type(value) is not str and value is not None:
        found.append((path, value))


def _flag(value: Any, path: str, found: Found) -> None:
    if value is not True and value is not False and value is not None:
        found.append((path, value))


def _count(value: Any, path: str, found: Found) -> None:
    if value is not None and not (isinstance(value, (int, float)) and abs(value) < _LARGE):
        found.append((path, value))


def _name(value: Any, path: str, found: Found) -> None:
    """A word of the dialect: nothing that could be read as a sentence or as somebody's number."""
    if value is not None and not (type(value) is str and _is_word(value)):
        found.append((path, value))


def _id(value: Any, path: str, found: Found) -> None:
    """An identifier as vendors and their clients draw it; one of another shape is looked at."""
    if value is not None and not (type(value) is str and _is_id(value)):
        found.append((path, value))


@lru_cache(4096)
def _is_id(value: str) -> bool:
    drawn = value.startswith(_PREFIXES) or (len(value) == 36 and value.count("-") == 4)
    return drawn and _is_word(value)


@lru_cache(4096)
def _is_word(value: str) -> bool:
    if len(value) > _LONGEST or not value.isascii() or not f"_{value.translate(_JOINED)}".isidentifier():
        return False
    return sum(map(str.isdigit, value)) < 7 or not _numeric(value.translate(_UNJOINED))


def _numeric(value: str) -> bool:
    """Whether it has no letters but its prefix's, or a dozen digits in a row: a number of somebody's may look so."""
    rest = value.lstrip(_LETTERS)
    return rest.isdigit() or max(map(len, rest.translate(_NO_DIGIT).split())) >= 12


def _opaque(value: Any, path: str, found: Found) -> None:
    """Base64: nobody can read it, and it holds no text that a detector could."""
    if value is not None and value != "" and not (type(value) is str and len(value) >= 40 and _is_base64(value)):
        found.append((path, value))


def _is_base64(value: str) -> bool:
    return value.isascii() and value.encode().translate(None, b"+/-_=").isalnum()


def _object(value: Any, path: str, found: Found) -> None:
    """Read whole elsewhere, where it is an object."""
    if not isinstance(value, Mapping) and value is not None:
        found.append((path, value))


def _anything(value: Any, path: str, found: Found) -> None:
    """A parameter that is kept and read as it stands."""


def _arguments(value: Any, path: str, found: Found) -> None:
    """The JSON text of a call: read where it is an object whose keys stand once."""
    if type(value) is str:
        if value.strip() and (not value.lstrip().startswith("{") or doubled(value)):
            found.append((path, entries(value)))
    else:
        _object(value, path, found)


def _url(value: Any, path: str, found: Found) -> None:
    """An address, which is read, or data."""
    if type(value) is not str:
        _text(value, path, found)
    elif value[:8].lower().startswith(("http:", "https:", "file:")):
        return
    elif value.startswith("data:"):
        head, _, data = value.partition(",")
        _name(head.replace(";", "/").replace("=", "/"), path, found)
        _opaque(data, path, found)
    else:
        found.append((path, value))


def _object_of(**fields: Check) -> Check:
    texts = frozenset(key for key, shape in fields.items() if shape is _text)

    def check(value: Any, path: str, found: Found) -> None:
        if not isinstance(value, dict):
            _object(value, path, found)
            return
        for key, item in value.items():
            if type(item) is str and key in texts:
                continue
            shape = fields.get(key)
            if shape is None:
                found.append((f"{path}.{key}", item))
            else:
                shape(item, f"{path}.{key}", found)

    return check


def _one_of(choose: Callable[[Json], Check], *, text: bool = False, items: bool = True) -> Check:
    """A list of objects of several kinds, or one text where that is read, too."""

    def check(value: Any, path: str, found: Found) -> None:
        if isinstance(value, list) and items:
            for item in value:
                if isinstance(item, Mapping):
                    choose(item)(item, path, found)
                else:
                    found.append((path, item))
        elif not (text and type(value) is str) and value is not None:
            found.append((path, value))

    return check


def _by_type(kinds: Mapping[str, Check], usual: str = "") -> Callable[[Json], Check]:
    """The shape of the item's `type`; an item of no known type is all unread."""

    def choose(item: Json) -> Check:
        kind = item.get("type", usual)
        return kinds.get(kind, _all) if isinstance(kind, str) else _all

    return choose


def _all(value: Any, path: str, found: Found) -> None:
    found.append((path, value))


def _either(first: str, second: str, shape: Check) -> Check:
    """Of two fields only the first is read where both stand."""

    def check(value: Any, path: str, found: Found) -> None:
        shape(value, path, found)
        if isinstance(value, Mapping) and value.get(first) and value.get(second):
            found.append((f"{path}.{second}", value[second]))

    return check


def _list_of(item: Check) -> Check:
    return _one_of(lambda _: item)


def _texts(value: Any, path: str, found: Found) -> None:
    """One text or a list of texts."""
    for item in value if isinstance(value, list) else (value,):
        _text(item, path, found)


# Anthropic's messages

_SAID: Final = _object_of(type=_name, text=_text)
_SOURCE: Final = _either("data", "url", _object_of(type=_name, media_type=_name, data=_opaque, url=_url, file_id=_id))
_PICTURE: Final = _object_of(type=_name, source=_SOURCE, title=_text)
_WRITTEN: Final = _either(
    "content",
    "data",
    _object_of(type=_name, media_type=_name, data=_text, content=_one_of(_by_type({"text": _SAID}), text=True)),
)
_DOCUMENT: Final = _object_of(type=_name, source=_WRITTEN, title=_text)


def _document(block: Json) -> Check:
    source = block.get("source")
    kind = source.get("type") if isinstance(source, Mapping) else None
    return _DOCUMENT if kind in ("text", "content") else _PICTURE


_UNREADABLE: Final[Mapping[str, Check]] = dict.fromkeys(("image", "audio", "container_upload", "document"), _PICTURE)
_RESULT: Final = _object_of(
    type=_name,
    tool_use_id=_id,
    content=_one_of(_by_type({"text": _SAID, **_UNREADABLE}), text=True),
    is_error=_flag,
)
_BLOCKS: Final[Mapping[str, Check]] = {
    "text": _SAID,
    "thinking": _object_of(type=_name, thinking=_text, signature=_opaque),
    "redacted_thinking": _object_of(type=_name, data=_opaque),
    "tool_use": _object_of(type=_name, id=_id, name=_text, input=_object),
    "tool_result": _RESULT,
    **_UNREADABLE,
}
_KIND_OF_BLOCK: Final = _by_type(_BLOCKS)


def _block(block: Json) -> Check:
    source = block.get("source")
    if isinstance(source, Mapping) and source.get("type") in ("text", "content"):
        return _DOCUMENT
    return _KIND_OF_BLOCK(block)


_MESSAGES: Final[Mapping[str, Check]] = {
    "model": _name,
    "max_tokens": _count,
    "stream": _flag,
    "messages": _list_of(_object_of(role=_name, content=_one_of(_block, text=True))),
    "system": _one_of(lambda _: _SAID, text=True),
    "tools": _one_of(lambda tool: _OWN_TOOL if tool.get("type", "custom") == "custom" else _hosted),
    "stop_sequences": _texts,
    "thinking": _object_of(type=_name, budget_tokens=_count),
    "tool_choice": _object_of(type=_name, name=_text, disable_parallel_tool_use=_flag),
}
_OWN_TOOL: Final = _object_of(type=_name, name=_text, description=_text, input_schema=_object)


def _hosted(value: Any, path: str, found: Found) -> None:
    """A tool that only its vendor runs is read whole, as a schema."""
    _name(value.get("type"), f"{path}.type", found)


# OpenAI's chat completions

_FILE: Final = _either("file_data", "file_url", _either("filename", "file_id", _object_of(file_data=_url, file_url=_url, filename=_text, file_id=_id)))  # fmt: skip
_AUDIO: Final = _object_of(data=_opaque, format=_name)
_ITEMS: Final[Mapping[str, Check]] = {
    "text": _SAID,
    "refusal": _object_of(type=_name, refusal=_text),
    "image_url": _object_of(type=_name, image_url=_object_of(url=_url, detail=_name)),
    "input_audio": _object_of(type=_name, input_audio=_AUDIO),
    "file": _object_of(type=_name, file=_FILE),
}
_CONTENT: Final = _one_of(_by_type(_ITEMS), text=True)
_FUNCTION: Final = _object_of(name=_text, arguments=_arguments)
_CALL: Final = _either("function", "custom", _object_of(id=_id, type=_name, index=_count, function=_FUNCTION, custom=_object_of(name=_text, input=_arguments)))  # fmt: skip
_THOUGHT: Final = _object_of(
    role=_name,
    content=_CONTENT,
    refusal=_text,
    reasoning_content=_text,
    reasoning=_text,
    tool_calls=_list_of(_CALL),
    function_call=_FUNCTION,
)
_ASKED: Final = _object_of(role=_name, content=_CONTENT)
_ANSWERED: Final = _either("tool_call_id", "name", _object_of(role=_name, content=_CONTENT, tool_call_id=_id, name=_name))  # fmt: skip
_ROLES: Final[Mapping[str, Check]] = {
    "assistant": _either("reasoning_content", "reasoning", _THOUGHT),
    "tool": _ANSWERED,
    "function": _ANSWERED,
}
_DECLARED: Final = _object_of(name=_text, description=_text, parameters=_object)
_CHAT: Final[Mapping[str, Check]] = {
    "model": _name,
    "max_tokens": _count,
    "max_completion_tokens": _count,
    "stream": _flag,
    "stream_options": _object_of(include_usage=_flag),
    "messages": _one_of(lambda m: _ROLES.get(str(m.get("role")), _ASKED)),
    "tools": _one_of(lambda tool: _CHAT_TOOL if tool.get("type", "function") == "function" else _hosted),
    "stop": _texts,
    "reasoning_effort": _text,
    "tool_choice": lambda value, path, found: _choice(value, path, found),
}
_CHAT_TOOL: Final = _object_of(type=_name, function=_DECLARED)
_CHOICE: Final = _object_of(type=_name, name=_text, function=_object_of(name=_text))


def _choice(value: Any, path: str, found: Found) -> None:
    _CHOICE(value, path, found) if isinstance(value, Mapping) else _name(value, path, found)


# OpenAI's responses

_SHARED: Final[Mapping[str, Check]] = {"type": _name, "id": _id, "status": _name}
_SPOKEN: Final = _object_of(type=_name, text=_text)
_PARTS: Final[Mapping[str, Check]] = {
    **dict.fromkeys(("input_text", "output_text", "text", "summary_text", "reasoning_text"), _SPOKEN),
    "refusal": _object_of(type=_name, refusal=_text),
    "input_image": _object_of(type=_name, image_url=_url, file_id=_id, detail=_name),
    "input_file": _either("file_data", "file_url", _either("filename", "file_id", _object_of(type=_name, file_data=_url, file_url=_url, filename=_text, file_id=_id))),
    "input_audio": _object_of(type=_name, input_audio=_AUDIO),
}  # fmt: skip
_TOLD: Final = _one_of(_by_type(_PARTS), text=True)
_OUTPUT: Final = _object_of(**_SHARED, call_id=_id, output=_TOLD)
_ENTRIES: Final[Mapping[str, Check]] = {
    "message": _object_of(**_SHARED, role=_name, content=_TOLD),
    "reasoning": _object_of(**_SHARED, summary=_list_of(_SPOKEN), content=_list_of(_SPOKEN), encrypted_content=_opaque),
    "function_call": _object_of(**_SHARED, call_id=_id, name=_text, arguments=_arguments),
    "custom_tool_call": _object_of(**_SHARED, call_id=_id, name=_text, input=_text),
    "function_call_output": _OUTPUT,
    "custom_tool_call_output": _OUTPUT,
}
_RESPONSES: Final[Mapping[str, Check]] = {
    "model": _name,
    "max_output_tokens": _count,
    "stream": _flag,
    "instructions": _text,
    "input": _one_of(_by_type(_ENTRIES, "message"), text=True),
    "tools": _one_of(lambda tool: _RESPONSES_TOOL if tool.get("type", "function") == "function" else _hosted),
    "tool_choice": _choice,
}
_RESPONSES_TOOL: Final = _object_of(type=_name, name=_text, description=_text, parameters=_object)

SHAPES: Final[Mapping[Dialect, Mapping[str, Check]]] = {
    "anthropic": _MESSAGES,
    "openai_chat": _CHAT,
    "openai_responses": _RESPONSES,
    "ollama": {},
}
