"""The real clients are fetched in bounded time, and what cannot be had is said and fails nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[1] / "tools" / "install_clients.py"


def install(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), "--to", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environ}, timeout=60)


def stand_in(folder: Path, name: str, script: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_what_cannot_be_had_is_said_and_fails_nothing(tmp_path: Path) -> None:
    done = install(tmp_path, "claude", "codex", PATH="")
    assert done.returncode == 0
    assert done.stdout.count("not installed: there is no npm") == 2


def test_a_registry_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    stand_in(tmp_path / "path", "npm", "exec sleep 600")
    done = install(tmp_path, "claude", "--seconds", "1", PATH=f"{tmp_path / 'path'}:{os.environ['PATH']}")
    assert (done.returncode, "npm took too long" in done.stdout) == (0, True)


def test_what_went_wrong_is_told_in_a_line(tmp_path: Path) -> None:
    stand_in(tmp_path / "path", "npm", "echo 'npm warn old' >&2; echo 'npm error 404 no such package' >&2; exit 1")
    done = install(tmp_path, "opencode", PATH=f"{tmp_path / 'path'}:{os.environ['PATH']}")
    assert "opencode  not installed: npm: npm error 404 no such package" in done.stdout


def test_what_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    stand_in(tmp_path / "bin", "codex", "exit 0")
    assert "codex     there already" in install(tmp_path, "codex", PATH="").stdout
