"""Who counts the tokens of a request that is not sent, and who may not see it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.gateway.house import JSON, House, Notary, house, message, policy_of

PATH = "/v1/messages/count_tokens"
COUNTED = (200, JSON, b'{"input_tokens": 4711}')
GUARDED = "guarantees: [{{name: stays_home, when: {{contains_pii: true}}, only: {{local: true}}}}]\n".format()
VENDOR = GUARDED + "gateway: {count_tokens: vendor}"


def asked(text: str = "hello") -> dict[str, Any]:
    return {name: value for name, value in message(text).items() if name != "max_tokens"}


def count(here: House, **headers: str) -> tuple[int, Any]:
    answer = here.post(PATH, asked(), **headers)
    return answer.json()["input_tokens"], answer.headers


def test_by_itself_the_gateway_estimates_and_sends_nothing() -> None:
    with Notary(COUNTED) as notary, house(policy_of(notary.url, GUARDED)) as here:
        tokens, headers = count(here)
    assert 0 < tokens < 4711
    assert "x-hroute-estimated" in headers
    assert notary.noted == []


def test_the_vendor_counts_where_the_policy_lets_it() -> None:
    with Notary(COUNTED) as notary, house(policy_of(notary.url, VENDOR)) as here:
        raw = json.dumps(asked(), indent=1).encode()
        answer = here.post(PATH + "?beta=true", raw, authorization="Bearer mine", anthropic_beta="b")
    assert answer.json() == {"input_tokens": 4711}
    assert answer.headers["x-hroute-counted-by"] == "claude"
    [seen] = notary.noted
    assert seen.path == "/claude/v1/messages/count_tokens?beta=true"
    assert seen.body == raw.replace(b"claude-opus-4-8", b"claude-x")
    assert (seen.header("x-api-key"), seen.header("authorization")) == ("policys-own-key", None)


def test_who_may_not_serve_a_request_may_not_count_it() -> None:
    with Notary(COUNTED) as notary, house(policy_of(notary.url, VENDOR)) as here:
        answer = here.post(PATH, asked("my card is 4111 1111 1111 1111"))
        assert "x-hroute-estimated" in answer.headers
        refused = here.post(PATH, asked(), x_hroute_cost_center="refused")
        assert "x-hroute-estimated" in refused.headers
        assert "x-hroute-estimated" in here.post(PATH, asked(), x_hroute_cost_center="gpt").headers
    assert [seen for seen in notary.noted if seen.path.startswith("/claude")] == []


@pytest.mark.parametrize("answer", [(500, JSON, b"{}"), (200, JSON, b"[]"), (200, JSON, b"{"), (404, JSON, b'{"error": {}}')])  # fmt: skip
def test_a_vendor_that_cannot_count_leaves_the_estimate(answer: tuple[int, dict[str, str], bytes]) -> None:
    with Notary(answer) as notary, house(policy_of(notary.url, VENDOR)) as here:
        tokens, headers = count(here)
    assert tokens > 0
    assert "x-hroute-estimated" in headers
    assert len(notary.noted) == 1
