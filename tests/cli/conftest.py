"""What the tests of the command line share: golden files, and the command run inside this process or as its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hroute.cli import main

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]

POLICY = """\
version: 1
providers:
  home:  {plugin: ollama, model: "small:8b", base_url: "http://127.0.0.1:11434", local: true}
  big:   {plugin: anthropic, model: big-1, api_key: env:BIG_KEY, price: {input: 3, output: 15}}
  other: {plugin: openai, model: other-1, api_key: env:OTHER_KEY, price: {input: 2.5, output: 10}}
routing_rules:
  - {name: private, condition: {contains_pii: true}, route_to: home, fallback: null}
  - {name: code, condition: {task_type: code}, route_to: big, fallback: other}
  - {name: batch, condition: {batch_size: ">100"}, route_to: other, fallback: home}
  - {name: closed, condition: {tenant: blocked}, refuse: "This account is closed."}
  - name: hard
    condition: {complexity: high}
    route_to: big
    fallback: other
default: {route_to: big}
guarantees:
  - {name: pii_stays_home, when: {contains_pii: true}, only: {local: true}}
"""


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares a text with a golden file, durations set to 0.1 s and policy hashes to 0000000 (a new default of the
    language changes them); HROUTE_UPDATE_GOLDEN=1 writes the file instead."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / f"{name}.txt"
        steady = re.sub(r"\(\d+\.\d s\)", "(0.1 s)", text)
        steady = re.sub(r"(judged by|policy) [0-9a-f]{7}\b", r"\1 0000000", steady)
        if os.environ.get("HROUTE_UPDATE_GOLDEN"):
            file.write_text(steady, encoding="utf-8")
        assert steady == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `hroute ARGUMENTS` in this process, in a directory with the small policy above, without keys or a cache."""
    for name in list(os.environ):
        ours = name.startswith(("HROUTE_", "XDG_", "BIG_", "OTHER_")) and name != "HROUTE_UPDATE_GOLDEN"
        if ours or name.endswith("_API_KEY") or name == "COLUMNS":  # a test runner may set a width
            monkeypatch.delenv(name)
    monkeypatch.setenv("HROUTE_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routing-config.yaml").write_text(POLICY, encoding="utf-8")

    def run(*arguments: str) -> Ran:
        code = main.main(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def hroute(tmp_path: Path) -> Callable[..., Ran]:
    """Runs `hroute ARGUMENTS` as a process of its own; `input` is text or bytes."""

    def run(*arguments: str, input: str | bytes = "", **environ: str) -> Ran:
        raw = input.encode() if isinstance(input, str) else input
        command = [sys.executable, "-m", "hroute", *arguments]
        env = environment(tmp_path, **environ)
        done = subprocess.run(command, input=raw, capture_output=True, cwd=tmp_path, env=env, timeout=60, check=False)
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment without anything of the person who runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "xdg-config"),
        "HROUTE_CACHE": "",
        **more,
    }
