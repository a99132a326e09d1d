"""Who may come in: programs of this machine, and no web page."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hroute.gateway.access import MAX_BODY
from hroute.providers.sandbox.server import SandboxServer
from tests.gateway.house import BODIES, House, before_sandbox, message


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[House, SandboxServer]]:
    with before_sandbox(hosts=frozenset({"gateway.test"})) as found:
        yield found


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.0.0.1:8484", "[::1]:8484", "gateway.test", "LOCALHOST"]
)
def test_a_name_of_this_machine_is_let_in(stage: tuple[House, SandboxServer], host: str) -> None:
    assert stage[0].post("/v1/messages", message(), host=host).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "0.0.0.0", "10.0.0.1", "", "[", "localhost.evil"])  # fmt: skip
@pytest.mark.parametrize("path", [*BODIES, "/v1/messages/count_tokens"])
def test_another_name_is_a_rebound_one(stage: tuple[House, SandboxServer], host: str, path: str) -> None:
    house, sandbox = stage
    before = len(sandbox.calls.as_json())
    assert house.post(path, message(), host=host).status_code in (400, 403)
    assert len(sandbox.calls.as_json()) == before


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/v1/models", "/"])
def test_pages_are_no_exception(stage: tuple[House, SandboxServer], path: str) -> None:
    assert stage[0].get(path, host="evil.example").status_code == 403
    assert stage[0].get(path, origin="https://evil.example").status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "file://"])
def test_a_web_page_of_elsewhere_is_turned_away(stage: tuple[House, SandboxServer], origin: str) -> None:
    answer = stage[0].post("/v1/messages", message(), origin=origin)
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"


def test_a_page_of_this_machine_may_ask(stage: tuple[House, SandboxServer]) -> None:
    assert stage[0].post("/v1/messages", message(), origin="http://localhost:3000").status_code == 200


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_is_no_request(stage: tuple[House, SandboxServer], media: str) -> None:
    assert stage[0].post("/v1/messages", message(), content_type=media).status_code == 415


def test_packed_bodies_are_not_read(stage: tuple[House, SandboxServer]) -> None:
    assert stage[0].post("/v1/messages", message(), content_encoding="gzip").status_code == 415


def test_a_body_too_large_is_not_read(stage: tuple[House, SandboxServer]) -> None:
    house, _ = stage
    host, _, port = house.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as wire:
        head = f"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {MAX_BODY + 1}\r\n\r\n"
        wire.sendall(head.encode())
        assert b" 413 " in wire.recv(1000)


def test_endless_headers_are_refused(stage: tuple[House, SandboxServer]) -> None:
    assert stage[0].post("/v1/messages", message(), x_long="a" * 70_000).status_code in (400, 431)


def test_nothing_is_said_of_an_inner_fault(
    stage: tuple[House, SandboxServer], caplog: pytest.LogCaptureFixture
) -> None:
    house, _ = stage
    engine = house.gateway.engine

    class Broken:
        policy = engine.policy

        def begin(self, *args: object, **more: object) -> None:
            raise RuntimeError("canary in the text of an exception")

    house.gateway.engine = Broken()  # type: ignore[assignment]
    try:
        answer = house.post("/v1/messages", message("canary in the prompt"))
    finally:
        house.gateway.engine = engine
    assert answer.status_code == 500
    assert "canary" not in answer.text + caplog.text
