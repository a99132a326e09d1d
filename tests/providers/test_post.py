"""A webhook is reached at its own address, and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hroute.providers.post import post


class Door(BaseHTTPRequestHandler):
    """Answers 204, or what the path says."""

    seen: list[tuple[str, bytes, str | None]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        Door.seen.append((self.path, body, self.headers.get("x-mark")))
        self.send_response(302 if self.path == "/moved" else 204)
        self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Door.seen.clear()
    server = HTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_body_and_its_headers_arrive(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(f"{address}/hook?a=1", b"{}", {"x-mark": "m"}, 5.0) == 204
    assert Door.seen == [("/hook?a=1", b"{}", "m")]


def test_a_redirect_is_not_followed(address: str) -> None:
    assert post(f"{address}/moved", b"{}", {}, 5.0) == 302
    assert [path for path, _, _ in Door.seen] == ["/moved"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com", "example.com", "http://"])
def test_what_is_no_web_address_is_not_reached(url: str) -> None:
    with pytest.raises(ValueError, match="webhook"):
        post(url, b"", {}, 1.0)
