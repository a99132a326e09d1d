"""Real clients, unchanged, through the gateway: each says hi and goes round a tool loop, in its dialect and translated.

They are looked for in `$HROUTE_TEST_CLIENTS` (a folder of their commands), then in PATH; what is not installed is skipped:
npm install @anthropic-ai/claude-code@2.1.197 @openai/codex opencode-ai, and aider-chat and llm from PyPI.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.house import House, before_sandbox

pytestmark = pytest.mark.slow
targets = pytest.mark.parametrize("target", ["claude", "gpt", "llama"])

SHELLS = {"claude": "Bash", "codex": "shell", "opencode": "bash"}


def command(name: str) -> str:
    folder = os.environ.get("HROUTE_TEST_CLIENTS", "")
    found = shutil.which(name, path=os.pathsep.join([folder, os.environ["PATH"]]) if folder else None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(folder: Path, arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """A client in an empty environment with a home of its own."""
    home, work = folder / "home", folder / "work"
    home.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    (work / "note.txt").write_text("the number is 4711\n")
    found = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "dumb", **environment}
    return subprocess.run(arguments, capture_output=True, text=True, cwd=work, env=found, timeout=120, stdin=subprocess.DEVNULL)  # fmt: skip


def claude(house: House, folder: Path, prompt: str, model: str) -> subprocess.CompletedProcess[str]:
    quiet = dict.fromkeys(("DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER"), "1")  # fmt: skip
    arguments = [command("claude"), "--model", model, "--allowedTools", "Bash", "-p", prompt]
    return run(folder, arguments, ANTHROPIC_BASE_URL=house.url, ANTHROPIC_API_KEY="dummy", **quiet)


def codex(house: House, folder: Path, prompt: str, model: str) -> subprocess.CompletedProcess[str]:
    home = folder / "home" / ".codex"
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(
        f'model = "{model}"\nmodel_provider = "gateway"\n[model_providers.gateway]\nname = "gateway"\n'
        f'base_url = "{house.url}/v1"\nenv_key = "CODEX_KEY"\nwire_api = "responses"\n'
    )
    arguments = [command("codex"), "exec", "--skip-git-repo-check", "-s", "danger-full-access", prompt]
    return run(folder, arguments, CODEX_KEY="dummy")


def opencode(house: House, folder: Path, prompt: str, model: str) -> subprocess.CompletedProcess[str]:
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    provider = {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": f"{house.url}/v1", "apiKey": "dummy"}, "models": {model: {}}}  # fmt: skip
    (work / "opencode.json").write_text(json.dumps({"provider": {"gateway": provider}, "model": f"gateway/{model}", "permission": {"bash": "allow"}}))  # fmt: skip
    return run(folder, [command("opencode"), "run", prompt])


def aider(house: House, folder: Path, prompt: str, model: str) -> subprocess.CompletedProcess[str]:
    options = ["--yes-always", "--no-git", "--no-check-update", "--analytics-disable", "--no-show-model-warnings"]
    arguments = [command("aider"), "--model", f"openai/{model}", "--message", prompt, *options]
    return run(folder, arguments, OPENAI_API_BASE=f"{house.url}/v1", OPENAI_API_KEY="dummy")


def llm(house: House, folder: Path, prompt: str, model: str) -> subprocess.CompletedProcess[str]:
    home = folder / "home" / "llm"
    home.mkdir(parents=True, exist_ok=True)
    (home / "extra-openai-models.yaml").write_text(f'- model_id: fake\n  model_name: {model}\n  api_base: "{house.url}/v1"\n')  # fmt: skip
    return run(folder, [command("llm"), "-m", "fake", "--key", "dummy", prompt], LLM_USER_PATH=str(home))


Run = Callable[[House, Path, str, str], subprocess.CompletedProcess[str]]
CLIENTS: dict[str, Run] = {"claude": claude, "codex": codex, "opencode": opencode, "aider": aider, "llm": llm}


@targets
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_says_hi(client: str, target: str, tmp_path: Path) -> None:
    command(client)
    with before_sandbox({"answers": [{"text": "Hello from behind the gateway."}]}) as (house, sandbox):
        said = CLIENTS[client](house, tmp_path, "say hi", f"hroute/{target}")
        assert "Hello from behind the gateway." in said.stdout, (said.stdout[-2000:], said.stderr[-2000:])
        assert {call["provider"] for call in sandbox.calls.as_json()} == {target}


@targets
@pytest.mark.parametrize("client", SHELLS)
def test_a_client_goes_round_a_tool_loop(client: str, target: str, tmp_path: Path) -> None:
    command(client)
    calls = {
        "claude": {"name": "Bash", "input": {"command": "cat note.txt", "description": "read the note"}},
        "codex": {"name": "exec_command", "input": {"cmd": "cat note.txt"}},
        "opencode": {"name": "bash", "input": {"command": "cat note.txt", "description": "read the note"}},
    }
    answers: list[dict[str, Any]] = [
        {"message": {"any_of": ["read the note"], "unless": ["generate a title"]}, "text": "Looking.", "tools": [calls[client]], "first": 1},
        {"text": "It is read."},
    ]  # fmt: skip
    with before_sandbox({"answers": answers}) as (house, sandbox):
        said = CLIENTS[client](house, tmp_path, "read the note", f"hroute/{target}")
        sent = [json.dumps(call["body"]) for call in sandbox.calls.as_json()]
        assert "It is read." in said.stdout, (said.stdout[-2000:], said.stderr[-2000:])
        assert any("the number is 4711" in body for body in sent)
        assert {call["provider"] for call in sandbox.calls.as_json()} == {target}


@pytest.mark.parametrize("kind", ["rate_limit", "server_error", "overloaded", "cut", "stall"])
def test_claude_code_gets_an_answer_from_the_fallback(kind: str, tmp_path: Path) -> None:
    command("claude")
    fault = {"kind": kind, "provider": "claude", **({"at": 0.0} if kind in ("cut", "stall") else {})}
    script = {"faults": [fault], "answers": [{"text": "Hello from the fallback."}]}
    with before_sandbox(script) as (house, _):
        said = claude(house, tmp_path, "say hi", "claude-opus-4-8")
    assert "Hello from the fallback." in said.stdout


@pytest.mark.parametrize("status", [403, 503, 529, 502])
def test_claude_code_does_not_hang_and_asks_at_most_once_more(status: int, tmp_path: Path) -> None:
    command("claude")
    scripts: dict[int, tuple[dict[str, Any], str]] = {
        403: ({}, "hroute/alone"),
        503: ({}, "hroute/alone"),
        529: ({"faults": [{"kind": "overloaded"}]}, "hroute/alone"),
        502: ({"faults": [{"kind": "server_error"}]}, "hroute/alone"),
    }
    script, model = scripts[status]
    guarantee = "guarantees: [{{name: home, only: {{local: true}}}}]".format() if status == 403 else ""
    environ = {} if status == 503 else {"KEY": "k"}
    started = time.monotonic()
    with before_sandbox(script, more=guarantee, environ=environ) as (house, _):
        said = claude(house, tmp_path, "say hi", model)
        lines = [line for line in house.get("/metrics").text.splitlines() if line.startswith("hroute_requests_total")]
        asked = sum(float(line.rpartition(" ")[2]) for line in lines)
    assert said.returncode != 0
    assert time.monotonic() - started < 60
    assert asked <= 2, lines
