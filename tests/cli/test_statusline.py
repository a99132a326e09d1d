"""One line about a session: where its turns went, at what cost, and never an error."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.gateway.house import before_sandbox, message

SESSION = "5f0c6f0e-1111-4c53-9d0a-2b8d6a1e0c11"
TOLD = json.dumps({"hook_event_name": "Status", "session_id": SESSION, "model": {"id": "claude-opus-4-8"}})

Line = Callable[..., str]


@pytest.fixture
def line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Line:
    def run(told: str | bytes, url: str | None = None) -> str:
        raw = told.encode() if isinstance(told, str) else told
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        if url is not None:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        found = cli("statusline")
        assert found.code == 0
        assert found.err == ""
        assert found.out.count("\n") == 1
        return found.out.rstrip("\n")

    return run


@contextmanager
def page(found: Any) -> Iterator[str]:
    """A gateway that says `found` of any session."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def session(**more: Any) -> dict[str, Any]:
    last = {"provider": "claude_opus", "model": "claude-opus-4-8", "rule": "default", "escalation": None}
    return {"mode": "enforce", "turns": {"claude_haiku": 3, "claude_opus": 12}, "cost_usd": 1.2, "as_asked_usd": 1.6, "saved_usd": 0.4, "last": last, **more}  # fmt: skip


def test_a_real_gateway_tells_where_a_session_went(line: Line) -> None:
    with before_sandbox({"answers": [{"text": "Hello."}]}) as (house, _):
        assert line(TOLD, house.url) == "hroute  no turn yet"
        house.post("/v1/messages", message(), x_claude_code_session_id=SESSION)
        assert line(TOLD, house.url) == "hroute  claude 1  cost not known  last: claude by default"


def test_turns_cost_and_what_was_saved(line: Line) -> None:
    with page(session()) as url:
        assert line(TOLD, url) == "hroute  claude_opus 12, claude_haiku 3  $1.20, $0.40 (25 %) saved  last: claude_opus by default"  # fmt: skip


def test_what_cost_more_than_as_asked_is_told_as_well(line: Line) -> None:
    with page(session(cost_usd=2.0, saved_usd=-0.4)) as url:
        assert "$2.00, $0.40 (25 %) more than as asked" in line(TOLD, url)


def test_an_escalation_and_an_observing_gateway_are_told(line: Line) -> None:
    last = {"provider": "gpt4o", "rule": "default", "escalation": "outage"}
    with page(session(last=last, saved_usd=None)) as url:
        assert line(TOLD, url).endswith("$1.20  last: gpt4o (outage) by default")
    with page(session(mode="observe", saved_usd=0)) as url:
        assert line(TOLD, url) == "hroute observes  15 turns  $1.20"


@pytest.mark.parametrize(
    "told", ["", "{", "[]", '{"session_id": 5}', '{"session_id": "../x"}', b"\xff\xfe", "[" * 100_000]
)
def test_whatever_stands_on_stdin_there_is_a_line(told: str | bytes, line: Line) -> None:
    assert line(told, "http://127.0.0.1:1") == "hroute: no gateway here"


@pytest.mark.parametrize(
    "found", [[], {}, {"turns": 5}, {"turns": {"a": "b"}, "last": 1}, {"turns": {}, "cost_usd": "x"}]
)
def test_whatever_a_page_says_there_is_a_line(found: Any, line: Line) -> None:
    with page(found) as url:
        assert line(TOLD, url).startswith("hroute")


def test_a_foreign_address_is_not_asked_and_a_missing_policy_is_no_error(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert line(TOLD, "https://api.anthropic.com") == "hroute: no gateway here"
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    monkeypatch.setenv("HROUTE_POLICY", "missing.yaml")
    assert line(TOLD) == "hroute: no policy"


def test_a_name_cannot_paint_the_terminal(line: Line) -> None:
    with page(session(turns={"\x1b[31mred": 1})) as url:
        assert "\x1b" not in line(TOLD, url)
