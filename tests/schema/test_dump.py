"""What is dumped loads back as the same policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from hroute.schema.dump import dump
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from tests.router.policies import policies
from tests.schema.whole import WHOLE


def loaded(text: str) -> Policy:
    policy, findings, _ = load_text(text)
    assert policy is not None, [f.message for f in findings]
    return policy


def _json(data: dict[str, Any]) -> str:
    """JSON with a line separator escaped, which YAML 1.1 would fold."""
    return json.dumps(data, ensure_ascii=False).replace("\u2028", "\\u2028")


def test_the_whole_language_survives() -> None:
    policy = loaded(WHOLE)
    again = loaded(dump(policy))
    assert again == policy
    assert again.hash == policy.hash
    assert dump(again) == dump(policy)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(policies)
def test_random_policies_survive(data: dict[str, Any]) -> None:
    policy = loaded(json.dumps(data))
    again = loaded(dump(policy))
    assert again == policy
    assert again.hash == policy.hash


def test_defaults_tiers_and_definitions_are_written_out() -> None:
    policy = loaded("define: {x: {tenant: acme}}\nrouting_rules: [{name: a, condition: {is: x}, route_to: gpt4o}]")
    text = dump(policy)
    assert "define" not in text
    assert "tenant: acme" in text
    assert "first_token: 30s" in text
    assert "route_to: claude_sonnet" in text


@pytest.mark.parametrize(
    "text",
    ["yes", "NO", "y", "1_000", "0o7", "+1", "TRUE", "on", "null", "1:30", "0x1F", "1e3", "~", "2026-11-20", ".inf", "<<", "=", "é ü \u2028 😀", "a: b # c", "  blank  ", "line\nbreak\n", "*x", "&x", "!x", "{x}", "%x", "@x", "`x", "-", "? x", "word " * 60, "wörd, and: 'this' \"that\" " * 20, "a\n\n  b\n" * 20],
)  # fmt: skip
def test_texts_that_yaml_would_misread_survive(text: str) -> None:
    rules = [
        {
            "name": "a",
            "condition": {"user": [text, "z"]} if text[0] not in "*<=" else {},
            "refuse": text,
            "description": text,
        }
    ]
    policy = loaded(_json({"routing_rules": rules}))
    assert policy.rules[0].refuse == text
    assert loaded(dump(policy)) == policy


@pytest.mark.parametrize("duration", ["1ms", "1.5ms", "0.25s", "1500ms", "90s", "61s", "90m", "36h", "7d", "0s"])
def test_durations_survive_to_the_microsecond(duration: str) -> None:
    policy = loaded(f"default: gpt4o\ntimeout: {{idle: {duration}}}")
    assert loaded(dump(policy)).providers["gpt4o"].timeout == policy.providers["gpt4o"].timeout


@pytest.mark.parametrize("amount", ["0.000000001", "123456789.123456789", "0.1", "7", "1e-3"])
def test_amounts_survive_to_the_nano_dollar(amount: str) -> None:
    policy = loaded(f"default: gpt4o\nbudgets: [{{name: b, limit_usd: {amount}, per: day}}]")
    assert loaded(dump(policy)).budgets[0].limit == policy.budgets[0].limit > 0
