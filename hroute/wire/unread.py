"""What of a request's body its parser does not read: unknown fields at any depth, and known ones that hold something odd.

A body that goes on byte for byte carries these to its vendor, so whoever looks for secrets has to look here, too; one
that is translated loses them, so they are named. The shapes below say what each parser reads: a field that stands in
none of them is unread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hroute.wire.errors import Dialect
from hroute.wire.fields import Json
from hroute.wire.looks import (
    Check,
    Found,
    a_count,
    a_flag,
    a_text,
    a_url,
    a_word,
    an_id,
    an_object,
    arguments,
    by_type,
    first_of,
    is_word,
    items_of,
    list_of,
    object_of,
    opaque,
    texts,
)

_NAMED: Final = 40


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
    names = dict.fromkeys(path if is_word(path) else "?" for path, _, unknown in found if unknown)
    return Unread(tuple(names)[:_NAMED], "\n".join(line for path, value, _ in found for line in lines(path, value)))


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


# Anthropic's messages

_SAID: Final = object_of(type=a_word, text=a_text)
_SOURCE: Final = first_of(
    "data", "url", object_of(type=a_word, media_type=a_word, data=opaque, url=a_url, file_id=an_id)
)
_PICTURE: Final = object_of(type=a_word, source=_SOURCE, title=a_text)
_WRITTEN: Final = first_of(
    "content",
    "data",
    object_of(type=a_word, media_type=a_word, data=a_text, content=items_of(by_type({"text": _SAID}), text=True)),
)
_DOCUMENT: Final = object_of(type=a_word, source=_WRITTEN, title=a_text)


def _document(block: Json) -> Check:
    source = block.get("source")
    kind = source.get("type") if isinstance(source, Mapping) else None
    return _DOCUMENT if kind in ("text", "content") else _PICTURE


_UNREADABLE: Final[Mapping[str, Check]] = dict.fromkeys(("image", "audio", "container_upload", "document"), _PICTURE)
_RESULT: Final = object_of(
    type=a_word,
    tool_use_id=an_id,
    content=items_of(by_type({"text": _SAID, **_UNREADABLE}), text=True),
    is_error=a_flag,
)
_BLOCKS: Final[Mapping[str, Check]] = {
    "text": _SAID,
    "thinking": object_of(type=a_word, thinking=a_text, signature=opaque),
    "redacted_thinking": object_of(type=a_word, data=opaque),
    "tool_use": object_of(type=a_word, id=an_id, name=a_text, input=an_object),
    "tool_result": _RESULT,
    **_UNREADABLE,
}
_KIND_OF_BLOCK: Final = by_type(_BLOCKS)


def _block(block: Json) -> Check:
    source = block.get("source")
    if isinstance(source, Mapping) and source.get("type") in ("text", "content"):
        return _DOCUMENT
    return _KIND_OF_BLOCK(block)


_OWN_TOOL: Final = object_of(type=a_word, name=a_text, description=a_text, input_schema=an_object)
_MESSAGES: Final[Mapping[str, Check]] = {
    "model": a_word,
    "max_tokens": a_count,
    "stream": a_flag,
    "messages": list_of(object_of(role=a_word, content=items_of(_block, text=True))),
    "system": items_of(lambda _: _SAID, text=True),
    "tools": items_of(lambda tool: _OWN_TOOL if tool.get("type", "custom") == "custom" else _hosted),
    "stop_sequences": texts,
    "thinking": object_of(type=a_word, budget_tokens=a_count),
    "tool_choice": object_of(type=a_word, name=a_text, disable_parallel_tool_use=a_flag),
}


def _hosted(value: Any, path: str, found: Found) -> None:
    """A tool that only its vendor runs is read whole, as a schema."""
    a_word(value.get("type"), f"{path}.type", found)


# OpenAI's chat completions

_FILE: Final = first_of("file_data", "file_url", first_of("filename", "file_id", object_of(file_data=a_url, file_url=a_url, filename=a_text, file_id=an_id)))  # fmt: skip
_AUDIO: Final = object_of(data=opaque, format=a_word)
_ITEMS: Final[Mapping[str, Check]] = {
    "text": _SAID,
    "refusal": object_of(type=a_word, refusal=a_text),
    "image_url": object_of(type=a_word, image_url=object_of(url=a_url, detail=a_word)),
    "input_audio": object_of(type=a_word, input_audio=_AUDIO),
    "file": object_of(type=a_word, file=_FILE),
}
_CONTENT: Final = items_of(by_type(_ITEMS), text=True)
_FUNCTION: Final = object_of(name=a_text, arguments=arguments)
_CALL: Final = first_of("function", "custom", object_of(id=an_id, type=a_word, index=a_count, function=_FUNCTION, custom=object_of(name=a_text, input=arguments)))  # fmt: skip
_THOUGHT: Final = object_of(
    role=a_word,
    content=_CONTENT,
    refusal=a_text,
    reasoning_content=a_text,
    reasoning=a_text,
    tool_calls=list_of(_CALL),
    function_call=_FUNCTION,
)
_ASKED: Final = object_of(role=a_word, content=_CONTENT)
_ANSWERED: Final = first_of("tool_call_id", "name", object_of(role=a_word, content=_CONTENT, tool_call_id=an_id, name=a_word))  # fmt: skip
_ROLES: Final[Mapping[str, Check]] = {
    "assistant": first_of("reasoning_content", "reasoning", _THOUGHT),
    "tool": _ANSWERED,
    "function": _ANSWERED,
}
_DECLARED: Final = object_of(name=a_text, description=a_text, parameters=an_object)
_CHAT_TOOL: Final = object_of(type=a_word, function=_DECLARED)
_CHAT: Final[Mapping[str, Check]] = {
    "model": a_word,
    "max_tokens": a_count,
    "max_completion_tokens": a_count,
    "stream": a_flag,
    "stream_options": object_of(include_usage=a_flag),
    "messages": items_of(lambda m: _ROLES.get(str(m.get("role")), _ASKED)),
    "tools": items_of(lambda tool: _CHAT_TOOL if tool.get("type", "function") == "function" else _hosted),
    "stop": texts,
    "reasoning_effort": a_text,
    "tool_choice": lambda value, path, found: _choice(value, path, found),
}
_CHOICE: Final = object_of(type=a_word, name=a_text, function=object_of(name=a_text))


def _choice(value: Any, path: str, found: Found) -> None:
    _CHOICE(value, path, found) if isinstance(value, Mapping) else a_word(value, path, found)


# OpenAI's older completions


def _prompt(value: Any, path: str, found: Found) -> None:
    """A text, texts, or tokens, which nobody can read."""
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        return
    texts(value, path, found)


_COMPLETIONS: Final[Mapping[str, Check]] = {
    "model": a_word,
    "prompt": _prompt,
    "suffix": a_text,
    "max_tokens": a_count,
    "stream": a_flag,
    "stream_options": object_of(include_usage=a_flag),
    "stop": texts,
}

# OpenAI's responses

_SHARED: Final[Mapping[str, Check]] = {"type": a_word, "id": an_id, "status": a_word}
_SPOKEN: Final = object_of(type=a_word, text=a_text)
_PARTS: Final[Mapping[str, Check]] = {
    **dict.fromkeys(("input_text", "output_text", "text", "summary_text", "reasoning_text"), _SPOKEN),
    "refusal": object_of(type=a_word, refusal=a_text),
    "input_image": object_of(type=a_word, image_url=a_url, file_id=an_id, detail=a_word),
    "input_file": first_of("file_data", "file_url", first_of("filename", "file_id", object_of(type=a_word, file_data=a_url, file_url=a_url, filename=a_text, file_id=an_id))),
    "input_audio": object_of(type=a_word, input_audio=_AUDIO),
}  # fmt: skip
_TOLD: Final = items_of(by_type(_PARTS), text=True)
_OUTPUT: Final = object_of(**_SHARED, call_id=an_id, output=_TOLD)
_ENTRIES: Final[Mapping[str, Check]] = {
    "message": object_of(**_SHARED, role=a_word, content=_TOLD),
    "reasoning": object_of(**_SHARED, summary=list_of(_SPOKEN), content=list_of(_SPOKEN), encrypted_content=opaque),
    "function_call": object_of(**_SHARED, call_id=an_id, name=a_text, arguments=arguments),
    "custom_tool_call": object_of(**_SHARED, call_id=an_id, name=a_text, input=a_text),
    "function_call_output": _OUTPUT,
    "custom_tool_call_output": _OUTPUT,
}
_RESPONSES_TOOL: Final = object_of(type=a_word, name=a_text, description=a_text, parameters=an_object)
_RESPONSES: Final[Mapping[str, Check]] = {
    "model": a_word,
    "max_output_tokens": a_count,
    "stream": a_flag,
    "instructions": a_text,
    "input": items_of(by_type(_ENTRIES, "message"), text=True),
    "tools": items_of(lambda tool: _RESPONSES_TOOL if tool.get("type", "function") == "function" else _hosted),
    "tool_choice": _choice,
}

SHAPES: Final[Mapping[Dialect, Mapping[str, Check]]] = {
    "anthropic": _MESSAGES,
    "openai_chat": _CHAT,
    "openai_responses": _RESPONSES,
    "openai_completions": _COMPLETIONS,
    "ollama": {},
}
