"""A gateway that runs in a thread of the test, before a sandbox or before an upstream that notes every byte."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import uvicorn

from hroute.gateway.app import Application
from hroute.gateway.gateway import Gateway
from hroute.gateway.inbound import Inbound
from hroute.gateway.observing import watching
from hroute.providers import registry
from hroute.providers.protocol import Capabilities
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.engine import Engine
from hroute.schema.load import load_text
from hroute.schema.policy import Policy

KEYED = {"KEY": "policys-own-key"}

POLICY = """
providers:
  claude: {{plugin: anthropic, model: claude-x, base_url: "{url}/claude", api_key: env:KEY, retry: {{attempts: 1}}, timeout: {timeout}}}
  gpt: {{plugin: openai, model: gpt-x, base_url: "{url}/gpt/v1", api_key: env:KEY, options: {{responses: true, completions: true}}, retry: {{attempts: 1}}, timeout: {timeout}}}
  chat_only: {{plugin: openai, model: chat-x, base_url: "{url}/chat_only/v1", api_key: env:KEY, retry: {{attempts: 1}}, timeout: {timeout}}}
  llama: {{plugin: ollama, model: llama-x, base_url: "{url}/llama", local: true, retry: {{attempts: 1}}, timeout: {timeout}}}
routing_rules:
  - {{name: to_claude, condition: {{cost_center: claude}}, route_to: claude, fallback: [gpt, llama]}}
  - {{name: to_gpt, condition: {{cost_center: gpt}}, route_to: gpt, fallback: [claude, llama]}}
  - {{name: to_chat, condition: {{cost_center: chat_only}}, route_to: chat_only, fallback: [claude, llama]}}
  - {{name: to_llama, condition: {{cost_center: llama}}, route_to: llama, fallback: [claude]}}
  - {{name: alone, condition: {{cost_center: alone}}, route_to: claude, fallback: null}}
  - {{name: closed, condition: {{cost_center: refused}}, refuse: "This account is closed."}}
default: {{route_to: claude, fallback: gpt}}
{more}
"""
TIMEOUT = "{connect: 2s, first_token: 2s, idle: 1s, total: 10s}"


def policy_of(url: str, more: str = "", text: str = POLICY, timeout: str = TIMEOUT) -> Policy:
    found, findings, _ = load_text(text.format(url=url, more=more, timeout=timeout))
    assert found is not None, [str(finding) for finding in findings]
    return found


@dataclass
class House:
    """`url` is the gateway's address, `gateway` itself lives on another thread's loop."""

    gateway: Gateway
    url: str
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=20))

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Headers as keywords: `x_hroute_cost_center="claude"`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(self.url + path, content=raw, headers={"content-type": "application/json", **named})

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(self.url + path, headers={n.replace("_", "-"): v for n, v in headers.items()})


@contextmanager
def house(
    policy: Policy,
    *,
    environ: Mapping[str, str] = KEYED,
    facts: Callable[[str], Capabilities] = registry.facts,
    hosts: frozenset[str] = frozenset(),
    **parts: Any,
) -> Iterator[House]:
    """A gateway that serves `policy` on a free port until the end of the block."""
    made = Gateway(Engine(policy, environ=environ, facts=facts, **parts), hosts, True, environ, facts=facts)
    config = uvicorn.Config(Application(made), port=0, loop="asyncio", http=Inbound, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2)  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    made.port = port
    found = House(made, f"http://127.0.0.1:{port}")
    try:
        yield found
    finally:
        found.client.close()
        server.should_exit = True
        thread.join(10)


@contextmanager
def before_sandbox(
    script: Mapping[str, Any] | None = None, more: str = "", *, observe: bool = False, text: str = POLICY, **parts: Any
) -> Iterator[tuple[House, SandboxServer]]:
    """A gateway whose providers are all played by one sandbox."""
    with SandboxServer(Script.from_data(script), keep_bodies=True) as sandbox:
        policy = policy_of(sandbox.url, more, text)
        with house(watching(replace(policy, baseline="claude")) if observe else policy, **parts) as found:
            yield found, sandbox


@dataclass(frozen=True)
class Noted:
    """A request as it came in: every header in its order, every byte of the body."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


class Notary(ThreadingHTTPServer):
    """An upstream that notes what comes and answers what `answers` says for the path, with `answer` where it says nothing."""

    daemon_threads = True

    def __init__(self, answer: tuple[int, dict[str, str], bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.noted: list[Noted] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Notary

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.noted.append(Noted(self.command, self.path, tuple(self.headers.items()), body))
        status, headers, answer = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_POST = do_HEAD = do_DELETE = do_PUT = _any

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def message(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "claude-opus-4-8", "max_tokens": 200, "messages": [{"role": "user", "content": text}], **more}


def completion(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-5", "messages": [{"role": "user", "content": text}], **more}


def response(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-5", "input": [{"type": "message", "role": "user", "content": text}], **more}


def prompt(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-5", "prompt": text, **more}


BODIES: dict[str, Callable[..., dict[str, Any]]] = {
    "/v1/messages": message,
    "/v1/chat/completions": completion,
    "/v1/responses": response,
    "/v1/completions": prompt,
}
CHATS = ("/v1/messages", "/v1/chat/completions", "/v1/responses")
"""The doors of conversations: these have tools and thinking, too."""
DIALECTS = {"/v1/messages": "anthropic", "/v1/chat/completions": "openai_chat", "/v1/responses": "openai_responses", "/v1/completions": "openai_completions"}  # fmt: skip
ANSWERS: dict[str, bytes] = {
    "/v1/messages": json.dumps({"id": "msg_9", "type": "message", "role": "assistant", "model": "claude-x", "content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 2}}).encode(),
    "/v1/chat/completions": json.dumps({"id": "c9", "object": "chat.completion", "created": 1, "model": "gpt-x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}).encode(),
    "/v1/completions": json.dumps({"id": "cmpl-9", "object": "text_completion", "created": 1, "model": "gpt-x", "choices": [{"text": "Hi.", "index": 0, "logprobs": None, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}).encode(),
    "/v1/responses": json.dumps({"id": "resp_9", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-x", "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hi.", "annotations": []}]}], "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}}).encode(),
}  # fmt: skip
JSON = {"content-type": "application/json"}
