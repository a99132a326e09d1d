"""What goes wrong upstream: somebody else answers before the first word, and after it the error is well-formed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hroute.providers.sandbox.reading import read_faults
from hroute.wire.grammar import violations
from tests.gateway.house import BODIES, DIALECTS, before_sandbox

FAULTS: list[dict[str, Any]] = [
    {"kind": "rate_limit", "retry_after": "30s"},
    {"kind": "server_error"},
    {"kind": "overloaded"},
    {"kind": "unavailable"},
    {"kind": "unauthorized"},
    {"kind": "model_gone"},
    {"kind": "too_long"},
    {"kind": "down"},
    {"kind": "empty"},
    {"kind": "stall", "at": 0.0, "for": "20s"},
    {"kind": "cut", "at": 0.0},
    {"kind": "cut", "at": 0.0, "clean": True},
]
SLOW = ("slow", "stall")
doors = pytest.mark.parametrize("path", BODIES)


@doors
@pytest.mark.parametrize("fault", [f for f in FAULTS if f["kind"] not in SLOW], ids=lambda f: f["kind"])
@pytest.mark.parametrize("stream", [False, True])
def test_before_the_first_word_the_fallback_answers(path: str, fault: dict[str, Any], stream: bool) -> None:
    first = "claude" if path == "/v1/messages" else "gpt"
    with before_sandbox({"faults": [{**fault, "provider": first}]}) as (house, _):
        answer = house.post(path, BODIES[path](stream=stream), x_hroute_cost_center=first)
    assert answer.status_code == 200
    assert answer.headers["x-hroute-routed-to"] == first
    assert answer.headers["x-hroute-provider"] != first
    if stream:
        assert violations(DIALECTS[path], answer.content) == []


@pytest.mark.parametrize("fault", [f for f in FAULTS if f["kind"] not in SLOW], ids=lambda f: f["kind"] + "-clean" * f.get("clean", False))  # fmt: skip
def test_the_fallback_answers_over_every_pair_of_dialects(fault: dict[str, Any]) -> None:
    with before_sandbox() as (house, sandbox):
        house.gateway.engine.health.refuses = lambda provider: None  # type: ignore[method-assign]  # breakers stay out of it
        house.gateway.engine.health.enter = lambda provider: None  # type: ignore[method-assign]
        for target in ("claude", "gpt", "chat_only", "llama"):
            struck = {name: value for name, value in fault.items() if name != "retry_after"}  # nor shall one wait
            sandbox.play.add(read_faults([{**struck, "provider": target}]), replace=True)
            for path in BODIES:
                for stream in (False, True):
                    answer = house.post(path, BODIES[path](stream=stream), x_hroute_cost_center=target)
                    assert answer.status_code == 200, (target, path, stream, answer.text)
                    assert answer.headers["x-hroute-provider"] != target
                    assert not stream or violations(DIALECTS[path], answer.content) == []


def test_a_silent_upstream_is_left_in_time() -> None:
    with before_sandbox({"faults": [{"kind": "stall", "at": 0.0, "for": "20s", "provider": "claude"}]}) as (
        house,
        _,
    ):
        started = time.monotonic()
        answer = house.post("/v1/messages", BODIES["/v1/messages"](stream=True))
        assert answer.status_code == 200
        assert answer.headers["x-hroute-provider"] == "gpt"
        assert time.monotonic() - started < 10


@doors
@pytest.mark.parametrize("target", ["claude", "gpt", "llama"])
@pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "cut", "clean": True}, {"kind": "stall", "for": "5s"}], ids=["cut", "clean", "stall"])  # fmt: skip
def test_after_the_first_word_the_error_is_well_formed(path: str, target: str, fault: dict[str, Any]) -> None:
    script = {"faults": [{**fault, "provider": target}]}
    with before_sandbox(script, more="") as (house, _):
        answer = house.post(path, BODIES[path](stream=True), x_hroute_cost_center=target)
    assert answer.status_code == 200
    assert violations(DIALECTS[path], answer.content) == []
    assert b"error" in answer.content
    assert b"broke off in the middle" in answer.content
    assert b"sandbox] " in answer.content  # words of the one that broke, and of no other


@doors
def test_nobody_left_is_told_in_the_clients_dialect(path: str) -> None:
    for kind, status in (("overloaded", 503), ("rate_limit", 503), ("server_error", 502), ("down", 502)):
        with before_sandbox({"faults": [{"kind": kind}]}) as (house, _):
            answer = house.post(path, BODIES[path](stream=True), x_hroute_cost_center="alone")
        assert answer.status_code == status, kind
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["x-hroute-attempts"] == "1"
        assert "claude" in answer.json()["error"]["message"]


GUARANTEE = """
guarantees:
  - {{name: stays_home, when: {{contains_pii: true}}, only: {{local: true}}}}
"""
CARD = "my card is 4111 1111 1111 1111"


def test_a_guarantee_that_leaves_nobody_is_a_403_that_names_it() -> None:
    with before_sandbox(more=GUARANTEE.format()) as (house, sandbox):
        answer = house.post("/v1/messages", BODIES["/v1/messages"](CARD), x_hroute_cost_center="alone")
        assert answer.status_code == 403
        assert answer.headers["x-should-retry"] == "false"
        assert "stays_home" in answer.json()["error"]["message"]
        assert "4111" not in answer.text
        assert sandbox.calls.as_json() == []


def test_a_local_provider_that_is_down_is_a_503_that_says_when_to_come_back() -> None:
    with before_sandbox({"faults": [{"kind": "down", "provider": "llama"}]}, more=GUARANTEE.format()) as (house, _):
        answer = house.post("/v1/messages", BODIES["/v1/messages"](CARD, stream=True), x_hroute_cost_center="llama")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["x-should-retry"] == "false"
        assert "stays_home" in answer.json()["error"]["message"]


def test_without_a_credential_nobody_is_asked() -> None:
    with before_sandbox(environ={}) as (house, sandbox):
        answer = house.post("/v1/messages", BODIES["/v1/messages"](), x_hroute_cost_center="alone")
        assert answer.status_code == 503
        assert "$KEY is not set" in answer.json()["error"]["message"]
        assert sandbox.calls.as_json() == []


def test_who_hangs_up_is_not_waited_for() -> None:
    import httpx

    with before_sandbox({"faults": [{"kind": "slow", "for": "1500ms"}]}) as (house, _):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(house.url + "/v1/messages", json=BODIES["/v1/messages"](stream=True), timeout=0.3)
        deadline = time.monotonic() + 3
        while 'status="499"' not in house.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert 'hroute_attempts_total{outcome="cancelled",provider="claude"} 1.0' in house.get("/metrics").text
