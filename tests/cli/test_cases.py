"""`hroute test`: the policy's cases, what they cover, what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Cli

CASES = """\
cases:
  - name: code goes to the big one
    given: {task_type: code}
    expect: {rule: code, route_to: big, fallback: [other]}
  - name: a social security number stays home
    given: {prompt: "My SSN is 078-05-1120"}
    expect: {rule: private, route_to: home}
  - name: the threshold is where we think
    given: {task_type: qa}
    each:
      - {given: {batch_size: 101}, expect: {route_to: other}}
      - {given: {batch_size: 100}, expect: {route_to: other}}
  - name: closed
    given: {tenant: blocked, batch_size: 500}
    expect: {rule: closed}
  - name: long code while the big one is down
    given: {task_type: code, down: [big]}
    expect: {tries: [other]}
"""


@pytest.fixture(autouse=True)
def cases(cli: Cli, tmp_path: Path) -> Path:
    file = tmp_path / "routing-config.test.yaml"
    file.write_text(CASES)
    return file


def test_failures_say_why_and_coverage_says_what_is_missing(cli: Cli, golden: Callable[[str, str], None]) -> None:
    ran = cli("test")
    assert ran.code == 1
    golden("test", ran.out)


def test_the_keys_that_programs_rely_on(cli: Cli) -> None:
    found = json.loads(cli("test", "--json").out)
    assert (found["schema"], found["passed"], found["failed"]) == ("hroute.test/1", 4, 2)
    assert [case["ok"] for case in found["cases"]] == [True, True, True, False, False, True]
    assert {"rules", "branches", "fallbacks", "missing"} <= set(found["coverage"])


def test_some_cases_by_name(cli: Cli) -> None:
    ran = cli("test", "--run", "^code|social")
    assert ran.code == 0
    assert ran.out == "2 cases: 2 passed\n"
    assert cli("test", "--run", "nothing like it").code == 2
    assert cli("test", "--run", "(").code == 2


def test_junit_is_xml_with_every_case(cli: Cli, tmp_path: Path) -> None:
    assert cli("test", "--junit", "out.xml").code == 1
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("6", "2")
    assert len(suite.findall("testcase/failure")) == 2


def test_too_little_coverage_is_1(cli: Cli, cases: Path) -> None:
    cases.write_text(CASES.split("  - name: the threshold")[0])
    assert cli("test").code == 0
    assert cli("test", "--cov-fail-under", "100").code == 1
    assert cli("test", "--cov-fail-under", "10").code == 0


def test_what_is_suggested_passes_and_covers_everything(cli: Cli, cases: Path) -> None:
    cases.unlink()
    ran = cli("test", "--suggest")
    assert ran.code == 0
    cases.write_text(ran.out)
    ran = cli("test", "--cov-fail-under", "100")
    assert ran.code == 0, ran.out


def test_no_cases_is_a_usage_error_with_a_way_out(cli: Cli, cases: Path) -> None:
    cases.unlink()
    ran = cli("test")
    assert ran.code == 2
    assert "--suggest" in ran.err


@pytest.mark.parametrize(
    "text",
    ["", "cases: 7", "cases: [{}]", "a: [", "cases: [{name: x, given: {task_type: cdoe}, expect: {rule: code}}]"],
)
def test_a_test_file_that_is_wrong_says_where(text: str, cli: Cli, cases: Path) -> None:
    cases.write_text(text)
    ran = cli("test")
    assert ran.code in (2, 3)
    assert "routing-config.test.yaml" in ran.err
    assert "Traceback" not in ran.err
