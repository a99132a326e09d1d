"""What a model sees of a request, and how many tokens that is, by the plainest estimate."""

from __future__ import annotations

import json
from dataclasses import replace

from hroute.terms.message import Message, Part, Request, Text, Thinking, ToolResult, ToolUse


def tokens(text: str) -> int:
    """Four characters are a token."""
    return (len(text) + 3) // 4


def everything(request: Request) -> str:
    """All text that would be sent, in order: system, files, turns, calls of tools and their results."""
    pieces = [request.system, *(text for _, text in request.files)]
    pieces += [_text(part) for message in request.messages for part in message.parts]
    return "\n".join(piece for piece in pieces if piece)


def cut_to(request: Request, limit: int) -> Request:
    """The newest `limit` tokens of `request`: files go first, then the oldest turns, then the front of the last one.

    The system prompt stays while it fits into half of the window, as engines that truncate silently do it.
    """
    system = request.system if tokens(request.system) <= limit // 2 else ""
    left = max(4 * (limit - tokens(system)), 0)
    kept: list[Message] = []
    for message in reversed(request.messages):
        if left <= 0:
            break
        text = "\n".join(filter(None, map(_text, message.parts)))
        if len(text) <= left:
            kept.insert(0, message)
        else:
            kept.insert(0, replace(message, parts=(Text(text[len(text) - left :]),)))
        left -= len(text) + 1
    return replace(request, system=system, files=(), messages=tuple(kept))


def _text(part: Part) -> str:
    match part:
        case Text(text) | Thinking(text):
            return text
        case ToolUse(_, name, given):
            return f"{name} {json.dumps(given, ensure_ascii=False, default=str)}"
        case ToolResult(_, content):
            return content
        case _:
            return ""
