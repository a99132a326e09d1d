"""Real clients, unchanged, each run headless against an address, in an empty environment and a home of its own.

They are looked for in `$HROUTE_TEST_CLIENTS`, in `.clients/bin` (`make clients` fills it) and in PATH; a test of one that
is nowhere is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

INSTALLED = Path(__file__).parents[2] / ".clients" / "bin"
PATIENCE = 240
"""Seconds after which a client hangs: none takes ten where the machine has nothing else to do."""

Ran = subprocess.CompletedProcess[str]
Run = Callable[[str, Path, str, str], Ran]


def command(name: str) -> str:
    """The path of a client's command."""
    given = os.environ.get("HROUTE_TEST_CLIENTS", "")
    folders = [folder for folder in (given, str(INSTALLED), os.environ["PATH"]) if folder]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        pytest.skip(f"{name} is not installed: make clients")
    return found


def run(folder: Path, arguments: list[str], **environment: str) -> Ran:
    """A client to its end. `note.txt` in its directory is there to be read by a tool."""
    home, work = folder / "home", folder / "work"
    home.mkdir(parents=True, exist_ok=True)
    work.mkdir(exist_ok=True)
    (work / "note.txt").write_text("the number is 4711\n")
    found = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "dumb", **environment}
    return subprocess.run(arguments, capture_output=True, text=True, errors="replace", cwd=work, env=found, timeout=PATIENCE, stdin=subprocess.DEVNULL)  # fmt: skip


QUIET = dict.fromkeys(("DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER"), "1")  # fmt: skip


def claude(url: str, folder: Path, prompt: str, model: str, *more: str) -> Ran:
    arguments = [command("claude"), "--model", model, "--allowedTools", "Bash,Agent", *more, "-p", prompt]
    return run(folder, arguments, ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="dummy", **QUIET)


def codex(url: str, folder: Path, prompt: str, model: str) -> Ran:
    home = folder / "home" / ".codex"
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(
        f'model = "{model}"\nmodel_provider = "hroute"\n[model_providers.hroute]\nname = "hroute"\n'
        f'base_url = "{url}/v1"\nenv_key = "HROUTE_KEY"\nwire_api = "responses"\n'
    )
    arguments = [command("codex"), "exec", "--skip-git-repo-check", "-s", "danger-full-access", prompt]
    return run(folder, arguments, HROUTE_KEY="dummy")


def opencode(url: str, folder: Path, prompt: str, model: str) -> Ran:
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    provider = {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": f"{url}/v1", "apiKey": "dummy"}, "models": {model: {}}}  # fmt: skip
    settings = {"provider": {"hroute": provider}, "model": f"hroute/{model}", "permission": {"bash": "allow"}}
    (work / "opencode.json").write_text(json.dumps(settings))
    return run(folder, [command("opencode"), "run", prompt])


def aider(url: str, folder: Path, prompt: str, model: str) -> Ran:
    options = ["--yes-always", "--no-git", "--no-check-update", "--analytics-disable", "--no-show-model-warnings"]
    arguments = [command("aider"), "--model", f"openai/{model}", "--message", prompt, *options]
    return run(folder, arguments, OPENAI_API_BASE=f"{url}/v1", OPENAI_API_KEY="dummy")


def llm(url: str, folder: Path, prompt: str, model: str) -> Ran:
    home = folder / "home" / "llm"
    home.mkdir(parents=True, exist_ok=True)
    (home / "extra-openai-models.yaml").write_text(f'- model_id: fake\n  model_name: {model}\n  api_base: "{url}/v1"\n')
    return run(folder, [command("llm"), "-m", "fake", "--key", "dummy", prompt], LLM_USER_PATH=str(home))


CLIENTS: dict[str, Run] = {"claude": claude, "codex": codex, "opencode": opencode, "aider": aider, "llm": llm}
TOOLS = {
    "claude": {"name": "Bash", "input": {"command": "cat note.txt", "description": "read the note"}},
    "codex": {"name": "exec_command", "input": {"cmd": "cat note.txt"}},
    "opencode": {"name": "bash", "input": {"command": "cat note.txt", "description": "read the note"}},
}
"""The call by which each of those that have tools reads the note."""
