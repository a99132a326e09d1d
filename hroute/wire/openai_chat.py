"""OpenAI's chat completions: request and reply bodies <-> terms. The stream machine is in `openai_chat_stream`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
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
    mean_probability,
    required,
    stops,
    tool_input,
    without,
    word,
)
from hroute.wire.formats import FORMS, response_format, system_message
from hroute.wire.requests import merged, own, tool_choice, with_files

STOPS: Final = {
    "stop": StopReason.END,
    "length": StopReason.LENGTH,
    "tool_calls": StopReason.TOOL_USE,
    "function_call": StopReason.TOOL_USE,
    "content_filter": StopReason.REFUSAL,
}
STOP_NAMES: Final = {
    StopReason.END: "stop",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.LENGTH: "length",
    StopReason.TRUNCATED: "length",
    StopReason.TOOL_USE: "tool_calls",
    StopReason.REFUSAL: "content_filter",
}
SAME: Final = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "parallel_tool_calls", "metadata", "service_tier")  # fmt: skip
"""Parameters that have the same name here as in `Request.params`."""


def parse_request(body: Json) -> Request:
    """A body of POST /v1/chat/completions. Raises Malformed."""
    mapping(body, "body")
    turns = [_turn(m, n) for n, m in enumerate(required(body.get("messages"), "messages"))]
    system = turns[0].text if turns and turns[0].role == "system" else ""
    form = inner(body, "response_format")
    schema = inner(form, "json_schema").get("schema") if form.get("type") == "json_schema" else None
    return Request(
        tuple(merged(turns[1:] if system else turns)),
        system=system,
        tools=tuple(_tools(body)),
        max_tokens=limit(body, "max_completion_tokens") or limit(body, "max_tokens"),
        stream=body.get("stream") is True,
        response_format="json_schema" if isinstance(schema, Mapping) else "json" if "json" in str(form.get("type")) else "text",
        json_schema=schema if isinstance(schema, Mapping) else None,
        params=_params(body),
    )  # fmt: skip


def emit_request(
    request: Request,
    model: str,
    *,
    limit_key: str = "max_completion_tokens",
    thinking: bool = False,
    forms: Collection[str] = FORMS,
) -> dict[str, Any]:
    """The body that asks for `request`. Older and compatible servers know the limit as `max_tokens`: `limit_key`.
    Earlier reasoning is sent back only with `thinking`: most servers reject it, some want it in a tool loop. `forms` are
    those that the server knows of a `response_format`; what it does not know is asked for in words."""
    params = request.params
    form = response_format(request, forms)
    body = without(
        model=model,
        messages=[
            *system_message(request, form),
            *(item for m in with_files(request) for item in _items(m, thinking=thinking)),
        ],
        tools=[t for t in map(_emit_tool, request.tools) if t] or None,
        tool_choice=emit_choice(params.get("tool_choice"), nested=True),
        response_format=form,
        reasoning_effort=params.get("effort"),
        stop=list(params["stop"]) if params.get("stop") else None,
        logprobs=True if params.get("logprobs") else None,
        stream=True if request.stream else None,
        stream_options={"include_usage": True} if request.stream else None,
        **{name: params[name] for name in SAME if name in params},
    )
    if request.max_tokens is not None:
        body[limit_key] = request.max_tokens
    return body | own(params, body)


def parse_reply(body: Json) -> Reply:
    """A completion as the API returns it; its first choice counts. Raises Malformed."""
    choices = required(mapping(body, "body").get("choices"), "choices")
    choice = choices[0] if choices else {}
    message = inner(choice, "message")
    stop = STOPS.get(word(choice, "finish_reason"), StopReason.END)
    if word(message, "refusal"):
        stop = StopReason.REFUSAL
    certainty = mean_probability(inner(choice, "logprobs").get("content"))
    return Reply(
        tuple(_assistant(message)), word(body, "model"), stop, usage_of(inner(body, "usage")), certainty=certainty
    )


def emit_reply(reply: Reply, *, id: str = "chatcmpl-hroute", created: int = 0) -> dict[str, Any]:
    """`created` is Unix time in seconds."""
    message = next(_items(Message("assistant", reply.parts), thinking=True))
    choice = {
        "index": 0,
        "message": message | {"refusal": None},
        "finish_reason": STOP_NAMES[reply.stop],
        "logprobs": None,
    }
    return {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": reply.model,
        "choices": [choice],
        "usage": usage_body(reply.usage),
    }


def usage_of(usage: Json) -> Usage:
    """The API's totals include what was cached and what was thought; ours do not. DeepSeek's cache counts are read too."""
    prompt, said = inner(usage, "prompt_tokens_details"), inner(usage, "completion_tokens_details")
    read = count(prompt, "cached_tokens") or count(usage, "prompt_cache_hit_tokens")
    written, thought = count(prompt, "cache_write_tokens"), count(said, "reasoning_tokens")
    return Usage(
        input=max(count(usage, "prompt_tokens") - read - written, 0),
        output=max(count(usage, "completion_tokens") - thought, 0),
        cache_read=read,
        cache_write=written,
        reasoning=thought,
    )


def usage_body(usage: Usage) -> dict[str, Any]:
    prompt, said = usage.input + usage.cache_read + usage.cache_write, usage.output + usage.reasoning
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said,
        "total_tokens": prompt + said,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def emit_choice(choice: str | None, *, nested: bool) -> str | dict[str, Any] | None:
    """A choice of tools; chat nests the function's name, responses does not."""
    if choice is None or not choice.startswith("tool:"):
        return choice
    name = choice.removeprefix("tool:")
    return {"type": "function", "function": {"name": name}} if nested else {"type": "function", "name": name}


