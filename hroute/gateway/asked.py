"""What a client asks: the body and the headers of one HTTP request as a Request with its signals, and nothing forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote_plus

import orjson

from hroute.errors import UsageError
from hroute.gateway.bodies import decode
from hroute.gateway.doors import Door
from hroute.terms.message import Request, Tool
from hroute.terms.signal import SIGNALS, Value, coerce
from hroute.wire.fields import Json, Malformed, inner, word
from hroute.wire.looks import is_word
from hroute.wire.unread import unread

RawHeaders = Iterable[tuple[bytes, bytes]]

PREFIX: Final = "x-hroute-"
"""Headers of ours begin so; none of them ever leaves for a vendor."""
METADATA: Final = "hroute_"
"""Keys of OpenAI's `metadata` that name a signal begin so."""

HOSTED: Final = "hosted_tools"
"""The parameter under which tools travel that only their own vendor runs: the detectors read them, no other wire has it."""
UNREAD: Final = "other_fields"
"""The parameter under which the text of fields travels that no parser reads: for the detectors alone."""
OURS: Final = frozenset({HOSTED, UNREAD})
_USUAL: Final = frozenset(
    {"accept", "accept-encoding", "accept-language", "authorization", "api-key", "connection", "content-encoding", "content-length", "content-type", "cookie", "host", "keep-alive",
     "openai-beta", "origin", "proxy-authorization", "referer", "traceparent", "tracestate", "transfer-encoding", "user-agent", "x-api-key", "x-goog-api-key"}
)  # fmt: skip
"""Headers that are no client's own words, and credentials, which have filters of their own."""
_KNOWN: Final = (PREFIX, "anthropic-", "x-stainless-", "sec-", "x-forwarded-")
_SESSIONS: Final = ("x-claude-code-session-id", "session_id", "session-id", "x-session-id", "x-session-affinity", "conversation_id")  # fmt: skip
"""Headers in which known clients name their conversation, the surest first."""
_GIVEN: Final = frozenset(SIGNALS) - {"message", "held_rule", "arrival_hour"}
"""Signals that a caller may say; the others are known here."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request through a door. `raw` are the bytes that came; `given` the signals that the caller and the wire name.

    `body` is `raw` as JSON without signals of ours; `exact` says that nothing had to be taken out. `beyond` names the
    fields below the keys of the body that no parser reads: they reach their own dialect only.
    """

    door: Door
    raw: bytes
    body: Json
    exact: bool
    request: Request
    given: Mapping[str, Value]
    beyond: tuple[str, ...]
    headers: Mapping[str, str]
    query: str = ""
    path: str = ""

    @property
    def model(self) -> str:
        return word(self.body, "model")

    @property
    def session(self) -> str | None:
        found = self.given.get("session")
        return found if isinstance(found, str) else None


def read(
    door: Door, raw: bytes, headers: Mapping[str, str], query: str = "", path: str = "", *, leniently: bool = False
) -> Asked:
    """Raises Malformed where the body is not what the dialect prescribes, UsageError where a signal does not fit.
    `leniently`: also what would be refused because readers may differ over it."""
    whole = decode(raw, leniently=leniently)
    body, said = _without_signals(whole)
    if not word(body, "model"):
        raise Malformed("model: a name is wanted here")
    try:
        request = door.parse(body)
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    if not request.messages:
        raise Malformed("there is no message in it")
    left = unread(door.dialect, body, door.known)
    beside = _beside(headers, query)
    request = replace(request, params={**_beyond(body, door, request, (left.text, beside)), **request.params})
    tools, hosted = _tools(request)
    if hosted:
        request = replace(request, tools=tools, params={**request.params, HOSTED: _declared(hosted)})
    given = {**door.says(body), **_of_wire(body, headers), **said, **_of_headers(headers)}
    signals = {name: coerce(name, value) for name, value in given.items() if value is not None}
    return Asked(door, raw, body, body is whole, request, signals, left.names, headers, query, path or door.path)


def _beyond(body: Json, door: Door, request: Request, unread: tuple[str, ...]) -> dict[str, Any]:
    """The keys of `body` that its parser does not read whole, as parameters: the detectors read them, and a wire that
    knows one sends it. One that bears the name of another parameter is text for the detectors only."""
    found = {key: value for key, value in body.items() if key not in door.known}
    hidden = [found.pop(key) for key in (*request.params, *OURS) if key in found]
    texts = [*filter(None, unread), *hidden]
    if texts:
        found[UNREAD] = texts
    return found


