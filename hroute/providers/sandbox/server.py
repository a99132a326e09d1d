"""The sandbox over HTTP: a script played on a loopback address, in the wires of Anthropic, OpenAI and Ollama.

A path may begin with a provider's name (`http://127.0.0.1:4010/claude_sonnet/v1/messages`), so that faults strike one
provider of a policy; without it the name is the dialect's: `anthropic`, `openai`, `ollama`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

from hroute.errors import UsageError
from hroute.providers.sandbox import control, pages
from hroute.providers.sandbox.doors import DOORS, Door
from hroute.providers.sandbox.play import Cut, Pause, Play, Rejection, Scene
from hroute.providers.sandbox.script import STATUS, FaultKind, Script
from hroute.terms.message import Request
from hroute.wire.errors import error_body
from hroute.wire.fields import Malformed, dumps, loads, mapping, word

MAX_BODY: Final = 32 << 20
"""Bytes of a request that are read; more is a 413."""
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class SandboxServer:
    """A sandbox that serves, in threads of its own, until `close`; a context manager.

    `url` is its address, `play` what it plays, `calls` what came. `port` 0 takes a free one. `log` gets one line a
    request; `keep_bodies` records what was asked, for tests of clients. Raises UsageError where the address is not of
    this machine or is taken.
    """

    def __init__(
        self,
        script: Script | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        log: Callable[[str], None] = lambda line: None,
        keep_bodies: bool = False,
    ) -> None:
        if host not in LOOPBACK:
            raise UsageError(f"the sandbox serves this machine only, not `{host}`", help="use 127.0.0.1")
        self.play = Play(script)
        self.calls = control.Calls(keep_bodies)
        self.closing = threading.Event()
        self.log = log
        try:
            self._http = _Listener(self, host, port)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host}:{port}: {error.strerror}", help="choose another --port"
            ) from None
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        host, port = self._http.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def close(self) -> None:
        """Stops listening; calls that wait are let go."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Blocks until the server is closed."""
        self.closing.wait()

    def __enter__(self) -> SandboxServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


