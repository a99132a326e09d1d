"""The gateway as a process: it says where it is, follows its policy, and drops nobody when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from tests.gateway.house import POLICY, TIMEOUT, message

MINIMAL = "version: 1\nrouting_rules: []\ndefault: {route_to: claude_sonnet}\n"
ROOT = Path(__file__).parents[2]


def environment(folder: Path) -> dict[str, str]:
    homes = {
        name: str(folder) for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
    }
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "KEY": "k", **homes}


def hroute(folder: Path, *arguments: str, input: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hroute", *arguments]
    return subprocess.run(command, input=input, capture_output=True, text=True, env={**environment(folder), **environ}, cwd=folder, timeout=60)  # fmt: skip


@contextmanager
def serving(folder: Path, url: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A gateway process, its address, and what it says on stderr."""
    path = folder / "routing-config.yaml"
    if not path.exists():
        path.write_text(POLICY.format(url=url, more="", timeout=TIMEOUT))
    command = [sys.executable, "-m", "hroute", "serve", "--port", "0", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(folder), cwd=folder) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        said: list[str] = []
        errors = process.stderr
        threading.Thread(target=lambda: said.extend(errors), daemon=True).start()
        try:
            yield process, json.loads(process.stdout.readline())["url"], said
        finally:
            process.kill()


def until(holds: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_serves_reloads_and_ends_without_dropping_anybody(tmp_path: Path) -> None:
    slow = Script.from_data({"faults": [{"kind": "latency", "median": "100ms", "message": "slowly"}]})
    with SandboxServer(slow) as sandbox, serving(tmp_path, sandbox.url) as (process, url, said):
        client = httpx.Client(trust_env=False, timeout=20)

        def ask(text: str = "hello") -> httpx.Response:
            return client.post(f"{url}/v1/messages", json=message(text))

        first = ask()
        assert first.headers["x-hroute-routed-to"] == "claude"
        path = tmp_path / "routing-config.yaml"
        good = path.read_text()

        path.write_text(good.replace("default: {route_to: claude, fallback: gpt}", "default: {route_to: llama}"))
        until(lambda: ask().headers["x-hroute-routed-to"] == "llama")
        assert any(line.startswith("policy reloaded") for line in said)

        path.write_text(good.replace("route_to: claude, fallback: gpt}", "route_to: nobody}"))
        process.send_signal(signal.SIGHUP)
        until(lambda: any(line.startswith("policy REJECTED") for line in said))
        assert ask().headers["x-hroute-routed-to"] == "llama"
        assert "REJECTED" in client.get(f"{url}/readyz").json()["trouble"]

        (tmp_path / "routing-config.test.yaml").write_text(
            "cases:\n  - {name: stays, given: {task_type: code}, expect: {route_to: llama}}\n"
        )
        path.write_text(good)
        until(lambda: any("its own test fails" in line for line in said))
        assert ask().headers["x-hroute-routed-to"] == "llama"

        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(httpx.post(f"{url}/v1/messages", json=message("slowly"), timeout=20)))  # fmt: skip
        asking.start()
        until(lambda: "hroute_requests_under_way 1.0" in client.get(f"{url}/metrics").text)
        process.send_signal(signal.SIGTERM)
        asking.join(20)
        assert answers[0].status_code == 200
        assert process.wait(15) == 0


def test_the_lines_that_point_programs_here(tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text(MINIMAL + "gateway: {port: 9999}\n")
    printed = hroute(tmp_path, "serve", "--print-env").stdout.splitlines()
    assert printed == [
        "export ANTHROPIC_BASE_URL=http://127.0.0.1:9999",
        "export OPENAI_BASE_URL=http://127.0.0.1:9999/v1",
    ]


def test_elsewhere_only_with_client_keys(tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text(MINIMAL)
    refused = hroute(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "client keys" in refused.stderr
    added = hroute(
        tmp_path, "keys", "client", "add", "bot", "--cost-center", "x", "--monthly", "5", "--per-minute", "9"
    )
    assert added.stdout.startswith("hrk_")
    listed = json.loads(hroute(tmp_path, "keys", "client", "list", "--json").stdout)
    assert (listed["client"], listed["monthly_usd"], listed["signals"]) == ("bot", 5.0, {"cost_center": "x"})
    assert added.stdout.strip() not in json.dumps(listed)
    assert hroute(tmp_path, "keys", "client", "add", "bot").returncode == 2
    assert hroute(tmp_path, "keys", "client", "add", "b", "--signal", "nonsense=1").returncode == 2
    assert hroute(tmp_path, "keys", "client", "revoke", "bot").returncode == 0
    assert hroute(tmp_path, "keys", "client", "revoke", "bot").returncode == 1


@pytest.mark.parametrize("options", [["--baseline", "nobody"], ["--port", "70000"]])
def test_what_is_wrong_is_said_before_it_listens(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "routing-config.yaml").write_text(MINIMAL)
    assert hroute(tmp_path, "serve", *options).returncode == 2
