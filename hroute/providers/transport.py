"""The one place that builds HTTP clients: explicit address, no environment, no redirects, checked peer, our own timeouts.

The vendors' SDKs ride on two generations of one library (httpx for ollama; httpx2 for anthropic and openai), so the
classes are made once for each. What is ours sits below the client, where the socket is: a connection of a provider that
claims to be local is made only to an address that is, and each read waits as long as the call's `Timer` allows.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Final, Literal

from hroute.errors import UsageError
from hroute.providers.addresses import admitted, unix_path
from hroute.providers.connection import Connection, dial, dial_unix
from hroute.providers.protocol import Target
from hroute.providers.timer import CURRENT, Timer
from hroute.terms import locality

Family = Literal["httpx", "httpx2"]

_CORE: Final = {"httpx": "httpcore", "httpx2": "httpcore2"}
_INFO: Final = {"client_addr": "sockname", "server_addr": "peername"}
_MAX_CONNECTIONS: Final = 1000
_KEEPALIVE_SECONDS: Final = 60.0
_MAX_HEADER: Final = 64 << 10


def client_options(target: Target, family: Family, *, asynchronous: bool) -> dict[str, Any]:
    """Arguments for an httpx client of `family`: for an SDK that insists on making the client itself."""
    made = _classes(family)
    kind = made.AsyncTransport if asynchronous else made.Transport
    return {"transport": kind(target), "trust_env": False, "follow_redirects": False, "timeout": None}


def client(target: Target, family: Family) -> Any:
    """A synchronous client for the address of `target`."""
    return import_module(family).Client(**client_options(target, family, asynchronous=False))


def aclient(target: Target, family: Family) -> Any:
    """An asynchronous client for the address of `target`."""
    return import_module(family).AsyncClient(**client_options(target, family, asynchronous=True))


def warm(family: Family) -> None:
    """Build what all clients of `family` share."""
    _classes(family)
    _trust(family)


def session(target: Target) -> Any:
    """An aiohttp session for the raw wire to the address of `target`. Nothing is decompressed, followed, remembered or
    added; each socket is checked where it is made, also that of a literal address or of a name that has moved."""
    import aiohttp

    path = unix_path(target)
    near: tuple[str, ...] = ("machine",) if target.local is True else ("machine", "network")

    def checked(address: Any) -> socket.socket:
        family, kind, protocol, _, where = address
        if target.local and locality.of_ip(str(where[0])) not in near:
            raise ConnectionError(f"{where[0]} is not a local address")
        return socket.socket(family, kind, protocol)

    connector: Any = (
        aiohttp.UnixConnector(path=path, limit=0)
        if path is not None
        else aiohttp.TCPConnector(limit=0, socket_factory=checked, happy_eyeballs_delay=None, ttl_dns_cache=60)
    )
    return aiohttp.ClientSession(
        connector=connector,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        max_line_size=_MAX_HEADER,
        max_field_size=_MAX_HEADER,
    )


def connecting(seconds: float) -> Any:
    """The timeout of a call on a `session`: for the connection alone, its caller keeps all other time."""
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)


def response_class(family: Family) -> Any:
    """What a client of `family` answers with."""
    return import_module(family).Response


def base_url(target: Target) -> str:
    """The address for an SDK: a unix socket is spoken to as `http://localhost`. Raises UsageError where there is none."""
    if target.base_url is None:
        raise UsageError(f"provider {target.name} has no base_url")
    if unix_path(target) is not None:
        return "http://localhost"
    return target.base_url if "://" in target.base_url else f"http://{target.base_url}"


def quiet(*loggers: str) -> None:
    """Keep an SDK from logging requests: their debug lines hold whole prompts, and an environment variable turns them on."""
    for name in (*loggers, "httpx", "httpx2", "httpcore", "httpcore2"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))


@cache
def _trust(family: Family) -> Any:
    """The certificates that are believed, read once a process and not from where the environment says."""
    made = import_module(family).create_ssl_context(trust_env=False)
    made.keylog_filename = None  # SSLKEYLOGFILE would have the keys of every connection written to a file
    return made


@cache
def _classes(family: Family) -> SimpleNamespace:
    """Transports, backends and streams on the base classes of one generation."""
    http: Any = import_module(family)
    core: Any = import_module(_CORE[family])

    def limit(given: float | None, of: Callable[[Timer], float], late: type[Exception]) -> float | None:
        timer = CURRENT.get()
        if timer is None:
            return given
        left = of(timer)
        if left <= 0:
            raise late("out of time")
        return left

    class Stream(core.NetworkStream):  # type: ignore[misc]
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def read(self, max_bytes: int, timeout: float | None = None) -> Any:
            return self._inner.read(max_bytes, limit(timeout, Timer.read, core.ReadTimeout))

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._inner.write(buffer, limit(timeout, Timer.read, core.WriteTimeout))

        def close(self) -> None:
            self._inner.close()

        def start_tls(self, ssl_context: Any, server_hostname: Any = None, timeout: float | None = None) -> Any:
            left = limit(timeout, Timer.connect, core.ConnectTimeout)
            return Stream(self._inner.start_tls(ssl_context, server_hostname, left))

        def get_extra_info(self, info: str) -> Any:
            return self._inner.get_extra_info(info)

    class AsyncStream(core.AsyncNetworkStream):  # type: ignore[misc]
        def __init__(self, inner: Connection) -> None:
            self._inner = inner

        async def read(self, max_bytes: int, timeout: float | None = None) -> Any:
            left = limit(timeout, Timer.read, core.ReadTimeout)
            with broken(core.ReadError, core.ReadTimeout):
                return await self._inner.read(max_bytes, left)

        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            left = limit(timeout, Timer.read, core.WriteTimeout)
            with broken(core.WriteError, core.WriteTimeout):
                await self._inner.write(buffer, left)

        async def aclose(self) -> None:
            await self._inner.close()

        async def start_tls(self, ssl_context: Any, server_hostname: Any = None, timeout: float | None = None) -> Any:
            left = limit(timeout, Timer.connect, core.ConnectTimeout)
            with broken(core.ConnectError, core.ConnectTimeout):
                async with asyncio.timeout(left):
                    await self._inner.encrypt(ssl_context, server_hostname)
            return self

        def get_extra_info(self, info: str) -> Any:
            return self._inner.readable if info == "is_readable" else self._inner.told(_INFO.get(info, info))

    class Backend(core.NetworkBackend):  # type: ignore[misc]
        def __init__(self, claim: bool | str) -> None:
            self._inner = core.SyncBackend()
            self._claim = claim

        def connect_tcp(self, host: str, port: int, timeout: float | None = None, **more: Any) -> Any:
            return Stream(_first(host, self._claim, core, lambda ip: self._dial(ip, port, timeout, more)))

        def connect_unix_socket(self, path: str, timeout: float | None = None, **more: Any) -> Any:
            left = limit(timeout, Timer.connect, core.ConnectTimeout)
            return Stream(self._inner.connect_unix_socket(path, left, **more))

        def sleep(self, seconds: float) -> None:
            self._inner.sleep(seconds)

        def _dial(self, ip: str, port: int, timeout: float | None, more: Any) -> Any:
            left = limit(timeout, Timer.connect, core.ConnectTimeout)
            try:
                return self._inner.connect_tcp(ip, port, left, **more)
            except UnicodeError as error:  # no host has such a name
                raise core.ConnectError(str(error)) from error

    class AsyncBackend(core.AsyncNetworkBackend):  # type: ignore[misc]
        def __init__(self, claim: bool | str) -> None:
            self._claim = claim

        async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **more: Any) -> Any:
            error: Exception = core.ConnectError("no address")
            for ip in await _in_thread(host, self._claim, core):
                left = limit(timeout, Timer.connect, core.ConnectTimeout)
                try:
                    with broken(core.ConnectError, core.ConnectTimeout):
                        return AsyncStream(await dial(ip, port, left))
                except core.ConnectError as failed:
                    error = failed
            raise error

        async def connect_unix_socket(self, path: str, timeout: float | None = None, **more: Any) -> Any:
            left = limit(timeout, Timer.connect, core.ConnectTimeout)
            with broken(core.ConnectError, core.ConnectTimeout):
                return AsyncStream(await dial_unix(path, left))

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    class Body(http.SyncByteStream):  # type: ignore[misc]
        def __init__(self, inner: Any, timer: Timer | None) -> None:
            self._inner = inner
            self._timer = timer

        def __iter__(self) -> Iterator[bytes]:
            chunks = iter(self._inner)
            while True:
                token = CURRENT.set(self._timer)
                try:
                    chunk = next(chunks, None)
                finally:
                    CURRENT.reset(token)
                if chunk is None:
                    return
                yield chunk

        def close(self) -> None:
            self._inner.close()

    class AsyncBody(http.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, inner: Any, timer: Timer | None) -> None:
            self._inner = inner
            self._timer = timer

        async def __aiter__(self) -> AsyncIterator[bytes]:
            chunks = aiter(self._inner)
            while True:
                token = CURRENT.set(self._timer)
                try:
                    chunk = await anext(chunks, None)
                finally:
                    CURRENT.reset(token)
                if chunk is None:
                    return
                yield chunk

        async def aclose(self) -> None:
            await self._inner.aclose()

    def settings(target: Target) -> dict[str, Any]:
        limits = http.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEPALIVE_SECONDS)
        common = {"trust_env": False, "retries": 0, "verify": _trust(family)}
        return {**common, "limits": limits, "uds": unix_path(target)}

    class Transport(http.HTTPTransport):  # type: ignore[misc]
        def __init__(self, target: Target) -> None:
            super().__init__(**settings(target))
            self._pool._network_backend = Backend(target.local)

        def handle_request(self, request: Any) -> Any:
            response = super().handle_request(request)
            response.stream = Body(response.stream, _noted(response))
            return response

    class AsyncTransport(http.AsyncHTTPTransport):  # type: ignore[misc]
        def __init__(self, target: Target) -> None:
            super().__init__(**settings(target))
            self._pool._network_backend = AsyncBackend(target.local)

        async def handle_async_request(self, request: Any) -> Any:
            response = await super().handle_async_request(request)
            response.stream = AsyncBody(response.stream, _noted(response))
            return response

    return SimpleNamespace(Transport=Transport, AsyncTransport=AsyncTransport)


@contextmanager
def broken(error: type[Exception], late: type[Exception]) -> Iterator[None]:
    """What the system says of a connection, as an error of the HTTP library."""
    try:
        yield
    except TimeoutError as reason:
        raise late(str(reason)) from reason
    except (OSError, UnicodeError) as reason:  # no host has a name that is not one
        raise error(str(reason)) from reason


def _noted(response: Any) -> Timer | None:
    """The timer of the call that `response` answers; it is told the headers."""
    timer = CURRENT.get()
    if timer is not None:
        timer.headers = response.headers
    return timer


def _first(host: str, claim: bool | str, core: Any, dial: Callable[[str], Any]) -> Any:
    """Dial the admitted addresses of `host` in order until one answers."""
    error: Exception = core.ConnectError("no address")
    for ip in _admitted(host, claim, core):
        try:
            return dial(ip)
        except core.ConnectError as failed:
            error = failed
    raise error


def _admitted(host: str, claim: bool | str, core: Any) -> tuple[str, ...]:
    try:
        return admitted(host, claim)
    except PermissionError as refused:
        raise core.ConnectError(str(refused)) from None


async def _in_thread(host: str, claim: bool | str, core: Any) -> tuple[str, ...]:
    """`_admitted` where a name has to be looked up, which blocks."""
    if not claim or locality.of_ip(host) != "cloud":
        return _admitted(host, claim, core)
    from asyncio import to_thread

    return await to_thread(_admitted, host, claim, core)
