"""Claude Code is run through the gateway: found or started, arguments and signals passed on, logins told and kept."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hroute.cli import claude_code, gateways, main
from hroute.cli.claude import environment as environment_of
from hroute.cli.claude import parted
from hroute.errors import UsageError
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.schema.load import load
from tests.cli.conftest import Cli, environment

POLICY = """
providers:
  claude: {plugin: anthropic, model: claude-x, api_key: client}
  home: {plugin: ollama, model: small, base_url: "http://127.0.0.1:1", local: true}
routing_rules: []
default: {route_to: claude, fallback: home}
"""

STAND_IN = """#!{python}
import json, os, signal, sys, time, urllib.request
if "wait" in sys.argv:
    if "stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
    if "counting" in sys.argv:
        heard = []
        signal.signal(signal.SIGINT, lambda *_: heard.append(1))
        print(json.dumps({{"pid": os.getpid()}}), flush=True)
        while not heard:
            time.sleep(0.05)
        time.sleep(1)
        urllib.request.urlopen(os.environ["ANTHROPIC_BASE_URL"] + "/readyz")  # the gateway has not ended of it
        sys.exit(40 + len(heard))
    if "counting" not in sys.argv: print(json.dumps({{"pid": os.getpid(), "url": os.environ["ANTHROPIC_BASE_URL"]}}), flush=True)
    time.sleep(60)
names = ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "NO_PROXY")
ready = json.load(urllib.request.urlopen(os.environ["ANTHROPIC_BASE_URL"] + "/readyz"))
print(json.dumps({{"args": sys.argv[1:], "ready": ready, **{{name: os.environ.get(name) for name in names}}}}))
sys.exit(7)
"""
"""What is run in Claude Code's place: says what it was given, and what it finds."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "routing-config.yaml").write_text(POLICY)
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "claude").write_text(STAND_IN.format(python=sys.executable))
    (bin / "claude").chmod(0o755)
    return tmp_path


def surroundings(place: Path, **more: str) -> dict[str, str]:
    made = environment(place, HROUTE_LEDGER="", **more)
    return {**made, "PATH": f"{place / 'bin'}{os.pathsep}{made['PATH']}"}


