"""The vendors' own clients, where they are installed, against the sandbox on a loopback address.

    npm install --prefix DIR @anthropic-ai/claude-code @openai/codex
    PATH=DIR/node_modules/.bin:$PATH make check-slow

No account is used: each runs with a home of its own, a made-up key and the sandbox's address.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hroute.providers import testing
from hroute.providers.command import CommandPlugin
from hroute.providers.protocol import Plugin, ProviderError, Target
from hroute.terms.message import Reply, prompt
from tests.providers.stages import Served

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


def texts(value: Any) -> list[str]:
    """Every text in a body."""
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inside for text in texts(item)]