def parse_choice(raw: object) -> str | None:
    if isinstance(raw, str):
        return tool_choice(raw)
    if isinstance(raw, Mapping):
        return tool_choice(word(raw, "type"), word(raw, "name") or word(inner(raw, "function"), "name"))
    return None


def _turn(message: Json, n: int) -> Message:
    match message.get("role"):
        case "system" | "developer":
            return Message("system", tuple(_content(message.get("content"))))
        case "user":
            return Message("user", tuple(_content(message.get("content"))))
        case "assistant":
            return Message("assistant", tuple(_assistant(message)))
        case "tool" | "function":
            parts = tuple(_content(message.get("content")))
            text = "\n".join(part.text for part in parts if isinstance(part, Text))
            result = ToolResult(word(message, "tool_call_id") or word(message, "name"), text)
            return Message("user", (result, *(part for part in parts if isinstance(part, Unread))))
    raise Malformed(f"messages[{n}].role: system, developer, user, assistant or tool is wanted here")


def _content(raw: object) -> Iterator[Part]:
    if isinstance(raw, str):
        yield Text(raw)
    for item in maps(raw):
        match item.get("type"):
            case "text":
                yield Text(word(item, "text"))
            case "refusal":
                yield Text(word(item, "refusal"))
            case "image_url":
                yield image(word(inner(item, "image_url"), "url"))
            case "input_audio":
                audio = inner(item, "input_audio")
                yield Unread("audio", f"audio/{word(audio, 'format', 'wav')}", word(audio, "data"))
            case "file":
                yield document(inner(item, "file"))
            case _:
                yield Text(dumps(item))


def image(url: str) -> Unread:
    """An image from a data URL or an address."""
    media, data = _data_url(url)
    return Unread("image", media, data)


def document(file: Json) -> Unread:
    media, data = _data_url(word(file, "file_data") or word(file, "file_url"))
    return Unread("document", media, data, word(file, "filename") or word(file, "file_id"))


def as_url(part: Unread) -> str:
    """The data URL (or address) of an unread part."""
    return part.data if part.data.startswith(("http://", "https://")) else f"data:{part.media};base64,{part.data}"


def _data_url(url: str) -> tuple[str, str]:
    if not url.startswith("data:"):
        return "", url
    head, _, data = url.partition(",")
    return head.removeprefix("data:").removesuffix(";base64"), data


