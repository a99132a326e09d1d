"""Ollama through its own SDK: native chat, with a context window that the request fits into on every call.

Ollama loads a model with the context that a call asks for, drops the oldest text where that is too small, and loads
again where it changes. So `num_ctx` is sent always, large enough, in buckets, and what does not fit is not sent.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from hroute.errors import UsageError
from hroute.providers import http_failures, transport
from hroute.providers.outcomes import Row, failure, outcome_of
from hroute.providers.protocol import Capabilities, Permit, ProviderError, Target
from hroute.providers.stainless import ended, heard, with_params
from hroute.providers.timer import Timer, timed
from hroute.terms.message import Done, Event, Reply, Request, Text, Thinking, ToolResult, ToolUse, Unread
from hroute.terms.outcome import Failure, Outcome
from hroute.wire import ollama as wire
from hroute.wire.fields import Malformed, VendorFault, dumps

ROWS: Final = (
    Row(Outcome.CAPACITY, 503, words=("busy", "pending requests", "queue")),
    Row(Outcome.CAPABILITY, 500, words=("context length", "exceeds the context", "requires more system memory")),
    Row(Outcome.CREDENTIAL, 404),
    Row(Outcome.CREDENTIAL, words=("not found, try pulling it",)),
)

EXCEPTIONS: Final = {
    "ResponseError": Outcome.SERVER,
    "RequestError": Outcome.CALLER_FAULT,
    "ConnectionError": Outcome.TRANSPORT,
}

PARAMS: Final = frozenset(
    {"temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "stop", "num_ctx", "effort", "thinking", "keep_alive", "logprobs"}
)  # fmt: skip

BUCKETS: Final = (2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576)
"""Sizes of context in tokens. Few, so that a model is seldom loaded again for a longer prompt."""

_BYTES_PER_TOKEN: Final = (
    3.0  # English has four, Chinese three, code between: too many tokens are reckoned, never too few
)
_HEADROOM: Final = 1.1
_UNREAD_TOKENS: Final = 1500
_LEAST_OUTPUT: Final = 256


def context_for(request: Request, window: int | None, fixed: int | None = None) -> tuple[int, int | None]:
    """(`num_ctx`, output limit) for `request`. `window` is the model's, `fixed` one that the policy prescribes.

    Raises ProviderError (capability) where prompt and a short answer do not fit.
    """
    prompt = int(_estimate(request) * _HEADROOM)
    most = min(window or BUCKETS[-1], fixed or BUCKETS[-1])
    output = min(request.max_tokens or _LEAST_OUTPUT, most - prompt)
    if output < min(_LEAST_OUTPUT, request.max_tokens or _LEAST_OUTPUT):
        said = f"about {prompt + _LEAST_OUTPUT} tokens are needed, {most} fit"
        raise ProviderError(Failure(Outcome.CAPABILITY, said, code="context"))
    if fixed is not None:
        return most, output if request.max_tokens else None
    bucket = next((size for size in BUCKETS if size >= prompt + output), most)
    return min(bucket, most), output if request.max_tokens else None


def _estimate(request: Request) -> float:
    """Tokens of everything that is sent, reckoned from bytes on the high side."""
    texts = [request.system, *(name + text for name, text in request.files)]
    texts += [dumps([t.name, t.description, dict(t.schema)]) for t in request.tools]
    unread = 0
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text=text) | Thinking(text=text):
                    texts.append(text)
                case ToolUse():
                    texts.append(dumps(dict(part.input)))
                case ToolResult():
                    texts.append(part.content)
                case Unread():
                    unread += _UNREAD_TOKENS
    frames = 8 * (len(request.messages) + len(request.files) + 1)
    return sum(len(t.encode("utf-8", "surrogatepass")) for t in texts) / _BYTES_PER_TOKEN + unread + frames


class OllamaPlugin:
    """Ollama's `/api/chat`. `keep_alive` and `num_ctx` may stand in a provider's `params`."""

    name = "ollama"
    capabilities = Capabilities(
        thinking=True, needs_key=False, default_base_url="http://127.0.0.1:11434", logprobs=True
    )

    def __init__(self) -> None:
        self._clients: dict[object, Any] = {}
        self._aclients: weakref.WeakKeyDictionary[Any, dict[object, Any]] = weakref.WeakKeyDictionary()

    def warm(self) -> None:
        """Import the SDK. Raises UsageError where the environment keeps it from being imported."""
        try:
            import ollama  # noqa: F401
        except (OSError, ValueError) as error:  # it makes a client of its own while it is imported, which nobody uses
            said = "the Python package `ollama` cannot be imported: it reads SSL_CERT_FILE, SSL_CERT_DIR, OLLAMA_HOST"
            raise UsageError(f"{said} and the proxies of the environment, and one of them is wrong") from error
        transport.warm("httpx")

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        arguments = self._arguments(target, request, stream=False)
        permit.spend(target.name)
        timer = Timer(target, stream=False)
        with _mapped(timer), timed(timer):
            body = self._client(target).chat(**arguments).model_dump(exclude_none=True)
            return _whole(wire.parse_reply(body), arguments)

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        arguments = self._arguments(target, request, stream=True)
        permit.spend(target.name)
        return self._stream(target, arguments)

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        arguments = self._arguments(target, request, stream=False)
        permit.spend(target.name)
        timer = Timer(target, stream=False)
        with _mapped(timer), timed(timer):
            body = (await self._aclient(target).chat(**arguments)).model_dump(exclude_none=True)
            return _whole(wire.parse_reply(body), arguments)

    def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]:
        arguments = self._arguments(target, request, stream=True)
        permit.spend(target.name)
        return self._astream(target, arguments)

    def close(self) -> None:
        """Close the connections of the synchronous clients."""
        while self._clients:
            self._clients.popitem()[1]._client.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop's clients."""
        for client in self._aclients.pop(_loop(), {}).values():
            await client._client.aclose()

    def _stream(self, target: Target, arguments: dict[str, Any]) -> Iterator[Event]:
        timer, reader = Timer(target, stream=True), wire.Reader()
        with _mapped(timer):
            frames = iter(self._client(target).chat(**arguments))
            try:
                while True:
                    with timed(timer):  # the SDK opens the connection at its first frame
                        frame = next(frames, None)
                    if frame is None:
                        break
                    for event in reader.frame(frame.model_dump(exclude_none=True)):
                        heard(event, timer)
                        yield _checked(event, arguments)
                        if isinstance(event, Done):
                            return
                yield from ended(reader.end())
            finally:
                frames.close()

    async def _astream(self, target: Target, arguments: dict[str, Any]) -> AsyncIterator[Event]:
        timer, reader = Timer(target, stream=True), wire.Reader()
        with _mapped(timer):
            frames = aiter(await self._aclient(target).chat(**arguments))
            try:
                while True:
                    with timed(timer):
                        frame = await anext(frames, None)
                    if frame is None:
                        break
                    for event in reader.frame(frame.model_dump(exclude_none=True)):
                        heard(event, timer)
                        yield _checked(event, arguments)
                        if isinstance(event, Done):
                            return
                for event in ended(reader.end()):
                    yield event
            finally:
                await frames.aclose()

    def _arguments(self, target: Target, request: Request, *, stream: bool) -> dict[str, Any]:
        made = with_params(self.name, PARAMS, target, replace(request, stream=stream))
        fixed = made.params.get("num_ctx")
        window, output = context_for(made, target.context_window, fixed if isinstance(fixed, int) else None)
        made = replace(made, params={**made.params, "num_ctx": window}, max_tokens=output)
        return wire.emit_request(made, target.model)

    def _client(self, target: Target) -> Any:
        key = _identity(target)
        if key not in self._clients:
            self._clients.setdefault(key, _make(target, asynchronous=False))
        return self._clients[key]

    def _aclient(self, target: Target) -> Any:
        mine = self._aclients.setdefault(_loop(), {})
        key = _identity(target)
        if key not in mine:
            mine[key] = _make(target, asynchronous=True)
        return mine[key]

    @staticmethod
    def failure_of(error: BaseException, headers: Mapping[str, str] = MappingProxyType({})) -> Failure:
        """What an exception of the SDK, of its HTTP library or of our reader is to the router. `headers` are those of
        the answer, which the SDK's exceptions do not carry."""
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            known = status if status > 0 else None
            return failure(outcome_of(ROWS, known, (), str(getattr(error, "error", ""))), known, (), headers)
        if isinstance(error, VendorFault):
            return failure(outcome_of(ROWS, error.status or None, (), error.type), error.status or None, (), {})
        if isinstance(error, Malformed):
            return Failure(Outcome.SERVER, "the reply is not what Ollama's wire prescribes", code="malformed")
        found = http_failures.failure_of(error)
        if found is not None:
            return found
        if isinstance(error, ConnectionError):  # the SDK's own words hide what it was
            below = http_failures.failure_of(error.__context__) if error.__context__ is not None else None
            return below or Failure(Outcome.TRANSPORT, "connection refused", code="ConnectionError")
        names = (kind.__name__ for kind in type(error).__mro__)
        outcome = next((EXCEPTIONS[n] for n in names if n in EXCEPTIONS), Outcome.SERVER)
        return Failure(outcome, f"the SDK failed with {type(error).__name__}", code=type(error).__name__)


