"""The cafe's endpoint: one `llm_client.complete()` that always answers or says why not; where it goes is the policy's business.

uvicorn --app-dir examples/fastapi app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

import hroute

POLICY = Path(__file__).parents[1] / "cafe" / "routing-config.yaml"
SYSTEM = "You answer guests of a small cafe. Be brief and friendly. We open at nine, on Sundays at ten."
SORRY = "Sorry, I cannot answer right now. Please call us."


class Message(BaseModel):
    chat_id: str
    text: str


class Reply(BaseModel):
    id: str  # the same in hroute's ledger, so that a complaint can be followed up
    text: str


def create_app(**client_options: Any) -> FastAPI:
    """`client_options` go to `hroute.AsyncClient.from_policy`: `sandbox=True` answers without a key or a server."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        path = os.environ.get("HROUTE_POLICY", POLICY)
        async with hroute.AsyncClient.from_policy(path, **client_options) as llm_client:
            app.state.llm_client = llm_client  # it follows its policy's file: an edit needs no restart
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/chat")
    async def chat(message: Message, request: Request) -> Reply:
        llm_client: hroute.AsyncClient = request.app.state.llm_client
        answer = await llm_client.complete(
            message.text, system=SYSTEM, session=message.chat_id, cost_center="telegram-bot"
        )
        return Reply(id=answer.id, text=answer.text)

    @app.post("/chat/stream")
    async def stream(message: Message, request: Request) -> StreamingResponse:
        llm_client: hroute.AsyncClient = request.app.state.llm_client
        answer = llm_client.stream(message.text, system=SYSTEM, session=message.chat_id, cost_center="telegram-bot")
        words = answer.text()
        first = await anext(words, "")  # whoever can answer has begun: until here another could still take over

        async def body() -> AsyncIterator[str]:
            yield first
            async for word in words:
                yield word

        return StreamingResponse(body(), media_type="text/plain", headers={"x-hroute-id": answer.id})

    @app.exception_handler(hroute.RequestError)
    async def nobody_answered(request: Request, error: hroute.RequestError) -> JSONResponse:
        """A guest is told nothing of providers, rules and keys; the log and `hroute logs show ID` say it all."""
        return JSONResponse({"id": error.id, "text": SORRY}, status_code=503)

    return app


app = create_app()
