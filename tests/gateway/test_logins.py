"""Whose login a client brings: its own, or the placeholder of one that has none."""

from __future__ import annotations

import pytest

from hroute.gateway.gates import brings_login
from tests.gateway.house import house, message, policy_of

OWN = """
providers:
  asked: {{plugin: anthropic, model: requested, api_key: client}}
routing_rules: []
default: {{route_to: asked, fallback: null}}
{more}
"""


@pytest.mark.parametrize(
    ("headers", "brought"),
    [
        ({}, False),
        ({"authorization": "Bearer hroute"}, False),
        ({"x-api-key": "hroute"}, False),
        ({"cookie": "session=1"}, False),
        ({"x-api-key": "sk-ant-1"}, True),
        ({"authorization": "Bearer sk-ant-oat01-1"}, True),
        ({"authorization": "Bearer hroute", "x-api-key": "sk-ant-1"}, True),
    ],
)
def test_a_placeholder_is_no_login(headers: dict[str, str], brought: bool) -> None:
    assert brings_login(headers) is brought


def test_a_provider_that_lives_on_its_clients_login_is_not_asked_with_a_placeholder() -> None:
    with house(policy_of("", text=OWN), environ={}) as found:
        refused = found.post("/v1/messages", message(), authorization="Bearer hroute")
    assert refused.status_code == 503
    assert "the client brought no login of its own" in refused.text
