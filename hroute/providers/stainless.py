"""What the SDKs of Anthropic and OpenAI have in common (one generator wrote both): how they are called, and how they fail.

The SDK authenticates, sends and maps errors to its classes; the body is ours and the reply's bytes are read by
`hroute.wire`, so that nothing is lost between two message models. A whole reply comes by the SDK's `post`, which its makers
offer for what their methods do not know: it builds no models on the way, and halves what a call costs here. Retries of the SDK are off: the router's ladder retries.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from os import getpid
from typing import Any, Final, Protocol

from hroute.providers import http_failures, transport
from hroute.providers.outcomes import Row, failure, outcome_of, rejected, told, with_allowances
from hroute.providers.parameters import OF_TOOLS, Parameters
from hroute.providers.per_loop import PerLoop
from hroute.providers.probe import Probe
from hroute.providers.protocol import Capabilities, Permit, ProviderError, Target
from hroute.providers.timer import Timer, timed
from hroute.terms.message import Done, Event, Reply, Request, StopReason, TextDelta, ThinkingDelta, ToolUseDelta
from hroute.terms.outcome import Failure, Outcome
from hroute.wire.fields import Malformed, VendorFault, loads

NO_END: Final = Failure(Outcome.BAD_CONTENT, "the stream ended without its terminal event", code="cut_off")


class Reader(Protocol):
    """A dialect's stream machine (`hroute.wire`)."""

    def feed(self, chunk: bytes) -> list[Event]: ...

    def end(self) -> list[Event]: ...


