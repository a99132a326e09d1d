"""Observing: every byte goes where it went before and comes back as it was; only the decision is written down."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hroute.gateway.observing import before, watching
from hroute.router import egress
from hroute.wire.grammar import violations
from tests.gateway.house import (
    ANSWERS,
    BODIES,
    DIALECTS,
    JSON,
    House,
    Notary,
    before_sandbox,
    house,
    message,
    policy_of,
)

MORE = """
guarantees:
  - {{name: stays_home, when: {{contains_pii: true}}, only: {{local: true}}}}
"""
LOGIN = {"authorization": "Bearer my-own-login", "x_api_key": "my-own-key", "anthropic_beta": "b1,b2", "cookie": "c=d"}


@pytest.fixture
def notary() -> Iterator[Notary]:
    with Notary((200, {**JSON, "request-id": "r", "set-cookie": "a=b"}, ANSWERS["/v1/messages"])) as found:
        yield found


@pytest.fixture
def observing(notary: Notary) -> Iterator[House]:
    policy = replace(policy_of(notary.url, MORE.format()), baseline="claude")
    with house(watching(policy)) as found:
        yield found


def test_bytes_and_credentials_arrive_as_the_client_sent_them(observing: House, notary: Notary) -> None:
    raw = b'{ "model":"claude-opus-4-8", "max_tokens": 5,"messages":[{"role":"user","content":"my card 4111 1111 1111 1111"}] }'
    answer = observing.post("/v1/messages?beta=true", raw, **LOGIN)
    [seen] = notary.noted
    assert seen.body == raw
    assert seen.path == "/claude/v1/messages?beta=true"
    for name, value in LOGIN.items():
        assert seen.header(name.replace("_", "-")) == value
    assert answer.content == ANSWERS["/v1/messages"]
    assert (answer.headers["request-id"], answer.headers["set-cookie"]) == ("r", "a=b")
    assert answer.headers["x-hroute-rule"] == "default"


@pytest.mark.parametrize(
    "path", ["/v1/models/a%20b", "/v1/models/a%0d%0aX-Evil:%201", "/v1/models/a%2Fb%3Fc", "/v1/x/%C3%A9"]
)
def test_an_escape_in_a_path_is_not_undone(observing: House, notary: Notary, path: str) -> None:
    observing.client.get(observing.url + path, headers={"anthropic-version": "2023-06-01"})
    [seen] = notary.noted
    assert seen.path == f"/claude{path}"
    assert seen.header("x-evil") is None


def test_a_key_that_stands_twice_is_observed_all_the_same(observing: House, notary: Notary) -> None:
    raw = b'{"model":"m","max_tokens":5,"max_tokens":6,"messages":[{"role":"user","content":"hi"}]}'
    answer = observing.post("/v1/messages", raw)
    assert notary.noted[0].body == raw
    assert answer.headers["x-hroute-rule"] == "default"


def test_what_cannot_be_read_and_other_paths_are_passed_by(observing: House, notary: Notary) -> None:
    assert observing.post("/v1/messages", b"{ not json").content == ANSWERS["/v1/messages"]
    assert notary.noted[-1].body == b"{ not json"
    observing.post("/v1/messages/count_tokens", message(), **LOGIN)
    assert notary.noted[-1].path == "/claude/v1/messages/count_tokens"
    observing.client.get(observing.url + "/v1/models?limit=3", headers={"anthropic-version": "2023-06-01"})
    assert (notary.noted[-1].method, notary.noted[-1].path) == ("GET", "/claude/v1/models?limit=3")
    observing.client.delete(observing.url + "/v1/messages/batches/1")
    assert notary.noted[-1].method == "DELETE"


def test_an_error_is_the_upstreams_own_and_nothing_is_retried(observing: House, notary: Notary) -> None:
    said = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    notary.answer = (529, {**JSON, "x-should-retry": "true", "retry-after": "7"}, said)
    answer = observing.post("/v1/messages", message(), **LOGIN)
    assert (answer.status_code, answer.content) == (529, said)
    assert (answer.headers["x-should-retry"], answer.headers["retry-after"]) == ("true", "7")
    assert len(notary.noted) == 1


def test_a_packed_answer_stays_packed(observing: House, notary: Notary) -> None:
    packed = gzip.compress(ANSWERS["/v1/messages"])
    notary.answer = (200, {**JSON, "content-encoding": "gzip"}, packed)
    with observing.client.stream(
        "POST",
        observing.url + "/v1/messages",
        content=json.dumps(message()),
        headers={**JSON, "accept-encoding": "gzip"},
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert raw == packed
    assert notary.noted[0].header("accept-encoding") == "gzip"
    assert 'hroute_tokens_total{kind="output",provider="requested_anthropic"} 2.0' in observing.get("/metrics").text


@pytest.mark.parametrize("path", ["/v1/messages"])
@pytest.mark.parametrize("fault", [None, {"kind": "cut"}, {"kind": "overloaded"}], ids=str)
def test_a_stream_comes_as_it_was(path: str, fault: dict[str, str] | None) -> None:
    import httpx

    script = {"faults": [fault] if fault else []}
    with before_sandbox(script, observe=True) as (found, sandbox):
        straight = httpx.Client(trust_env=False)
        body = BODIES[path](stream=True)
        outcomes = []
        for url in (f"{sandbox.url}/claude", found.url):
            try:
                answer = straight.post(url + path, json=body)
                outcomes.append((answer.status_code, answer.content))
            except httpx.RemoteProtocolError:
                outcomes.append((0, b"the connection broke"))
        assert outcomes[0] == outcomes[1]
        if fault is None:
            assert violations(DIALECTS[path], outcomes[1][1]) == []
            assert (
                'hroute_attempts_total{outcome="ok",provider="requested_anthropic"} 1.0' in found.get("/metrics").text
            )


def test_an_upstream_that_cannot_be_reached_is_told_so() -> None:
    policy = replace(policy_of("http://127.0.0.1:9"), baseline="claude")
    with house(watching(policy)) as found:
        answer = found.post("/v1/messages", message())
        assert answer.status_code == 502
        assert "x-should-retry" not in answer.headers
        assert found.post("/v1/messages", b"{").status_code == 502


def test_another_vendors_client_goes_to_its_own_vendor() -> None:
    policy = watching(replace(policy_of("http://127.0.0.1:9"), baseline="claude"))
    assert before(policy, "anthropic", "m", {}).target.base_url == "http://127.0.0.1:9/claude"
    assert before(policy, "openai", "m", {}).target.base_url == "https://api.openai.com/v1"
    assert before(policy, "anthropic", "claude-x", {}).provider.name == "claude"


def test_what_a_guarantee_would_have_refused_is_known() -> None:
    from hroute.gateway.asked import read
    from hroute.gateway.doors import MESSAGES
    from hroute.router.engine import Engine

    policy = watching(replace(policy_of("http://127.0.0.1:9", MORE.format()), baseline="claude"))
    engine = Engine(policy, environ={"KEY": "k"})
    asked = read(MESSAGES, json.dumps(message("my card 4111 1111 1111 1111")).encode(), {})
    run = engine.observe(asked.request, asked.given, before(policy, "anthropic", asked.model, {}))
    assert {s.guarantee for s in run.skipped} == {"stays_home"}
    assert run.plan.route == ("requested_anthropic",)
    with pytest.raises(PermissionError):
        egress.observed(replace(policy, mode="enforce"), policy.providers["claude"])
