"""OpenAI's responses: request and reply bodies <-> terms. The stream machine is in `openai_responses_stream`.

A conversation is a flat list of items here: reasoning, messages, calls and their outputs stand side by side; items of
one speaker in a row are one message of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

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
    tool_input,
    without,
    word,
)
from hroute.wire.openai_chat import as_url, document, emit_choice, image, parse_choice
from hroute.wire.requests import merged, with_files

NAME: Final = "openai_responses"

_SAME: Final = ("temperature", "top_p", "parallel_tool_calls", "metadata", "service_tier", "previous_response_id")
_CALLS: Final = ("function_call", "custom_tool_call")
_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")


def parse_request(body: Json) -> Request:
    """A body of POST /v1/responses. Raises Malformed."""
    mapping(body, "body")
    form = inner(inner(body, "text"), "format")
    schema = form.get("schema") if form.get("type") == "json_schema" else None
    return Request(
        tuple(merged(list(_messages(body.get("input"))))),
        system=word(body, "instructions"),
        tools=tuple(_tool(tool) for tool in maps(body.get("tools"))),
        max_tokens=limit(body, "max_output_tokens"),
        stream=body.get("stream") is True,
        response_format="json_schema" if isinstance(schema, Mapping) else "json" if form.get("type") == "json_object" else "text",
        json_schema=schema if isinstance(schema, Mapping) else None,
        params=_params(body),
    )  # fmt: skip


def emit_request(request: Request, model: str) -> dict[str, Any]:
    params = request.params
    form: dict[str, Any] | None = {"type": "json_object"} if request.response_format == "json" else None
    if request.json_schema is not None:
        form = {"type": "json_schema", "name": "reply", "schema": dict(request.json_schema)}
    return without(
        model=model,
        instructions=request.system or None,
        input=[item for message in with_files(request) for item in _items(message)],
        tools=[t for t in map(_emit_tool, request.tools) if t] or None,
        tool_choice=emit_choice(params.get("tool_choice"), nested=False),
        text={"format": form} if form else None,
        reasoning={"effort": params["effort"]} if "effort" in params else None,
        max_output_tokens=request.max_tokens,
        store=False,
        stream=True if request.stream else None,
        **{name: params[name] for name in _SAME if name in params},
    )


def parse_reply(body: Json) -> Reply:
    """A response as the API returns it; items of kinds that are not known carry nothing over. Raises Malformed."""
    items = required(mapping(body, "body").get("output"), "output")
    known = [i for i in items if i.get("type") in ("message", "reasoning", "function_call", "custom_tool_call")]
    parts = tuple(part for item in known for part in _said(item))
    return Reply(parts, word(body, "model"), stop_of(body), usage_of(inner(body, "usage")))


def stop_of(body: Json) -> StopReason:
    """Why a response ended, from its status and from what it holds."""
    if body.get("status") == "incomplete":
        filtered = word(inner(body, "incomplete_details"), "reason") == "content_filter"
        return StopReason.REFUSAL if filtered else StopReason.LENGTH
    items = list(maps(body.get("output")))
    if any(part.get("type") == "refusal" for item in items for part in maps(item.get("content"))):
        return StopReason.REFUSAL
    return StopReason.TOOL_USE if any(item.get("type") in _CALLS for item in items) else StopReason.END


def emit_reply(reply: Reply, *, id: str = "resp_hroute", created: int = 0) -> dict[str, Any]:
    """`created` is Unix time in seconds."""
    items = [item for n, part in enumerate(reply.parts) for item in _emit_said(part, f"{id}_{n}")]
    return envelope(id, created, reply.model) | ending(reply) | {"output": items}


def envelope(id: str, created: int, model: str) -> dict[str, Any]:
    """What every response bears, before anything is said."""
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }


def ending(reply: Reply) -> dict[str, Any]:
    """The fields of an envelope that the end of a reply decides."""
    reasons = {
        StopReason.LENGTH: "max_output_tokens",
        StopReason.TRUNCATED: "max_output_tokens",
        StopReason.REFUSAL: "content_filter",
    }
    reason = reasons.get(reply.stop)
    return {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "usage": usage_body(reply.usage),
    }


def usage_of(usage: Json) -> Usage:
    """The API's totals include what was cached and what was thought; ours do not."""
    details = inner(usage, "input_tokens_details")
    read, written = count(details, "cached_tokens"), count(details, "cache_write_tokens")
    thought = count(inner(usage, "output_tokens_details"), "reasoning_tokens")
    return Usage(
        input=max(count(usage, "input_tokens") - read - written, 0),
        output=max(count(usage, "output_tokens") - thought, 0),
        cache_read=read,
        cache_write=written,
        reasoning=thought,
    )


def usage_body(usage: Usage) -> dict[str, Any]:
    prompt, said = usage.input + usage.cache_read + usage.cache_write, usage.output + usage.reasoning
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": prompt + said,
    }


def text_item(id: str, text: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}] if text else []
    return {"id": id, "type": "message", "role": "assistant", "status": status, "content": content}


def reasoning_item(id: str, text: str, seal: str | None = None) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"id": id, "type": "reasoning", "summary": summary} | without(encrypted_content=seal)


def call_item(id: str, call_id: str, name: str, arguments: str, status: str = "completed") -> dict[str, Any]:
    return {
        "id": id,
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }


def _messages(raw: object) -> Iterator[Message]:
    if isinstance(raw, str):
        yield Message("user", (Text(raw),))
        return
    if raw is None:
        return
    for n, item in enumerate(required(raw, "input")):
        yield _message(item, n)


