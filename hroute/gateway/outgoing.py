"""What leaves for a provider: the client's own bytes where its dialect is spoken there, else the request in other words.

Bytes are kept wherever nothing has to change, so that prompt caches, beta features and seals of reasoning survive; where
the policy sends a request to another model only the name of the model is exchanged, in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from hroute.gateway.asked import HOSTED, OURS, PREFIX, Asked
from hroute.providers.forward import RawCall
from hroute.providers.protocol import Target
from hroute.providers.wires import Wire, fitting
from hroute.router.attempts import Call
from hroute.terms.message import Request
from hroute.wire import anthropic, anthropic_models
from hroute.wire.errors import Dialect
from hroute.wire.fields import Json, Malformed, dumps, loads

INSTANCE: Final = PREFIX + "instance"
"""Names the gateways that a request has passed, so that one that comes round is seen."""

CREDENTIALS: Final = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization"})  # fmt: skip
_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length", "expect"}
)  # fmt: skip
"""RFC 9110, 7.6.1, and what is made anew for every connection."""
_NOT_OURS_TO_SEND: Final = frozenset({"accept-encoding", "forwarded", "via", "origin", "referer", "content-encoding"})
_ACCOUNTS: Final = frozenset({"openai-organization", "openai-project"})
"""Headers that name an account, which the policy's own key does not belong to."""
_ANYWHERE: Final = frozenset({"accept", "content-type", "anthropic-version"})
"""What a server that only speaks the dialect gets of the client's headers."""
_PERSONAL: Final = ("metadata", "user", "safety_identifier", "client_metadata")
"""Keys of a body that name the client's account or person: for their own vendor only (SEMANTICS 3.10)."""
_VENDORS: Final = frozenset({"thinking", "effort", "metadata", "service_tier", "previous_response_id"})
"""Parameters that mean something at the vendor alone for which they were written."""
_SEALS: Final = ("thinking", "redacted_thinking")
_LIMITS: Final[Mapping[Dialect, tuple[str, ...]]] = {
    "anthropic": ("max_tokens",),
    "openai_chat": ("max_completion_tokens", "max_tokens"),
    "openai_responses": ("max_output_tokens",),
    "openai_completions": ("max_tokens",),
}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call as bytes. `same`: the answer comes in the client's own dialect. `dropped` names what found no place."""

    call: RawCall
    same: bool
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What a provider is to the client. `vendor`: the one for whom the client's request was written, so that what is
    personal may go there. `own_address`: at the vendor's own address, so that the client's own credential may, too.
    `sealed`: it has sealed the reasoning that the request brings."""

    vendor: bool
    own_address: bool
    sealed: bool = True


def outgoing(asked: Asked, call: Call, wire: Wire, standing: Standing, instance: str) -> Outgoing:
    """The bytes of `call`. Raises ProviderError where the provider cannot take the request."""
    headers = tuple(_headers(asked, call, wire, standing, instance))
    own_words = call.request.messages is asked.request.messages  # a judge is asked something else
    if wire.dialect != asked.door.dialect or not own_words:
        body, dropped = _translated(asked, call, wire)
        return Outgoing(RawCall(wire.path, headers, body, stream=call.stream), False, dropped)
    path = f"{wire.path}?{asked.query}" if asked.query else wire.path
    return Outgoing(RawCall(path, headers, _same(asked, call, wire, standing), stream=call.stream), True)


def passed_on(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """A client's headers as it sent them, credentials included: for where its request went before."""
    named = {name.strip().lower() for name in headers.get("connection", "").split(",")}
    for name, value in headers.items():
        if name not in _HOP and name not in named and not name.startswith(PREFIX):
            yield name, value


def with_model(raw: bytes, body: Json, model: str) -> bytes:
    """`raw` with the name of the model exchanged and no other byte touched."""
    old = body.get("model")
    if old == model:
        return raw
    new = orjson.dumps(model)
    at = raw.find(b'"model"')
    first = raw[:at].strip() == b"{"  # no other object can be meant, and no key stands twice
    while at >= 0:
        start, end = _value_at(raw, at + len(b'"model"'))
        if end > start and _same_text(raw[start:end], old):
            made = raw[:start] + new + raw[end:]
            if first or _model_of(made) == model:
                return made
        at, first = raw.find(b'"model"', at + 1), False
    return written({**body, "model": model})  # its key is spelled with escapes


def written(value: object) -> bytes:
    """Compact JSON."""
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return dumps(value).encode()


def _same(asked: Asked, call: Call, wire: Wire, standing: Standing) -> bytes:
    """The client's body for a provider that speaks its dialect."""
    changes = dict(_changes(asked, call, wire, standing))
    if asked.exact and not changes:
        return with_model(asked.raw, asked.body, call.target.model)
    changed = {**asked.body, "model": call.target.model, **changes}
    return written({key: value for key, value in changed.items() if value is not _GONE})


_GONE: Final = object()


