"""The raw wire: one HTTP request leaves as it was written, and its answer comes back as bytes. The gateway's way out.

No SDK, no redirect, no environment; a request leaves only with a Permit. Time is kept by one timer a call: until the
first words, then between any two pieces, and for the whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hroute.providers import transport
from hroute.providers.ollama_window import Model, model_of
from hroute.providers.protocol import Permit, ProviderError, Target
from hroute.terms.outcome import Failure, Outcome
from hroute.wire.fields import Malformed, loads

LIMIT: Final = 64 << 20
"""Bytes of an answer in one piece that are read; more is a fault of the server."""

_BELIEVED: Final = 60.0
"""Seconds for which a server's word about a model counts."""
_LINGER: Final = 0.2
"""Seconds in which a server may close an answer whose last word it has said."""

EXCEPTIONS: Final[Mapping[str, Outcome]] = {
    "ConnectionTimeoutError": Outcome.TIMEOUT,
    "SocketTimeoutError": Outcome.TIMEOUT,
    "ServerTimeoutError": Outcome.TIMEOUT,
    "ClientPayloadError": Outcome.TRANSPORT,
    "ClientConnectionError": Outcome.TRANSPORT,
    "ClientResponseError": Outcome.SERVER,
    "ContentTypeError": Outcome.SERVER,
    "TooManyRedirects": Outcome.SERVER,
    "InvalidURL": Outcome.TRANSPORT,
    "RedirectClientError": Outcome.SERVER,
    "NonHttpUrlClientError": Outcome.TRANSPORT,
    "UploadAbortedError": Outcome.TRANSPORT,
    "ClientError": Outcome.TRANSPORT,
}
"""Exception classes of aiohttp by name, the nearest base counts; a test walks them."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RawCall:
    """One HTTP request. `path` (with its query) stands under the address of the target and is sent as it is written."""

    path: str
    headers: Headers
    body: bytes
    method: str = "POST"
    stream: bool = False


class RawReply:
    """The answer to a RawCall, its body still to be read. Whoever got it closes it."""

    def __init__(self, response: Any, target: Target, began: float, stream: bool) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._until = began + target.total
        self._due = min(began + (target.first_token if stream else target.total), self._until)
        self._spoken = False
        self._late = False
        self._timer = self._loop.call_at(self._due, self._look)

    def said(self) -> None:
        """The first words have come: from now on only silence between two pieces is measured."""
        self._spoken = True
        self._heard()

    async def chunk(self) -> bytes:
        """The next bytes, or none at the end. Raises ProviderError where the connection breaks or time is up."""
        try:
            data: bytes = await self._response.content.readany()
        except Exception as error:
            raise ProviderError(self._failure(error)) from None
        if self._spoken:
            self._heard()
        return data

    async def whole(self) -> bytes:
        """All that is left. Raises ProviderError, also where that is more than LIMIT."""
        pieces, size = [], 0
        while data := await self.chunk():
            pieces.append(data)
            size += len(data)
            if size > LIMIT:
                raise ProviderError(Failure(Outcome.SERVER, "the answer is too large", self.status))
        return b"".join(pieces)

    async def rest(self) -> bytes:
        """What still comes after the last word, so that the connection can be used again; not waited for long."""
        pieces: list[bytes] = []
        try:
            async with asyncio.timeout(_LINGER):
                while data := await self._response.content.readany():
                    pieces.append(data)
        except Exception:
            self._response.close()
        return b"".join(pieces)

    def close(self) -> None:
        """Give the connection back where the answer was read to its end, else hang up."""
        self._timer.cancel()
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    def _heard(self) -> None:
        self._due = min(self._loop.time() + self._target.idle, self._until)

    def _look(self) -> None:
        """Time may be up: the timer is set once for each span of silence and not for each piece."""
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
            return
        self._late = True
        self._response.close()

    def _failure(self, error: Exception) -> Failure:
        if self._late:
            return Failure(Outcome.TIMEOUT, "no answer in time", code="ReadTimeout")
        return failure_of(error)


class Models:
    """What Ollama servers say of their models, believed for a while."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, str], tuple[Model, float]] = {}

    def of(self, target: Target) -> Model | None:
        """What is known of the model of `target`; None where it has to be asked for."""
        known = self._known.get((target.base_url, target.model))
        return known[0] if known is not None and known[1] > time.monotonic() else None

    def learned(self, target: Target, shown: bytes) -> Model:
        """Take note of an answer of /api/show."""
        try:
            told = loads(shown)
        except Malformed:
            told = None
        model = model_of(told) if isinstance(told, Mapping) else Model()
        self._known[target.base_url, target.model] = (model, time.monotonic() + _BELIEVED)
        return model


class Forwarder:
    """Keeps the connections, one pool an address; belongs to one event loop. `models` is what it has learned of them."""

    def __init__(self) -> None:
        self.models = Models()
        self._sessions: dict[object, Any] = {}
        self._urls: dict[tuple[str, str], Any] = {}

    async def forward(self, target: Target, call: RawCall, permit: Permit) -> RawReply:
        """Send `call` to `target`. Raises ProviderError where no answer begins; PermissionError without a leave."""
        permit.spend(target.name)
        loop = asyncio.get_running_loop()
        began = loop.time()
        patience = min(target.first_token if call.stream else target.total, target.total)
        try:
            async with asyncio.timeout_at(began + patience):
                response = await self._session(target).request(
                    call.method,
                    self._url(target, call.path),
                    data=call.body or None,
                    headers=call.headers,
                    allow_redirects=False,
                    timeout=transport.connecting(target.connect),
                )
        except TimeoutError as error:
            raise ProviderError(failure_of(error)) from None
        except Exception as error:
            raise ProviderError(failure_of(error)) from None
        return RawReply(response, target, began, call.stream)

    async def aclose(self) -> None:
        """Close every connection."""
        while self._sessions:
            await self._sessions.popitem()[1].close()

    def _session(self, target: Target) -> Any:
        key = (target.base_url, target.local)
        found = self._sessions.get(key)
        if found is None:
            found = self._sessions[key] = transport.session(target)
        return found

    def _url(self, target: Target, path: str) -> Any:
        base = transport.base_url(target).rstrip("/")
        found = self._urls.get((base, path))
        if found is None:
            from yarl import URL

            found = URL(base + path, encoded=True)
            if len(self._urls) < 1_000:
                self._urls[base, path] = found
        return found


def failure_of(error: BaseException) -> Failure:
    """What an exception of aiohttp or of the socket is to the router; nothing of it is quoted."""
    names = [kind.__name__ for kind in type(error).__mro__]
    outcome = next((EXCEPTIONS[name] for name in names if name in EXCEPTIONS), None)
    if outcome is None:
        outcome = Outcome.TIMEOUT if isinstance(error, TimeoutError) else Outcome.TRANSPORT
    return Failure(outcome, _told(error, outcome), code=type(error).__name__)


def _told(error: BaseException, outcome: Outcome) -> str:
    said = str(error).lower()
    if outcome is Outcome.TIMEOUT:
        return "no connection in time" if "connect" in type(error).__name__.lower() else "no answer in time"
    if isinstance(getattr(error, "os_error", error), ConnectionRefusedError) or "refused" in said:
        return "connection refused"
    if type(error).__name__ == "ClientConnectorDNSError":
        return "the host name is not known"
    return "cannot connect" if type(error).__name__.startswith("ClientConnector") else "the connection broke off"
