"""The application: which path leads where, and the pages that ask no model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hroute.gateway.doors import COUNT_PATH, DOORS, dialect_of
from hroute.gateway.gateway import Gateway
from hroute.gateway.responder import Receive, Responder, Scope, Send
from hroute.schema.policy import Policy
from hroute.wire.errors import error_body

CREATED: Final = 1_735_689_600
"""The time that every name in the list of models bears: they are no vendor's models."""
OWN: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that are ours also while observing."""


class Application:
    """The ASGI application of `gateway`, which is closed with it. The doors are its short way."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.pages = _pages(gateway)

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
                self.gateway.admit(scope, page=True, anybody=path == "/healthz")
                await self.pages(scope, receive, send)


def model_names(policy: Policy) -> list[str]:
    """What a client may ask for as a model: the policy's choice, one of its rules, one of its providers."""
    rules = [rule.name for rule in policy.rules if rule.route is not None]
    used = {name for rule in policy.all_rules if rule.route for name in rule.route.chain}
    providers = [name for name, p in policy.providers.items() if name in used or not p.catalogued]
    return ["hroute/auto", *(f"hroute/{name}" for name in dict.fromkeys([*rules, *providers]))]


def _pages(gateway: Gateway) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await gateway.aclose()

    async def root(request: Request) -> Response:
        return JSONResponse({"gateway": "hroute", "policy": gateway.engine.policy.hash})

    async def healthy(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        found = gateway.readiness()
        return JSONResponse(found, 200 if found["ready"] else 503)

    async def session(request: Request) -> Response:
        found = gateway.tally.of(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "hroute: nothing is known of this session")
        return JSONResponse(found.as_json())

    async def metrics(request: Request) -> Response:
        return Response(gateway.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def models(request: Request) -> Response:
        rows = [_row(name) for name in model_names(gateway.engine.policy)]
        ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]}
        return JSONResponse({"object": "list", "data": rows, "has_more": False, **ends})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in model_names(gateway.engine.policy):
            raise HTTPException(404, "hroute: there is no such model here; GET /v1/models lists them")
        return JSONResponse(_row(name))

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.url.path
        said = error.detail if error.detail.startswith("hroute") else f"hroute: no such path or method: {path[:100]}"
        return JSONResponse(error_body(dialect_of(path), error.status_code, "", said), error.status_code)

    routes = [
        Route("/", root, methods=["GET"]),
        Route("/healthz", healthy, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/sessions/{name}", session, methods=["GET"]),
        Route("/v1/models", models, methods=["GET"]),
        Route("/v1/models/{name:path}", model, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: failed})


def _row(name: str) -> dict[str, Any]:
    """One model in the words of both vendors' lists."""
    return {
        "id": name,
        "object": "model",
        "type": "model",
        "display_name": name,
        "created": CREATED,
        "created_at": "2025-01-01T00:00:00Z",
        "owned_by": "hroute",
    }
