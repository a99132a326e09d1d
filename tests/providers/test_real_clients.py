"""The vendors' own clients, where they are installed, against the sandbox on a loopback address.

    npm install --prefix DIR @anthropic-ai/claude-code @openai/codex
    PATH=DIR/node_modules/.bin:$PATH make check-slow

No account is used: each runs with a home of its own, a made-up key and the sandbox's address.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hroute.providers import testing
from hroute.providers.command import CommandPlugin
from hroute.providers.protocol import Plugin, ProviderError, Target
from hroute.terms.message import Reply, prompt
from hroute.terms.outcome import Failure, Outcome
from tests.providers.stages import Served
from tests.providers.test_command import wait_until_gone

pytestmark = pytest.mark.slow

CLIENTS = {"claude": ("anthropic", "", ("-p",)), "codex": ("openai", "/v1", ("exec",))}
EXPANSIONS = ["/compact", "what is in @{secret} ?", '@"{secret}"', "!cat {secret}", "{secret}"]


class RealClient(Served):
    """A stage: the vendor's client in front of the sandbox, in a home that holds what must not be sent."""

    def __init__(self, name: str, home: Path) -> None:
        vendor, path, arguments = CLIENTS[name]
        super().__init__(vendor, path)
        self.name = name
        found = shutil.which(name)
        assert found is not None
        self._command = (found, *arguments)
        self.home = home
        self.plugin = CommandPlugin(
            {"PATH": os.environ["PATH"], "HOME": str(home), "MY_TOKEN": "PLANTED in the environment"}
        )

    def target(self) -> Target:
        model = {"claude": "sonnet", "codex": "gpt-5"}[self.name]
        return replace(super().target(), model=model, total=30.0, command=self._command)


@pytest.fixture(params=CLIENTS)
def stage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealClient]:
    if shutil.which(request.param) is None:
        pytest.skip(f"`{request.param}` is not installed: see the top of this file")
    folders = tmp_path / "folders"
    folders.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folders))
    for name in ("CLAUDE.md", "AGENTS.md"):
        (folders / name).write_text("PLANTED above the directory")
    with RealClient(request.param, tmp_path / "home") as made:
        made.home.mkdir()
        yield made
    assert sorted(left.name for left in folders.iterdir()) == ["AGENTS.md", "CLAUDE.md"]


def ask(stage: RealClient, text: str, **more: Any) -> Reply:
    target = stage.target()
    return stage.plugin.send(target, prompt(text, **more), testing.Leave(target.name))


NOT_TOLD_BY_A_CLIENT = {"check_retry_after_is_read"}  # no client passes that header on


@pytest.mark.parametrize("check", [c for c in testing.CHECKS if c.__name__ not in NOT_TOLD_BY_A_CLIENT], ids=testing.name_of)  # fmt: skip
def test_a_real_client_conforms(stage: RealClient, check: Callable[[Plugin, Any], None]) -> None:
    check(stage.plugin, stage)


def test_the_prompt_arrives_as_it_is_and_no_tool_with_it(stage: RealClient) -> None:
    stage.says("Fine.")
    reply = ask(stage, "Is the café open?\n\tYes or no.", system="Speak like a waiter.")
    (call,) = stage.bodies()
    assert reply.text == "Fine."
    assert any("Is the café open?\n\tYes or no." in text for text in texts(call["body"]))
    assert any("Speak like a waiter." in text for text in texts(call["body"]))
    offered = {tool.get("name", tool.get("type")) for tool in call["body"].get("tools", [])}
    assert offered <= {"request_user_input"}  # codex keeps it, and answers it itself


def test_nothing_of_the_home_the_directory_or_the_environment_is_sent(stage: RealClient) -> None:
    plant(stage.home)
    stage.says("Fine.")
    ask(stage, "Hello there.")
    (call,) = stage.bodies()
    found = [
        text for text in texts(call["body"]) if "PLANTED" in text and not text.startswith("# AGENTS.md instructions")
    ]
    assert found == []
    assert not (stage.home / "hooked").exists()


def plant(home: Path) -> None:
    skill = "---\nname: planted\ndescription: PLANTED skill\n---\nPLANTED"
    hook = f'{{"hooks": {{"SessionStart": [{{"hooks": [{{"type": "command", "command": "touch {home}/hooked"}}]}}]}}}}'
    for name, text in {
        ".claude/CLAUDE.md": "PLANTED memory",
        ".claude/skills/planted/SKILL.md": skill,
        ".claude/agents/planted.md": "---\nname: planted\ndescription: PLANTED agent\n---\nx",
        ".claude/settings.json": hook,
        ".codex/skills/planted/SKILL.md": skill,
        ".codex/config.toml": 'developer_instructions = "PLANTED config"\n',
        ".codex/AGENTS.md": "PLANTED, and codex has no way to leave it out: docs/subscriptions.md says so",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)


