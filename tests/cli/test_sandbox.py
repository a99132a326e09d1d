"""`hroute sandbox serve`: prints where it is, answers there, and stops when interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from tests.cli.conftest import Cli, environment


def test_a_served_sandbox_answers_where_it_says(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text("answers: [{message: [sky], text: Blue.}]")
    command = [sys.executable, "-m", "hroute", "sandbox", "serve", "--port", "0", "--json", "--script", "script.yaml"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(tmp_path)
    )
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        assert said["schema"] == "hroute.sandbox/1"
        body = json.dumps({"model": "x", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}).encode()
        base = said["environment"]["OPENAI_BASE_URL"]
        with urlopen(
            Request(f"{base}/chat/completions", body, {"content-type": "application/json"}), timeout=10
        ) as reply:
            assert "Blue." in json.load(reply)["choices"][0]["message"]["content"]
        with urlopen(said["control"]["calls"], timeout=10) as reply:
            assert len(json.load(reply)["calls"]) == 1
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_a_port_that_is_taken_is_a_usage_error(cli: Cli) -> None:
    from hroute.providers.sandbox.server import SandboxServer

    with SandboxServer() as running:
        ran = cli("sandbox", "serve", "--port", running.url.rpartition(":")[2])
    assert ran.code == 2
    assert "another --port" in ran.err


def test_a_script_that_is_not_there_is_a_usage_error(cli: Cli) -> None:
    assert cli("sandbox", "serve", "--script", "missing.yaml").code == 2
