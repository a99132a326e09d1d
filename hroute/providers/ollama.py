"""Ollama through its own SDK: native chat, with a context window that the request fits into on every call.

Left to itself Ollama drops what does not fit and answers from the rest. So `num_ctx` is sent always (`ollama_window`), a
server that knows how is told not to cut, and one that cut all the same has given no answer.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from hroute.errors import UsageError
from hroute.providers import http_failures, transport
from hroute.providers.ollama_window import Loaded, Model, context_for, model_of, residence_of
from hroute.providers.outcomes import Row, failure, outcome_of, rejected
from hroute.providers.parameters import NUMBER, OF_THE_CALL, WHOLE, YES, Parameters
from hroute.providers.per_loop import PerLoop
from hroute.providers.probe import Probe
from hroute.providers.protocol import Capabilities, Permit, ProviderError, Target
from hroute.providers.stainless import ended, heard, identity, with_params
from hroute.providers.timer import Timer, timed
from hroute.terms.message import Done, Event, Reply, Request
from hroute.terms.outcome import Failure, Outcome
from hroute.wire import ollama as wire
from hroute.wire.fields import Malformed, VendorFault

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

LOADED: Final = Loaded()
"""What is loaded where, for all plugins of this process."""

BELIEVED: Final = 60.0
"""Seconds for which a model is what /api/show said that it is."""

PARAMETERS: Final = Parameters(
    "ollama",
    common=frozenset(
        {"temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "stop", "num_ctx", "effort", "thinking",
         "keep_alive", "logprobs"}
    ),
    own={
        **dict.fromkeys(("min_p", "mirostat_eta", "mirostat_tau", "repeat_penalty", "tfs_z", "typical_p"), NUMBER),
        **dict.fromkeys(("main_gpu", "mirostat", "num_batch", "num_gpu", "num_keep", "num_thread", "repeat_last_n", "top_logprobs"), WHOLE),
        **dict.fromkeys(("f16_kv", "logits_all", "low_vram", "numa", "penalize_newline", "use_mlock", "use_mmap"), YES),
    },
    spellings={"think": "thinking"},
    elsewhere={
        **OF_THE_CALL,
        "embedding_only": "such a model writes nothing",
        "vocab_only": "such a model writes nothing",
        "format": "the request says it, or the rule's `validate`",
        "num_predict": "`max_tokens` says it",
        "options": "each of them is a parameter by its own name",
    },
)  # fmt: skip
"""What of `chat` and of its `Options` a policy may say; a test walks the SDK's own signature."""


