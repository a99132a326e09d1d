"""A connection of ours, under a real SDK: TLS, large bodies both ways, servers that hang up or never read."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from hroute.providers import registry, transport
from hroute.providers.connection import Connection, dial
from hroute.providers.protocol import ProviderError, Target
from hroute.providers.testing import Leave, request
from hroute.terms.message import Request, prompt
from hroute.terms.outcome import Outcome

LARGE = 3_000_000
RUNNERS = {"asyncio": asyncio.run, "uvloop": None if find_spec("uvloop") is None else import_module("uvloop").run}
running: list[Any] = []


@pytest.fixture(autouse=True, params=RUNNERS)
def _loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test on both makers' event loops: servers of programs mostly bring uvloop."""
    runner = RUNNERS[request.param]
    if runner is None:
        pytest.skip("uvloop is not installed")
    running[:] = [runner]
    yield
    running.clear()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return running[0](main)


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

    run(main())
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

        for way in (lambda: plugin.send(at, large, Leave("p")), lambda: run(main())):
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
            before, still, looks = -1, 0, 0
            while still < 10:  # half a second in which nothing more could be written: it waits
                looks += 1
                assert looks < 400, "it writes on though nobody reads"
                assert sum(sent) < 100_000_000
                await asyncio.sleep(0.05)
                before, still = sum(sent), still + 1 if sent and sum(sent) == before else 0
            read = 0
            while read < before + 10_000_000:
                read += len(await made.read(65536, 5.0))
            assert sum(sent) > before
            stop.set()
            await made.close()

    run(main())


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

    run(main())


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

    assert run(main()) == 50


BODY = json.dumps({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}).encode()  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
WHOLE = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = HEAD + b"transfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n"


def chunks(data: bytes, size: int) -> bytes:
    """`data` in chunks, each with an extension that nobody needs to understand."""
    parts = [data[n : n + size] for n in range(0, len(data), size)]
    return b"".join(b"%x;name=value\r\n%s\r\n" % (len(part), part) for part in parts)


class Raw:
    """A server that plays the same bytes at each connection (after a whole request) and closes, or holds on."""

    def __init__(self, data: bytes, *, holds: bool = False) -> None:
        self.hung_up = threading.Semaphore(0)
        self.connections = 0
        self.port = 0
        self._data, self._holds = data, holds
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._play, args=(made,), daemon=True).start()

    def _play(self, made: socket.socket) -> None:
        with made:
            data = b""
            while b"\r\n\r\n" not in data:
                data += made.recv(65536)
            head, _, body = data.lower().partition(b"\r\n\r\n")
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += made.recv(65536)
            try:
                made.sendall(self._data)
                while self._holds and made.recv(65536):
                    pass
            except OSError:
                pass
        self.hung_up.release()


@pytest.fixture
def raw() -> Iterator[Callable[..., Raw]]:
    made: list[Raw] = []

    def start(data: bytes, **more: Any) -> Raw:
        made.append(Raw(data, **more))
        return made[-1]

    yield start
    for one in made:
        one.close()


def failures(at: Target) -> list[Outcome]:
    """How a call fails, synchronously and asynchronously."""
    plugin: Any = registry.load("anthropic")
    with pytest.raises(ProviderError) as first:
        plugin.send(at, request(), Leave("p"))
    plugin.close()

    async def main() -> None:
        try:
            await plugin.asend(at, request(), Leave("p"))
        finally:
            await plugin.aclose()

    with pytest.raises(ProviderError) as second:
        run(main())
    return [first.value.failure.outcome, second.value.failure.outcome]


@pytest.mark.parametrize(
    "data",
    [
        WHOLE,
        CHUNKED + chunks(BODY, 7) + b"0\r\nx-t: 1\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + WHOLE,
        HEAD + b"connection: close\r\n\r\n" + BODY,
    ],
    ids=["with its length", "in chunks", "after an early hint", "up to the end"],
)
def test_a_reply_is_read_however_http_frames_it(data: bytes, raw: Callable[..., Raw]) -> None:
    at = Target("p", "m", f"http://127.0.0.1:{raw(data).port}", "k", total=20.0)
    assert both(at, request()) == ["hello"] * 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"this is no HTTP\r\n\r\n",
        WHOLE[:-5],
        CHUNKED + chunks(BODY, 7)[:-9],
        CHUNKED + b"zz\r\nno number\r\n",
        HEAD + b"x-large: " + b"x" * 300_000 + b"\r\ncontent-length: 2\r\n\r\n{}",
    ],
    ids=["silence", "nonsense", "cut off", "cut off in a chunk", "a chunk without a size", "a header without end"],
)
def test_a_reply_that_breaks_off_or_is_none_is_a_failure_of_the_connection(
    data: bytes, raw: Callable[..., Raw]
) -> None:
    assert failures(Target("p", "m", f"http://127.0.0.1:{raw(data).port}", "k", total=20.0)) == [Outcome.TRANSPORT] * 2


def test_calls_that_are_cancelled_leave_no_connection_behind(raw: Callable[..., Raw]) -> None:
    """In the middle of the body: each hangs up, and the next call does not wait for any of them."""
    server = raw(WHOLE[:-5], holds=True)
    at = Target("p", "m", f"http://127.0.0.1:{server.port}", "k", total=60.0)
    plugin: Any = registry.load("anthropic")

    async def main() -> None:
        for n in range(20):
            call = asyncio.create_task(plugin.asend(at, request(), Leave("p")))
            while server.connections <= n:
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        for _ in range(20):
            assert await asyncio.to_thread(server.hung_up.acquire, timeout=10)
        (client,) = plugin._aclients.mine().values()
        assert client._client._transport._pool.connections == []
        await plugin.aclose()

    run(main())


def test_no_variable_of_the_environment_leads_an_asynchronous_call_elsewhere(
    serve: Callable[..., Server], raw: Callable[..., Raw], monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = raw(WHOLE)
    for name in ("ANTHROPIC_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
    assert both(target(serve()), request()) == ["hello"] * 2
    assert trap.connections == 0


def test_a_unix_socket_is_read_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def play() -> None:
            for _ in range(2):
                made, _ = listener.accept()
                with made:
                    data = b""
                    while not data.endswith(b"}"):
                        data += made.recv(65536)
                    made.sendall(WHOLE)

        threading.Thread(target=play, daemon=True).start()
        assert both(Target("p", "m", f"unix:{path}", "k", total=20.0, local=True), request()) == ["hello"] * 2


def test_one_loop_after_another_leaves_no_connections_behind(serve: Callable[..., Server]) -> None:
    """A program that calls `asyncio.run` again and again on one client, and never closes it."""
    server = serve()

    def open_here() -> int:
        gc.collect()
        return sum(1 for one in gc.get_objects() if isinstance(one, Connection))

    before = open_here()
    for name in ("anthropic", "ollama"):
        plugin: Any = registry.load(name)

        async def main(plugin: Any = plugin) -> None:
            with suppress(ProviderError):  # this server speaks one wire only
                await plugin.asend(target(server), request(), Leave("p"))

        for _ in range(5):
            run(main())
    assert open_here() <= before + 2 * 2  # the last loop's, which nobody has followed yet
    assert server.connections >= 10
