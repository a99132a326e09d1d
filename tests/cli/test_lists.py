"""`hroute models` and `hroute status`: what is known, as a table and as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Cli


def test_the_providers_of_the_policy(
    cli: Cli, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIG_KEY", "a-secret")
    ran = cli("status")
    assert ran.code == 0
    assert "a-secret" not in ran.out + ran.err
    golden("status", ran.out)


def test_the_providers_for_a_program(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_KEY", "a-secret")
    lines = [json.loads(line) for line in cli("status", "--json").out.splitlines()]
    assert {line["schema"] for line in lines} == {"hroute.status/1"}
    assert {line["provider"]: line["key_present"] for line in lines} == {"home": False, "big": True, "other": False}
    assert lines[0]["locality"] == "machine"


def test_the_models_are_listed_and_filtered(cli: Cli) -> None:
    ran = cli("models", "claude")
    assert ran.out.splitlines()[0].split() == ["vendor", "model", "context", "in", "out", "cached"]
    assert all("claude" in line for line in ran.out.splitlines()[1:])
    assert "prices of 20" in ran.err


def test_models_for_a_program(cli: Cli) -> None:
    lines = [json.loads(line) for line in cli("models", "--json").out.splitlines()]
    assert {line["schema"] for line in lines} == {"hroute.models/1"}
    assert {"claude_sonnet", "gpt4o"} <= {provider for line in lines for provider in line["providers"]}
    assert all(line["retirement"] for line in map(json.loads, cli("models", "--retiring", "--json").out.splitlines()))
