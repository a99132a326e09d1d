"""What the tests of the command line share: golden files, and the command run as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares a text with a golden file; HROUTE_UPDATE_GOLDEN=1 writes it instead."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / f"{name}.txt"
        if os.environ.get("HROUTE_UPDATE_GOLDEN"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    return compare


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hroute(tmp_path: Path) -> Run:
    """Runs `hroute ARGUMENTS` in an empty directory, with no key and no terminal; `input` may be text or bytes."""

    def run(
        *arguments: str, input: str | bytes = "", cwd: Path = tmp_path, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        raw = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            [sys.executable, "-m", "hroute", *arguments],
            input=raw,
            capture_output=True,
            cwd=cwd,
            env=environment(tmp_path, environ),
            timeout=60,
            check=False,
        )
        return subprocess.CompletedProcess(arguments, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def environment(home: Path, more: dict[str, str]) -> dict[str, str]:
    """An environment without anything of the person who runs the tests."""
    root = Path(__file__).parents[2]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(root),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "xdg-config"),
        "XDG_CACHE_HOME": str(home / "xdg-cache"),
        "XDG_STATE_HOME": str(home / "xdg-state"),
        **more,
    }
