"""A connection of ours, under a real SDK: TLS, large bodies both ways, servers that hang up or never read."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hroute.providers import registry, transport
from hroute.providers.connection import dial
from hroute.providers.protocol import ProviderError, Target
from hroute.providers.testing import Leave, request
from hroute.terms.message import Request, prompt
from hroute.terms.outcome import Outcome

LARGE = 3_000_000


class Server:
    """Answers as Anthropic does with `text`; `hangs_up` closes each connection after its answer without a word."""

    def __init__(self, text: str = "hello", *, hangs_up: bool = False, context: ssl.SSLContext | None = None) -> None:
        self.received: list[int] = []
        self.connections = 0
        outer = self
        body = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_POST(self) -> None:
                left = int(self.headers["content-length"])
                outer.received.append(left)
                while left:
                    left -= len(self.rfile.read(min(left, 65536)))
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                self.close_connection = hangs_up

            def log_message(self, *_: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            request_queue_size = 128

        self.http = Listener(("127.0.0.1", 0), Handler)
        if context is not None:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*parts: Any, **more: Any) -> Server:
        made.append(Server(*parts, **more))
        return made[-1]

    yield start
    for one in made:
        one.close()


def both(target: Target, sent: Request, times: int = 1, pause: float = 0.0) -> list[str]:
    """The text of `times` replies in a row on one client, synchronously, then asynchronously; the whole thread sleeps for
    `pause` seconds after each."""
    plugin: Any = registry.load("anthropic")
    texts = []
    for _ in range(times):
        texts.append(plugin.send(target, sent, Leave("p")).text)
        time.sleep(pause)
    plugin.close()

    async def main() -> None:
        try:
            for _ in range(times):
                texts.append((await plugin.asend(target, sent, Leave("p"))).text)
                time.sleep(pause)
        finally:
            await plugin.aclose()

    asyncio.run(main())
    return texts


def target(server: Server, scheme: str = "http", host: str = "127.0.0.1", **more: Any) -> Target:
    return Target("p", "m", f"{scheme}://{host}:{server.port}", "k", **{"total": 20.0, **more})


def test_large_bodies_arrive_whole_in_both_directions(serve: Callable[..., Server]) -> None:
    server = serve("x" * LARGE)
    texts = both(target(server), prompt("y" * LARGE, max_tokens=10))
    assert [len(text) for text in texts] == [LARGE, LARGE]
    assert all(size > LARGE for size in server.received)


def test_a_connection_is_kept_for_the_next_call(serve: Callable[..., Server]) -> None:
    server = serve()
    assert both(target(server), request(), times=3) == ["hello"] * 6
    assert server.connections == 2


def test_a_connection_that_the_server_has_closed_is_not_used_again(serve: Callable[..., Server]) -> None:
    server = serve(hangs_up=True)
    assert both(target(server), request(), times=3, pause=0.1) == ["hello"] * 6
    assert server.connections == 6


def test_a_server_that_never_reads_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        at = Target("p", "m", f"http://127.0.0.1:{listener.getsockname()[1]}", "k", first_token=0.3, total=0.3)
        large = prompt("y" * 30_000_000, max_tokens=10)
        plugin: Any = registry.load("anthropic")

        async def main() -> None:
            try:
                await plugin.asend(at, large, Leave("p"))
            finally:
                await plugin.aclose()

        for way in (lambda: plugin.send(at, large, Leave("p")), lambda: asyncio.run(main())):
            with pytest.raises(ProviderError) as caught:
                way()
            assert caught.value.failure.outcome is Outcome.TIMEOUT


def test_what_comes_faster_than_it_is_read_waits_at_the_other_side() -> None:
    """The server can only write on while somebody reads."""
    sent: list[int] = []
    stop = threading.Event()

    def pour(listener: socket.socket) -> None:
        made, _ = listener.accept()
        with made:
            made.settimeout(0.2)
            while not stop.is_set():
                try:
                    sent.append(made.send(b"z" * 65536))
                except TimeoutError:
                    continue
                except OSError:
                    return

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=pour, args=(listener,), daemon=True).start()
            made = await dial("127.0.0.1", listener.getsockname()[1], 5.0)
            await asyncio.sleep(0.5)
            before = sum(sent)
            await asyncio.sleep(0.3)
            assert sum(sent) == before, "it waits"
            read = 0
            while read < before + 10_000_000:
                read += len(await made.read(65536, 5.0))
            assert sum(sent) > before
            stop.set()
            await made.close()

    asyncio.run(main())


def test_a_read_ends_with_its_time_and_the_connection_is_still_good() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            made = await dial("127.0.0.1", listener.getsockname()[1], 5.0)
            other, _ = listener.accept()
            with pytest.raises(TimeoutError):
                await made.read(10, 0.05)
            other.sendall(b"late")
            assert await made.read(10, 5.0) == b"late"
            assert not made.readable
            other.close()
            assert await made.read(10, 5.0) == b""
            assert made.readable
            await made.close()

    asyncio.run(main())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost with its key, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    made = [*command.split(), "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(made, check=True, capture_output=True)
    return folder


def test_tls_is_spoken_to_who_is_trusted_and_to_nobody_else(
    serve: Callable[..., Server], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server = serve("secret", context=context)
    with pytest.raises(ProviderError) as caught:
        both(target(server, "https", "localhost"), request())
    assert caught.value.failure.outcome is Outcome.TRANSPORT
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    monkeypatch.setattr(transport, "_trust", lambda _: trusting)
    assert both(target(server, "https", "localhost"), request(), times=2) == ["secret"] * 4
    with pytest.raises(ProviderError):
        both(target(server, "https", "127.0.0.1"), request())  # the certificate is for another name


def test_many_calls_at_once_share_a_loop_without_waiting_for_each_other(serve: Callable[..., Server]) -> None:
    server = serve()
    plugin: Any = registry.load("anthropic")

    async def main() -> int:
        try:
            replies = await asyncio.gather(*(plugin.asend(target(server), request(), Leave("p")) for _ in range(50)))
            return len(replies)
        finally:
            await plugin.aclose()

    assert asyncio.run(main()) == 50