def run(place: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hroute", "claude", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=place, env=surroundings(place, **environ), timeout=60)  # fmt: skip


def begun(place: Path, *arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    command = [sys.executable, "-m", "hroute", "claude", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place, env=surroundings(place), start_new_session=True)  # fmt: skip
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def gone(url: str) -> bool:
    """Whether nobody answers any more; a gateway may take its time to end."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if gateways.ask(url, "/readyz") is None:
            return True
        time.sleep(0.05)
    return False


def test_arguments_environment_and_exit_code_pass_through_and_the_gateway_ends_with_it(place: Path) -> None:
    done = run(place, "--model", "hroute/home", "-p", "say hi", "--", "--json", HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="example.com")  # fmt: skip
    said = json.loads(done.stdout)
    assert done.returncode == 7
    assert said["args"] == ["--model", "hroute/home", "-p", "say hi", "--", "--json"]
    assert said["ready"]["ready"] is True
    assert said["ANTHROPIC_AUTH_TOKEN"] == "hroute"
    assert said["NO_PROXY"].split(",")[:2] == ["example.com", "127.0.0.1"]
    assert done.stderr == ""
    assert gone(said["ANTHROPIC_BASE_URL"])


@pytest.mark.parametrize(
    ("words", "sent", "code"),
    [
        (["wait"], signal.SIGTERM, 128 + signal.SIGTERM),
        (["wait", "stubborn"], signal.SIGTERM, 9),
        (["wait"], signal.SIGINT, 128 + signal.SIGINT),
    ],
)
def test_a_signal_reaches_it_and_nothing_is_left_behind(
    words: list[str], sent: signal.Signals, code: int, place: Path
) -> None:
    process, said = begun(place, *words)
    with process:
        process.send_signal(sent)
        assert process.wait(30) == code
    assert gone(said["url"])
    with pytest.raises(ProcessLookupError):
        os.kill(said["pid"], 0)


def test_a_ctrl_c_of_the_terminal_is_heard_once_and_ends_only_what_it_means(place: Path) -> None:
    """Everybody in front of a terminal gets it: passed on as well, it would count twice, and twice means leave."""
    child, screen = pty.fork()
    if child == 0:
        os.chdir(place)
        os.execve(sys.executable, [sys.executable, "-m", "hroute", "claude", "wait", "counting"], surroundings(place))
    shown = b""
    while b'"pid"' not in shown:
        shown += os.read(screen, 1 << 12)
    os.write(screen, b"\x03")
    _, status = os.waitpid(child, 0)
    os.close(screen)
    assert os.waitstatus_to_exitcode(status) == 41, shown


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_no_gateway_outlives_us_however_we_end(place: Path) -> None:
    process, said = begun(place, "wait")
    with process:
        process.kill()
        process.wait(30)
        assert gone(said["url"])
        os.kill(said["pid"], signal.SIGKILL)


def test_a_gateway_that_serves_the_policy_is_used_and_one_of_another_policy_is_not(place: Path) -> None:
    command = [sys.executable, "-m", "hroute", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=place, env=surroundings(place)) as gateway:
        assert gateway.stdout is not None
        url = json.loads(gateway.stdout.readline())["url"]
        port = url.rpartition(":")[2]
        policy = place / "routing-config.yaml"
        before = policy.read_text()
        try:
            (place / "other.yaml").write_text(f"{before}gateway: {{port: {port}}}\n")
            there = json.loads(run(place, "--policy", "other.yaml").stdout)
            assert there["ANTHROPIC_BASE_URL"] != url
            policy.write_text(f"{before}gateway: {{port: {port}}}\n")
            deadline = time.monotonic() + 30
            while gateways.ask(url, "/readyz") != {**there["ready"]} and time.monotonic() < deadline:
                gateway.send_signal(signal.SIGHUP)
                time.sleep(0.1)
            assert json.loads(run(place).stdout)["ANTHROPIC_BASE_URL"] == url
        finally:
            gateway.terminate()


def test_a_gateway_that_does_not_start_says_why(place: Path) -> None:
    policy, _, _ = load(str(place / "routing-config.yaml"))
    assert policy is not None
    (place / "routing-config.yaml").unlink()
    with pytest.raises(UsageError, match="the gateway did not start: there is no policy"):
        gateways.started(policy).__enter__()


def test_options_of_ours_stand_first_and_all_else_is_its_own() -> None:
    assert parted(["claude"]) == ["claude"]
    assert parted(["claude", "-p", "x"]) == ["claude", "--", "-p", "x"]
    assert parted(["claude", "--policy", "a.yaml", "-p", "x", "--json"]) == ["claude", "--policy", "a.yaml", "--", "-p", "x", "--json"]  # fmt: skip
    assert parted(["claude", "--policy=a.yaml", "--doctor"]) == ["claude", "--policy=a.yaml", "--doctor"]
    assert parted(["claude", "--", "--help"]) == ["claude", "--", "--help"]


def test_the_placeholder_is_for_whoever_has_no_login(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert environment_of("http://127.0.0.1:1", home)["ANTHROPIC_AUTH_TOKEN"] == "hroute"
    assert "ANTHROPIC_AUTH_TOKEN" not in environment_of("http://127.0.0.1:1", {**home, "ANTHROPIC_API_KEY": "k"})
    (tmp_path / ".claude.json").write_text('{"oauthAccount": {"emailAddress": "x"}}')
    assert "ANTHROPIC_AUTH_TOKEN" not in environment_of("http://127.0.0.1:1", home)


@pytest.mark.parametrize(
    ("files", "environ", "login"),
    [
        ({}, {}, None),
        ({".claude/.credentials.json": "{}"}, {}, "its own subscription"),
        ({".claude.json": '{"oauthAccount": {}}'}, {}, None),
        ({".claude/.credentials.json": "{}"}, {"CLAUDE_CODE_OAUTH_TOKEN": "t"}, "$CLAUDE_CODE_OAUTH_TOKEN"),
        (
            {".claude/settings.json": '{"apiKeyHelper": "x"}'},
            {"CLAUDE_CODE_OAUTH_TOKEN": "t"},
            "apiKeyHelper of its settings",
        ),
        ({".claude/settings.json": '{"apiKeyHelper": "x"}'}, {"ANTHROPIC_API_KEY": "k"}, "$ANTHROPIC_API_KEY"),
        ({}, {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t"}, "$ANTHROPIC_AUTH_TOKEN"),
        ({".claude/settings.json": "not json"}, {}, None),
    ],
)
def test_the_login_is_the_one_that_claude_code_would_take(
    files: dict[str, str], environ: dict[str, str], login: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert claude_code.login({"HOME": str(tmp_path), **environ}) == login


Prepared = Callable[[str], None]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    def write(text: str) -> None:
        (tmp_path / ".claude").mkdir()
        (tmp_path / ".claude" / "settings.json").write_text(text)

    return write


def test_a_settings_file_that_names_another_address_is_overruled(place: Path, settings: Prepared) -> None:
    settings('{"env": {"ANTHROPIC_BASE_URL": "https://elsewhere.example"}}')
    said = json.loads(run(place, "-p", "x").stdout)
    assert said["args"][0] == "--settings"
    assert json.loads(said["args"][1]) == {"env": {"ANTHROPIC_BASE_URL": said["ANTHROPIC_BASE_URL"]}}
    taken = run(place, "--settings", "mine.json")
    assert taken.returncode == 2
    assert "names another ANTHROPIC_BASE_URL, and --settings is taken" in taken.stderr


@pytest.mark.parametrize("where", ["environment", "settings"])
def test_another_cloud_is_past_every_gateway(
    where: str, cli: Cli, settings: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "environment":
        monkeypatch.setenv("CLAUDE_CODE_USE_BEDROCK", "1")
    else:
        settings('{"env": {"CLAUDE_CODE_USE_VERTEX": "1"}}')
    monkeypatch.setattr("shutil.which", lambda name: "/bin/true")
    found = cli("claude", "-p", "x")
    assert found.code == 2
    assert "makes Claude Code ask another cloud, past every gateway" in found.err


def test_without_claude_code_it_says_how_it_is_installed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = cli("claude")
    assert (found.code, "npm install -g @anthropic-ai/claude-code" in found.err) == (2, True)
    assert cli("claude", "--json").code == 2


def test_no_stranger_is_ever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("http.client.HTTPConnection.connect", lambda self: pytest.fail("a socket was opened"))
    for url in ("https://api.anthropic.com", "http://10.0.0.1:8484", "http://127.0.0.1.example.com", "nonsense", "http://[", ""):  # fmt: skip
        assert gateways.ask(url, "/readyz") is None


def test_the_help_is_ours_and_names_the_way_to_its_own(cli: Cli) -> None:
    found = cli("claude", "--help")
    assert found.code == 0
    assert "hroute claude -- --help" in found.out
    assert main.COMMANDS["claude"] == "Run Claude Code through the gateway."


DOCTORED = """
providers:
  claude: {{plugin: anthropic, model: claude-x, api_key: client}}
  gpt: {{plugin: openai, model: gpt-x, api_key: env:KEY}}
  home: {{plugin: ollama, model: small, base_url: "{url}/home", local: true, timeout: {{first_token: {first_token}}}}}
routing_rules: [{{name: code, condition: {{task_type: code}}, route_to: gpt}}]
default: {{route_to: claude, fallback: home}}
"""


def test_the_doctor_says_what_this_machine_can_do(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    call = {"message": {"any_of": ["read_file"]}, "tools": [{"name": "read_file", "input": {"path": "notes.txt"}}]}
    with SandboxServer(Script.from_data({"answers": [call, {"text": "x"}]})) as sandbox:
        for first_token, good in (("30s", True), ("1ms", False)):
            text = DOCTORED.format(url=sandbox.url, first_token=first_token)
            (tmp_path / "routing-config.yaml").write_text(text)
            found = json.loads(cli("claude", "--doctor", "--json").out)
            home = found["local"][0]
            assert (home["ok"], home["in_time"], home["calls_tools"]) == (good, good, True), home
            assert home["tokens_per_second"] > 0
        lines = cli("claude", "--doctor").out
    assert (found["login"], found["login_goes_to"], found["gateway"]) == ("$ANTHROPIC_API_KEY", ["claude"], None)
    assert (found["cache_kept"], found["cache_lost"]) == (["claude"], ["gpt", "home"])
    assert "not installed: npm install -g @anthropic-ai/claude-code" in lines
    assert "$ANTHROPIC_API_KEY: it goes to claude, and to nobody else" in lines
    assert "too slow" in lines
    assert cli("claude", "--doctor").code == 1


def test_the_doctor_says_what_is_down(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text(DOCTORED.format(url="http://127.0.0.1:1", first_token="30s"))
    found = cli("claude", "--doctor")
    assert found.code == 1
    assert "home" in found.out
    assert "refused" in found.out or "reach" in found.out, found.out
