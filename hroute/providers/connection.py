"""One connection on asyncio, read and written when it is asked to be, each time for so many seconds at most.

The HTTP libraries' own way goes once around the event loop for every read and write; at several a call that is a tenth of
what a call over loopback takes. Raises TimeoutError, and OSError where the connection breaks.
"""

from __future__ import annotations

import asyncio
import select
from typing import Any, Final

_MOST_UNREAD: Final = 1 << 18
"""Bytes that wait here to be read; then the other side is made to wait."""


class Connection(asyncio.Protocol):
    """A byte stream; `read` gives b"" at its end. One task reads at a time, one writes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._unread = bytearray()
        self._held = False  # the other side is made to wait
        self._full = False  # we are
        self._ended = False
        self._broken: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    async def read(self, most: int, seconds: float | None) -> bytes:
        """Up to `most` bytes, as soon as there are any."""
        if not self._unread and not self._ended:
            self._reader = self._loop.create_future()
            try:
                await _within(self._reader, seconds, self._loop)
            finally:
                self._reader = None
        if not self._unread and self._broken is not None:
            raise self._broken
        data = bytes(self._unread[:most])
        del self._unread[:most]
        if self._held and len(self._unread) < _MOST_UNREAD:
            self._held = False
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes, seconds: float | None) -> None:
        """Send `data`, or leave it to the system to send."""
        if self._broken is not None or self._transport.is_closing():
            raise self._broken or ConnectionResetError("the connection was closed")
        self._transport.write(data)
        if self._full:
            self._writer = self._loop.create_future()
            try:
                await _within(self._writer, seconds, self._loop)
            finally:
                self._writer = None

    async def encrypt(self, context: Any, host: str | None) -> None:
        """Speak TLS from here on."""
        self._transport = await self._loop.start_tls(self._transport, self, context, server_hostname=host)

    async def close(self) -> None:
        """Hang up at once, whatever was still to be sent. Over TLS a goodbye is tried."""
        try:
            if not self._transport.is_closing():
                self._transport.close()
                await asyncio.sleep(0)
        finally:
            self._transport.abort()

    def told(self, what: str) -> Any:
        """What the transport knows: "socket", "ssl_object", "sockname", "peername"."""
        return self._transport.get_extra_info(what)

    @property
    def readable(self) -> bool:
        """Whether a read would not wait: of an idle connection, that it is of no more use. The system is asked as well,
        since the loop may not have looked since."""
        if self._unread or self._ended or self._transport.is_closing():
            return True
        look = select.poll()
        look.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return bool(look.poll(0))

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if len(self._unread) >= _MOST_UNREAD and not self._held:
            self._held = True
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> None:
        self._ended = True
        _wake(self._reader)

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._broken = error
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        _wake(self._writer)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


async def _within(waiting: asyncio.Future[None], seconds: float | None, loop: asyncio.AbstractEventLoop) -> None:
    if seconds is None:
        return await waiting
    alarm = loop.call_later(seconds, _late, waiting)
    try:
        await waiting
    finally:
        alarm.cancel()


def _late(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


async def dial(host: str, port: int, seconds: float | None) -> Connection:
    """A connection to the first address of `host` that takes one."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        if isinstance(loop, asyncio.BaseEventLoop):
            _, made = await loop.create_connection(Connection, host, port, happy_eyeballs_delay=0.25)
        else:  # one of another maker (uvloop) knows no such delay, and tries the addresses in turn
            _, made = await loop.create_connection(Connection, host, port)
    return made


async def dial_unix(path: str, seconds: float | None) -> Connection:
    """A connection to a Unix socket."""
    async with asyncio.timeout(seconds):
        _, made = await asyncio.get_running_loop().create_unix_connection(Connection, path)
    return made
