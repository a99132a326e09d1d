"""`hroute diff`: what changes route, from files and from git, with proof and witness."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import POLICY, Cli

OPENED = POLICY.replace("fallback: null}", "fallback: other}").split("guarantees:")[0]
MOVED = POLICY.replace('">100"', '">=100"')


@pytest.fixture(autouse=True)
def _files(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "moved.yaml").write_text(MOVED)
    (tmp_path / "opened.yaml").write_text(OPENED)


def test_nothing_changes_between_equals(cli: Cli) -> None:
    ran = cli("diff", "routing-config.yaml", "routing-config.yaml", "--fail-on", "change")
    assert (ran.code, ran.out) == (0, "nothing changes, proven for every possible request\n")


def test_regions_that_change_with_a_witness(cli: Cli, golden: Callable[[str, str], None]) -> None:
    ran = cli("diff", "routing-config.yaml", "moved.yaml")
    assert ran.code == 0
    golden("diff", ran.out)


def test_data_that_leaves_the_machine_is_marked(cli: Cli) -> None:
    ran = cli("diff", "routing-config.yaml", "opened.yaml", "--fail-on", "leaves-machine")
    assert ran.code == 1
    assert "LEAVES THE MACHINE" in ran.out
    assert cli("diff", "opened.yaml", "routing-config.yaml", "--fail-on", "leaves-machine,newly-reaching").code == 0
    assert cli("diff", "routing-config.yaml", "opened.yaml", "--fail-on", "newly-reaching").code == 1


def test_a_comment_for_a_pull_request(cli: Cli, golden: Callable[[str, str], None]) -> None:
    golden("diff-markdown", cli("diff", "routing-config.yaml", "opened.yaml", "--markdown").out)


def test_changes_for_a_program(cli: Cli) -> None:
    found = json.loads(cli("diff", "routing-config.yaml", "opened.yaml", "--json").out)
    assert (found["schema"], found["proven"], len(found["changes"])) == ("hroute.diff/1", True, 1)
    change = found["changes"][0]
    assert change["from"] == {"rule": "private", "route_to": "home", "fallback": []}
    assert change["to"] == {"rule": "private", "route_to": "home", "fallback": ["other"]}
    assert (change["leaves_machine"], change["newly_reaching"]) == (True, ["other"])
    assert change["witness"]["contains_pii"] is True


def test_a_witness_goes_where_the_difference_says(cli: Cli) -> None:
    change = json.loads(cli("diff", "routing-config.yaml", "moved.yaml", "--json").out)["changes"][0]
    signals = [f"--signal={name}={value}" for name, value in change["witness"].items()]
    for policy, end in (("routing-config.yaml", "from"), ("moved.yaml", "to")):
        found = json.loads(cli("explain", "--json", "-p", policy, *signals).out)
        assert found["rule"] == change[end]["rule"]


def test_the_committed_policy_is_what_it_is_compared_with(cli: Cli, tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "routing-config.yaml"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    (tmp_path / "routing-config.yaml").write_text(MOVED)
    with_default = cli("diff")
    assert with_default.out.startswith("3 regions change, proven")
    assert cli("diff", "HEAD").out == with_default.out
    assert cli("diff", "HEAD:routing-config.yaml", "routing-config.yaml").out == with_default.out


@pytest.mark.parametrize("old", ["no-such-file.yaml", "HEAD:no/such", "--output=x"])
def test_what_is_neither_file_nor_revision_is_a_usage_error(old: str, cli: Cli) -> None:
    assert cli("diff", "--", old, "routing-config.yaml").code == 2


def test_a_broken_side_is_3(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("routing_rules: 7")
    ran = cli("diff", "broken.yaml", "routing-config.yaml")
    assert (ran.code, "HR010" in ran.err) == (3, True)


def test_a_condition_to_fail_on_that_does_not_exist_is_a_usage_error(cli: Cli) -> None:
    assert cli("diff", "routing-config.yaml", "moved.yaml", "--fail-on", "everything").code == 2
