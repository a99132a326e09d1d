"""Small policies for the tests of replay, built the way a file is."""

from __future__ import annotations

import json
from typing import Any

from hroute.schema.load import load_text
from hroute.schema.policy import Policy

PROVIDERS: dict[str, Any] = {
    "home": {"plugin": "ollama", "model": "llama3.1:8b", "base_url": "http://127.0.0.1:11434", "local": True},
    "sonnet": {
        "plugin": "anthropic",
        "model": "claude-sonnet-5-5",
        "api_key": "env:KEY",
        "price": {"input": 3.0, "output": 15.0},
    },
    "haiku": {
        "plugin": "anthropic",
        "model": "claude-haiku-5-5",
        "api_key": "env:KEY",
        "price": {"input": 1.0, "output": 5.0},
    },
    "stranger": {
        "plugin": "openai",
        "model": "own-model",
        "base_url": "https://models.example/v1",
        "api_key": "env:KEY",
    },
}


def policy(rules: list[dict[str, Any]], **more: Any) -> Policy:
    """A policy over `home` (local, free), `sonnet`, `haiku` and `stranger` (no price known); the default is `sonnet`."""
    providers = {name: facts for name, facts in PROVIDERS.items() if name in json.dumps([rules, more])}
    data = {
        "version": 1,
        "providers": {"sonnet": PROVIDERS["sonnet"], **providers},
        "routing_rules": rules,
        "default": {"route_to": "sonnet"},
        **more,
    }
    built, findings, _ = load_text(json.dumps(data), "policy.yaml")
    assert built is not None, [f.message for f in findings]
    return built


def rule(name: str, condition: dict[str, Any], route_to: str = "home", **more: Any) -> dict[str, Any]:
    return {"name": name, "condition": condition, "route_to": route_to, **more}
