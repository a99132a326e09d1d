"""`hroute check`: findings in every format, the views of a policy, ignored warnings, watching."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import POLICY, Cli, environment

BROKEN = POLICY.replace("fallback: null", "fallback: other").replace("complexity: high", "complexity: hgih")
LEAK = POLICY.replace("fallback: null", "fallback: other")
UNUSED = POLICY.replace("tiers:", "").replace(
    "routing_rules:",
    '  spare: {plugin: ollama, model: "x:1b", base_url: "http://127.0.0.1:11434", local: true}\nrouting_rules:',
)

Golden = Callable[[str, str], None]


def write(directory: Path, text: str) -> None:
    (directory / "routing-config.yaml").write_text(text, encoding="utf-8")


def test_a_policy_without_findings(cli: Cli, golden: Golden) -> None:
    ran = cli("check")
    assert (ran.code, ran.err) == (0, "")
    golden("check-ok", ran.out)


def test_findings_in_full(cli: Cli, golden: Golden, tmp_path: Path) -> None:
    write(tmp_path, BROKEN)
    ran = cli("check")
    assert ran.code == 1
    golden("check-broken", ran.out)


def test_a_leak_is_found_with_its_witness(cli: Cli, golden: Golden, tmp_path: Path) -> None:
    write(tmp_path, LEAK)
    ran = cli("check")
    assert ran.code == 1
    golden("check-leak", ran.out)


def test_findings_one_a_line(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, LEAK)
    ran = cli("check", "--format", "concise")
    assert ran.code == 1
    assert len(ran.out.splitlines()) == 1
    assert ran.out.startswith("routing-config.yaml:7:")
    assert ": error[HR301] guarantee `pii_stays_home`" in ran.out


def test_findings_for_github(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, LEAK)
    assert cli("check", "--format", "github").out.startswith("::error file=routing-config.yaml,line=7,")


@pytest.mark.parametrize("option", [["--json"], ["--format", "json"]])
def test_findings_for_a_program(option: list[str], cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, LEAK)
    ran = cli("check", *option)
    found = json.loads(ran.out)
    assert ran.code == 1
    assert (found["schema"], found["errors"], found["warnings"]) == ("hroute.check/1", 1, 0)
    assert {"code", "level", "file", "line", "column", "message", "help", "witness"} <= set(found["findings"][0])
    assert found["findings"][0]["witness"]["contains_pii"] is True
    assert [(p["guarantee"], p["proven"]) for p in found["proven"]] == [("pii_stays_home", False)]


def test_a_file_that_is_not_yaml_is_answered_with_1(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_bytes(b"\xff\x00 not: [yaml")
    ran = cli("check", "--json")
    assert ran.code == 1
    assert [f["code"] for f in json.loads(ran.out)["findings"]] == ["HR001"]


def test_a_file_that_is_not_there_is_answered_with_1(cli: Cli) -> None:
    ran = cli("check", "missing.yaml")
    assert ran.code == 1
    assert "error[HR001]" in ran.out
    assert "hroute init" in ran.err


def test_the_file_may_be_given_as_an_argument_or_an_option_but_not_as_two(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(LEAK)
    assert cli("check", "other.yaml").code == 1
    assert cli("check", "-p", "other.yaml").code == 1
    assert cli("check", "other.yaml", "-p", "routing-config.yaml").code == 2


def test_a_warning_passes_unless_denied(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, UNUSED)
    ran = cli("check")
    assert "warning[HR023]" in ran.out
    assert ran.code == 0
    assert cli("check", "--deny-warnings").code == 1


def test_a_warning_is_kept_on_purpose_with_a_reason(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, UNUSED.replace("  spare:", "  # hroute: ignore HR023 we switch to it by hand\n  spare:"))
    ran = cli("check", "--deny-warnings")
    assert (ran.code, "HR023" in ran.out) == (0, False)


def test_a_code_is_explained(cli: Cli) -> None:
    ran = cli("check", "--explain", "hr301")
    assert ran.code == 0
    assert ran.out.startswith("error[HR301]: ")
    assert "This gives it:" in ran.out
    assert json.loads(cli("check", "--explain", "HR301", "--json").out)["code"] == "HR301"


def test_every_code_can_be_explained(cli: Cli) -> None:
    from hroute.schema.codes import CODES

    for code in CODES:
        assert cli("check", "--explain", code).code == 0


def test_a_code_that_does_not_exist_is_a_usage_error(cli: Cli) -> None:
    ran = cli("check", "--explain", "HR999")
    assert (ran.code, ran.out) == (2, "")


def test_the_tree_is_drawn(cli: Cli, golden: Golden) -> None:
    golden("check-tree", cli("check", "--tree").out)


def test_the_tree_is_drawn_for_mermaid(cli: Cli, golden: Golden) -> None:
    golden("check-mermaid", cli("check", "--tree=mermaid").out)


def test_the_resolved_policy_is_a_policy_that_decides_the_same(cli: Cli, tmp_path: Path) -> None:
    dumped = cli("check", "--resolved").out
    (tmp_path / "resolved.yaml").write_text(dumped)
    assert cli("diff", "routing-config.yaml", "resolved.yaml").out.startswith("nothing changes, proven")


def test_the_scope_says_what_is_proved_and_what_is_not(cli: Cli, golden: Golden) -> None:
    golden("check-scope", cli("check", "--scope").out)
    found = json.loads(cli("check", "--scope", "--json").out)
    assert found["proven"][0]["proven"] is True
    assert found["not_proved"]


def test_views_of_a_broken_policy_are_its_findings(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, LEAK)
    for view in ("--tree", "--tree=mermaid", "--resolved", "--scope"):
        ran = cli("check", view)
        assert ran.code == 1
        assert "HR301" in ran.out


CASES = """\
cases:
  - name: code goes to the big one
    given: {task_type: code}
    expect: {rule: code, route_to: EXPECTED}
