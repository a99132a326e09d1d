"""Clients that dawdle, on real sockets: each gets so long and no longer, and nothing of theirs stays behind."""

from __future__ import annotations

import asyncio
import json
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from bench.gateway_upstream import anthropic_events
from hroute.gateway import access, inbound, server
from hroute.gateway.app import Application
from hroute.gateway.gateway import Gateway
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.engine import Engine
from tests.gateway.house import KEYED, message, policy_of

HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"


@contextmanager
def listening(url: str) -> Iterator[tuple[int, server._Server]]:
    """A gateway as `hroute serve` runs it, in a thread: its port, and the server with its connections."""
    gateway = Gateway(Engine(policy_of(url, timeout="{connect: 2s, first_token: 20s, idle: 20s, total: 60s}"), environ=KEYED), environ=KEYED)  # fmt: skip
    config = uvicorn.Config(Application(gateway), http=inbound.Inbound, loop="asyncio", ws="none", lifespan="on", log_config=None, timeout_graceful_shutdown=1)  # fmt: skip
    listener = server.bound("127.0.0.1", 0)
    made = server._Server(config, lambda: None)
    made.capture_signals = no_signals  # type: ignore[method-assign,assignment]
    thread = threading.Thread(target=lambda: asyncio.run(made.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], made
    finally:
        made.should_exit = True
        thread.join(20)


@contextmanager
def no_signals() -> Iterator[None]:
    yield


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDLE", "HEAD", "BODY", "READING"):
        monkeypatch.setattr(inbound, name, 1.0)


def connected(port: int, *, window: int = 0) -> socket.socket:
    made = socket.socket()
    if window:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    made.settimeout(30)
    made.connect(("127.0.0.1", port))
    return made


def rest(client: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    said = b""
    try:
        while piece := client.recv(1 << 16):
            said += piece
    except ConnectionResetError:
        pass
    return said


def everybody_has_left(made: server._Server) -> None:
    deadline = time.monotonic() + 30
    while made.server_state.connections or made.server_state.tasks:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_says_nothing_or_half_a_head_is_hung_up_on() -> None:
    with SandboxServer() as sandbox, listening(sandbox.url) as (port, made):
        silent, slow = connected(port), connected(port)
        slow.sendall(HEAD)
        assert rest(silent) == b""
        assert rest(slow).startswith(b"HTTP/1.1 408")
        everybody_has_left(made)


def test_a_head_that_drips_is_measured_as_a_whole() -> None:
    with SandboxServer() as sandbox, listening(sandbox.url) as (port, made):
        client, began = connected(port), time.monotonic()
        client.sendall(HEAD)
        try:
            for number in range(300):
                client.sendall(b"x-%d: y\r\n" % number)
                time.sleep(0.1)
            raise AssertionError(f"still listening after {time.monotonic() - began:.0f} s")
        except OSError:
            pass
        everybody_has_left(made)


def test_a_body_that_drips_is_measured_as_a_whole() -> None:
    with SandboxServer() as sandbox, listening(sandbox.url) as (port, made):
        client = connected(port)
        client.sendall(HEAD + b"content-length: 5000\r\n\r\n{")
        try:
            for _ in range(300):
                client.sendall(b" ")
                time.sleep(0.1)
            raise AssertionError("the body may drip for ever")
        except OSError:
            pass
        everybody_has_left(made)
        assert sandbox.calls.as_json() == []


def test_a_body_that_stops_is_told_in_the_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "BODY_SECONDS", 0.5)
    monkeypatch.setattr(inbound, "BODY", 20.0)
    with SandboxServer() as sandbox, listening(sandbox.url) as (port, made):
        client = connected(port)
        client.sendall(HEAD + b"content-length: 5000\r\n\r\n{")
        said = rest(client)
        assert said.startswith(b"HTTP/1.1 408")
        assert json.loads(said.partition(b"\r\n\r\n")[2])["type"] == "error"
        everybody_has_left(made)


def test_heads_without_end_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "HEAD", 60.0)
    with SandboxServer() as sandbox, listening(sandbox.url) as (port, made):
        many, one = connected(port), connected(port)
        for client, piece in ((many, b"x-a: %s\r\n" % (b"y" * 1000)), (one, b"y" * 1000)):
            client.sendall(HEAD if client is many else HEAD + b"x-long: ")
            try:
                for _ in range(60_000):
                    client.sendall(piece)
            except OSError:
                continue
            raise AssertionError("sixty megabytes of headers were read")
        everybody_has_left(made)


class Endless(socketserver.StreamRequestHandler):
    """An upstream whose stream ends when nobody takes it any more."""

    left = threading.Event()

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        start, *_ = anthropic_events(8)
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + start)
        words = b"".join(anthropic_events(200)[1:190])
        try:
            while True:
                self.wfile.write(words)
        except OSError:
            self.left.set()


def test_a_reader_that_never_reads_is_left_and_so_is_its_upstream() -> None:
    with (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Endless) as upstream,
        listening(f"http://127.0.0.1:{upstream.server_address[1]}") as (port, made),
    ):
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        body = json.dumps(message("go on", stream=True, max_tokens=4_000_000)).encode()
        client = connected(port, window=4096)
        client.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert client.recv(12) == b"HTTP/1.1 200"
        assert Endless.left.wait(30)
        everybody_has_left(made)
        client.close()
        upstream.shutdown()


def test_who_hangs_up_has_the_answer_cancelled() -> None:
    slow = Script.from_data({"faults": [{"kind": "latency", "median": "20s", "message": "slowly"}]})
    with SandboxServer(slow) as sandbox, listening(sandbox.url) as (port, made):
        body = json.dumps(message("slowly")).encode()
        client = connected(port)
        client.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        deadline = time.monotonic() + 20
        while not made.server_state.tasks:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        client.close()
        everybody_has_left(made)
