"""The starter and the examples: silent under check, every outcome covered by their own cases, the articles' tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hroute.cli.main import main
from hroute.schema.load import load

ROOT = Path(__file__).resolve().parents[1]
STARTER = ROOT / "routing-config.yaml"
POLICIES = [STARTER, *sorted(ROOT.glob("examples/*/routing-config.yaml"))]
CAFE = ROOT / "examples/cafe"

each_policy = pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.relative_to(ROOT).parent.as_posix())

MATRIX = {
    "complex reasoning": ("claude_opus", ["gpt4o"]),
    "code generation": ("claude_sonnet", ["gpt4o"]),
    "simple classification": ("deepseek", ["ollama"]),
    "batch processing": ("deepseek", ["ollama"]),
    "privacy-sensitive": ("ollama", []),
    "quick questions": ("claude_pro", ["chatgpt_plus"]),
    "high-volume tasks": ("deepseek", ["ollama"]),
    "production features": ("claude_sonnet", ["gpt4o"]),
}
"""The article's decision matrix: task type -> primary provider, fallback."""


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    code = main([str(argument) for argument in arguments])
    return code, json.loads(capsys.readouterr().out)


@each_policy
def test_check_is_silent_also_with_warnings_denied(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = run(capsys, "check", "--json", "--deny-warnings", path)
    assert answer["findings"] == []
    assert (code, answer["errors"], answer["warnings"]) == (0, 0, 0)


@each_policy
def test_every_guarantee_is_proved(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, answer = run(capsys, "check", "--json", path)
    assert answer["proven"]
    assert [proof for proof in answer["proven"] if not proof["proven"]] == []


@each_policy
def test_its_own_cases_pass_and_leave_no_outcome_uncovered(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = run(capsys, "test", "--json", "-p", path)
    assert [case["name"] for case in answer["cases"] if not case["ok"]] == []
    assert answer["coverage"]["missing"] == []
    assert (code, answer["failed"]) == (0, 0)
    assert answer["passed"] > 0


@each_policy
def test_an_editor_finds_the_schema_that_the_first_line_names(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == ROOT / "hroute/schema/policy.schema.json"


def test_the_starter_is_the_one_that_the_semantics_lay_down() -> None:
    policy, _, _ = load(str(STARTER))
    assert policy is not None
    assert [(rule.name, rule.route and rule.route.chain) for rule in policy.all_rules] == [
        ("privacy_sensitive", ("ollama",)),
        ("always_cloud", ("claude_sonnet", "gpt4o")),
        ("not_going_well", ("claude_sonnet", "gpt4o")),
        ("code_generation", ("claude_sonnet", "gpt4o")),
        ("batch_processing", ("deepseek", "ollama")),
        ("complex_reasoning", ("claude_opus", "gpt4o")),
        ("known_simple", ("ollama", "claude_haiku", "claude_sonnet")),
        ("default", ("claude_sonnet", "gpt4o")),
    ]
    assert [guarantee.permitted for guarantee in policy.guarantees] == [frozenset({"ollama"})]


@pytest.mark.parametrize("row", MATRIX)
def test_each_row_of_the_articles_decision_matrix_is_a_case(row: str) -> None:
    cases = yaml.safe_load((ROOT / "examples/team/routing-config.test.yaml").read_text(encoding="utf-8"))["cases"]
    (case,) = [case for case in cases if case["name"].startswith(f"matrix: {row}")]
    assert (case["expect"]["route_to"], case["expect"]["fallback"]) == MATRIX[row]


def test_a_tenth_of_the_cafes_month_costs_a_tenth_of_the_articles_bill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    total = _cafe(tmp_path, capsys, monkeypatch, requests=6_000)
    assert total["baseline_usd"] == pytest.approx(23.40)
    assert total["cost_usd"] == pytest.approx(4.914 + 0.01 * 18.486, rel=0.06)  # 21 % stay, and the holdout's hundredth


@pytest.mark.slow
def test_the_cafes_month_costs_what_its_readme_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    total = _cafe(tmp_path, capsys, monkeypatch, requests=60_000)
    assert total["baseline_usd"] == pytest.approx(234.00)
    assert f"${total['cost_usd']:.2f}" in (CAFE / "README.md").read_text(encoding="utf-8")


def _cafe(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, requests: int
) -> dict[str, float]:
    monkeypatch.syspath_prepend(str(CAFE))
    import month

    log = folder / "october.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in month.rows(requests)), encoding="utf-8")
    arguments = ("--baseline", "claude_sonnet", "--json")
    code, answer = run(capsys, "dry-run", log, "-p", CAFE / "routing-config.yaml", *arguments)
    assert (code, answer["requests"], answer["bad_lines"]) == (0, requests, 0)
    total: dict[str, float] = answer["total"]
    return total