"""


def test_the_cases_beside_the_policy_are_run(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.test.yaml").write_text(CASES.replace("EXPECTED", "big"))
    ran = cli("check")
    assert ran.code == 0
    assert "5 rules, 1 test passes" in ran.out
    (tmp_path / "routing-config.test.yaml").write_text(CASES.replace("EXPECTED", "home"))
    ran = cli("check")
    assert ran.code == 1
    assert "1 of 1 test failed" in ran.out
    assert json.loads(cli("check", "--json").out)["tests"] == {"passed": 0, "failed": 1}


def test_a_mistake_in_the_cases_is_a_finding_too(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.test.yaml").write_text(CASES.replace("task_type: code", "task_type: cdoe"))
    ran = cli("check")
    assert ran.code == 1
    assert "--> routing-config.test.yaml:3:24" in ran.out


def test_a_secret_in_the_policy_reaches_no_output(cli: Cli, tmp_path: Path) -> None:
    key = "sk-" + "ant-" + "api03-" + "Q7w8E9r0T1" * 3
    write(tmp_path, POLICY.replace("env:BIG_KEY", key))
    for style in ("full", "concise", "github", "json"):
        ran = cli("check", "--format", style)
        assert ran.code == 1
        assert "HR307" in ran.out
        assert key[12:] not in ran.out + ran.err
    ran = cli("explain", "hello", "--json")
    assert key[12:] not in ran.out + ran.err


def test_watching_tells_every_change(tmp_path: Path) -> None:
    policy = tmp_path / "routing-config.yaml"
    policy.write_text(POLICY)
    command = [sys.executable, "-m", "hroute", "check", "--watch"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment(tmp_path))
    assert process.stdout is not None
    try:
        assert "  routing-config.yaml  ok      5 rules" in process.stdout.readline()
        (tmp_path / "next").write_text(LEAK)
        (tmp_path / "next").replace(policy)
        assert process.stdout.readline().endswith("  routing-config.yaml  1 error\n")
        assert process.stdout.readline().startswith("error[HR301]")
    finally:
        process.kill()
        process.communicate()


def test_commands_that_somebody_vouches_for_are_listed(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, VOUCHED)
    assert cli("check").out.splitlines()[-1] == "vouched for: `mine` (it runs without network)"
    assert json.loads(cli("check", "--json").out)["vouched"] == [{"provider": "mine", "why": "it runs without network"}]


VOUCHED = """
providers:
  mine: {plugin: command, command: [llama, -q], vouched: it runs without network, local: true}
routing_rules: [{name: a, condition: {contains_pii: true}, route_to: mine, fallback: null}]
default: {route_to: mine}
"""
