"""Claude Code as a person sees it, in a terminal: its title goes where housekeeping goes, and the line tells the session."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway.agents import QUIET, command
from tests.gateway.house import before_sandbox

ROOT = Path(__file__).parents[2]
POLICY = """
providers:
  asked: {{plugin: anthropic, model: requested, base_url: "{url}/asked", api_key: env:KEY, timeout: {timeout}}}
  small: {{plugin: anthropic, model: claude-haiku-4-5, base_url: "{url}/small", api_key: env:KEY, timeout: {timeout}}}
routing_rules:
  - {{name: housekeeping, condition: {{purpose: [title, topic, summary, count]}}, route_to: small, fallback: asked}}
default: {{route_to: asked, fallback: small}}
{more}
"""
ANSWERS = [
    {"prompt": {"any_of": ["sentence-case title"]}, "text": '{"title": "Say hi"}'},
    {"text": "Hello there."},
]


class Terminal:
    """A program in a terminal of its own. `shown` is what it has written so far, without colours and movements."""

    def __init__(self, program: str, folder: Path, environment: dict[str, str]) -> None:
        self.process, self.screen = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execve(program, [program], environment)
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        self.raw = b""

    @property
    def shown(self) -> str:
        return re.sub(rb"\x1b\[[0-9;?<>]*[a-zA-Z]", b"", self.raw).decode(errors="replace")

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not holds():
            assert time.monotonic() < deadline, self.shown[-3000:]
            if select.select([self.screen], [], [], 0.2)[0]:
                self.raw += os.read(self.screen, 1 << 16)

    def types(self, text: str) -> None:
        os.write(self.screen, text.encode())
        self.until(lambda: text.replace(" ", "") in self.shown.replace(" ", ""))
        os.write(self.screen, b"\r")

    def close(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.screen)


@pytest.mark.slow
def test_a_title_goes_where_housekeeping_goes_and_the_line_tells_the_session(tmp_path: Path) -> None:
    program = command("claude")
    home, work = tmp_path / "home", tmp_path / "work"
    (home / ".claude").mkdir(parents=True)
    work.mkdir()
    known = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    answered = {"approved": ["dummy"], "rejected": []}
    (home / ".claude.json").write_text(json.dumps({"hasCompletedOnboarding": True, "theme": "dark", "customApiKeyResponses": answered, "projects": {str(work): known}}))  # fmt: skip
    line = {"type": "command", "command": f"{sys.executable} -m hroute statusline"}
    (home / ".claude" / "settings.json").write_text(json.dumps({"statusLine": line}))
    with before_sandbox({"answers": ANSWERS}, text=POLICY) as (house, sandbox):
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "ANTHROPIC_BASE_URL": house.url, "ANTHROPIC_API_KEY": "dummy", **QUIET}  # fmt: skip
        terminal = Terminal(program, work, environment)
        try:
            terminal.until(lambda: "hroute" in terminal.shown)  # the line is there before the first turn
            for turn, text in enumerate(("say hi to the tests", "say it again"), 1):
                terminal.types(text)
                terminal.until(lambda turn=turn: len(served(sandbox.calls.as_json(), "asked")) == turn)  # type: ignore[misc]
                terminal.until(lambda turn=turn: f"asked{turn}" in terminal.shown.replace(" ", ""))  # type: ignore[misc]
        finally:
            terminal.close()
        calls = sandbox.calls.as_json()
    titles = [call for call in calls if "sentence-case title" in json.dumps(call["body"])]
    assert [call["provider"] for call in titles] == ["small"]
    assert all("tools" in json.dumps(call["body"]) for call in served(calls, "asked"))
    assert "lastaskedbydefault" in terminal.shown.replace(" ", "").replace(":", "")


def served(calls: list[dict[str, object]], provider: str) -> list[dict[str, object]]:
    return [call for call in calls if call["provider"] == provider]
