"""`hroute keys`: set, list, path, remove; a value is never on a command line and never printed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.conftest import POLICY, Cli, Ran, environment

KEY = "sk-test-0123456789abcdef"
Hroute = Callable[..., Ran]


def kept(home: Path) -> Path:
    return home / ".local/share/hroute/keys.json"


def test_a_key_comes_by_stdin_and_the_policy_finds_it(hroute: Hroute, tmp_path: Path) -> None:
    ran = hroute("keys", "set", "BIG", input=KEY + "\n")
    assert (ran.code, ran.out) == (0, "")
    assert "api_key: keyring:BIG" in ran.err
    assert KEY not in ran.err
    assert kept(tmp_path).stat().st_mode & 0o777 == 0o600
    (tmp_path / "routing-config.yaml").write_text(POLICY.replace("env:BIG_KEY", "keyring:BIG"))
    status = [json.loads(line) for line in hroute("status", "--json").out.splitlines()]
    assert {row["provider"]: row["key_present"] for row in status}["big"] is True


def test_list_says_names_and_places_and_no_value(hroute: Hroute) -> None:
    hroute("keys", "set", "B", input=KEY)
    hroute("keys", "set", "A", input=KEY)
    ran = hroute("keys", "list")
    assert ran.out == "A  the file  keyring:A\nB  the file  keyring:B\n"
    rows = [json.loads(line) for line in hroute("keys", "list", "--json").out.splitlines()]
    assert rows == [{"schema": "hroute.keys/1", "name": n, "place": "file"} for n in "AB"]


def test_path_is_where_the_file_is(hroute: Hroute, tmp_path: Path) -> None:
    assert hroute("keys", "path").out == f"{kept(tmp_path)}\n"
    assert hroute("keys", "path", XDG_DATA_HOME=str(tmp_path / "data")).out == f"{tmp_path}/data/hroute/keys.json\n"


def test_remove_forgets_one(hroute: Hroute) -> None:
    hroute("keys", "set", "A", input=KEY)
    assert hroute("keys", "remove", "A").code == 0
    assert hroute("keys", "remove", "A").code == 1
    assert hroute("keys", "list").out == ""


@pytest.mark.parametrize(
    "arguments", [("NAME", KEY), (KEY,), (f"NAME={KEY}",), ("NAME", "--", KEY), ("NAME", f"--value={KEY}")]
)
def test_a_key_on_the_command_line_is_refused_and_not_repeated(cli: Cli, arguments: tuple[str, ...]) -> None:
    ran = cli("keys", "set", *arguments)
    assert ran.code == 2
    assert KEY not in ran.out + ran.err


@pytest.mark.parametrize("input", ["", "\n", "a\nb\n", b"\xff\xfe\xfa", "a\x00b"])
def test_stdin_without_one_key_is_refused(hroute: Hroute, input: str | bytes, tmp_path: Path) -> None:
    assert hroute("keys", "set", "A", input=input).code == 2
    assert not kept(tmp_path).exists()


def test_on_a_terminal_the_key_is_asked_for_and_not_shown(cli: Cli, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hroute", "keys", "set", "A"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, command, environment(tmp_path))
    until = time.monotonic() + 30
    while termios.tcgetattr(terminal)[3] & termios.ECHO and time.monotonic() < until:
        time.sleep(0.01)
    os.write(terminal, KEY.encode() + b"\n")
    shown = b""
    with suppress(OSError):  # how a terminal says that its other end is gone
        while piece := os.read(terminal, 1024):
            shown += piece
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert KEY.encode() not in shown
    assert json.loads(kept(tmp_path).read_text())["keys"] == {"A": KEY}


def test_the_key_is_on_no_command_line_and_in_no_environment(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hroute", "keys", "set", "A"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(tmp_path),
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(KEY.encode()[:10])
    process.stdin.flush()
    for name in ("cmdline", "environ"):
        assert KEY[:10].encode() not in Path(f"/proc/{process.pid}/{name}").read_bytes()
    process.communicate(KEY.encode()[10:], timeout=30)
    assert process.returncode == 0