def _message(item: Json, n: int) -> Message:
    kind = item.get("type", "message")
    if kind in _OUTPUTS:
        parts = tuple(_content(item.get("output")))
        text = "\n".join(part.text for part in parts if isinstance(part, Text))
        result = ToolResult(word(item, "call_id"), text)
        return Message("user", (result, *(part for part in parts if isinstance(part, Unread))))
    if kind != "message":
        return Message("assistant", tuple(_said(item)))
    match item.get("role"):
        case "user":
            return Message("user", tuple(_content(item.get("content"))))
        case "system" | "developer":
            return Message("system", tuple(_content(item.get("content"))))
        case "assistant":
            return Message("assistant", tuple(_content(item.get("content"))))
    raise Malformed(f"input[{n}].role: user, assistant, system or developer is wanted here")


def _said(item: Json) -> Iterator[Part]:
    """What the model said in one item; an item of a kind that is not known stays readable as JSON."""
    match item.get("type"):
        case "message":
            yield from _content(item.get("content"))
        case "reasoning":
            texts = [*maps(item.get("summary")), *maps(item.get("content"))]
            text = "\n".join(word(part, "text") for part in texts)
            if text or word(item, "encrypted_content"):
                seal = word(item, "encrypted_content")
                yield Thinking(text, seal or None, sealed_by=NAME if seal else "")
        case "function_call":
            given, broken = tool_input(item.get("arguments"))
            yield ToolUse(word(item, "call_id"), word(item, "name"), given, broken)
        case "custom_tool_call":
            yield ToolUse(word(item, "call_id"), word(item, "name"), {"input": word(item, "input")})
        case _:
            yield Text(dumps(item))


def _content(raw: object) -> Iterator[Part]:
    if isinstance(raw, str):
        yield Text(raw)
    for item in maps(raw):
        match item.get("type"):
            case "input_text" | "output_text" | "text" | "summary_text":
                yield Text(word(item, "text"))
            case "refusal":
                yield Text(word(item, "refusal"))
            case "input_image":
                part = image(word(item, "image_url"))
                yield part if part.data else Unread("image", name=word(item, "file_id"))
            case "input_file":
                yield document(item)
            case "input_audio":
                audio = inner(item, "input_audio")
                yield Unread("audio", f"audio/{word(audio, 'format', 'wav')}", word(audio, "data"))
            case _:
                yield Text(dumps(item))


def _tool(tool: Json) -> Tool:
    kind = word(tool, "type", "function")
    if kind == "function":
        return Tool(word(tool, "name"), word(tool, "description"), inner(tool, "parameters"))
    return Tool(word(tool, "name") or kind, word(tool, "description"), tool, f"openai_responses:{kind}")


def _emit_tool(tool: Tool) -> dict[str, Any] | None:
    if tool.hosted:
        return dict(tool.schema) if tool.hosted.startswith("openai_responses:") else None
    schema = dict(tool.schema) or {"type": "object", "properties": {}}
    named = without(type="function", name=tool.name, description=tool.description or None, parameters=schema)
    return named | {"strict": False}


def _params(body: Json) -> dict[str, Any]:
    params = {name: body[name] for name in _SAME if body.get(name) is not None}
    if word(inner(body, "reasoning"), "effort"):
        params["effort"] = word(inner(body, "reasoning"), "effort")
    choice = parse_choice(body.get("tool_choice"))
    if choice is not None:
        params["tool_choice"] = choice
    return params


def _items(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "assistant":
        for part in message.parts:
            yield from _history(part)
        return
    rest = [part for part in message.parts if not isinstance(part, ToolResult)]
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield {"type": "function_call_output", "call_id": part.id, "output": part.content}
    if rest or not message.parts:
        content = [item for part in rest for item in _emit_part(part)]
        yield {"type": "message", "role": message.role, "content": content}


def _history(part: Part) -> Iterator[dict[str, Any]]:
    """What the model said before, sent again: without ids, which only the vendor knows."""
    match part:
        case Text(text):
            yield {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        case Thinking(text, seal, _, sealed_by) if sealed_by == NAME:
            yield without(
                type="reasoning",
                summary=[{"type": "summary_text", "text": text}] if text else [],
                encrypted_content=seal,
            )
        case ToolUse(id, name, given, broken):
            yield {"type": "function_call", "call_id": id, "name": name, "arguments": broken or dumps(given)}


def _emit_said(part: Part, id: str) -> Iterator[dict[str, Any]]:
    match part:
        case Text(text):
            yield text_item(f"msg_{id}", text)
        case Thinking(text, seal, _, sealed_by):
            yield reasoning_item(f"rs_{id}", text, seal if sealed_by == NAME else None)
        case ToolUse(call_id, name, given, broken):
            yield call_item(f"fc_{id}", call_id, name, broken or dumps(given))


def _emit_part(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Text(text):
            yield {"type": "input_text", "text": text}
        case Unread("image", _, data, name):
            yield (
                {"type": "input_image", "image_url": as_url(part)} if data else {"type": "input_image", "file_id": name}
            )
        case Unread("audio", media, data):
            yield {"type": "input_audio", "input_audio": {"data": data, "format": media.removeprefix("audio/")}}
        case Unread("document", _, data, name):
            if not data:
                yield {"type": "input_file", "file_id": name}
            elif data.startswith(("http://", "https://")):
                yield {"type": "input_file", "file_url": data}
            else:
                yield {"type": "input_file", "filename": name, "file_data": as_url(part)}