class StainlessPlugin:
    """Base of the two adapters. A subclass says how a client is made, what a body is, and what errors mean.

    `exceptions` names every class of the SDK that bears no status; `rows` are the vendor's own lines of the outcome table,
    by which those with a status go; `parameters` are those that the dialect carries; `path` is where a body goes.
    """

    name: str
    capabilities: Capabilities
    rows: tuple[Row, ...] = ()
    exceptions: Mapping[str, Outcome] = {}
    parameters: Parameters
    path: str = ""

    def __init__(self) -> None:
        self._clients: dict[object, Any] = {}
        self._aclients = PerLoop()

    # -- what a subclass says ----------------------------------------------------------------------------------------

    def warm(self) -> None:
        """Import the SDK."""
        raise NotImplementedError

    def make(self, target: Target, http_client: Any, *, asynchronous: bool) -> Any:
        """A client of the SDK on `http_client`."""
        raise NotImplementedError

    def resource(self, client: Any) -> Any:
        """Where `create` lives."""
        raise NotImplementedError

    def body(self, target: Target, request: Request) -> dict[str, Any]:
        """The JSON body, `model` and `messages` among it."""
        raise NotImplementedError

    def parse(self, body: Any) -> Reply:
        raise NotImplementedError

    def reader(self) -> Reader:
        raise NotImplementedError

    def listed(self, client: Any, target: Target) -> bool | None:
        """Whether the vendor knows the model; None where it does not say. Raises what the SDK raises."""
        raise NotImplementedError

    # -- the protocol of a plugin --------------------------------------------------------------------------------------

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        body = self._body(target, request, stream=False)
        permit.spend(target.name)
        with self._mapped():
            client = self._client(target)
            with timed(Timer(target, stream=False)):
                response = client.post(self.path, cast_to=transport.response_class("httpx2"), body=body)
            return with_allowances(self.parse(loads(response.content)), response.headers)

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        arguments = self._arguments(target, request)
        permit.spend(target.name)
        return self._stream(target, arguments)

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        body = self._body(target, request, stream=False)
        permit.spend(target.name)
        with self._mapped():
            client = self._aclient(target)
            with timed(Timer(target, stream=False)):
                response = await client.post(self.path, cast_to=transport.response_class("httpx2"), body=body)
            return with_allowances(self.parse(loads(response.content)), response.headers)

    def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]:
        arguments = self._arguments(target, request)
        permit.spend(target.name)
        return self._astream(target, arguments)

    def probe(self, target: Target, permit: Permit) -> Probe:
        """Ask for the model, which costs nothing."""
        permit.spend(target.name)
        started = time.perf_counter()
        found, failed = None, None
        try:
            with self._mapped(), timed(Timer(target, stream=False)):
                found = self.listed(self._client(target), target)
        except ProviderError as error:
            failed = error.failure
        return Probe((time.perf_counter() - started) * 1000, failed, found)

    def close(self) -> None:
        """Close the connections of the synchronous clients."""
        while self._clients:
            self._clients.popitem()[1].close()

    async def aclose(self) -> None:
        """Close the connections of this event loop's clients."""
        for client in self._aclients.take():
            await client.close()

    # -- how ------------------------------------------------------------------------------------------------------------

    def _stream(self, target: Target, arguments: dict[str, Any]) -> Iterator[Event]:
        timer, reader = Timer(target, stream=True), self.reader()
        with self._mapped():
            opening = self.resource(self._client(target)).with_streaming_response.create(**arguments)
            with timed(timer):
                response = opening.__enter__()
            try:
                for chunk in response.iter_bytes():
                    for event in reader.feed(chunk):
                        heard(event, timer)
                        if isinstance(event, Done):
                            yield Done(with_allowances(event.reply, response.headers))
                            return
                        yield event
                yield from ended(reader.end())
            finally:
                opening.__exit__(None, None, None)

    async def _astream(self, target: Target, arguments: dict[str, Any]) -> AsyncIterator[Event]:
        timer, reader = Timer(target, stream=True), self.reader()
        with self._mapped():
            opening = self.resource(self._aclient(target)).with_streaming_response.create(**arguments)
            with timed(timer):
                response = await opening.__aenter__()
            try:
                async for chunk in response.iter_bytes():
                    for event in reader.feed(chunk):
                        heard(event, timer)
                        if isinstance(event, Done):
                            yield Done(with_allowances(event.reply, response.headers))
                            return
                        yield event
                for event in ended(reader.end()):
                    yield event
            finally:
                await opening.__aexit__(None, None, None)

    def _body(self, target: Target, request: Request, *, stream: bool) -> dict[str, Any]:
        return self.body(target, with_params(self.parameters, target, replace(request, stream=stream)))

    def _arguments(self, target: Target, request: Request) -> dict[str, Any]:
        """Arguments of `create`: what it demands by name, the rest as it stands (its signature changes with each SDK)."""
        body = self._body(target, request, stream=True)
        named: dict[str, Any] = {
            key: body.pop(key) for key in ("model", "messages", "max_tokens", "stream") if key in body
        }
        return {**named, "extra_body": body}

    def _client(self, target: Target) -> Any:
        key = identity(target)
        if key not in self._clients:
            made = self.make(target, transport.client(target, "httpx2"), asynchronous=False)
            self._clients.setdefault(key, made)
        return self._clients[key]

    def _aclient(self, target: Target) -> Any:
        mine = self._aclients.mine()
        key = identity(target)
        if key not in mine:
            mine[key] = self.make(target, transport.aclient(target, "httpx2"), asynchronous=True)
        return mine[key]

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """Whatever the SDK, its HTTP library or the reply's bytes raise becomes a ProviderError that quotes nothing."""
        try:
            yield
        except ProviderError:
            raise
        except Exception as error:
            raise ProviderError(self.failure_of(error)) from None

    def failure_of(self, error: BaseException) -> Failure:
        """What an exception of the SDK, of its HTTP library or of our reader is to the router."""
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            return self._of_status(error, status)
        if isinstance(error, VendorFault):
            outcome = outcome_of(self.rows, error.status or None, (error.type,), "")
            return failure(outcome, error.status or None, (error.type,), {})
        if isinstance(error, Malformed):
            return Failure(Outcome.SERVER, "the reply is not what the vendor's wire prescribes", code="malformed")
        for one in (error.__cause__, error):
            if one is not None and (known := http_failures.failure_of(one)) is not None:
                return known
        names = (kind.__name__ for kind in type(error).__mro__)
        outcome = next((self.exceptions[n] for n in names if n in self.exceptions), Outcome.SERVER)
        return Failure(outcome, f"the SDK failed with {type(error).__name__}", code=type(error).__name__)

    def _of_status(self, error: BaseException, status: int) -> Failure:
        codes, message = told(getattr(error, "body", None))
        headers = getattr(getattr(error, "response", None), "headers", {})
        return rejected(self.rows, status, codes, message or str(getattr(error, "message", "")), headers)


def with_params(known: Parameters, target: Target, request: Request) -> Request:
    """`request` with the provider's own parameters under the caller's. What the plugin cannot carry is refused, by name; what
    says nothing without tools is left out without them, for the vendors reject it."""
    params = known.fit({**target.params, **request.params})
    if not request.tools:
        params = {name: value for name, value in params.items() if name not in OF_TOOLS}
    limit = params.pop("max_tokens", None)
    return replace(request, params=params, max_tokens=request.max_tokens if request.max_tokens is not None else limit)


def heard(event: Event, timer: Timer) -> None:
    """The first event that says something ends the wait for the first token."""
    if isinstance(event, ToolUseDelta) or (isinstance(event, (TextDelta, ThinkingDelta)) and event.text):
        timer.said()


def ended(events: list[Event]) -> Iterator[Event]:
    """The last events of a stream whose connection was closed. Raises ProviderError where the reply was cut off."""
    for event in events:
        if isinstance(event, Done) and event.reply.stop is StopReason.TRUNCATED:
            raise ProviderError(NO_END)
        yield event


def identity(target: Target) -> object:
    """What has connections of its own. A forked child shares none with its parent: both would write on them."""
    return (getpid(), target.name, target.base_url, target.api_key, target.local)
