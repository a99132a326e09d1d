"""The answer of one HTTP request as ASGI messages: in one piece, or as a stream that begins once and ends once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Scope = MutableMapping[str, Any]


class Responder:
    """Writes one answer. `begun`: its status has left, nothing of it can be taken back."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self.status = 0

    async def whole(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """The whole answer."""
        await self._start(status, (*headers, ("content-length", str(len(body)))))
        await self._send({"type": "http.response.body", "body": body})

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """The head of a stream."""
        await self._start(status, headers)

    async def piece(self, data: bytes) -> None:
        """A piece of a stream that has started."""
        if data:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """The end of a stream."""
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.begun, self.status = True, status
        encoded = [(name.encode("latin-1"), _printable(value)) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


def _printable(value: str) -> bytes:
    """A header's value: what is no printable Latin-1 becomes `?`, and no line can be added."""
    kept = value if value.isprintable() else "".join(c if c.isprintable() else "?" for c in value)
    return kept.encode("latin-1", "replace")