def _beside(headers: Mapping[str, str], query: str) -> str:
    """What stands beside the body and goes along with it: sentences in a query or in headers that no standard has."""
    lines = [f"{name}: {value}" for name, value in headers.items() if not (name in _USUAL or is_word(value) or name.startswith(_KNOWN))]  # fmt: skip
    return "\n".join([*lines, unquote_plus(query)] if query not in ("", "beta=true") else lines)


def _declared(hosted: tuple[Tool, ...]) -> dict[str, Any]:
    return {tool.name: tool.schema for tool in hosted}


def headers_of(raw: RawHeaders) -> dict[str, str]:
    """Headers by lower-case name; of several of one name the values are joined, as HTTP has it."""
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _tools(request: Request) -> tuple[tuple[Tool, ...], tuple[Tool, ...]]:
    """The tools that a provider has to take, and those of the vendor's own that stand beside them: a client that brings
    tools of its own can go on without these."""
    own = tuple(tool for tool in request.tools if not tool.hosted)
    choice = str(request.params.get("tool_choice", ""))
    if not own or choice.removeprefix("tool:") in {tool.name for tool in request.tools if tool.hosted}:
        return request.tools, ()
    return own, tuple(tool for tool in request.tools if tool.hosted)


def _without_signals(body: Json) -> tuple[Json, dict[str, Any]]:
    """The body without `metadata.hroute_*`, and what that said."""
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping) or not any(str(key).startswith(METADATA) for key in metadata):
        return body, {}
    said = {_name(key.removeprefix(METADATA)): v for key, v in metadata.items() if key.startswith(METADATA)}
    kept = {key: value for key, value in metadata.items() if not key.startswith(METADATA)}
    rest = {key: value for key, value in body.items() if key != "metadata"}
    return ({**rest, "metadata": kept} if kept else rest), said


def _of_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    """`x-hroute-signal: a=1, b=2` and `x-hroute-cost-center: X`; a set's further names follow without a `=`."""
    given: dict[str, Any] = {}
    last = ""
    for item in headers.get(PREFIX + "signal", "").split(","):
        name, sign, value = item.partition("=")
        if sign:
            last = _name(name.strip())
            given[last] = value.strip()
        elif item.strip():
            if not last:
                raise UsageError(f"{PREFIX}signal: `name=value` is wanted")
            given[last] = f"{given[last]},{item.strip()}"
    for key, value in headers.items():
        name = key.removeprefix(PREFIX).replace("-", "_") if key.startswith(PREFIX) else ""
        if name in _GIVEN:
            given[name] = value
    return given


def _name(name: str) -> str:
    if name in _GIVEN:
        return name
    if name in SIGNALS:
        raise UsageError(f"signal `{name}` is not for a caller to say")
    raise UsageError(f"`{name[:60]}` is not a signal", help="docs/signals.md explains each")


def _of_wire(body: Json, headers: Mapping[str, str]) -> dict[str, Any]:
    """What clients tell without knowing of us: the model, whether to think, their conversation, who they are."""
    thinking = inner(body, "thinking").get("type") in ("enabled", "adaptive") or bool(inner(body, "reasoning"))
    agent = headers.get("user-agent", "").partition("/")[0].strip()
    account, session = _identity(word(inner(body, "metadata"), "user_id"))
    return {
        "requested_model": word(body, "model"),
        "thinking": thinking or "reasoning_effort" in body,
        "session": next((headers[name] for name in _SESSIONS if headers.get(name)), None)
        or session
        or word(body, "prompt_cache_key")
        or None,
        "user": account or word(body, "user") or None,
        "client": agent or None,
    }


def _identity(user_id: str) -> tuple[str, str]:
    """(account, session) from Anthropic's `metadata.user_id`; Claude Code writes a JSON text there."""
    if not user_id.startswith("{"):
        return user_id, ""
    try:
        told = orjson.loads(user_id)
    except orjson.JSONDecodeError:
        return user_id, ""
    if not isinstance(told, dict):
        return user_id, ""
    return word(told, "account_uuid") or word(told, "device_id"), word(told, "session_id")
