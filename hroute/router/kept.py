"""A request as JSON and back without loss: what the retry queue writes into a file and reads days later.

No vendor's dialect could do that: each has parts of the message model that it cannot say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from hroute.errors import UsageError
from hroute.terms.message import Message, Part, Request, Text, Thinking, Tool, ToolResult, ToolUse, Unread
from hroute.terms.signal import Absent, Value, coerce

VERSION: Final = 1

_PARTS: Final[Mapping[str, type[Any]]] = {
    "text": Text,
    "thinking": Thinking,
    "tool_use": ToolUse,
    "tool_result": ToolResult,
    "unread": Unread,
}
_KINDS: Final = {cls: kind for kind, cls in _PARTS.items()}


def to_json(request: Request) -> dict[str, Any]:
    """`request` as plain data."""
    content = asdict(request)
    content["messages"] = [_message(message) for message in request.messages]
    return {"version": VERSION, **content}


def from_json(content: Mapping[str, Any]) -> Request:
    """The request that `to_json` wrote. Raises UsageError, which quotes nothing, for anything else."""
    try:
        if content["version"] != VERSION:
            raise ValueError
        known = _known(Request, content)
        known["messages"] = tuple(_read_message(m) for m in content["messages"])
        known["files"] = tuple((str(name), str(text)) for name, text in content["files"])
        known["tools"] = tuple(Tool(**_known(Tool, tool)) for tool in content["tools"])
        known["params"] = {k: tuple(v) if isinstance(v, list) else v for k, v in content["params"].items()}
        return Request(**known)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UsageError("a kept request is not what this version of hroute writes") from None


def signals_to_json(given: Mapping[str, Value]) -> dict[str, Any]:
    """Signals as plain data: sets as sorted lists."""
    return {n: sorted(v) if isinstance(v, frozenset) else v for n, v in given.items() if not isinstance(v, Absent)}


def signals_from_json(content: Mapping[str, Any]) -> dict[str, Value]:
    """Signals as values of the table. Raises UsageError for one that is none any more."""
    return {name: coerce(name, value) for name, value in content.items()}


def _message(message: Message) -> dict[str, Any]:
    parts = [{"part": _KINDS[type(part)], **asdict(part)} for part in message.parts]
    return {"role": message.role, "parts": parts, "context": message.context}


def _read_message(content: Mapping[str, Any]) -> Message:
    return Message(content["role"], tuple(_part(part) for part in content["parts"]), content["context"])


def _part(content: Mapping[str, Any]) -> Part:
    cls = _PARTS[content["part"]]
    part: Part = cls(**_known(cls, content))
    return part


def _known(cls: Any, content: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: content[f.name] for f in fields(cls) if f.name in content}