def _assistant(message: Json) -> Iterator[Part]:
    """Reasoning first, as DeepSeek and llama.cpp call it, then the text, then the calls."""
    thought = word(message, "reasoning_content") or word(message, "reasoning")
    if thought:
        yield Thinking(thought)
    for part in _content(message.get("content")):
        if not isinstance(part, Text) or part.text:
            yield part
    if word(message, "refusal"):
        yield Text(word(message, "refusal"))
    for call in maps(message.get("tool_calls")):
        function = inner(call, "function") or inner(call, "custom")
        given, broken = tool_input(function.get("arguments", function.get("input")))
        yield ToolUse(word(call, "id"), word(function, "name"), given, broken)
    if legacy := inner(message, "function_call"):
        given, broken = tool_input(legacy.get("arguments"))
        yield ToolUse(word(legacy, "name"), word(legacy, "name"), given, broken)


def _tools(body: Json) -> Iterator[Tool]:
    for tool in maps(body.get("tools")):
        function = inner(tool, "function")
        if tool.get("type", "function") == "function":
            yield Tool(word(function, "name"), word(function, "description"), inner(function, "parameters"))
        else:
            kind = word(tool, "type")
            name = word(inner(tool, kind), "name") or word(tool, "name") or kind
            yield Tool(name, word(inner(tool, kind), "description"), tool, f"openai_chat:{kind}")
    for function in maps(body.get("functions")):
        yield Tool(word(function, "name"), word(function, "description"), inner(function, "parameters"))


def _emit_tool(tool: Tool) -> dict[str, Any] | None:
    if tool.hosted:
        return dict(tool.schema) if tool.hosted.startswith("openai_chat:") else None
    schema = dict(tool.schema) or {"type": "object", "properties": {}}
    function = without(name=tool.name, description=tool.description or None, parameters=schema)
    return {"type": "function", "function": function}


def _params(body: Json) -> dict[str, Any]:
    params = {name: body[name] for name in SAME if body.get(name) is not None}
    if stop := stops(body.get("stop")):
        params["stop"] = stop
    if isinstance(body.get("reasoning_effort"), str):
        params["effort"] = body["reasoning_effort"]
    choice = parse_choice(body.get("tool_choice"))
    if choice is not None:
        params["tool_choice"] = choice
    return params


def _items(message: Message, *, thinking: bool) -> Iterator[dict[str, Any]]:
    """One message of ours is several of theirs where it holds tool results."""
    if message.role == "assistant":
        yield _emit_assistant(message, thinking)
        return
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.id, "content": part.content}
    rest = [part for part in message.parts if not isinstance(part, ToolResult)]
    if rest or not message.parts:
        yield {"role": message.role, "content": _emit_content(rest)}


def _emit_assistant(message: Message, thinking: bool) -> dict[str, Any]:
    texts = [part for part in message.parts if isinstance(part, Text)]
    body: dict[str, Any] = {"role": "assistant", "content": _emit_content(texts) if texts else None}
    thought = "".join(part.text for part in message.parts if isinstance(part, Thinking))
    if thought and thinking:
        body["reasoning_content"] = thought
    calls = [
        {"id": p.id, "type": "function", "function": {"name": p.name, "arguments": p.broken or dumps(p.input)}}
        for p in message.parts
        if isinstance(p, ToolUse)
    ]
    return body | {"tool_calls": calls} if calls else body


def _emit_content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [item for part in parts for item in _emit_part(part)]


def _emit_part(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Text(text):
            yield {"type": "text", "text": text}
        case Unread("image"):
            yield {"type": "image_url", "image_url": {"url": as_url(part)}}
        case Unread("audio", media, data):
            yield {"type": "input_audio", "input_audio": {"data": data, "format": media.removeprefix("audio/")}}
        case Unread("document", _, data, name):
            yield {"type": "file", "file": {"filename": name, "file_data": as_url(part)} if data else {"file_id": name}}
