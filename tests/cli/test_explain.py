"""`hroute explain`: where a request would go and why, for a person and for a program; what breaks it, and what must not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import POLICY, Cli, Ran

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases"
Golden = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _keys(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The providers of the small policy have their keys."""
    monkeypatch.setenv("BIG_KEY", "x")
    monkeypatch.setenv("OTHER_KEY", "x")


def explained(cli: Cli, *arguments: str) -> dict[str, Any]:
    ran = cli("explain", "--json", *arguments)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_a_decision_with_its_reasons(cli: Cli, golden: Golden) -> None:
    ran = cli("explain", "--signal", "task_type=qa", "--signal", "complexity=high", "Why is the sky blue?")
    assert ran.code == 0
    golden("explain", ran.out + "---\n" + ran.err)


def test_every_test_and_every_signal_on_demand(cli: Cli, golden: Golden) -> None:
    ran = cli("explain", "-v", "--signal", "batch_size=500", "--signal", "arrival_hour=9", "--signal", "tenant=acme")
    golden("explain-verbose", ran.out)


def test_a_refusal(cli: Cli, golden: Golden) -> None:
    ran = cli("explain", "--signal", "tenant=blocked", "--signal", "task_type=qa")
    assert ran.code == 0
    golden("explain-refused", ran.out)
    assert explained(cli, "--signal", "tenant=blocked")["refuse"] == "This account is closed."


def test_personal_data_is_named_by_kind_and_place_and_never_printed(cli: Cli, golden: Golden) -> None:
    ran = cli("explain", "My SSN is 078-05-1120, fill the form")
    golden("explain-private", ran.out)
    assert "078-05-1120" not in ran.out
    found = explained(cli, "My SSN is 078-05-1120, fill the form")
    assert (found["rule"], found["route_to"], found["fallback"]) == ("private", "home", [])
    assert found["found"][0]["kind"] == "us_ssn"


def test_the_keys_that_programs_rely_on(cli: Cli) -> None:
    found = explained(cli, "--signal", "task_type=code", "hello")
    assert found["schema"] == "hroute.explain/1"
    assert {
        "rule",
        "route_to",
        "fallback",
        "signals",
        "score",
        "confidence",
        "policy",
        "steps",
        "nearest",
        "cost_usd",
    } <= set(found)
    assert set(found["steps"][0]) >= {"rule", "match", "signal", "want", "got"}
    assert {"estimate", "basis", "output_tokens", "quantile", "answers", "set_aside"} <= set(found["cost_usd"])
    assert [step["match"] for step in found["steps"]] == [False, True]
    assert found["signals"]["pii"] == []
    assert found["signals"]["tenant"] is None


def test_the_default_is_called_default(cli: Cli) -> None:
    assert explained(cli, "--signal", "task_type=qa")["rule"] == "default"


def test_without_a_prompt_what_is_assumed_is_said(cli: Cli) -> None:
    ran = cli("explain", "--signal", "task_type=code")
    assert "contains_pii false" in ran.out
    assert "contains_pii" in explained(cli, "--signal", "task_type=code")["assumed"]


def test_a_caller_may_raise_a_taint_and_not_lower_it(cli: Cli) -> None:
    assert explained(cli, "--signal", "contains_pii=true", "hello")["rule"] == "private"
    assert explained(cli, "--signal", "contains_pii=false", "My SSN is 078-05-1120")["rule"] == "private"


def test_a_provider_that_is_down_is_left_out(cli: Cli) -> None:
    found = explained(cli, "--signal", "task_type=code", "--down", "big", "hello")
    assert (found["route_to"], found["tries"], found["skipped"]) == ("big", ["other"], {"big": "down"})
    assert explained(cli, "--signal", "task_type=code", "--down", "anthropic", "hello")["tries"] == ["other"]
    ran = cli("explain", "--down", "bgi", "hello")
    assert ran.code == 2
    assert "did you mean `big`" in ran.err


def test_lazily_only_what_the_answer_depends_on_is_read(cli: Cli) -> None:
    eager, lazy = (
        explained(cli, "hi", "--signal", "task_type=code"),
        explained(cli, "--lazy", "hi", "--signal", "task_type=code"),
    )
    assert lazy["rule"] == eager["rule"]
    assert "score" in eager["signals"]
    assert "score" not in lazy["signals"]


def test_session_and_cost_center_are_signals(cli: Cli) -> None:
    found = explained(cli, "--session", "s1", "--cost-center", "bot", "hello")
    assert (found["signals"]["session"], found["signals"]["cost_center"]) == ("s1", "bot")


