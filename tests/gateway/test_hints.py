"""Names of models as hints: who is asked first, and never past a guarantee or a closed route."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hroute.gateway.hints import mapped
from hroute.providers.sandbox.server import SandboxServer
from tests.gateway.house import House, before_sandbox, message, policy_of

MORE = """
tiers: {{strong: [gpt, claude]}}
guarantees:
  - {{name: stays_home, when: {{contains_pii: true}}, only: {{local: true}}}}
gateway: {{models: {{"claude-haiku-*": to_llama, "gpt-*": hroute/chat_only}}}}
""".format()
CARD = "my card is 4111 1111 1111 1111"


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[House, SandboxServer]]:
    with before_sandbox(more=MORE) as found:
        yield found


@pytest.mark.parametrize(
    ("model", "provider", "rule"),
    [
        ("hroute/auto", "claude", "default"),
        ("claude-opus-4-8", "claude", "default"),
        ("hroute/to_gpt", "gpt", "to_gpt"),
        ("hroute/llama", "llama", "requested"),
        ("hroute/strong", "gpt", "requested"),
        ("claude-haiku-4-5-20251001", "llama", "to_llama"),
        ("gpt-5", "chat_only", "requested"),
    ],
)
def test_a_name_leads_where_it_says(stage: tuple[House, SandboxServer], model: str, provider: str, rule: str) -> None:
    answer = stage[0].post("/v1/messages", message(model=model))
    assert answer.status_code == 200
    assert (answer.headers["x-hroute-routed-to"], answer.headers["x-hroute-rule"]) == (provider, rule)


def test_an_unknown_name_of_ours_is_told(stage: tuple[House, SandboxServer]) -> None:
    answer = stage[0].post("/v1/messages", message(model="hroute/nobody"))
    assert answer.status_code == 400
    assert "hroute/nobody" in answer.json()["error"]["message"]


def test_a_hint_passes_no_guarantee(stage: tuple[House, SandboxServer]) -> None:
    house, sandbox = stage
    before = len(sandbox.calls.as_json())
    answer = house.post("/v1/messages", message(CARD, model="hroute/claude"))
    assert answer.status_code == 403
    assert len(sandbox.calls.as_json()) == before


def test_a_hint_opens_no_closed_route_and_lifts_no_refusal(stage: tuple[House, SandboxServer]) -> None:
    house, _ = stage
    closed = house.post("/v1/messages", message(model="hroute/gpt"), x_hroute_cost_center="alone")
    assert closed.headers["x-hroute-routed-to"] == "claude"
    refused = house.post("/v1/messages", message(model="hroute/gpt"), x_hroute_cost_center="refused")
    assert refused.status_code == 403


def test_the_first_name_that_fits_is_taken() -> None:
    policy = policy_of("http://127.0.0.1:9", 'gateway: {{models: {{"claude-*": a, "claude-opus": b}}}}'.format())
    assert mapped(policy, "claude-opus") == "hroute/a"
    assert mapped(policy, "other") == "other"
