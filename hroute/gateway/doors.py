"""The front doors: which path speaks which dialect, and how an answer, a stream or an error reads in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hroute.terms.message import Event, Reply, Request
from hroute.wire import (
    anthropic,
    anthropic_stream,
    openai_chat,
    openai_chat_stream,
    openai_completions,
    openai_completions_stream,
    openai_responses,
    openai_responses_stream,
)
from hroute.wire.errors import Dialect
from hroute.wire.fields import Json, inner


class Writer(Protocol):
    """A dialect's stream machine (`hroute.wire`)."""

    def write(self, event: Event) -> bytes: ...

    def fail(self, status: int, type: str, message: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Named:
    """What a reply of ours bears: its id (hex digits), the Unix time of its making, and the model that serves."""

    id: str
    created: int
    model: str


@dataclass(frozen=True, slots=True)
class Door:
    """One path that asks a model. `vendor` is the plugin whose own clients come in here. `known` are the keys of a body
    that `parse` reads whole, `partly` those that it reads in part; what it does not read, the detectors read as it stands.
    `beyond` names what a body asks for that no other dialect can give, `says` gives signals that the door itself tells.
    """

    path: str
    dialect: Dialect
    vendor: str
    parse: Callable[[Json], Request]
    emit: Callable[[Reply, Named], dict[str, Any]]
    writer: Callable[[Named, Json], Writer]
    known: frozenset[str]
    partly: frozenset[str]
    beyond: Callable[[Json], tuple[str, ...]] = lambda _: ()
    says: Callable[[Json], Mapping[str, str]] = lambda _: {}


def _messages_reply(reply: Reply, named: Named) -> dict[str, Any]:
    return anthropic.emit_reply(reply, id=f"msg_{named.id}")


def _chat_reply(reply: Reply, named: Named) -> dict[str, Any]:
    return openai_chat.emit_reply(reply, id=f"chatcmpl-{named.id}", created=named.created)


def _responses_reply(reply: Reply, named: Named) -> dict[str, Any]:
    return openai_responses.emit_reply(reply, id=f"resp_{named.id}", created=named.created)


def _completions_reply(reply: Reply, named: Named) -> dict[str, Any]:
    return openai_completions.emit_reply(reply, id=f"cmpl-{named.id}", created=named.created)


def _messages_writer(named: Named, body: Json) -> Writer:
    return anthropic_stream.Writer(named.model, id=f"msg_{named.id}")


def _chat_writer(named: Named, body: Json) -> Writer:
    wanted = inner(body, "stream_options").get("include_usage") is True
    return openai_chat_stream.Writer(
        named.model, id=f"chatcmpl-{named.id}", created=named.created, include_usage=wanted
    )


def _responses_writer(named: Named, body: Json) -> Writer:
    return openai_responses_stream.Writer(named.model, id=f"resp_{named.id}", created=named.created)


def _completions_writer(named: Named, body: Json) -> Writer:
    wanted = inner(body, "stream_options").get("include_usage") is True
    return openai_completions_stream.Writer(
        named.model, id=f"cmpl-{named.id}", created=named.created, include_usage=wanted
    )


def _filling(body: Json) -> Mapping[str, str]:
    """A gap to be filled in is what an editor asks for at every keystroke."""
    return {"task_type": "code", "code_task": "completion"} if openai_completions.fills_in(body) else {}


_KEPT_THERE: Final = ("previous_response_id", "conversation", "background", "prompt")
"""What of a response refers to something that its vendor keeps: another would answer without it."""

MESSAGES: Final = Door(
    "/v1/messages",
    "anthropic",
    "anthropic",
    anthropic.parse_request,
    _messages_reply,
    _messages_writer,
    frozenset(
        {"model", "messages", "system", "tools", "max_tokens", "stream", "temperature", "top_p", "top_k", "service_tier", "metadata",
         "stop_sequences", "thinking", "tool_choice"}
    ),
    frozenset({"output_config", "output_format"}),
)  # fmt: skip
CHAT: Final = Door(
    "/v1/chat/completions",
    "openai_chat",
    "openai",
    openai_chat.parse_request,
    _chat_reply,
    _chat_writer,
    frozenset(
        {"model", "messages", "tools", "max_tokens", "max_completion_tokens", "stream", "stream_options", "temperature", "top_p", "seed",
         "presence_penalty", "frequency_penalty", "parallel_tool_calls", "metadata", "service_tier", "stop", "reasoning_effort", "tool_choice"}
    ),
    frozenset({"response_format", "functions", "function_call"}),
)  # fmt: skip
RESPONSES: Final = Door(
    "/v1/responses",
    "openai_responses",
    "openai",
    openai_responses.parse_request,
    _responses_reply,
    _responses_writer,
    frozenset(
        {"model", "input", "instructions", "tools", "max_output_tokens", "stream", "temperature", "top_p", "parallel_tool_calls", "metadata",
         "service_tier", "previous_response_id", "tool_choice"}
    ),
    frozenset({"text", "reasoning"}),
    lambda body: tuple(name for name in _KEPT_THERE if body.get(name)),
)  # fmt: skip

COMPLETIONS: Final = Door(
    "/v1/completions",
    "openai_completions",
    "openai",
    openai_completions.parse_request,
    _completions_reply,
    _completions_writer,
    frozenset(
        {"model", "prompt", "suffix", "max_tokens", "stream", "stream_options", "temperature", "top_p", "seed",
         "presence_penalty", "frequency_penalty", "stop"}
    ),
    frozenset({"n", "best_of", "echo", "logprobs", "logit_bias"}),
    openai_completions.beyond_chat,
    _filling,
)  # fmt: skip

DOORS: Final[Mapping[str, Door]] = {door.path: door for door in (MESSAGES, CHAT, RESPONSES, COMPLETIONS)}

COUNT_PATH: Final = "/v1/messages/count_tokens"
"""Counts tokens in the dialect of `/v1/messages`; estimated here, nothing is sent."""


def dialect_of(path: str) -> Dialect:
    """The dialect in which an error on `path` is told: that of the door, else OpenAI's, which most clients read."""
    if path.startswith("/v1/messages"):
        return "anthropic"
    found = DOORS.get(path)
    return found.dialect if found else "openai_chat"


def vendor_of(path: str, headers: Mapping[str, str]) -> str:
    """The vendor whose client asks for `path`: what it says of its API's version, else the one whose path it is."""
    door = DOORS.get(path)
    if door is not None:
        return door.vendor
    anthropics = "anthropic-version" in headers or path.startswith(("/v1/messages", "/api/"))
    return "anthropic" if anthropics else "openai"