serve = SandboxServer
"""`with serve(script) as server: server.url` reads as it should."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024  # a crowd that comes at once is let in, as vendors let it in

    def __init__(self, sandbox: SandboxServer, host: str, port: int) -> None:
        self.sandbox = sandbox
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "hroute-sandbox"
    sys_version = ""
    timeout = 60.0
    disable_nagle_algorithm = True
    server: _Listener

    def do_HEAD(self) -> None:
        self._answer(200, {})

    def do_GET(self) -> None:
        if not self._from_here():
            return
        sandbox, path = self.server.sandbox, urlsplit(self.path).path
        if path == "/_sandbox/calls":
            self._answer(200, {"calls": sandbox.calls.as_json()})
        elif path == "/_sandbox/faults":
            self._answer(200, {"faults": [str(fault.kind) for fault in sandbox.play.faults]})
        else:
            self._page(path)

    def do_DELETE(self) -> None:
        self._answer(405, _no_such(self.path))

    def do_POST(self) -> None:
        body = self._body()
        if body is None or not self._from_here():
            return
        path = urlsplit(self.path).path
        if path.startswith("/_sandbox/"):
            self._answer(*control.change(self.server.sandbox.play, self.server.sandbox.calls, path, body))
            return
        door, provider = _door(path)
        if door is None:
            self._answer(*(pages.page(path, self.server.sandbox.play.script, _named(body)) or (404, _no_such(path))))
            return
        try:
            raw = mapping(loads(body), "body")
            model = word(raw, "model")
            if not model:
                raise Malformed("model: a name is wanted here")
            request = door.parse_request(raw)
        except Malformed as error:
            self._answer(400, error_body(door.dialect, 400, "", str(error)))
            return
        self._play(door, provider, model, request, raw)

    def _page(self, path: str) -> None:
        """A page that lists something, unless a fault strikes it."""
        play = self.server.sandbox.play
        fault = pages.fault_of(path, play.faults)
        if fault is not None and fault.kind is FaultKind.DOWN:
            self._tear()
        elif fault is not None and fault.kind is not FaultKind.SLOW:
            status = fault.status or STATUS[fault.kind]
            self._answer(status, error_body(pages.dialect_of(path), status, fault.code, fault.text or str(fault.kind)))
        elif fault is None or self._wait(fault.seconds):
            self._answer(*(pages.page(path, play.script) or (404, _no_such(path))))

    def _play(self, door: Door, provider: str, model: str, request: Request, raw: Mapping[str, Any]) -> None:
        sandbox = self.server.sandbox
        if door.counts:
            self._answer(200, door.count(request))
            return
        window = request.params.get("num_ctx")
        strict = door.dialect == "ollama" and raw.get("truncate") is False
        scene = sandbox.play.call(
            provider, model, request, window=window if isinstance(window, int) else None, strict=strict
        )
        sandbox.calls.add(door, provider, model, request, scene, self.headers, raw, self.path)
        sandbox.log(control.line(door, provider, model, scene))
        if scene.rejection is None and request.stream:
            self._stream(door, scene, raw)
        else:
            self._whole(door, scene)

    def _whole(self, door: Door, scene: Scene) -> None:
        """A reply in one body: all waiting comes before its first byte."""
        for step in scene.steps:
            if isinstance(step, Pause) and not self._wait(step.seconds):
                return
            if isinstance(step, Rejection):
                self._reject(door, step)
                return
            if isinstance(step, Cut):
                body = dumps(door.emit_reply(scene.reply)).encode()
                self._head(200, "application/json", length=len(body))
                self.wfile.write(body[: len(body) // 2])
                self._tear()
                return
        self._answer(200, door.emit_reply(scene.reply))

    def _reject(self, door: Door, rejection: Rejection) -> None:
        if not rejection.status:
            self._tear()
            return
        headers = dict(rejection.headers)
        if rejection.retry_after is not None:
            headers["retry-after"] = f"{rejection.retry_after:g}"
        self._answer(rejection.status, door.error(rejection), headers)

    def _stream(self, door: Door, scene: Scene, raw: Mapping[str, Any]) -> None:
        """A reply piece by piece, chunked; the head leaves with the first piece, as the vendors' do."""
        writer = door.writer(scene, raw)
        begun = False
        for step in scene.steps:
            if isinstance(step, Pause):
                if not self._wait(step.seconds):
                    return
                continue
            if not begun:
                self._head(200, door.media, chunked=True)
                begun = True
            if isinstance(step, Cut):
                self._end_of(step)
                return
            if isinstance(step, Rejection):  # a scene with one is never streamed
                return
            self._chunk(writer.write(step))
        self.wfile.write(b"0\r\n\r\n")

    def _end_of(self, cut: Cut) -> None:
        if cut.clean:
            self.wfile.write(b"0\r\n\r\n")
            return
        self.wfile.write(b"40\r\ndata: {")  # a chunk of 64 bytes that never comes
        self._tear()

    def _wait(self, seconds: float) -> bool:
        """Whether the server still serves after that time."""
        return not self.server.sandbox.closing.wait(seconds)

    def _from_here(self) -> bool:
        """A web page of elsewhere must not read or change anything, whatever name it gave this machine."""
        origin = self.headers.get("origin")
        asked = urlsplit(f"//{self.headers.get('host', '')}").hostname
        if asked in LOOPBACK and (origin is None or urlsplit(origin).hostname in LOOPBACK):
            return True
        self._answer(403, {"error": {"message": "the sandbox answers programs of this machine only"}})
        return False

    def _body(self) -> bytes | None:
        """The body of a request, or None after an answer that says why not."""
        raw = self.headers.get("content-length", "0")
        length = int(raw) if raw.isascii() and raw.isdigit() else -1
        if self.headers.get("transfer-encoding"):
            self.close_connection = True
            self._answer(411, {"error": {"message": "send a content-length"}})
        elif not 0 <= length <= MAX_BODY:
            self.close_connection = True
            self._answer(413, {"error": {"message": "the body is too large"}})
        else:
            return self.rfile.read(length)
        return None

    def _answer(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        encoded = dumps(body).encode()
        self._head(status, "application/json", length=len(encoded), more=headers)
        if self.command != "HEAD":
            self.wfile.write(encoded)

    def _head(
        self, status: int, media: str, *, length: int = 0, chunked: bool = False, more: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status, "Overloaded" if status == 529 else None)
        self.send_header("content-type", media)
        self.send_header("request-id", "req_sandbox")
        self.send_header(*(("transfer-encoding", "chunked") if chunked else ("content-length", str(length))))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _tear(self) -> None:
        """Ends the connection at once; what was written before arrives."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr; `serve(log=...)` is told."""


def _door(path: str) -> tuple[Door | None, str]:
    """Which dialect a path speaks, and the provider it names."""
    for door in DOORS:
        if path == door.path or path.endswith(door.path):
            named = path.removesuffix(door.path).removesuffix("/v1").strip("/")
            return door, named or door.provider
    return None, ""


def _named(body: bytes) -> str:
    """The model that a page is asked about."""
    try:
        return word(mapping(loads(body), "body"), "model")
    except Malformed:
        return ""


def _no_such(path: str) -> dict[str, Any]:
    return {"error": {"message": "no such path", "type": "not_found_error"}}