def _changes(asked: Asked, call: Call, wire: Wire, standing: Standing) -> Iterator[tuple[str, Any]]:
    """What has to be different in the body besides the model's name."""
    body, request = asked.body, call.request
    if call.stream != asked.request.stream:
        yield "stream", call.stream
        yield "stream_options", _GONE
    if not standing.vendor:
        yield from ((key, _GONE) for key in _PERSONAL if key in body)
    limit, asked_for = request.max_tokens, asked.request.max_tokens
    if limit is not None and asked_for is not None and limit < asked_for:
        yield from ((key, limit) for key in _LIMITS[asked.door.dialect] if key in body)
    own = {**call.target.params, **{k: v for k, v in request.params.items() if k not in asked.request.params}}
    if own:
        made, _ = fitting(wire, replace(call.target, params={}), Request((), tools=request.tools, params=own))
        fields = wire.emit(call.target, made)
        left_alone = ("model", "messages", "input", "prompt", "stream", "store", *_LIMITS[asked.door.dialect])
        yield from ((key, value) for key, value in fields.items() if key not in body and key not in left_alone)
    if wire.dialect == "anthropic" and call.target.model != asked.model:
        fit = anthropic_models.fitted(body, call.target.model)
        yield from ((key, _GONE if value is None else value) for key, value in fit.items())
    if not standing.sealed:
        yield from _unsealed(body)


def _unsealed(body: Json) -> Iterator[tuple[str, Any]]:
    """The conversation without reasoning that another account has sealed; nothing where there is none."""
    for key in ("messages", "input"):
        turns = body.get(key)
        if not isinstance(turns, list):
            continue
        kept = [_open(turn) for turn in turns if not (isinstance(turn, Mapping) and turn.get("encrypted_content"))]
        if kept != turns:
            yield key, kept


def _open(turn: Any) -> Any:
    content = turn.get("content") if isinstance(turn, Mapping) else None
    if not isinstance(content, list):
        return turn
    kept = [
        b
        for b in content
        if not (isinstance(b, Mapping) and b.get("type") in _SEALS and (b.get("signature") or b.get("data")))
    ]
    return turn if len(kept) == len(content) else {**turn, "content": kept}


def _translated(asked: Asked, call: Call, wire: Wire) -> tuple[bytes, tuple[str, ...]]:
    """The request in the words of another dialect, and what that has no words for."""
    system, attributed = anthropic.without_attribution(call.request.system)
    request = replace(call.request, stream=call.stream, system=system)
    foreign = ("attribution",) * attributed + tuple(
        name for name in asked.request.params if name in _VENDORS and name not in call.target.params
    )
    params = {name: value for name, value in request.params.items() if name not in foreign}
    fitted, dropped = fitting(wire, call.target, replace(request, params=params), asked.request.params.keys())
    hosted = tuple(f"tools.{name}" for name in request.params.get(HOSTED, ()))
    missing = [name for name in dropped if name not in asked.door.partly and name not in OURS]
    return written(wire.emit(call.target, fitted)), (*foreign, *missing, *asked.beyond, *hosted)


def _headers(asked: Asked, call: Call, wire: Wire, standing: Standing, instance: str) -> Iterator[tuple[str, str]]:
    """The client's headers as far as they may go there, the credential, and what the wire demands."""
    with_own_key = call.candidate.provider.api_key == "client" and standing.own_address
    sent = set()
    same = wire.dialect == asked.door.dialect
    for name, value in passed_on(asked.headers) if same else ():
        if name in _NOT_OURS_TO_SEND or name.startswith(("x-forwarded-", "sec-")):
            continue
        if name in CREDENTIALS | _ACCOUNTS and not (with_own_key and name != "cookie"):
            continue
        if standing.vendor or name in _ANYWHERE:
            sent.add(name)
            yield name, value
    demanded = (("content-type", "application/json"), ("accept-encoding", "identity"), *wire.headers)
    yield from ((name, value) for name, value in demanded if name not in sent)
    if call.target.api_key and not with_own_key:
        yield wire.credential(call.target.api_key)
    if "user-agent" not in sent:
        yield "user-agent", "hroute"
    if not standing.own_address:
        passed = asked.headers.get(INSTANCE)
        yield INSTANCE, f"{passed}, {instance}" if passed else instance


def _value_at(raw: bytes, at: int) -> tuple[int, int]:
    """Where the string lies that follows a key which ends at `at`; an empty place where none does."""
    rest = raw[at : at + 2048]
    trimmed = rest.lstrip(b" \t\r\n")
    if not trimmed.startswith(b":"):
        return at, at
    start = at + len(rest) - len(trimmed) + 1
    value = raw[start : start + 2048]
    start += len(value) - len(value.lstrip(b" \t\r\n"))
    if raw[start : start + 1] != b'"':
        return at, at
    end = start + 1
    while end < len(raw) and raw[end : end + 1] != b'"':
        end += 2 if raw[end : end + 1] == b"\\" else 1
    return start, end + 1


def _same_text(value: bytes, text: object) -> bool:
    try:
        return bool(orjson.loads(value) == text)
    except orjson.JSONDecodeError:
        return False


def _model_of(raw: bytes) -> object:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            value = loads(raw)
        except Malformed:
            return None
    return value.get("model") if isinstance(value, Mapping) else None


def resolved(target: Target, model: str) -> Target:
    """`target` for a client that asks for `model`: `model: requested` serves whatever was asked."""
    return replace(target, model=model) if target.model == REQUESTED else target


REQUESTED: Final = "requested"
"""The model of a provider that serves whatever the client asks for."""
