"""Ollama's native chat: bodies and the stream of /api/chat <-> terms. Its tool calls have no ids: they get one here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from hroute.terms.message import (
    Done,
    Event,
    Message,
    Part,
    Reply,
    Request,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolResult,
    ToolUse,
    ToolUseDelta,
    Unread,
)
from hroute.terms.usage import Usage
from hroute.wire.errors import error_body
from hroute.wire.fields import (
    Json,
    Malformed,
    VendorFault,
    count,
    dumps,
    inner,
    mapping,
    maps,
    mean_probability,
    required,
    stops,
    tool_input,
    without,
    word,
)
from hroute.wire.framing import NdjsonReader, ndjson
from hroute.wire.requests import own, with_files
from hroute.wire.sequence import Assembly, Blocks, Closed, Grown

_STOPS: Final = {"length": StopReason.LENGTH, "stop": StopReason.END}
_OPTIONS: Final = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "num_ctx")
_TOP: Final = ("top_logprobs",)
"""Ollama's own parameters that stand beside its options and not among them."""
_NANO: Final = 1_000_000  # nanoseconds in a millisecond


def parse_request(body: Json) -> Request:
    """A body of POST /api/chat; it streams unless it says otherwise. Raises Malformed."""
    mapping(body, "body")
    turns = _Turns()
    for n, message in enumerate(required(body.get("messages"), "messages")):
        turns.add(message, n)
    messages = turns.messages
    system = messages[0].text if messages and messages[0].role == "system" else ""
    options, form = inner(body, "options"), body.get("format")
    predict = options.get("num_predict")
    return Request(
        tuple(messages[1:] if system else messages),
        system=system,
        tools=tuple(_tool(tool) for tool in maps(body.get("tools"))),
        max_tokens=predict if isinstance(predict, int) and predict > 0 else None,
        stream=body.get("stream") is not False,
        response_format="json_schema" if isinstance(form, Mapping) else "json" if form == "json" else "text",
        json_schema=form if isinstance(form, Mapping) else None,
        params=_params(body, options),
    )


def emit_request(request: Request, model: str) -> dict[str, Any]:
    params = request.params
    names = {p.id: p.name for m in request.messages for p in m.parts if isinstance(p, ToolUse)}
    system = [{"role": "system", "content": request.system}] if request.system else []
    stop = list(params["stop"]) if params.get("stop") else None
    options = {name: params[name] for name in _OPTIONS if name in params}
    options |= without(num_predict=request.max_tokens, stop=stop)
    further = {name: value for name, value in own(params).items() if name not in _TOP}
    options |= {name: value for name, value in further.items() if name not in options}
    return without(
        model=model,
        messages=system + [item for m in with_files(request) for item in _items(m, names)],
        tools=[_emit_tool(tool) for tool in request.tools if not tool.hosted] or None,
        format=request.json_schema or ("json" if request.response_format == "json" else None),
        options=options or None,
        think=params.get("effort") or _think(params.get("thinking")),
        keep_alive=params.get("keep_alive"),
        logprobs=True if params.get("logprobs") else None,
        stream=request.stream,
        **{name: params[name] for name in _TOP if name in params},
    )


def parse_reply(body: Json) -> Reply:
    """The whole answer to a request that does not stream. Raises Malformed; VendorFault for an error."""
    reader = Reader()
    reader.frame(mapping(body, "body"))
    last = reader.last
    if last is None:
        raise Malformed("done: the answer is not finished")
    return replace(last, certainty=mean_probability(body.get("logprobs")))


def emit_reply(reply: Reply, *, created: str = "1970-01-01T00:00:00Z") -> dict[str, Any]:
    """`created` is a time in RFC 3339."""
    texts = "".join(part.text for part in reply.parts if isinstance(part, Text))
    thought = "".join(part.text for part in reply.parts if isinstance(part, Thinking))
    calls = [_emit_call(part) for part in reply.parts if isinstance(part, ToolUse)]
    message = {"role": "assistant", "content": texts} | without(thinking=thought or None, tool_calls=calls or None)
    return {"model": reply.model, "created_at": created, "message": message, **_ending(reply)}


