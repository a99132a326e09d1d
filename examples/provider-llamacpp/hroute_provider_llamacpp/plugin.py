"""The plugin: hroute's messages to llama.cpp's JSON and back, timeouts and failures mapped to outcomes.

It leans on what hroute offers to plugins and on nothing else: the protocol, the message model, the outcomes, the codec
of chat completions (which is what llama.cpp speaks) and the timer of a call.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from hroute.providers.outcomes import Row, outcome_of
from hroute.providers.protocol import Capabilities, Permit, ProviderError, Target
from hroute.providers.timer import Timer
from hroute.terms.message import (
    Done,
    Event,
    Reply,
    Request,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolResult,
    ToolUse,
    Unread,
)
from hroute.terms.outcome import Failure, Outcome
from hroute.wire import openai_chat
from hroute.wire.fields import Malformed, VendorFault, count, dumps, inner, loads, mapping, word
from hroute.wire.openai_chat_stream import Reader
from hroute_provider_llamacpp.engine import Engine, LlamaCpp, Missing, Model, Unusable
from hroute_provider_llamacpp.writing import END, Writing

OPTIONS: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["file"],
    "properties": {
        "file": {
            "title": "the path of a GGUF file",
            "type": "string",
            "minLength": 1,
            "description": "The model's weights. `~` is your home.",
        },
        "gpu_layers": {
            "title": "a whole number, -1 for as many as fit",
            "type": "integer",
            "minimum": -1,
            "description": "How many layers go to the graphics card; 0 keeps all on the processor.",
        },
        "threads": {
            "title": "a whole number of threads",
            "type": "integer",
            "minimum": 1,
            "description": "Threads that compute; all cores without it.",
        },
    },
}

PARAMS = frozenset(
    {"temperature", "top_p", "top_k", "min_p", "seed", "stop", "presence_penalty", "frequency_penalty", "grammar"}
)

ROWS = (Row(Outcome.CAPABILITY, code="exceed_context_size_error"),)


class LlamaCppPlugin:
    """`plugin: llamacpp`. A model is loaded at its first call and kept until `close`; `open` makes its engine."""

    name = "llamacpp"
    capabilities = Capabilities(tools=False, images=False, needs_key=False, in_process=True, options=OPTIONS)

    def __init__(self, open: Callable[[Model], Engine] = LlamaCpp) -> None:
        self._open = open
        self._kept: dict[Model, _Kept] = {}

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        permit.spend(target.name)
        return _last(list(self._stream(target, request, Timer(target, stream=False))))

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        permit.spend(target.name)
        return self._stream(target, request, Timer(target, stream=True))

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        permit.spend(target.name)
        return _last([event async for event in self._astream(target, request, Timer(target, stream=False))])

    def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]:
        permit.spend(target.name)
        return self._astream(target, request, Timer(target, stream=True))

    def close(self) -> None:
        """Give the memory of every model back."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _stream(self, target: Target, request: Request, timer: Timer) -> Iterator[Event]:
        answer = _Answer(target, request)
        with _mapped():
            writing = Writing(lambda heard: self._write(answer, heard))
            writing.start()
            try:
                while not answer.done:
                    for event in answer.read(writing.next(timer.read())):
                        _note(event, timer)
                        yield event
            finally:
                writing.stop()

    async def _astream(self, target: Target, request: Request, timer: Timer) -> AsyncIterator[Event]:
        from asyncio import get_running_loop

        answer = _Answer(target, request)
        with _mapped():
            writing = Writing(lambda heard: self._write(answer, heard))
            writing.start_beside(get_running_loop())
            try:
                while not answer.done:
                    for event in answer.read(await writing.anext(timer.read())):
                        _note(event, timer)
                        yield event
            finally:
                writing.stop()

    def _write(self, answer: _Answer, heard: Callable[[str], bool]) -> None:
        """In a thread of its own: load the model where it is not, then answer."""
        kept = self._kept.setdefault(answer.model, _Kept())
        engine, answer.load_ms = kept.engine_of(answer.model, self._open)
        engine.chat(answer.body, heard)


class _Kept:
    """A model in memory, loaded once however many ask for it at the same time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._engine: Engine | None = None
        self._closed = False

    def engine_of(self, model: Model, open: Callable[[Model], Engine]) -> tuple[Engine, float]:
        """The engine, and the milliseconds that it took to load it now. Raises ConnectionError once this is closed."""
        try:
            with self._lock:
                if self._closed:
                    raise ConnectionError
                begun = time.perf_counter()
                loaded = self._engine is None
                self._engine = self._engine or open(model)
                return self._engine, (time.perf_counter() - begun) * 1000 if loaded else 0.0
        finally:
            if self._closed:
                self.close()

    def close(self) -> None:
        """Waits for nobody: while the model is being loaded, whoever loads it closes it."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                if self._engine is not None:
                    self._engine.close()
                self._engine = None
            finally:
                self._lock.release()