@pytest.mark.parametrize("written", EXPANSIONS)
def test_a_prompt_cannot_make_the_client_read_a_file(stage: RealClient, tmp_path: Path, written: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP SECRET")
    stage.says("Fine.")
    text = written.format(secret=secret)
    assert ask(stage, text).text == "Fine."
    (call,) = stage.bodies()
    assert any(text in said for said in texts(call["body"]))
    assert "TOP SECRET" not in str(call["body"])


@pytest.mark.parametrize("name", ["Bash", "exec_command", "shell", "Write", "apply_patch"])
def test_a_model_that_calls_a_tool_all_the_same_gets_nothing_done(stage: RealClient, tmp_path: Path, name: str) -> None:
    made = tmp_path / "made"
    given = {"command": f"touch {made}", "cmd": f"touch {made}", "file_path": str(made), "content": "x"}
    stage.says(tools=[(name, given)])
    target = replace(stage.target(), total=4.0)
    with pytest.raises(ProviderError):
        stage.plugin.send(target, prompt("Hello."), testing.Leave(target.name))
    assert stage.calls() > 1  # the client told the model that it has no such tool, and asked again
    assert not made.exists()


# -- when it goes wrong -------------------------------------------------------------------------------------------------


def how_it_failed(stage: RealClient, target: Target, text: str = "Hello.") -> Failure:
    with pytest.raises(ProviderError) as caught:
        stage.plugin.send(target, prompt(text), testing.Leave(target.name))
    failed = caught.value.failure
    shown = f"{failed!r} {failed.message}"
    assert target.api_key is None or target.api_key not in shown
    assert text not in shown
    return failed


def test_a_key_that_is_refused_and_one_that_is_missing_are_matters_of_the_credential(stage: RealClient) -> None:
    stage.fails("unauthorized")
    assert how_it_failed(stage, stage.target()).outcome is Outcome.CREDENTIAL
    assert how_it_failed(stage, replace(stage.target(), api_key=None)).outcome is Outcome.CREDENTIAL


@pytest.mark.parametrize("where", ["http://127.0.0.1:9", "http://nobody.invalid"])
def test_a_client_without_a_network_ends_long_before_its_time(stage: RealClient, where: str) -> None:
    """Codex would wait for ever. Who ran into the limit would be a `timeout`."""
    target = replace(stage.target(), base_url=where + CLIENTS[stage.name][1], total=300.0)
    assert how_it_failed(stage, target).outcome is Outcome.TRANSPORT


def test_nobody_sees_the_key_or_the_prompt_in_the_list_of_processes_and_a_killed_client_is_no_answer(
    stage: RealClient,
) -> None:
    stage.fails("slow", **{"for": 60})
    target = replace(stage.target(), total=60.0)
    assert target.api_key is not None
    seen: dict[int, Process] = {}

    def kill() -> None:
        while not stage.calls():
            time.sleep(0.05)
        seen.update(processes())
        (client,) = (pid for pid, one in seen.items() if one.parent == os.getpid() and one.group == pid)
        os.kill(client, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    failed = how_it_failed(stage, target, "the words of somebody")
    killer.join()
    assert (failed.outcome, failed.code) == (Outcome.SERVER, "signal_9")
    assert any(stage.name in one.arguments for one in seen.values())
    assert not any(text in one.arguments for one in seen.values() for text in (target.api_key, "the words of somebody"))
    (group,) = {one.group for one in seen.values() if one.parent == os.getpid() and one.group != os.getpgid(0)}
    assert wait_until_gone([pid for pid, one in seen.items() if one.group == group])


def test_a_flood_for_an_answer_is_an_end_within_the_time(stage: RealClient) -> None:
    """What the clients make of it is theirs (one asks again, one reads slowly): nothing hangs, nothing is an answer."""
    stage.says("word " * 4_000_000)
    target = replace(stage.target(), total=20.0)
    assert how_it_failed(stage, target).outcome in (Outcome.BAD_CONTENT, Outcome.CAPABILITY, Outcome.TIMEOUT)


@dataclass(frozen=True)
class Process:
    parent: int
    group: int
    arguments: str


def processes() -> dict[int, Process]:
    """Every process of this machine, as anybody sees it."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            _, parent, group = (place / "stat").read_text().rpartition(")")[2].split()[:3]
            arguments = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found[int(place.name)] = Process(int(parent), int(group), arguments)
    return found


def texts(value: Any) -> list[str]:
    """Every text in a body."""
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inside for text in texts(item)]