class Reader:
    """Lines of a stream in, events out."""

    def __init__(self) -> None:
        self._lines = NdjsonReader()
        self._said = Assembly()
        self._calls = 0
        self.last: Reply | None = None

    @property
    def done(self) -> bool:
        return self.last is not None

    def feed(self, chunk: bytes) -> list[Event]:
        """Raises Malformed for what is no line of JSON, VendorFault for an error in the stream."""
        return [event for frame in self._lines.feed(chunk) for event in self.frame(frame)]

    def end(self) -> list[Event]:
        """The connection is closed: where no line said `done`, the reply is marked as truncated."""
        events = [event for frame in self._lines.end() for event in self.frame(frame)]
        return events if self.done else [*events, self._finish(StopReason.TRUNCATED, Usage(), 0)]

    def frame(self, frame: Json) -> list[Event]:
        if self.done:
            return []
        if "error" in frame:
            raise VendorFault("error", count(frame, "status"))
        self._said.model = word(frame, "model") or self._said.model
        events = self._said.add(list(self._deltas(inner(frame, "message"))))
        if frame.get("done") is not True:
            return events
        stop = _STOPS.get(word(frame, "done_reason"), StopReason.END)
        if self._calls and stop is StopReason.END:
            stop = StopReason.TOOL_USE
        usage = Usage(count(frame, "prompt_eval_count"), count(frame, "eval_count"))
        return [*events, self._finish(stop, usage, count(frame, "load_duration") / _NANO)]

    def _deltas(self, message: Json) -> Iterator[Event]:
        if word(message, "thinking"):
            yield ThinkingDelta(word(message, "thinking"))
        if word(message, "content"):
            yield TextDelta(word(message, "content"))
        for call in maps(message.get("tool_calls")):
            function = inner(call, "function")
            given = function.get("arguments")
            id = word(call, "id") or f"call_{self._calls}"
            yield ToolUseDelta(
                self._calls, id, word(function, "name"), given if isinstance(given, str) else dumps(given or {})
            )
            self._calls += 1

    def _finish(self, stop: StopReason, usage: Usage, load_ms: float) -> Done:
        self.last = self._said.reply(stop, usage, load_ms)
        return Done(self.last)


class Writer:
    """Events in, lines out; a tool call is held until it is whole, as Ollama sends it."""

    def __init__(self, model: str, *, created: str = "1970-01-01T00:00:00Z") -> None:
        self._head = {"model": model, "created_at": created}
        self._blocks = Blocks()

    def write(self, event: Event) -> bytes:
        return b"".join(ndjson(frame) for frame in self.frames(event))

    def fail(self, status: int, type: str, message: str) -> bytes:
        """The stream ends with an error, in the dialect's own shape."""
        return ndjson(error_body("ollama", status, type, message))

    def frames(self, event: Event) -> list[dict[str, Any]]:
        frames: list[dict[str, Any]] = []
        for change in self._blocks.feed(event):
            part = change.block.part() if isinstance(change, Closed) and change.block.kind == "tool" else None
            if isinstance(part, ToolUse):
                frames.append(self._line({"content": "", "tool_calls": [_emit_call(part)]}))
            elif isinstance(change, Grown) and change.block.kind == "thinking":
                frames.append(self._line({"content": "", "thinking": change.piece}))
            elif isinstance(change, Grown) and change.block.kind == "text":
                frames.append(self._line({"content": change.piece}))
        if isinstance(event, Done):
            frames.append(self._end(event.reply))
        return frames

    def _line(self, message: dict[str, Any]) -> dict[str, Any]:
        return {**self._head, "message": {"role": "assistant", **message}, "done": False}

    def _end(self, reply: Reply) -> dict[str, Any]:
        if reply.stop is StopReason.TRUNCATED:
            return error_body("ollama", 500, "", "the reply was cut off")
        return {**self._head, "message": {"role": "assistant", "content": ""}, **_ending(reply)}


def _ending(reply: Reply) -> dict[str, Any]:
    load = int(reply.load_ms * _NANO)
    return {
        "done": True,
        "done_reason": "length" if reply.stop in (StopReason.LENGTH, StopReason.TRUNCATED) else "stop",
        "total_duration": load,
        "load_duration": load,
        "prompt_eval_count": reply.usage.input + reply.usage.cache_read + reply.usage.cache_write,
        "prompt_eval_duration": 0,
        "eval_count": reply.usage.output + reply.usage.reasoning,
        "eval_duration": 0,
    }


