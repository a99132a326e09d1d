"""Claude Code before vendors that fail: it is answered by the fallback, or told at once; it never hangs or hammers."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.agents import claude, command
from tests.gateway.house import KEYED, House, before_sandbox, house, policy_of
from tests.gateway.test_process import serving

slow = pytest.mark.slow
LONG = {"text": "Hello from behind the gateway. " * 20}
HOME_ONLY = "guarantees: [{name: home, when: {stream: true}, only: {local: true}}]"


def statuses(house: House) -> list[int]:
    """What Claude Code was answered, one number a request."""
    lines = house.get("/metrics").text
    found = re.findall(r'hroute_requests_total\{.*status="(\d+)"\} ([\d.]+)', lines)
    return sorted(int(status) for status, times in found for _ in range(int(float(times))))


SOON = ("rate_limit", "server_error", "overloaded", "down", "no_credit", "empty", "cut", "stall")


@slow
@pytest.mark.parametrize(("kind", "at"), [*((kind, 0.0) for kind in SOON), ("cut", 0.5), ("stall", 0.5)])
def test_the_fallback_answers_what_breaks(kind: str, at: float, tmp_path: Path) -> None:
    """What breaks in the middle Claude Code itself asks once more, without streaming: the fallback has it then."""
    command("claude")
    fault = {"kind": kind, "provider": "claude", **({"at": at} if kind in ("cut", "stall") else {})}
    with before_sandbox({"faults": [fault], "answers": [LONG]}) as (house, _):
        said = claude(house.url, tmp_path, "say hi", "claude-opus-4-8")
        assert said.returncode == 0, (said.stdout, said.stderr)
        assert "Hello from behind the gateway." in said.stdout
        assert statuses(house) == ([200, 200] if at else [200])


ALONE: dict[str, tuple[dict[str, Any], str, Mapping[str, str], list[int]]] = {
    "a guarantee forbids everybody": ({}, HOME_ONLY, KEYED, [403]),
    "no credential": ({}, "", {}, [503]),
    "429": ({"kind": "rate_limit"}, "", KEYED, [503]),
    "500": ({"kind": "server_error"}, "", KEYED, [502]),
    "529": ({"kind": "overloaded"}, "", KEYED, [503]),
    "down": ({"kind": "down"}, "", KEYED, [502]),
    "401": ({"kind": "unauthorized"}, "", KEYED, [503]),
    "no credit": ({"kind": "no_credit"}, "", KEYED, [503]),
    "400": ({"kind": "bad_request"}, "", KEYED, [400]),
    "cut at the start": ({"kind": "cut", "at": 0.0}, "", KEYED, [502]),
    "cut in the middle": ({"kind": "cut", "at": 0.5}, "", KEYED, [200, 502]),
    "ended without its end": ({"kind": "cut", "at": 0.5, "clean": True}, "", KEYED, [200, 502]),
    "stalled at the start": ({"kind": "stall", "at": 0.0}, "", KEYED, [504]),
    "stalled in the middle": ({"kind": "stall", "at": 0.5}, "", KEYED, [200, 504]),
}
"""What happens to the one provider of a closed route, and what Claude Code is answered: twice at most."""


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=() if c == "a guarantee forbids everybody" else slow) for c in ALONE]
)
def test_with_nobody_left_claude_code_is_told_and_asks_at_most_once_more(case: str, tmp_path: Path) -> None:
    command("claude")
    fault, more, environ, expected = ALONE[case]
    script = {"faults": [fault] if fault else [], "answers": [LONG]}
    with before_sandbox(script, more=more, environ=environ) as (house, sandbox):
        said = claude(house.url, tmp_path, "say hi", "hroute/alone")
        assert said.returncode == 1, (said.stdout, said.stderr)
        assert "API Error" in said.stdout
        assert statuses(house) == expected
        assert len(sandbox.calls.as_json()) <= 2


@slow
def test_a_spent_budget_is_a_402_and_claude_code_asks_at_most_once_more(tmp_path: Path) -> None:
    command("claude")
    with before_sandbox({"answers": [LONG]}) as (_, sandbox):
        (tmp_path / "routing-config.yaml").write_text(
            f'providers:\n  claude: {{plugin: anthropic, model: m, base_url: "{sandbox.url}/claude", api_key: env:KEY, price: {{input: 10, output: 10}}}}\n'
            "routing_rules: []\ndefault: {route_to: claude, fallback: null}\n"
            "budgets: [{name: little, per: day, limit_usd: 0.001}]\n"
        )
        with serving(tmp_path, sandbox.url) as (_, url, _):
            said = claude(url, tmp_path, "say hi", "claude-opus-4-8")
            found = House(None, url)  # type: ignore[arg-type]
            assert said.returncode == 1
            assert "402" in said.stdout, said.stdout
            assert 1 <= len(statuses(found)) <= 2
            assert set(statuses(found)) == {402}
        assert sandbox.calls.as_json() == []


BROKEN: dict[str, bytes] = {
    "no HTTP": b"this is no answer at all\r\n\r\n",
    "a page": b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<h1>proxy</h1>\n",
    "a stream of nonsense": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nevent: x\ndata: {broken\n\n",
    "a torn header": b"HTTP/1.1 200",
    "nothing": b"",
}  # fmt: skip


@contextmanager
def broken(answer: bytes) -> Iterator[str]:
    """An upstream that answers every request so, and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                connection.recv(1 << 16)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


@slow
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_upstream_is_told_and_claude_code_asks_at_most_once_more(what: str, tmp_path: Path) -> None:
    command("claude")
    with broken(BROKEN[what]) as url, house(policy_of(url)) as found:
        said = claude(found.url, tmp_path, "say hi", "hroute/alone")
        assert said.returncode == 1, (said.stdout, said.stderr)
        assert "API Error" in said.stdout
        assert statuses(found) == [502]
