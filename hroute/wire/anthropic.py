"""Anthropic's messages: request and reply bodies <-> terms. The stream machine is in `anthropic_stream`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from hroute.terms.message import (
    Message,
    Part,
    Reply,
    Request,
    StopReason,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    Unread,
)
from hroute.terms.usage import Usage
from hroute.wire.fields import (
    Json,
    Malformed,
    count,
    dumps,
    inner,
    limit,
    mapping,
    maps,
    required,
    stops,
    without,
    word,
)
from hroute.wire.formats import format_in_words
from hroute.wire.requests import REMINDER, context_message, own, tool_choice, with_files

NAME: Final = "anthropic"

DEFAULT_MAX_TOKENS: Final = 4096
"""The API demands a limit; this one stands where nobody gave one (SEMANTICS 1.12)."""

STOPS: Final = {
    "end_turn": StopReason.END,
    "pause_turn": StopReason.END,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.LENGTH,
    "tool_use": StopReason.TOOL_USE,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "refusal": StopReason.REFUSAL,
}
STOP_NAMES: Final = {
    StopReason.END: "end_turn",
    StopReason.LENGTH: "max_tokens",
    StopReason.TRUNCATED: "max_tokens",
    StopReason.TOOL_USE: "tool_use",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.REFUSAL: "refusal",
}
_SAME: Final = ("temperature", "top_p", "top_k", "service_tier", "metadata")
_KINDS: Final[Mapping[str, Literal["image", "document", "audio"]]] = {
    "image": "image",
    "document": "document",
    "audio": "audio",
    "container_upload": "document",
}


def parse_request(body: Json) -> Request:
    """A body of POST /v1/messages (or count_tokens). Raises Malformed."""
    mapping(body, "body")
    turns = [turn for n, m in enumerate(required(body.get("messages"), "messages")) for turn in _turns(m, n)]
    output = inner(body, "output_config")
    form = inner(output, "format") or inner(body, "output_format")
    schema = form.get("schema") if form.get("type") == "json_schema" else None
    return Request(
        tuple(turns),
        system=_system(body.get("system")),
        tools=tuple(_tool(tool) for tool in maps(body.get("tools"))),
        max_tokens=limit(body, "max_tokens"),
        stream=body.get("stream") is True,
        response_format="json_schema" if isinstance(schema, Mapping) else "text",
        json_schema=schema if isinstance(schema, Mapping) else None,
        params=_params(body, output),
    )


def emit_request(request: Request, model: str, *, system_turns: bool = False) -> dict[str, Any]:
    """The body that asks for `request`; reasoning goes back only under the API's own seal. A message of role `system` among
    the turns stays one with `system_turns` (a beta of the API); else it becomes a user turn that says so."""
    params = request.params
    form = {"type": "json_schema", "schema": request.json_schema} if request.json_schema is not None else None
    output = without(format=form, effort=params.get("effort"))
    in_words = "" if form else format_in_words(request)  # the API has no form for JSON without a schema
    thinking = _emit_thinking(params.get("thinking"))
    body = without(
        model=model,
        max_tokens=_limit(request.max_tokens, thinking),
        system="\n\n".join(filter(None, (request.system, in_words))) or None,
        messages=[turn for m in with_files(request) if (turn := _emit_turn(m, system_turns))["content"]],
        tools=[t for t in map(_emit_tool, request.tools) if t] or None,
        tool_choice=_emit_choice(params),
        thinking=thinking,
        stop_sequences=list(params["stop"]) if params.get("stop") else None,
        output_config=output or None,
        stream=True if request.stream else None,
        **{name: params[name] for name in _SAME if name in params},
    )
    return body | own(params, body)


def parse_reply(body: Json) -> Reply:
    """A message as the API returns it; blocks of kinds that are not known carry nothing over. Raises Malformed."""
    blocks = required(mapping(body, "body").get("content"), "content")
    parts = tuple(part for block in blocks for part in _reply_part(block))
    stop = STOPS.get(word(body, "stop_reason"), StopReason.END)
    return Reply(parts, word(body, "model"), stop, usage_of(inner(body, "usage")))


def emit_reply(reply: Reply, *, id: str = "msg_hroute") -> dict[str, Any]:
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [block for part in reply.parts for block in _blocks(part)],
        "stop_reason": STOP_NAMES[reply.stop],
        "stop_sequence": None,
        "usage": usage_body(reply.usage),
    }


def usage_of(usage: Json) -> Usage:
    """`output_tokens` of the API includes thinking; ours does not."""
    thought = count(inner(usage, "output_tokens_details"), "thinking_tokens")
    written = count(usage, "output_tokens")
    cached = count(usage, "cache_creation_input_tokens")
    return Usage(
        input=count(usage, "input_tokens"),
        output=max(written - thought, 0),
        cache_read=count(usage, "cache_read_input_tokens"),
        cache_write=cached,
        reasoning=min(thought, written),
        cache_write_1h=min(count(inner(usage, "cache_creation"), "ephemeral_1h_input_tokens"), cached),
    )


def usage_body(usage: Usage) -> dict[str, Any]:
    body: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output + usage.reasoning,
    }
    if usage.cache_write_1h:
        short = usage.cache_write - usage.cache_write_1h
        body["cache_creation"] = {
            "ephemeral_5m_input_tokens": short,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return body


def without_attribution(system: str) -> tuple[str, bool]:
    """Instructions without the line that Claude Code puts before them to tell Anthropic its version, and whether it was
    there. It is for Anthropic alone, and differs from session to session, so that no other server could keep the rest."""
    first, _, rest = system.partition("\n")
    return (rest.lstrip("\n"), True) if first.startswith("x-anthropic-billing-header:") else (system, False)


def _system(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    return "\n\n".join(word(block, "text") for block in maps(raw) if word(block, "text"))


def _turns(message: Json, n: int) -> Iterator[Message]:
    """One message; documents with a text in them stand apart, as context, behind the tool results."""
    role = message.get("role")
    if role not in ("user", "assistant", "system"):
        raise Malformed(f"messages[{n}].role: user, assistant or system is wanted here")
    raw = message.get("content")
    if isinstance(raw, str):
        yield Message(role, (Text(raw),))
        return
    blocks = required(raw, f"messages[{n}].content")
    documents = [block for block in blocks if inner(block, "source").get("type") in ("text", "content")]
    parts = [part for block in blocks if block not in documents for part in _parts(block)]
    if not documents:
        yield Message(role, tuple(parts))
        return
    results = tuple(part for part in parts if isinstance(part, ToolResult))
    others = tuple(part for part in parts if not isinstance(part, ToolResult))
    if results:
        yield Message(role, results)
    yield context_message([(word(d, "title"), _read(inner(d, "source"))) for d in documents])
    if others:
        yield Message(role, others)


def _read(source: Json) -> str:
    if isinstance(source.get("content"), str):
        return word(source, "content")
    return word(source, "data") or "\n".join(word(block, "text") for block in maps(source.get("content")))


def _parts(block: Json) -> Iterator[Part]:
    kind = block.get("type")
    if kind == "text":
        yield Text(word(block, "text"))
    elif kind == "thinking":
        seal = word(block, "signature")
        yield Thinking(word(block, "thinking"), seal or None, sealed_by=NAME if seal else "")
    elif kind == "redacted_thinking":
        yield Thinking("", word(block, "data"), True, NAME)
    elif kind == "tool_use":
        given = block.get("input")
        yield ToolUse(word(block, "id"), word(block, "name"), dict(given) if isinstance(given, Mapping) else {})
    elif kind == "tool_result":
        yield from _result(block)
    elif isinstance(kind, str) and kind in _KINDS:
        yield _unread(_KINDS[kind], block)
    else:
        yield Text(dumps(block))


def _result(block: Json) -> Iterator[Part]:
    """A tool result as text; images in it follow as parts of their own."""
    raw = block.get("content")
    inside = [part for item in maps(raw) for part in _parts(item)]
    text = raw if isinstance(raw, str) else "\n".join(part.text for part in inside if isinstance(part, Text))
    yield ToolResult(word(block, "tool_use_id"), text, block.get("is_error") is True)
    yield from (part for part in inside if isinstance(part, Unread))


def _unread(kind: Literal["image", "document", "audio"], block: Json) -> Unread:
    source = inner(block, "source")
    data = word(source, "data") or word(source, "url")
    return Unread(kind, word(source, "media_type"), data, word(block, "title") or word(source, "file_id"))


def _tool(tool: Json) -> Tool:
    kind = word(tool, "type", "custom")
    if kind != "custom":
        return Tool(word(tool, "name") or kind, word(tool, "description"), tool, f"anthropic:{kind}")
    return Tool(word(tool, "name"), word(tool, "description"), inner(tool, "input_schema"))


def _emit_tool(tool: Tool) -> dict[str, Any] | None:
    if tool.hosted:
        return dict(tool.schema) if tool.hosted.startswith("anthropic:") else None
    schema = tool.schema or {"type": "object"}
    return without(name=tool.name, description=tool.description or None, input_schema=dict(schema))


def _params(body: Json, output: Json) -> dict[str, Any]:
    params = {name: body[name] for name in _SAME if body.get(name) is not None}
    if stop := stops(body.get("stop_sequences")):
        params["stop"] = stop
    thinking = inner(body, "thinking")
    if thinking:
        budget = thinking.get("budget_tokens")
        enabled = thinking.get("type") in ("enabled", "adaptive")
        params["thinking"] = budget if enabled and isinstance(budget, int) else enabled
    if isinstance(output.get("effort"), str):
        params["effort"] = output["effort"]
    choice = inner(body, "tool_choice")
    if choice:
        params["tool_choice"] = tool_choice(word(choice, "type"), word(choice, "name"))
        if choice.get("disable_parallel_tool_use") is True:
            params["parallel_tool_calls"] = False
    return params


def _limit(asked: int | None, thinking: Json | None) -> int:
    """The API counts thinking in the limit, and demands that a budget for it is less: an answer of its own size fits too."""
    most = asked if asked is not None else DEFAULT_MAX_TOKENS
    budget = count(thinking or {}, "budget_tokens")
    return most + budget if most <= budget else most


def _emit_thinking(thinking: object) -> dict[str, Any] | None:
    if thinking is None:
        return None
    if isinstance(thinking, Mapping):
        return dict(thinking)
    if not thinking:
        return {"type": "disabled"}
    return {"type": "adaptive"} if thinking is True else {"type": "enabled", "budget_tokens": thinking}


def _emit_choice(params: Mapping[str, Any]) -> dict[str, Any] | None:
    choice, parallel = params.get("tool_choice"), params.get("parallel_tool_calls")
    if choice is None and parallel is not False:
        return None
    body: dict[str, Any] = {"type": {"required": "any"}.get(choice or "auto", choice or "auto")}
    if isinstance(choice, str) and choice.startswith("tool:"):
        body = {"type": "tool", "name": choice.removeprefix("tool:")}
    if parallel is False and choice != "none":
        body["disable_parallel_tool_use"] = True
    return body


def _emit_turn(message: Message, system_turns: bool) -> dict[str, Any]:
    if message.role == "system" and not system_turns:
        return {"role": "user", "content": [{"type": "text", "text": REMINDER.format(message.text)}]}
    kept = [part for part in message.parts if not isinstance(part, Thinking) or part.sealed_by == NAME]
    return {"role": message.role, "content": [block for part in kept for block in _blocks(part)]}


def _blocks(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Text(text):
            if text:  # the API rejects an empty text block
                yield {"type": "text", "text": text}
        case Thinking(_, signature, True, sealed_by):
            if sealed_by == NAME:
                yield {"type": "redacted_thinking", "data": signature or ""}
        case Thinking(text, signature, _, sealed_by):
            yield {
                "type": "thinking",
                "thinking": text,
                "signature": signature if signature and sealed_by == NAME else "",
            }
        case ToolUse(id, name, given):
            yield {"type": "tool_use", "id": id, "name": name, "input": dict(given)}
        case ToolResult(id, content, is_error):
            yield {
                "type": "tool_result",
                "tool_use_id": id,
                "content": content,
                **({"is_error": True} if is_error else {}),
            }
        case Unread(kind, media, data, name):
            yield without(
                type=kind, source=_source(media, data, name), title=name or None if kind == "document" else None
            )


def _source(media: str, data: str, name: str) -> dict[str, Any]:
    if data.startswith(("http://", "https://")):
        return {"type": "url", "url": data}
    if not data:
        return {"type": "file", "file_id": name}
    return {"type": "base64", "media_type": media, "data": data}


def _reply_part(block: Json) -> Iterator[Part]:
    if block.get("type") in ("text", "thinking", "redacted_thinking", "tool_use"):
        yield from _parts(block)
