"""The one message model: what a request holds, what a reply holds, and the events of a reply that is being written.

Every dialect is parsed into this and emitted from it (`hroute.wire`); providers, the sandbox and the extractors know
nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from hroute.terms.allowance import Allowance
from hroute.terms.usage import Usage

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """Reasoning of a model; `signature` is the vendor's seal and is valid only at that vendor.

    `sealed_by` is the dialect that the seal came in; no other may carry it. `redacted`: the vendor shows no text, and
    the signature is the sealed reasoning itself.
    """

    text: str
    signature: str | None = None
    redacted: bool = False
    sealed_by: str = ""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call that the model asks for; `input` is the parsed JSON object.

    `broken` is what the model wrote instead where that is no JSON object (cut off by a limit, say); `input` is empty.
    """

    id: str
    name: str
    input: Mapping[str, Any]
    broken: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    id: str
    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """A part whose content no detector reads: image, audio, document. `media` is its MIME type, `data` base64 or a URL."""

    kind: Literal["image", "audio", "document"]
    media: str = ""
    data: str = ""
    name: str = ""


Part = Text | Thinking | ToolUse | ToolResult | Unread


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `context` marks parts that a program put there (retrieved documents, files), not the user's words."""

    role: Role
    parts: tuple[Part, ...]
    context: bool = False

    @property
    def text(self) -> str:
        return "\n".join(p.text for p in self.parts if isinstance(p, Text))


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that is offered. `hosted` is "dialect:type" of one that only its vendor knows (web search, computer use);
    `schema` is then its declaration, and no other dialect can carry it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    hosted: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What would be sent: `system` and `messages` in order; `files` are context documents as (name, text).

    `params` are further parameters for the provider (temperature, stop, ...), by their common names.
    """

    messages: tuple[Message, ...]
    system: str = ""
    files: tuple[tuple[str, str], ...] = ()
    tools: tuple[Tool, ...] = ()
    max_tokens: int | None = None
    stream: bool = False
    response_format: Literal["text", "json", "json_schema"] = "text"
    json_schema: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def last_user_text(self) -> str:
        """The last user turn: what `message`, `intent` and `score` read."""
        for message in reversed(self.messages):
            if message.role == "user" and not message.context and message.text:
                return message.text
        return ""


def prompt(text: str, *, system: str = "", files: tuple[tuple[str, str], ...] = (), **more: Any) -> Request:
    """The simplest request: one user turn."""
    return Request((Message("user", (Text(text),)),), system=system, files=files, **more)


class StopReason(StrEnum):
    END = "end"
    LENGTH = "length"
    TOOL_USE = "tool_use"
    STOP_SEQUENCE = "stop_sequence"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"  # the stream ended without its terminal event


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider answered. `model` is the one that served, as the vendor names it; `load_ms` is model load time;
    `certainty` is the mean probability of its tokens, None where the vendor reports none; `allowances` are what the
    vendor says is left of its rate limits."""

    parts: tuple[Part, ...]
    model: str
    stop: StopReason = StopReason.END
    usage: Usage = Usage()
    load_ms: float = 0.0
    certainty: float | None = None
    allowances: tuple[Allowance, ...] = field(default=(), compare=False)

    @property
    def text(self) -> str:
        return "".join(p.text for p in self.parts if isinstance(p, Text))


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """A piece of reasoning; the `signature`, where there is one, comes with its last piece."""

    text: str
    signature: str = ""
    redacted: bool = False
    sealed_by: str = ""


@dataclass(frozen=True, slots=True)
class ToolUseDelta:
    """A piece of a tool call; `id` and `name` come with its first piece, `json` is a fragment."""

    index: int
    id: str = ""
    name: str = ""
    json: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The terminal event: the whole reply, as the pieces add up."""

    reply: Reply


Event = TextDelta | ThinkingDelta | ToolUseDelta | Done
