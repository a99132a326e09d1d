"""The application: which path leads where."""

from __future__ import annotations

from typing import Final

from hroute.gateway.doors import COUNT_PATH, DOORS, dialect_of
from hroute.gateway.gateway import Gateway
from hroute.gateway.pages import pages
from hroute.gateway.responder import Receive, Responder, Scope, Send

OWN: Final = frozenset({"/healthz", "/readyz", "/metrics", "/ui", "/openapi.json"})
"""Paths that are ours also while observing."""

ADMIN: Final = frozenset({"/ui", "/metrics"})
"""Pages that tell of all clients (SEMANTICS 3.11)."""


class Application:
    """The ASGI application of `gateway`, which is closed with it. The doors are its short way."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.pages = pages(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.pages(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        door = DOORS.get(path)
        if door is not None and method == "POST":
            await self.gateway.serve(door, scope, receive, send)
        elif self.gateway.observing and path not in OWN and not path.startswith("/sessions/"):
            await self.gateway.pass_by(scope, receive, send)
        elif path == COUNT_PATH and method == "POST":
            await self.gateway.count(scope, receive, send)
        else:
            async with self.gateway.telling(Responder(send), dialect_of(path)):
                self.gateway.admit(scope, page=True, anybody=path == "/healthz", admin=path in ADMIN)
                await self.pages(scope, receive, send)
