"""The pages that ask no model: whether the gateway lives and serves, what may be asked for, what it counted, a page for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from hroute import __version__
from hroute.gateway import openapi, ui
from hroute.gateway.doors import COUNT_PATH, DOORS, dialect_of
from hroute.gateway.gateway import Gateway
from hroute.schema.policy import Policy
from hroute.wire.errors import error_body

CREATED: Final = 1_735_689_600
"""The time that every name in the list of models bears: they are no vendor's models."""


def model_names(policy: Policy) -> list[str]:
    """What a client may ask for as a model: the policy's choice, one of its rules, one of its providers."""
    rules = [rule.name for rule in policy.rules if rule.route is not None]
    used = {name for rule in policy.all_rules if rule.route for name in rule.route.chain}
    providers = [name for name, p in policy.providers.items() if name in used or not p.catalogued]
    return ["hroute/auto", *(f"hroute/{name}" for name in dict.fromkeys([*rules, *providers]))]


def pages(gateway: Gateway) -> Starlette:
    """The pages of `gateway`; the end of their lifespan closes it."""

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

    async def described(request: Request) -> Response:
        return JSONResponse(openapi.document(__version__))

    async def seen(request: Request) -> Response:
        found = await asyncio.to_thread(ui.look, gateway.engine, gateway.trouble)
        return HTMLResponse(ui.page(found), headers=ui.HEADERS)

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
        if path in (*DOORS, COUNT_PATH):
            error = HTTPException(405, headers={"allow": "POST"})
        said = error.detail if error.detail.startswith("hroute") else "hroute: there is no such path or method here"
        body = error_body(dialect_of(path), error.status_code, "", said)
        return JSONResponse(body, error.status_code, headers=error.headers)

    routes = [
        Route("/", root, methods=["GET"]),
        Route("/healthz", healthy, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/openapi.json", described, methods=["GET"]),
        Route("/ui", seen, methods=["GET"]),
        Route("/sessions/{name}", session, methods=["GET"]),
        Route("/v1/models", models, methods=["GET"]),
        Route("/v1/models/{name:path}", model, methods=["GET"]),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: failed})
    app.router.redirect_slashes = False
    return app


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
