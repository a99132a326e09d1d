"""The article's policy loads unchanged, and decides what the article says, by the command line and by the library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

CASES = Path(__file__).resolve().parents[1] / ".." / "shared" / "cases"
POLICY = CASES / "article-policy.yaml"
SCENARIOS: list[dict[str, Any]] = (
    yaml.safe_load((CASES / "article-scenarios.yaml").read_text(encoding="utf-8")) if CASES.is_dir() else []
)

pytestmark = pytest.mark.skipif(not SCENARIOS, reason="the article's policy and scenarios lie beside the checkout")

each_scenario = pytest.mark.parametrize(
    "scenario",
    SCENARIOS,
    ids=[f"{s['expect']['rule']}-{number}" for number, s in enumerate(SCENARIOS, 1)],
)


def test_the_policy_loads_unchanged_and_without_a_finding_that_blocks() -> None:
    from hroute import load

    policy = load(str(POLICY))
    assert [rule.name for rule in policy.rules] == [
        "privacy_sensitive", "code_generation", "batch_processing", "simple_tasks", "complex_reasoning",
    ]  # fmt: skip


@each_scenario
def test_the_library_decides_as_the_article_says(scenario: dict[str, Any]) -> None:
    from hroute import compile, decide, load

    decision = decide(compile(load(str(POLICY))), scenario["given"])
    decided = {"rule": decision.rule.name, "route_to": decision.route_to, "fallback": list(decision.fallback)}
    assert {key: decided[key] for key in scenario["expect"]} == scenario["expect"]


@each_scenario
def test_the_command_line_decides_as_the_article_says(scenario: dict[str, Any]) -> None:
    signals = [word for name, value in scenario["given"].items() for word in ("--signal", f"{name}={_flag(value)}")]
    ran = subprocess.run(
        [sys.executable, "-m", "hroute", "explain", "--json", "-p", str(POLICY), *signals],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0, ran.stderr
    decided = json.loads(ran.stdout)
    assert {key: decided[key] for key in scenario["expect"]} == scenario["expect"]


def _flag(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
