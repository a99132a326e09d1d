"""The gateway's own OpenAPI document: its paths, what it demands of a body itself, and every status that it answers with.

What a vendor's body holds beyond that is the vendor's to say; the gateway passes it on, and refuses only what it names here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hroute.gateway.doors import COUNT_PATH, DOORS, MESSAGES, Door
from hroute.terms.signal import SIGNALS

Json = dict[str, Any]

_SAID: Final[Mapping[int, str]] = {
    400: "The body is not what the dialect prescribes, or asks for what no provider of the policy can give.",
    401: "The key opens nothing here.",
    402: "A budget is spent: its name, its limit and when it begins anew.",
    403: "A rule or a guarantee of the policy refuses the request, or it comes from a web page of elsewhere.",
    404: "There is no such path, or no such name.",
    405: "The path is asked in another way.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not plain application/json.",
    429: "The key of the client has used its requests of this minute.",
    431: "The headers are too long.",
    500: "The gateway itself failed.",
    502: "The provider failed, and nobody else may answer.",
    503: "Who may answer is down, has no credential or has no capacity; `retry-after` says when to come back.",
    504: "The provider did not answer in time.",
    508: "The request has come back to the gateway that sent it.",
}
_ASKING: Final = (400, 401, 402, 403, 408, 413, 415, 429, 431, 500, 502, 503, 504, 508)
_LOOKING: Final = (400, 401, 403, 404, 405, 431, 500, 508)

_MARKS: Final[Mapping[str, str]] = {
    "x-hroute-id": "The request's id, by which `hroute logs show` finds it.",
    "x-hroute-rule": "The rule that decided.",
    "x-hroute-routed-to": "The provider that the decision named.",
    "x-hroute-provider": "The provider that served, where that is another one.",
    "x-hroute-model": "The model that served.",
    "x-hroute-policy": "The hash of the policy.",
    "x-hroute-attempts": "How many calls were made; not on streams.",
    "x-hroute-cost-usd": "What it cost, where the price is known; not on streams.",
    "x-hroute-dropped": "Fields that the provider's dialect has no place for.",
}
_SUMMARIES: Final[Mapping[str, str]] = {
    "/v1/messages": "Anthropic's messages",
    "/v1/chat/completions": "OpenAI's chat completions",
    "/v1/responses": "OpenAI's responses",
    "/v1/completions": "OpenAI's older completions: a text is continued, or its middle is filled in",
}
_TEXT: Final[Json] = {"type": "string"}
_TOKEN: Final[Json] = {"type": "integer", "minimum": 0, "maximum": 10**7}
_ITEMS: Final[Json] = {"type": "array", "items": {"type": "object"}}


def document(version: str) -> Json:
    """The document, as JSON; `version` is that of hroute."""
    asking = {path: {"post": _door(door)} for path, door in DOORS.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hroute gateway",
            "version": version,
            "description": "One policy between programs and their models. Every answer bears `x-hroute-*` headers that say how it came about; errors have the shape of the door's dialect.",
        },
        "paths": {**asking, COUNT_PATH: {"post": _counting()}, **_pages()},
        "components": {
            "schemas": {**_errors(), **_bodies(), **_answers()},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-hroute-key", "description": "A key of `hroute keys client add`; also as `x-api-key` or as a bearer token. On loopback none is needed."}
            },
        },
        "security": [{}, {"key": []}],
    }  # fmt: skip


def _door(door: Door) -> Json:
    name = door.dialect
    answer = {"description": "The answer: as the vendor gave it, or translated.", "headers": _headers()}
    answer["content"] = {"application/json": {"schema": _ref(f"{name}_reply")}, "text/event-stream": {"schema": _TEXT}}
    return {
        "operationId": name,
        "summary": _SUMMARIES[door.path],
        "parameters": [_signal(), _session()],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(f"{name}_request")}}},
        "responses": {"200": answer, **_refusals(_ASKING, door.dialect)},
    }


def _counting() -> Json:
    counted = {"type": "object", "required": ["input_tokens"], "properties": {"input_tokens": {"type": "integer"}}}
    return {
        "operationId": "count_tokens",
        "summary": "The tokens of a message: estimated here, or counted by the vendor where the policy says so",
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("anthropic_request")}}},
        "responses": {"200": _json("The count.", counted), **_refusals(_ASKING, MESSAGES.dialect)},
    }


def _pages() -> Json:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    anything: Json = {"type": "object"}
    return {
        "/": {"get": _page("root", "Whether a gateway answers here", _json("It does.", anything)), "head": _head()},
        "/healthz": {"get": _page("healthy", "Whether the process lives", _json("It does.", anything))},
        "/readyz": {"get": _page("ready", "Whether requests can be served, and by which policy", _json("They can.", _ref("readiness")))},
        "/metrics": {"get": _page("metrics", "Counters for Prometheus", _plain("text/plain"))},
        "/ui": {"get": _page("ui", "A page for a person: providers, the last decisions, costs", _plain("text/html"))},
        "/openapi.json": {"get": _page("openapi", "This document", _json("OpenAPI 3.1.", anything))},
        "/v1/models": {"get": _page("models", "What may be asked for as a model", _json("A list in the words of both vendors.", _ref("models")))},
        "/v1/models/{name}": {"parameters": [name], "get": _page("model", "One of them", _json("It is known.", _ref("model")))},
        "/sessions/{name}": {"parameters": [name], "get": _page("session", "What a session has cost so far", _json("It is known.", anything))},
    }  # fmt: skip


def _page(operation: str, summary: str, answer: Json) -> Json:
    return {"operationId": operation, "summary": summary, "responses": {"200": answer, **_refusals(_LOOKING, None)}}


def _head() -> Json:
    return {"operationId": "knock", "summary": "The same without a body", "responses": {"200": {"description": "It does."}}}  # fmt: skip


def _refusals(statuses: tuple[int, ...], dialect: str | None) -> Json:
    schema = _ref("anthropic_error" if dialect == "anthropic" else "openai_error" if dialect else "error")
    return {str(status): _json(_SAID[status], schema) for status in statuses}


def _json(said: str, schema: Json) -> Json:
    return {"description": said, "content": {"application/json": {"schema": schema}}}


def _plain(media: str) -> Json:
    return {"description": "The page.", "content": {media: {"schema": _TEXT}}}


def _headers() -> Json:
    return {name: {"description": said, "schema": _TEXT} for name, said in _MARKS.items()}


def _signal() -> Json:
    said = (
        "Signals of the request, such as `task_type=classification, batch_size=500` (docs/signals.md); they stay here."
    )
    words = {name: SIGNALS[name].values for name in ("task_type", "complexity", "priority", "code_task")}
    known = [f"{name}=({'|'.join(values)})" for name, values in words.items()]
    pattern = f"^[, ]*({'|'.join([*known, 'batch_size=[0-9]{1,6}', 'cost_center=[a-z]{1,20}'])})?[, ]*$"
    return {"name": "x-hroute-signal", "in": "header", "description": said, "schema": {"type": "string", "pattern": pattern}}  # fmt: skip


def _session() -> Json:
    said = "Which conversation it belongs to; rollouts, taints and held rules keep to it."
    return {"name": "x-hroute-session", "in": "header", "description": said, "schema": {"type": "string"}}  # fmt: skip


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _errors() -> Json:
    told: Json = {"type": "object", "required": ["type", "message"], "properties": {"type": _TEXT, "message": _TEXT}}
    both = {"anyOf": [_ref("anthropic_error"), _ref("openai_error")]}
    anthropics = {"type": "object", "required": ["type", "error"], "properties": {"type": {"const": "error"}, "error": told}}  # fmt: skip
    code = {"type": ["string", "null"]}
    more = {**told["properties"], "code": code, "param": code}
    openais = {"type": "object", "required": ["error"], "properties": {"error": {**told, "properties": more}}}
    return {"anthropic_error": anthropics, "openai_error": openais, "error": both}


def _bodies() -> Json:
    """What is demanded here: the rest of a body is between the client and its vendor."""
    model: Json = {"type": "string", "minLength": 1, "description": "`hroute/auto`, `hroute/RULE`, `hroute/PROVIDER`, or a vendor's own name."}  # fmt: skip
    whole = {"type": ["integer", "null"]}
    flag: Json = {"description": "True for server-sent events."}

    def of(limits: tuple[str, ...], **properties: Json) -> Json:
        known = {"model": model, "stream": flag, **dict.fromkeys(limits, whole), **properties}
        return {"type": "object", "required": ["model", *properties], "properties": known}

    content = {"anyOf": [_TEXT, _ITEMS]}
    turn: Json = {"type": "object", "required": ["role", "content"], "properties": {"role": {"enum": ["user", "assistant", "system"]}, "content": content}}  # fmt: skip
    said: Json = {"type": "object", "required": ["role"], "properties": {"role": {"enum": ["system", "developer", "user", "assistant", "tool", "function"]}}}  # fmt: skip
    speakers = {"enum": ["user", "assistant", "system", "developer"]}
    spoken: Json = {"required": ["role"], "properties": {"role": speakers}}
    other: Json = {"required": ["type"], "properties": {"type": {"not": {"const": "message"}}}}
    entry: Json = {"type": "object", "anyOf": [spoken, other]}
    texts = {"anyOf": [_TEXT, *(_some(items) for items in (_TEXT, _TOKEN, _some(_TOKEN)))]}
    return {
        "anthropic_request": of(("max_tokens",), messages={"type": "array", "minItems": 1, "items": turn}),
        "openai_chat_request": of(("max_tokens", "max_completion_tokens"), messages={"type": "array", "minItems": 1, "items": said}),
        "openai_responses_request": of(("max_output_tokens",), input={"anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": entry}]}),
        "openai_completions_request": of(("max_tokens",), prompt=texts),
    }  # fmt: skip


def _some(items: Json) -> Json:
    return {"type": "array", "items": items, "minItems": 1}


def _answers() -> Json:
    def of(**properties: Json) -> Json:
        return {"type": "object", "required": list(properties), "properties": properties}

    row = of(id=_TEXT, object=_TEXT, type=_TEXT, display_name=_TEXT, created={"type": "integer"}, owned_by=_TEXT)
    return {
        "anthropic_reply": of(id=_TEXT, type={"const": "message"}, role={"const": "assistant"}, model=_TEXT, content=_ITEMS, usage={"type": "object"}),
        "openai_chat_reply": of(id=_TEXT, object={"const": "chat.completion"}, model=_TEXT, choices=_ITEMS),
        "openai_responses_reply": of(id=_TEXT, object={"const": "response"}, model=_TEXT, output=_ITEMS),
        "openai_completions_reply": of(id=_TEXT, object={"const": "text_completion"}, model=_TEXT, choices=_ITEMS),
        "readiness": of(ready={"type": "boolean"}, policy=_TEXT, mode=_TEXT, trouble={"type": ["string", "null"]}),
        "model": row,
        "models": of(object={"const": "list"}, data={"type": "array", "items": _ref("model")}),
    }  # fmt: skip
