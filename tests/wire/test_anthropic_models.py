"""A request that was written for one of Anthropic's models is made to fit another, and no more is touched than that."""

from __future__ import annotations

from typing import Any

import pytest

from hroute.wire.anthropic_models import fitted

ADAPTIVE: dict[str, Any] = {
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
}
"""As Claude Code asks its large models."""
BUDGET: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 4_000}, "temperature": 1}
"""As Claude Code asks its small one."""
EARLIER = ("claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-sonnet-4-20250514", "claude-opus-4-1", "claude-opus-4-5", "claude-3-7-sonnet-latest")  # fmt: skip
LATER = ("claude-opus-4-7", "claude-opus-4-8", "claude-sonnet-5", "claude-haiku-5-5", "claude-opus-5-5")


@pytest.mark.parametrize("model", EARLIER)
def test_earlier_models_are_asked_without_what_they_do_not_know(model: str) -> None:
    assert fitted(ADAPTIVE, model) == {"output_config": None, "thinking": None, "context_management": None}
    assert fitted(BUDGET, model) == {}


@pytest.mark.parametrize("model", LATER)
def test_later_models_are_asked_without_a_budget_and_without_sampling(model: str) -> None:
    assert fitted(BUDGET, model) == {"thinking": {"type": "adaptive"}, "temperature": None}
    assert fitted(ADAPTIVE, model) == {}


@pytest.mark.parametrize(
    "model", ["claude-opus-4-6", "claude-sonnet-4-6-20260101", "llama3.1:8b", "claude_sonnet", "claude-x", ""]
)
def test_what_takes_both_and_what_is_not_known_is_left_alone(model: str) -> None:
    assert fitted(ADAPTIVE, model) == {}
    assert fitted(BUDGET, model) == {}


def test_what_else_stands_beside_it_stays() -> None:
    form = {"effort": "low", "format": {"type": "json_schema"}}
    edits = [{"type": "clear_tool_uses_20250919"}, {"type": "clear_thinking_20251015"}]
    body = {**ADAPTIVE, "output_config": form, "context_management": {"edits": edits}}
    found = fitted(body, "claude-haiku-4-5")
    assert found["output_config"] == {"format": {"type": "json_schema"}}
    assert found["context_management"] == {"edits": edits[:1]}
    assert fitted({"thinking": {"type": "disabled"}}, "claude-haiku-4-5") == {}
    assert fitted({"thinking": {"type": "disabled"}}, "claude-opus-4-8") == {}
