"""One connection of a client: what it may take, in time and in bytes, to say what it wants and to take in the answer.

A client that opens a connection and dawdles costs a socket and some memory for as long as it likes, unless somebody looks
at the clock. One look at all connections a second is enough for that and costs a request nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hroute.gateway.access import MAX_HEADERS

IDLE: Final = 75.0
"""Seconds that a connection may wait for a request."""
HEAD: Final = 10.0
"""Seconds from the first byte of a request to the end of its headers."""
BODY: Final = 120.0
"""Seconds for a whole body, however steadily it drips."""
READING: Final = 60.0
"""Seconds in which a client has to take in some of what waits for it."""
_LINES: Final = MAX_HEADERS + (32 << 10)
"""Bytes until the end of the headers, the request line and all colons among them."""
_NEVER: Final = float("inf")


class Inbound(HttpToolsProtocol):
    """A connection of uvicorn's that knows its bounds. Who hangs up while being answered has the answer cancelled."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._answering: asyncio.Task[None] | None = None
        self._coming = False
        """Whether a request has begun to come and is not all there."""
        self._head = 0
        """Bytes of headers that are not complete."""
        self._due = self.loop.time() + IDLE
        """When it is too late for what the client is to do next; never, while it is our turn."""
        self._unread = _NEVER
        """When it is too late to take in what waits to be sent."""

    def look(self, now: float) -> None:
        """Hang up on a client whose time is over."""
        if now >= self._unread or (now >= self._due and self.transport.is_closing()):
            self.transport.abort()
        elif now >= self._due:
            self._hang_up(408 if self._head else None)
            self._due = now + HEAD  # to take in what was said

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head:
            self._head += len(data)
            if self._head > _LINES and not self.transport.is_closing():
                self._hang_up(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._coming, self._head, self._due = True, 1, self.loop.time() + HEAD

    def on_headers_complete(self) -> None:
        self._head, self._due = 0, self.loop.time() + BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._coming = False
        self._due = _NEVER if self._answering is not None else self.loop.time() + IDLE

    def on_response_complete(self) -> None:
        self._answering = None
        super().on_response_complete()
        if self._answering is None and not self._coming:
            self._due = self.loop.time() + IDLE

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.time() + READING

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = _NEVER

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._answering is not None:
            self._answering.cancel()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answering = task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _hang_up(self, status: int | None) -> None:
        """Close, and say why where the request is not even known."""
        if status is not None:
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()