class OllamaPlugin:
    """Ollama's `/api/chat`. `keep_alive` and `num_ctx` may stand in a provider's `params`."""

    name = "ollama"
    capabilities = Capabilities(
        thinking=True, needs_key=False, default_base_url="http://127.0.0.1:11434", logprobs=True
    )

    def __init__(self) -> None:
        self._clients: dict[object, Any] = {}
        self._models: dict[object, tuple[Model, float]] = {}
        self._aclients = PerLoop()

    def warm(self) -> None:
        """Import the SDK. Raises UsageError where the environment keeps it from being imported."""
        try:
            import ollama  # noqa: F401
        except (OSError, ValueError) as error:  # it makes a client of its own while it is imported, which nobody uses
            said = "the Python package `ollama` cannot be imported: it reads SSL_CERT_FILE, SSL_CERT_DIR, OLLAMA_HOST"
            raise UsageError(f"{said} and the proxies of the environment, and one of them is wrong") from error
        transport.warm("httpx")

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        made = with_params(PARAMETERS, target, replace(request, stream=False))
        permit.spend(target.name)
        timer = Timer(target, stream=False)
        with _mapped(timer), timed(timer):
            client = self._client(target)
            body = body_for(target, made, self._model(client, target))
            return _whole(wire.parse_reply(client._request(dict, "POST", "/api/chat", json=body)), target, body)

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        made = with_params(PARAMETERS, target, replace(request, stream=True))
        permit.spend(target.name)
        return self._stream(target, made)

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        made = with_params(PARAMETERS, target, replace(request, stream=False))
        permit.spend(target.name)
        timer = Timer(target, stream=False)
        with _mapped(timer), timed(timer):
            client = self._aclient(target)
            body = body_for(target, made, await self._amodel(client, target))
            answer = await client._request(dict, "POST", "/api/chat", json=body)
            return _whole(wire.parse_reply(answer), target, body)

    def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]:
        made = with_params(PARAMETERS, target, replace(request, stream=True))
        permit.spend(target.name)
        return self._astream(target, made)

    def probe(self, target: Target, permit: Permit) -> Probe:
        """Ask what the model is (/api/show), and how it lies in memory (/api/ps)."""
        import ollama

        permit.spend(target.name)
        started, timer = time.perf_counter(), Timer(target, stream=False)
        try:
            with _mapped(timer), timed(timer):
                client = self._client(target)
                try:
                    shown = client._request(dict, "POST", "/api/show", json={"model": target.model})
                except ollama.ResponseError as error:
                    if error.status_code != 404:
                        raise
                    return Probe((time.perf_counter() - started) * 1000, listed=False)
                running = client._request(dict, "GET", "/api/ps")
        except ProviderError as error:
            return Probe((time.perf_counter() - started) * 1000, error.failure)
        model, loaded = model_of(shown), residence_of(running, target.model)
        took = (time.perf_counter() - started) * 1000
        return Probe(took, listed=True, trained=model.context, loaded=loaded, remote=model.remote)

    def close(self) -> None:
        """Close the connections of the synchronous clients."""
        while self._clients:
            self._clients.popitem()[1]._client.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop's clients."""
        for client in self._aclients.take():
            await client._client.aclose()

    def _stream(self, target: Target, request: Request) -> Iterator[Event]:
        timer, reader = Timer(target, stream=True), wire.Reader()
        with _mapped(timer):
            with timed(timer):
                client = self._client(target)
                body = body_for(target, request, self._model(client, target))
            frames = iter(client._request(dict, "POST", "/api/chat", json=body, stream=True))
            try:
                while True:
                    with timed(timer):  # the SDK opens the connection at its first frame
                        frame = next(frames, None)
                    if frame is None:
                        break
                    for event in reader.frame(frame):
                        heard(event, timer)
                        yield _checked(event, target, body)
                        if isinstance(event, Done):
                            return
                yield from ended(reader.end())
            finally:
                frames.close()

    async def _astream(self, target: Target, request: Request) -> AsyncIterator[Event]:
        timer, reader = Timer(target, stream=True), wire.Reader()
        with _mapped(timer):
            with timed(timer):
                client = self._aclient(target)
                body = body_for(target, request, await self._amodel(client, target))
            frames = aiter(await client._request(dict, "POST", "/api/chat", json=body, stream=True))
            try:
                while True:
                    with timed(timer):
                        frame = await anext(frames, None)
                    if frame is None:
                        break
                    for event in reader.frame(frame):
                        heard(event, timer)
                        yield _checked(event, target, body)
                        if isinstance(event, Done):
                            return
                for event in ended(reader.end()):
                    yield event
            finally:
                await frames.aclose()

    def _model(self, client: Any, target: Target) -> Model:
        """What the server says of the model, asked now and then."""
        known = self._models.get(_key(target))
        if known is None or known[1] < time.monotonic():
            try:
                shown = client._request(dict, "POST", "/api/show", json={"model": target.model})
            except _unanswered():
                shown = {}
            known = self._learned(target, shown)
        return known[0]

    async def _amodel(self, client: Any, target: Target) -> Model:
        """`_model` on an event loop."""
        known = self._models.get(_key(target))
        if known is None or known[1] < time.monotonic():
            try:
                shown = await client._request(dict, "POST", "/api/show", json={"model": target.model})
            except _unanswered():
                shown = {}
            known = self._learned(target, shown)
        return known[0]

    def _learned(self, target: Target, shown: Mapping[str, Any]) -> tuple[Model, float]:
        known = (model_of(shown), time.monotonic() + BELIEVED)
        self._models[_key(target)] = known
        return known

    def _client(self, target: Target) -> Any:
        key = identity(target)
        if key not in self._clients:
            self._clients.setdefault(key, _make(target, asynchronous=False))
        return self._clients[key]

    def _aclient(self, target: Target) -> Any:
        mine = self._aclients.mine()
        key = identity(target)
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
            return rejected(ROWS, known, (), str(getattr(error, "error", "")), headers)
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


def body_for(target: Target, request: Request, model: Model | None = None) -> dict[str, Any]:
    """The body of /api/chat for a request whose parameters fit. `model` is what the server says of the model.

    Raises ProviderError where the request does not fit, or where the model of a provider that claims to be local is
    served elsewhere (SEMANTICS 2.7).
    """
    model = model or Model()
    if model.remote and target.local:
        said = f"{target.model} is served by {model.remote}, and the policy says that it is local"
        raise ProviderError(Failure(Outcome.CREDENTIAL, said, code="remote_model"))
    fixed = request.params.get("num_ctx")
    most = min((n for n in (target.context_window, model.context) if n is not None), default=None)
    wanted = fixed if isinstance(fixed, int) else None
    window, output = context_for(request, most, wanted, LOADED.window(_key(target)))
    made = replace(request, params={**request.params, "num_ctx": window}, max_tokens=output)
    return {**wire.emit_request(made, target.model), "truncate": False, "shift": False}


def _checked(event: Event, target: Target, body: Mapping[str, Any]) -> Event:
    if isinstance(event, Done):
        _whole(event.reply, target, body)
    return event


def _whole(reply: Reply, target: Target, body: Mapping[str, Any]) -> Reply:
    """`reply`, where the model saw the whole prompt. A context filled to the brim by the prompt alone was cut, by a server
    that does not know `truncate`."""
    window = body["options"]["num_ctx"]
    if reply.usage.input >= window:
        raise ProviderError(
            Failure(Outcome.CAPABILITY, "the prompt did not fit and was cut by the server", code="context")
        )
    LOADED.note(_key(target), window, body.get("keep_alive"))
    return reply


def _unanswered() -> tuple[type[Exception], ...]:
    """A server that does not know /api/show, or not this model: what comes of the call itself is told then."""
    import ollama

    return (ollama.ResponseError, ValueError, TypeError)


def _key(target: Target) -> object:
    return (target.base_url, target.model)


def _identity(target: Target) -> object:
    return (target.name, target.base_url, target.api_key, target.local)