class _Turns:
    """Messages as they are read; remembers which calls wait for their results."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._waiting: list[tuple[str, str]] = []
        self._calls = 0

    def add(self, message: Json, n: int) -> None:
        role = message.get("role")
        if role == "tool":
            self._result(message)
        elif role in ("user", "assistant", "system"):
            self.messages.append(Message(role, tuple(self._parts(message))))
        else:
            raise Malformed(f"messages[{n}].role: system, user, assistant or tool is wanted here")

    def _result(self, message: Json) -> None:
        result = ToolResult(self._answered(message), word(message, "content"))
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "user" and _only_results(last):
            self.messages[-1] = Message("user", (*last.parts, result))
        else:
            self.messages.append(Message("user", (result,)))

    def _answered(self, message: Json) -> str:
        """The id of the first waiting call of that name, else of the first waiting one."""
        if word(message, "tool_call_id"):
            return word(message, "tool_call_id")
        name = word(message, "tool_name") or word(message, "name")
        found = next((w for w in self._waiting if w[1] == name), self._waiting[0] if self._waiting else ("", name))
        if found in self._waiting:
            self._waiting.remove(found)
        return found[0]

    def _parts(self, message: Json) -> Iterator[Part]:
        if word(message, "thinking"):
            yield Thinking(word(message, "thinking"))
        if word(message, "content"):
            yield Text(word(message, "content"))
        images = message.get("images")
        for data in images if isinstance(images, list) else []:
            yield Unread("image", "", data if isinstance(data, str) else "")
        for call in maps(message.get("tool_calls")):
            function = inner(call, "function")
            given, broken = tool_input(function.get("arguments"))
            use = ToolUse(word(call, "id") or f"call_{self._calls}", word(function, "name"), given, broken)
            self._calls += 1
            self._waiting.append((use.id, use.name))
            yield use


def _only_results(message: Message) -> bool:
    return bool(message.parts) and all(isinstance(part, ToolResult) for part in message.parts)


def _items(message: Message, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for part in message.parts:
        if isinstance(part, ToolResult):
            name = names.get(part.id, part.id)
            yield {"role": "tool", "content": part.content, "tool_name": name, "tool_call_id": part.id}
    rest = [part for part in message.parts if not isinstance(part, ToolResult)]
    if not rest and message.parts:
        return
    thought = "".join(part.text for part in rest if isinstance(part, Thinking))
    yield {"role": message.role, "content": "\n".join(p.text for p in rest if isinstance(p, Text))} | without(
        thinking=thought or None,
        images=[part.data for part in rest if isinstance(part, Unread)] or None,
        tool_calls=[_emit_call(part) for part in rest if isinstance(part, ToolUse)] or None,
    )


def _think(thinking: object) -> bool | None:
    """A budget, or a vendor's own form of it, is here no more than whether to think."""
    if isinstance(thinking, Mapping):
        return thinking.get("type") != "disabled"
    return None if thinking is None else bool(thinking)


def _emit_call(part: ToolUse) -> dict[str, Any]:
    return {"id": part.id, "function": {"name": part.name, "arguments": dict(part.input)}}


def _tool(tool: Json) -> Tool:
    function = inner(tool, "function")
    return Tool(word(function, "name"), word(function, "description"), inner(function, "parameters"))


def _emit_tool(tool: Tool) -> dict[str, Any]:
    function = without(name=tool.name, description=tool.description or None, parameters=dict(tool.schema) or None)
    return {"type": "function", "function": function}


def _params(body: Json, options: Json) -> dict[str, Any]:
    params = {name: options[name] for name in _OPTIONS if options.get(name) is not None}
    if stop := stops(options.get("stop")):
        params["stop"] = stop
    think = body.get("think")
    if isinstance(think, bool):
        params["thinking"] = think
    elif isinstance(think, str):
        params |= {"thinking": True, "effort": think}
    if body.get("keep_alive") is not None:
        params["keep_alive"] = body["keep_alive"]
    return params