def _make(target: Target, *, asynchronous: bool) -> Any:
    import ollama

    transport.quiet("ollama")
    kind: Any = ollama.AsyncClient if asynchronous else ollama.Client
    options = transport.client_options(target, "httpx", asynchronous=asynchronous)
    client = kind(host=transport.base_url(target), **options)
    # OLLAMA_API_KEY: only the key that the policy names is sent
    client._client.headers.pop("authorization", None)
    if target.api_key:
        client._client.headers["authorization"] = f"Bearer {target.api_key}"
    return client


@contextmanager
def _mapped(timer: Timer) -> Iterator[None]:
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        raise ProviderError(OllamaPlugin.failure_of(error, timer.headers)) from None


def _checked(event: Event, arguments: Mapping[str, Any]) -> Event:
    if isinstance(event, Done):
        _whole(event.reply, arguments)
    return event


def _whole(reply: Reply, arguments: Mapping[str, Any]) -> Reply:
    """`reply`, where the model saw the whole prompt. A context filled to the brim by the prompt alone was cut."""
    if reply.usage.input >= arguments["options"]["num_ctx"]:
        raise ProviderError(
            Failure(Outcome.CAPABILITY, "the prompt did not fit and was cut by the server", code="context")
        )
    return reply


def _identity(target: Target) -> object:
    return (target.name, target.base_url, target.api_key, target.local)


def _loop() -> Any:
    from asyncio import get_running_loop

    return get_running_loop()