class _Answer:
    """One call: its body, and what has been read of its answer."""

    def __init__(self, target: Target, request: Request) -> None:
        self._target = target
        self._reader = Reader()
        self.model = _model(target)
        self.body = dumps(_body(target, request))
        self.load_ms = 0.0
        self.done = False

    def read(self, piece: Any) -> Iterator[Event]:
        """The events in a piece. Raises ProviderError where the engine says that something is wrong."""
        if piece is not END:
            yield from self._reader.frame(_checked(mapping(loads(piece), "chunk")))
            return
        self.done = True
        for event in self._reader.end():
            assert isinstance(event, Done)
            if event.reply.stop is StopReason.TRUNCATED:
                raise ProviderError(Failure(Outcome.BAD_CONTENT, "the engine stopped before its end", code="cut_off"))
            yield Done(replace(event.reply, model=self._target.model, load_ms=self.load_ms))


def _model(target: Target) -> Model:
    file = target.options.get("file")
    if not isinstance(file, str):
        raise ProviderError(Failure(Outcome.CAPABILITY, "`options: {file: PATH}` names no model", code="no_file"))
    layers, threads = target.options.get("gpu_layers", -1), target.options.get("threads", 0)
    return Model(Path(file).expanduser(), target.context_window or 0, layers, threads)


def _body(target: Target, request: Request) -> dict[str, Any]:
    """The body of a chat completion. A parameter that llama.cpp is not told is refused by name, never dropped."""
    params = {**target.params, **request.params}
    limit = params.pop("max_tokens", None)
    for name in params:
        if name not in PARAMS:
            said = f"plugin {LlamaCppPlugin.name} does not know the parameter `{name}`"
            raise ProviderError(Failure(Outcome.CAPABILITY, said, code="unknown_parameter"))
    if request.tools or any(isinstance(p, (Unread, ToolUse, ToolResult)) for m in request.messages for p in m.parts):
        raise ProviderError(Failure(Outcome.CAPABILITY, "this plugin takes text only", code="parts"))
    asked = replace(request, stream=True, params=params, max_tokens=request.max_tokens or limit)
    body = openai_chat.emit_request(asked, target.model, limit_key="max_tokens")
    return body | {name: params[name] for name in ("top_k", "min_p", "grammar") if name in params}


def _checked(frame: Mapping[str, Any]) -> Mapping[str, Any]:
    """`frame`, unless it is an error: that has a status as `code` and its kind as `type`."""
    error = inner(frame, "error")
    if not error:
        return frame
    status, kind = count(error, "code") or None, word(error, "type")
    outcome = outcome_of(ROWS, status, (kind,), word(error, "message"))
    said = (
        "the prompt does not fit into the context window"
        if outcome is Outcome.CAPABILITY
        else f"llama.cpp says {kind or status}"
    )
    raise ProviderError(Failure(outcome, said, status, kind or None))


@contextmanager
def _mapped() -> Iterator[None]:
    """Whatever is raised becomes a failure that quotes nothing of the request."""
    try:
        yield
    except (ProviderError, GeneratorExit):
        raise
    except TimeoutError:
        raise ProviderError(Failure(Outcome.TIMEOUT, "the engine did not answer in time", code="timeout")) from None
    except (Missing, Unusable) as error:
        raise ProviderError(Failure(Outcome.CREDENTIAL, str(error), code=type(error).__name__.lower())) from None
    except (Malformed, VendorFault):
        raise ProviderError(Failure(Outcome.SERVER, "the engine's answer has another form", code="malformed")) from None
    except (ValueError, TypeError) as error:  # how the engine refuses a body before it looks at the model
        raise ProviderError(
            Failure(Outcome.CALLER_FAULT, "the engine refuses the request", code=type(error).__name__)
        ) from None
    except ConnectionError as error:
        raise ProviderError(Failure(Outcome.TRANSPORT, "the engine is gone", code=type(error).__name__)) from None
    except Exception as error:
        raise ProviderError(Failure(Outcome.SERVER, "the engine failed", code=type(error).__name__)) from None


def _note(event: Event, timer: Timer) -> None:
    if isinstance(event, (TextDelta, ThinkingDelta)) and event.text:
        timer.said()


def _last(events: list[Event]) -> Reply:
    last = events[-1]
    assert isinstance(last, Done)
    return last.reply