@pytest.mark.parametrize(
    "assignment", ["task_type=cdoe", "task_typ=code", "batch_size=-1", "score=2", "contains_pii=yes", "nonsense"]
)
def test_a_signal_that_does_not_fit_is_a_usage_error_that_names_it(assignment: str, cli: Cli) -> None:
    ran = cli("explain", "--signal", assignment, "--json")
    assert ran.code == 2
    assert assignment.partition("=")[0] in ran.err
    assert json.loads(ran.out)["error"]["code"] == "usage"


def test_the_prompt_may_be_a_file_and_files_beside_a_prompt_are_context(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("My SSN is 078-05-1120")
    assert explained(cli, "-f", "prompt.txt")["found"][0]["where"] == "user"
    assert explained(cli, "-f", "prompt.txt", "Fill the form")["found"][0]["where"] == "context"


def test_every_scenario_of_the_article(cli: Cli) -> None:
    from hroute.schema.source import read

    scenarios = CASES / "article-scenarios.yaml"
    if not scenarios.exists():
        pytest.skip("the shared cases are not beside this checkout")
    for case in read(str(scenarios)).data:
        signals = [f"--signal={name}={str(value).lower()}" for name, value in case["given"].items()]
        found = explained(cli, "-p", str(CASES / "article-policy.yaml"), *signals)
        assert {key: found[key] for key in case["expect"]} == case["expect"]


# what tries to break it

Hroute = Callable[..., Ran]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "routing-config.yaml").write_text(POLICY)
    return tmp_path


def test_the_prompt_may_be_piped_in(here: Path, hroute: Hroute) -> None:
    found = json.loads(hroute("explain", "--json", input="My SSN is 078-05-1120").out)
    assert found["rule"] == "private"
    assert json.loads(hroute("explain", "--json", "-", input="My SSN is 078-05-1120").out)["rule"] == "private"


def test_what_is_piped_in_beside_a_prompt_is_context(here: Path, hroute: Hroute) -> None:
    found = json.loads(
        hroute("explain", "--json", "Write a commit message", input="+ ssn = 'My SSN is 078-05-1120'").out
    )
    assert (found["rule"], found["found"][0]["where"]) == ("private", "context")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"hello \0 world", "NUL byte at byte 7"),
        (b"caf\xe9", "not UTF-8 text: byte 0xe9 at byte 4"),
        (b"", "there is no prompt"),
    ],
)
def test_bytes_that_are_no_text_are_a_usage_error(raw: bytes, said: str, here: Path, hroute: Hroute) -> None:
    ran = hroute("explain", input=raw)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_long_prompt_is_read_whole(here: Path, hroute: Hroute) -> None:
    found = json.loads(hroute("explain", "--json", input="word " * 2_000_000 + "My SSN is 078-05-1120").out)
    assert found["rule"] == "private"
    assert found["signals"]["prompt_tokens"] > 1_000_000


def test_an_endless_line_is_refused(here: Path, hroute: Hroute) -> None:
    ran = hroute("explain", input=b"x" * (65 << 20))
    assert ran.code == 2
    assert "stdin is longer than 64 MiB" in ran.err


def test_files_that_are_none_are_usage_errors(here: Path, hroute: Hroute) -> None:
    (here / "binary").write_bytes(b"\0\1")
    for name, said in (
        (str(here), "is a directory"),
        ("missing.txt", "No such file"),
        ("binary", "NUL byte"),
        ("/dev/zero", "longer than 64 MiB"),
    ):
        ran = hroute("explain", "-f", name, "hello")
        assert ran.code == 2
        assert said in ran.err


def test_control_characters_of_a_policy_never_reach_the_terminal(here: Path, hroute: Hroute) -> None:
    (here / "routing-config.yaml").write_text(
        'routing_rules:\n  - {name: "a\\e[31mb", condition: {tenant: x}, route_to: ollama}\n'
    )
    ran = hroute("explain", "--signal", "tenant=x")
    assert "\x1b" not in ran.out + ran.err
    assert "a␛[31mb" in ran.out


def test_a_pipe_that_stays_silent_does_not_hang_a_question_that_is_complete(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hroute.cli.request._PATIENCE", 0.05)
    reader, writer = os.pipe()
    with open(reader) as silent:
        monkeypatch.setattr("sys.stdin", silent)
        ran = cli("explain", "--json", "hello")
    os.close(writer)
    assert ran.code == 0
    assert "nothing came on stdin" in ran.err
