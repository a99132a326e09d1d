"""The front doors of the HTTP sandbox: which path speaks which dialect, and the pages that only list something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hroute.providers.sandbox.play import Rejection, Scene
from hroute.providers.sandbox.script import FaultKind
from hroute.providers.sandbox.sight import everything, tokens
from hroute.terms.message import Event, Reply, Request
from hroute.terms.usage import Usage
from hroute.wire import (
    anthropic,
    anthropic_stream,
    ollama,
    openai_chat,
    openai_chat_stream,
    openai_completions,
    openai_completions_stream,
    openai_responses,
    openai_responses_stream,
)
from hroute.wire.errors import Dialect, error_body
from hroute.wire.fields import inner

CREATED: Final = 1_760_000_000
"""The time that every reply bears: the same each time, as everything here."""
_CREATED_TEXT: Final = "2025-10-09T08:53:20Z"


class Writer(Protocol):
    """The stream machine of a dialect."""

    def write(self, event: Event) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Door:
    """One path. `counts` marks the one that only counts tokens."""

    path: str
    dialect: Dialect
    provider: str
    parse_request: Callable[[Mapping[str, Any]], Request]
    emit_reply: Callable[[Reply], dict[str, Any]]
    writer: Callable[[Scene, Mapping[str, Any]], Writer]
    media: str = "text/event-stream; charset=utf-8"
    counts: bool = False

    def count(self, request: Request) -> dict[str, Any]:
        return {"input_tokens": tokens(everything(request))}

    def error(self, rejection: Rejection) -> dict[str, Any]:
        """The vendor's own words where clients look for them: a prompt that does not fit, a quota that is spent."""
        message, code = rejection.message, rejection.code or None
        if rejection.kind is FaultKind.TOO_LONG:
            message = _TOO_LONG[self.dialect]
            code = "context_length_exceeded"
        type = rejection.code if self.dialect == "anthropic" else ""
        return error_body(self.dialect, rejection.status, type, message, code=code)


_TOO_LONG: Final[Mapping[Dialect, str]] = {
    "anthropic": "prompt is too long: 200001 tokens > 200000 maximum",
    "openai_chat": "This model's maximum context length is 128000 tokens. Please reduce the length of the messages.",
    "openai_completions": "This model's maximum context length is 4097 tokens. Please reduce your prompt.",
    "openai_responses": "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "ollama": "input length exceeds maximum context length",
}


def _anthropic_writer(scene: Scene, body: Mapping[str, Any]) -> Writer:
    return anthropic_stream.Writer(scene.reply.model, id="msg_sandbox", usage=Usage(scene.reply.usage.input))


def _chat_writer(scene: Scene, body: Mapping[str, Any]) -> Writer:
    wanted = inner(body, "stream_options").get("include_usage") is True
    return openai_chat_stream.Writer(scene.reply.model, id="chatcmpl-sandbox", created=CREATED, include_usage=wanted)


def _completions_writer(scene: Scene, body: Mapping[str, Any]) -> Writer:
    wanted = inner(body, "stream_options").get("include_usage") is True
    return openai_completions_stream.Writer(scene.reply.model, id="cmpl-sandbox", created=CREATED, include_usage=wanted)


def _responses_writer(scene: Scene, body: Mapping[str, Any]) -> Writer:
    return openai_responses_stream.Writer(scene.reply.model, id="resp_sandbox", created=CREATED)


def _ollama_writer(scene: Scene, body: Mapping[str, Any]) -> Writer:
    return ollama.Writer(scene.reply.model, created=_CREATED_TEXT)


def _messages(path: str, *, counts: bool = False) -> Door:
    emit = anthropic.emit_reply
    return Door(path, "anthropic", "anthropic", anthropic.parse_request, emit, _anthropic_writer, counts=counts)


DOORS: Final = (
    _messages("/v1/messages/count_tokens", counts=True),
    _messages("/v1/messages"),
    Door(
        "/chat/completions",
        "openai_chat",
        "openai",
        openai_chat.parse_request,
        lambda reply: openai_chat.emit_reply(reply, id="chatcmpl-sandbox", created=CREATED),
        _chat_writer,
    ),
    Door(
        "/completions",
        "openai_completions",
        "openai",
        openai_completions.parse_request,
        lambda reply: openai_completions.emit_reply(reply, id="cmpl-sandbox", created=CREATED),
        _completions_writer,
    ),
    Door(
        "/responses",
        "openai_responses",
        "openai",
        openai_responses.parse_request,
        lambda reply: openai_responses.emit_reply(reply, id="resp_sandbox", created=CREATED),
        _responses_writer,
    ),
    Door(
        "/api/chat",
        "ollama",
        "ollama",
        ollama.parse_request,
        lambda reply: ollama.emit_reply(reply, created=_CREATED_TEXT),
        _ollama_writer,
        media="application/x-ndjson",
    ),
)
