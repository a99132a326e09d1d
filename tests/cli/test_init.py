"""`hroute init` and `hroute schema`: a first policy that has no findings, and what an editor needs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hroute.cli import schema
from tests.cli.conftest import Cli


@pytest.fixture(autouse=True)
def _empty(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").unlink()


def test_it_works_in_an_empty_directory_and_what_it_writes_is_right(
    cli: Cli,
) -> None:
    ran = cli("init")
    assert (ran.code, ran.err) == (0, "")
    lines = [re.sub(r" {2,}", "  ", line) for line in ran.out.splitlines()]
    assert re.fullmatch(r"wrote routing-config.yaml  6 providers, \d+ rules, 1 guarantee", lines[0])
    assert re.fullmatch(r"wrote routing-config.test.yaml  \d+ cases", lines[1])
    assert lines[2:] == [
        "wrote hroute/schema/policy.schema.json",
        "Your editor completes keys now (yaml-language-server reads line 1).",
        "Next: hroute check --watch",
    ]
    found = json.loads(cli("check", "--deny-warnings", "--json").out)
    assert (found["findings"], found["tests"]["failed"]) == ([], 0)
    assert cli("check", "--deny-warnings").code == 0
    assert cli("test", "--cov-fail-under", "100").code == 0


def test_the_modeline_names_the_schema_that_was_written(cli: Cli, tmp_path: Path) -> None:
    cli("init")
    first = (tmp_path / "routing-config.yaml").read_text().splitlines()[0]
    named = tmp_path / first.partition("$schema=")[2]
    written = json.loads(named.read_text())
    assert "claude_sonnet" in written["$defs"]["provider_name"]["anyOf"][0]["enum"]


def test_nothing_is_overwritten_unless_forced(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.test.yaml").write_text("mine")
    ran = cli("init")
    assert ran.code == 2
    assert "routing-config.test.yaml" in ran.err
    assert not (tmp_path / "routing-config.yaml").exists()
    assert (tmp_path / "routing-config.test.yaml").read_text() == "mine"
    assert cli("init", "--force").code == 0
    assert (tmp_path / "routing-config.test.yaml").read_text() != "mine"


def test_the_files_are_told_to_a_program(cli: Cli) -> None:
    found = json.loads(cli("init", "--json").out)
    assert found["schema"] == "hroute.init/1"
    assert found["files"][0] == "routing-config.yaml"


def test_a_directory_that_cannot_be_written_is_no_traceback(cli: Cli) -> None:
    ran = cli("init", "-p", "/proc/nowhere/policy.yaml")
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_the_schema_is_one_that_a_validator_takes(cli: Cli) -> None:
    import jsonschema

    cli("init")
    for arguments in ([], ["-p", "routing-config.yaml"]):
        jsonschema.Draft202012Validator.check_schema(json.loads(cli("schema", *arguments).out))


def test_names_are_offered_and_new_ones_stay_allowed(cli: Cli, tmp_path: Path) -> None:
    import jsonschema
    import yaml

    cli("init")
    offered = json.loads(cli("schema", "-p", "routing-config.yaml", "--json").out)
    assert offered != schema.plain()
    policy = yaml.safe_load((tmp_path / "routing-config.yaml").read_text())
    validator = jsonschema.Draft202012Validator(offered)
    assert not list(validator.iter_errors(policy))
    policy["providers"] = {"new_one": {"plugin": "ollama", "model": "x"}}
    policy["default"] = {"route_to": "new_one"}
    assert not list(validator.iter_errors(policy))
