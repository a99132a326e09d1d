"""The raw wire of each vendor as data: path, credential, body, reader and table of errors, for who forwards without an SDK."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hroute.providers import anthropic as anthropic_plugin
from hroute.providers import ollama as ollama_plugin
from hroute.providers import openai as openai_plugin
from hroute.providers.ollama_window import Model
from hroute.providers.outcomes import Row, failure, outcome_of, rejected, told
from hroute.providers.parameters import OF_TOOLS, TEXT, Parameters
from hroute.providers.protocol import Target
from hroute.providers.stainless import Reader
from hroute.terms.message import Reply, Request
from hroute.terms.outcome import Failure, Outcome
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
from hroute.wire.errors import Dialect
from hroute.wire.fields import Json, Malformed, VendorFault, loads

ANTHROPIC_VERSION: Final = "2023-06-01"
"""The version of the API that is asked for where the client names none."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One dialect as a vendor speaks it. `path` stands under a target's address, `parameters` are those that it carries,
    `emit` makes the body of a request whose parameters fit."""

    dialect: Dialect
    path: str
    rows: tuple[Row, ...]
    parameters: Parameters
    emit: Callable[[Target, Request], dict[str, Any]]
    reader: Callable[[], Reader]
    parse: Callable[[Json], Reply]
    credential: Callable[[str], tuple[str, str]]
    headers: tuple[tuple[str, str], ...] = ()


def wire_of(plugin: str, target: Target, wanted: Dialect) -> Wire | None:
    """How to speak to `target`: in the `wanted` dialect where it knows that, else in its own. None: it has no raw wire."""
    if plugin == "openai" and wanted == "openai_responses" and speaks_responses(target):
        return _RESPONSES
    if plugin == "openai" and wanted == "openai_completions" and speaks_completions(target):
        return _COMPLETIONS
    return _WIRES.get(plugin)


def speaks_responses(target: Target) -> bool:
    """OpenAI itself serves /responses; of another server its `options: {responses: true}` says so."""
    said = target.options.get("responses")
    return said if isinstance(said, bool) else target.base_url in (None, openai_plugin.OWN_ADDRESS)


def speaks_completions(target: Target) -> bool:
    """Whether a server knows the older /completions for its model: its `options: {completions: true}` says so."""
    said = target.options.get("completions")
    return said if isinstance(said, bool) else target.base_url is None or target.model.startswith(_CONTINUE)


def fitting(
    wire: Wire, target: Target, request: Request, by_caller: Collection[str] = ()
) -> tuple[Request, tuple[str, ...]]:
    """`request` with the target's own parameters under those that came with it, and the names of those that the wire has no
    place for. `by_caller` are the names that a client said and no policy: of these only what means the same everywhere.

    Raises ProviderError (capability) for a parameter of the policy itself that the wire does not know.
    """
    theirs = {name: value for name, value in request.params.items() if name in by_caller}
    ours = {**target.params, **{name: value for name, value in request.params.items() if name not in by_caller}}
    carried = wire.parameters.understood(theirs)
    params = {**wire.parameters.fit(ours), **carried}
    limit = params.pop("max_tokens", theirs.get("max_tokens"))
    asked = request.max_tokens if request.max_tokens is not None else limit
    dropped = tuple(name for name in theirs if name not in carried and name != "max_tokens")
    if not request.tools:
        params = {name: value for name, value in params.items() if name not in OF_TOOLS}
    return replace(request, params=params, max_tokens=asked if isinstance(asked, int) else None), dropped


def with_model(wire: Wire, model: Model | None) -> Wire:
    """Ollama's `wire` with what the server says of the model that is asked."""
    return replace(wire, emit=lambda target, request: ollama_plugin.body_for(target, request, model))


def rejection(wire: Wire, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """What an answer other than 200 is to the router, by the vendor's table."""
    try:
        codes, message = told(loads(body))
    except Malformed:
        codes, message = (), ""
    return rejected(wire.rows, status, codes, message, headers)


def fault(wire: Wire, error: Exception) -> Failure:
    """What an error inside a stream or a body that cannot be read is to the router."""
    if isinstance(error, VendorFault):
        outcome = outcome_of(wire.rows, error.status or None, (error.type,), "")
        return failure(outcome, error.status or None, (error.type,), {})
    return Failure(Outcome.SERVER, "the reply is not what the vendor's wire prescribes", code="malformed")


def _bearer(key: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {key}")


_RESPONSES_PARAMETERS: Final = Parameters(
    "openai",
    frozenset({"temperature", "top_p", "parallel_tool_calls", "metadata", "service_tier", "effort", "tool_choice"}),
    {"previous_response_id": TEXT},
    {"reasoning_effort": "effort"},
)
_COMPLETIONS_PARAMETERS: Final = Parameters(
    "openai", frozenset({"temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "stop"})
)

_ANTHROPIC: Final = Wire(
    "anthropic",
    "/v1/messages",
    anthropic_plugin.ROWS,
    anthropic_plugin.PARAMETERS,
    lambda target, request: anthropic.emit_request(request, target.model),
    anthropic_stream.Reader,
    anthropic.parse_reply,
    lambda key: ("x-api-key", key),
    (("anthropic-version", ANTHROPIC_VERSION),),
)
_CHAT: Final = Wire(
    "openai_chat",
    "/chat/completions",
    openai_plugin.ROWS,
    openai_plugin.PARAMETERS,
    openai_plugin.body_for,
    openai_chat_stream.Reader,
    openai_chat.parse_reply,
    _bearer,
)
_RESPONSES: Final = Wire(
    "openai_responses",
    "/responses",
    openai_plugin.ROWS,
    _RESPONSES_PARAMETERS,
    lambda target, request: openai_responses.emit_request(request, target.model),
    openai_responses_stream.Reader,
    openai_responses.parse_reply,
    _bearer,
)
_COMPLETIONS: Final = Wire(
    "openai_completions",
    "/completions",
    openai_plugin.ROWS,
    _COMPLETIONS_PARAMETERS,
    lambda target, request: openai_completions.emit_request(request, target.model),
    openai_completions_stream.Reader,
    openai_completions.parse_reply,
    _bearer,
)
_CONTINUE: Final = ("gpt-3.5-turbo-instruct", "davinci-002", "babbage-002")
"""Models of OpenAI that continue texts and hold no conversation."""
_OLLAMA: Final = Wire(
    "ollama",
    "/api/chat",
    ollama_plugin.ROWS,
    ollama_plugin.PARAMETERS,
    ollama_plugin.body_for,
    ollama.Reader,
    ollama.parse_reply,
    _bearer,
)
_WIRES: Final[Mapping[str, Wire]] = {"anthropic": _ANTHROPIC, "openai": _CHAT, "ollama": _OLLAMA}
