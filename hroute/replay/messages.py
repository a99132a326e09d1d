"""Logged messages of either dialect, read leniently into the one message model.

Logs mix what Anthropic and OpenAI clients send, older shapes among them. A part that is not known is kept as one that
no detector can read, so that it taints instead of passing for clean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from hroute.terms.message import Message, Part, Request, Role, Text, Thinking, Tool, ToolResult, ToolUse, Unread

_TEXTS: Final = frozenset(("text", "input_text", "output_text"))
_MEDIA: Final[dict[str, Literal["image", "audio", "document"]]] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "input_audio": "audio",
}
_SYSTEM: Final = ("system", "developer")


class NotMessages(ValueError):
    """What was logged is no conversation; the text says why and quotes nothing."""


def request_of(logged: Any, *, system: Any = None, tools: Sequence[Any] = (), max_tokens: int | None = None) -> Request:
    """A request from a prompt (a text) or from a list of messages. Raises NotMessages."""
    if isinstance(logged, str):
        messages: tuple[Message, ...] = (Message("user", (Text(clean(logged)),)),)
        heads: list[str] = []
    elif isinstance(logged, list):
        messages, heads = _conversation(logged)
    else:
        raise NotMessages("is neither a text nor a list of messages")
    head = _plain(system) if system is not None else ""
    return Request(
        messages,
        system="\n".join(filter(None, (head, *heads))),
        tools=tuple(_tool(tool) for tool in tools if isinstance(tool, dict)),
        max_tokens=max_tokens,
    )


def clean(text: str) -> str:
    """The text with lone surrogates (JSON allows them, UTF-8 does not) replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _conversation(items: list[Any]) -> tuple[tuple[Message, ...], list[str]]:
    messages: list[Message] = []
    heads: list[str] = []
    for item in items:
        if not isinstance(item, dict):
            raise NotMessages("holds something that is not a message")
        role, content = item.get("role"), item.get("content")
        if role in _SYSTEM:
            heads.append(_plain(content))
        elif role in ("tool", "function"):
            messages.append(Message("user", tuple(_result(_string(item.get("tool_call_id")), content))))
        elif role in ("user", "assistant"):
            messages.append(_message(role, content, item))
        else:
            raise NotMessages("holds a message without a known role")
    return tuple(messages), heads


def _message(role: Role, content: Any, item: Mapping[str, Any]) -> Message:
    parts = [*_parts(content)]
    calls = item.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            arguments = function.get("arguments")
            given = arguments if isinstance(arguments, dict) else {"arguments": _string(arguments)}
            parts.append(ToolUse(_string(call.get("id")), _string(function.get("name")), given))
    return Message(role, tuple(parts))


def _parts(content: Any) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(clean(content))]
    if not isinstance(content, list):
        raise NotMessages("holds a message whose content is neither a text nor a list of parts")
    return [part for block in content for part in _block(block)]


def _block(block: Any) -> list[Part]:
    if isinstance(block, dict) and block.get("type") == "tool_result":
        return _result(_string(block.get("tool_use_id")), block.get("content"), block.get("is_error") is True)
    return [_part(block)]


def _result(id: str, content: Any, is_error: bool = False) -> list[Part]:
    """A tool's result as text, and beside it whatever in it is no text."""
    inside = _parts(content) if isinstance(content, list) else []
    return [ToolResult(id, _plain(content), is_error), *(part for part in inside if isinstance(part, Unread))]


def _part(block: Any) -> Part:
    if isinstance(block, str):
        return Text(clean(block))
    if not isinstance(block, dict):
        return Unread("document")
    kind = _string(block.get("type"))
    if kind in _TEXTS and isinstance(block.get("text"), str):
        return Text(clean(block["text"]))
    if kind == "thinking":
        return Thinking(_string(block.get("thinking")))
    if kind == "redacted_thinking":
        return Thinking("", _string(block.get("data")), redacted=True)
    if kind == "tool_use":
        given = block.get("input")
        return ToolUse(_string(block.get("id")), _string(block.get("name")), given if isinstance(given, dict) else {})
    return Unread(_MEDIA.get(kind, "document"), name=_string(block.get("name")))


def _plain(content: Any) -> str:
    """All text of a content, however it is wrapped."""
    if isinstance(content, str):
        return clean(content)
    if isinstance(content, list):
        return "\n".join(filter(None, (_plain(item) for item in content)))
    if isinstance(content, dict):
        return _plain(content.get("text")) or _plain(content.get("content"))
    return ""


def _tool(tool: Mapping[str, Any]) -> Tool:
    inner = tool.get("function")
    facts: Mapping[str, Any] = inner if isinstance(inner, dict) else tool
    schema = facts.get("input_schema", facts.get("parameters"))
    return Tool(
        _string(facts.get("name")), _string(facts.get("description")), schema if isinstance(schema, dict) else {}
    )


def _string(value: Any) -> str:
    return clean(value) if isinstance(value, str) else ""
