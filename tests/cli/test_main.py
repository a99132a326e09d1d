"""One place maps errors to exit codes; nothing that is not called is imported; a pipe may close."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hroute
from hroute.cli import main
from tests.cli.conftest import POLICY, Cli, Ran, environment

SDKS = {"anthropic", "openai", "ollama", "httpx", "aiohttp"}


def imported_by(arguments: list[str], directory: Path) -> set[str]:
    """The top-level modules that a command has imported when it ends."""
    code = f"import sys; from hroute.cli.main import main; main({arguments!r}); print(*{{m.partition('.')[0] for m in sys.modules}}, file=sys.stderr)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=directory,
        env=environment(directory),
        stdin=subprocess.DEVNULL,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check"], ["explain", "hello"], ["status"], ["diff", "routing-config.yaml"]]
)
def test_no_sdk_is_imported_before_something_is_sent(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text(POLICY)
    assert not imported_by(arguments, tmp_path) & SDKS


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "hello"], ["check"]])
def test_rich_is_not_in_the_way(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text(POLICY)
    assert "rich" not in imported_by(arguments, tmp_path)


def test_the_help_needs_neither_yaml_nor_patterns(tmp_path: Path) -> None:
    assert not imported_by(["--help"], tmp_path) & {"yaml", "jsonschema", "re2", "rich"}


def test_importing_the_package_imports_nothing_of_it(tmp_path: Path) -> None:
    code = "import sys, hroute; print(*[m for m in sys.modules if m.startswith('hroute.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(tmp_path), check=True
    )
    assert done.stdout.strip() == ""


def test_every_public_name_of_the_package_exists() -> None:
    for name in hroute.__all__:
        assert getattr(hroute, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        hroute.no_such_name  # noqa: B018


def test_the_help_starts_with_examples_and_names_every_command(cli: Cli, golden: Callable[[str, str], None]) -> None:
    ran = cli("--help")
    assert ran.code == 0
    assert ran.out.split("\n\n")[1].strip().startswith("Examples:")
    for command in main.COMMANDS:
        assert f"\n  {command} " in ran.out
    golden("help", ran.out)


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_explains_itself(command: str, cli: Cli) -> None:
    ran = cli(command, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: hroute {command}")


def test_a_command_that_does_not_exist_is_a_usage_error_with_a_proposal(cli: Cli) -> None:
    ran = cli("expalin")
    assert (ran.code, ran.out) == (2, "")
    assert "explain" in ran.err


def test_an_option_that_does_not_exist_is_a_usage_error(cli: Cli) -> None:
    ran = cli("check", "--no-such-option", "--json")
    assert ran.code == 2
    assert json.loads(ran.out)["error"]["code"] == "usage"
    assert json.loads(ran.out)["schema"] == "hroute.check/1"


def test_the_version_is_printed(cli: Cli) -> None:
    assert cli("--version") == Ran(0, f"hroute {hroute.__version__}\n", "")


def test_a_broken_policy_is_exit_3_with_the_findings_on_stderr(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text(POLICY.replace("route_to: other", "route_to: othre"))
    ran = cli("explain", "hello")
    assert (ran.code, ran.out) == (3, "")
    assert "error[HR021]" in ran.err
    assert "did you mean `other`" in ran.err


def test_a_broken_policy_is_told_to_a_program_on_stdout(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text("not: [closed")
    ran = cli("explain", "hello", "--json")
    found = json.loads(ran.out)
    assert ran.code == 3
    assert found["error"]["code"] == "policy"
    assert [f["code"] for f in found["findings"]] == ["HR001"]


def test_no_policy_at_all_says_how_to_get_one(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").unlink()
    ran = cli("explain", "hello")
    assert ran.code == 3
    assert "hroute init" in ran.err


def test_the_policy_is_looked_for_in_four_places(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rule(*arguments: str) -> str:
        found: str = json.loads(cli("explain", "--signal", "tenant=x", "--json", *arguments).out)["rule"]
        return found

    def write(path: Path, name: str) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"routing_rules:\n  - {{name: {name}, condition: {{tenant: x}}, route_to: ollama}}\n")
        return str(path)

    write(tmp_path / ".config" / "hroute" / "routing-config.yaml", "at_home")
    here = tmp_path / "routing-config.yaml"
    here.unlink()
    assert rule() == "at_home"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    write(tmp_path / "xdg" / "hroute" / "routing-config.yaml", "in_xdg")
    assert rule() == "in_xdg"
    write(here, "here")
    assert rule() == "here"
    monkeypatch.setenv("HROUTE_POLICY", write(tmp_path / "by-name.yaml", "by_environment"))
    assert rule() == "by_environment"
    assert rule("-p", write(tmp_path / "given.yaml", "given")) == "given"


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hroute", "models"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(tmp_path)
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 0


def test_an_interrupt_is_130_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text(POLICY)
    command = [sys.executable, "-m", "hroute", "check", "--watch"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(tmp_path)
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")


def test_a_defect_of_ours_shows_neither_traceback_nor_text(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(given: object) -> None:
        raise RuntimeError("the prompt was: my secret")

    monkeypatch.setattr("hroute.cli.policies.load", broken)
    ran = cli("explain", "my secret", "--json")
    assert ran.code == 70
    assert "RuntimeError at test_main.py" in ran.err
    assert "my secret" not in ran.err + ran.out


def test_no_colour_off_a_terminal(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text(POLICY.replace("route_to: other", "route_to: othre"))
    ran = cli("check")
    assert "\x1b" not in ran.out + ran.err


@pytest.mark.parametrize("command", ["ask", "explain", "check", "diff", "dry-run"])
def test_an_argument_that_is_not_utf_8_is_a_usage_error(command: str, cli: Cli) -> None:
    ran = cli(command, "caf\udce9")
    assert (ran.code, ran.out) == (2, "")
    assert "argument 2 is not UTF-8 text" in ran.err


def test_a_full_disk_is_said_once(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "hroute", "models"]
        done = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment(tmp_path),
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "error: No space left on device\n")


def test_completion_knows_commands_and_options(tmp_path: Path) -> None:
    def completions(line: str, position: int) -> str:
        env = environment(tmp_path, _HROUTE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(position))
        return subprocess.run(
            [sys.executable, "-m", "hroute"], capture_output=True, text=True, env=env, check=False
        ).stdout

    assert completions("hroute expl", 1).split() == ["explain"]
    assert "--deny-warnings" in completions("hroute check --", 2)
