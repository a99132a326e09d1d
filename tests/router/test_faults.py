"""The ledger's file fails for real, and the answer comes all the same: said loudly, nothing that was written lost, caught up
with when the fault ends. Disks are small ones of their own (a tmpfs) where this machine lets us mount one."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hroute.errors import Refused
from hroute.ledger.ledger import PATIENCE, Ledger, at
from hroute.ledger.store import Store, StoreError, Trouble
from hroute.router.client import Client
from hroute.schema.load import load_text
from hroute.schema.policy import Policy

ROOT = Path(__file__).parents[2]
TEXT = """\
version: 1
providers:
  big: {plugin: sandbox, model: big-1, price: {input: 3, output: 15}}
default: {route_to: big}
budgets: [{name: daily, limit_usd: LIMIT, per: month}]
"""


def policy_of(limit: str = "20") -> Policy:
    policy, _, _ = load_text(TEXT.replace("LIMIT", limit))
    assert policy is not None
    return policy


def books_at(file: Path) -> Ledger:
    return at(str(file), key_file=f"{file}.key")


def asking(books: Ledger, policy: Policy | None = None) -> Client:
    return Client.from_policy(policy=policy or policy_of(), environ={}, ledger=books)


def answers(client: Client, times: int = 1) -> None:
    for _ in range(times):
        assert client.complete("hello").text


def rows(file: Path) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (number,) = db.execute("SELECT count(*) FROM request WHERE state = 'done'").fetchone()
        (spent,) = db.execute("SELECT sum(spent) FROM counter").fetchone()
        (cost,) = db.execute("SELECT sum(cost) FROM request").fetchone()
    assert spent == cost
    return int(number)


def settled(books: Ledger) -> bool:
    return books.flush(30) or books.flush(30)


@dataclass
class Disk:
    """A file system of its own, small enough to be filled."""

    folder: Path

    def fill(self) -> None:
        with open(self.folder / "filler", "wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

    def free(self) -> None:
        (self.folder / "filler").unlink()

    def remount(self, mode: str) -> None:
        done = subprocess.run(["mount", "-o", f"remount,{mode}", str(self.folder)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("no file system of its own can be mounted here")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def test_a_full_disk_stops_no_answer_and_costs_no_row(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    file = disk.folder / "ledger.db"
    books = books_at(file)
    client = asking(books)
    answers(client, 5)
    assert books.flush(10)
    disk.fill()
    answers(client, 30)
    assert not books.flush(1)
    state = books.state()
    assert (state.trouble, state.waiting > 0, state.lost) == (Trouble.FULL, True, 0)
    assert "free some space" in caplog.text
    with books.read() as view:
        assert view.run("SELECT count(*) FROM request WHERE state = 'done'")[0][0] >= 5
    disk.free()
    assert settled(books)
    assert books.state().trouble is None
    assert "the ledger is written again" in caplog.text
    assert books.close(10)
    assert rows(file) == 35


def test_a_process_that_begins_on_a_full_disk_answers_too(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    disk.fill()
    books = books_at(disk.folder / "ledger.db")
    answers(asking(books), 3)
    assert not books.flush(1)
    disk.free()
    assert settled(books)
    assert books.close(10)
    assert rows(disk.folder / "ledger.db") == 3


def test_a_file_system_that_became_read_only_is_read_and_answered_over(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    file = disk.folder / "ledger.db"
    first = books_at(file)
    answers(asking(first), 4)
    assert first.close(10)
    disk.remount("ro")
    books = books_at(file)
    answers(asking(books), 3)
    assert not books.flush(1)
    assert books.state().trouble is Trouble.READ_ONLY
    assert "make the file and its directory writable" in caplog.text
    disk.remount("rw")
    assert settled(books)
    assert books.close(10)
    assert rows(file) == 7


def test_a_budget_that_is_spent_stays_spent_while_nothing_can_be_written(disk: Disk) -> None:
    file = disk.folder / "ledger.db"
    first = books_at(file)
    answers(asking(first), 2)
    assert first.close(10)
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("UPDATE counter SET spent = 20000000000")
    disk.remount("ro")
    books = books_at(file)
    with pytest.raises(Refused, match="daily"):
        asking(books).complete("hello")
    disk.remount("rw")
    books.close(10)


def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path: Path) -> None:
    """The same where nothing can be mounted: the system refuses to let the process's files grow."""
    program = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.router.test_faults import answers, asking, books_at, settled
from pathlib import Path
books = books_at(Path({str(tmp_path / "ledger.db")!r}))
client = asking(books)
answers(client, 3)
assert books.flush(10)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
answers(client, 30)
assert not books.flush(1)
assert books.state().trouble == "full", books.state()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert settled(books)
assert books.close(10)
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "free some space" in done.stderr
    assert rows(tmp_path / "ledger.db") == 33


def test_a_file_that_another_process_keeps_locked_stops_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "ledger.db"
    books = books_at(file)
    client = asking(books)
    answers(client, 2)
    assert books.flush(10)
    holding = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holding.stdout is not None
    assert holding.stdout.readline() == "held\n"
    answers(client, 3)
    assert not books.flush(3)
    assert books.state().trouble is Trouble.LOCKED
    assert "see which program holds it open" in caplog.text
    holding.communicate("let go\n", timeout=30)
    assert settled(books)
    assert books.close(10)
    assert rows(file) == 5


_HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
db.execute("ROLLBACK")
"""


def test_a_damaged_file_stops_no_answer_and_is_left_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "ledger.db"
    first = books_at(file)
    answers(asking(first), 20)
    assert first.close(10)
    good = file.read_bytes()
    damaged = good[:4096] + os.urandom(len(good) - 4096)
    file.write_bytes(damaged)
    books = books_at(file)
    answers(asking(books), 2)
    assert not books.flush(1)
    assert books.state().trouble is Trouble.CORRUPT
    assert "the file is damaged" in caplog.text
    assert file.read_bytes() == damaged
    (tmp_path / "good.db").write_bytes(good)  # what a backup, or `.recover`, brings back
    os.replace(tmp_path / "good.db", file)
    answers(asking(books), 1)
    assert settled(books)
    assert books.close(10)
    assert rows(file) == 23


# the command


def hroute(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    (folder / "routing-config.yaml").write_text(TEXT.replace("LIMIT", "20"))
    whole = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder), "HROUTE_CACHE": "", **environ}
    return subprocess.run(
        [sys.executable, "-m", "hroute", *arguments],
        cwd=folder, env=whole, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def ledger_of(folder: Path, **environ: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hroute(folder, "status", "--json", **environ).stdout.splitlines()[0])["ledger"]
    return found


def test_ask_on_a_full_disk_answers_says_so_and_status_shows_it(disk: Disk, tmp_path: Path) -> None:
    place = {"HROUTE_LEDGER": str(disk.folder / "ledger.db")}
    assert hroute(tmp_path, "ask", "hello", **place).returncode == 0
    disk.fill()
    ran = hroute(tmp_path, "ask", "hello", **place)
    assert (ran.returncode, "sandbox" in ran.stdout, "lost" in ran.stderr) == (0, True, True)
    assert ledger_of(tmp_path, **place)["trouble"] == "full"
    assert len(hroute(tmp_path, "logs", "--json", **place).stdout.splitlines()) == 1
    disk.free()
    assert hroute(tmp_path, "ask", "hello", **place).stderr == ""
    assert ledger_of(tmp_path, **place)["trouble"] is None
    assert len(hroute(tmp_path, "logs", "--json", **place).stdout.splitlines()) == 2


def test_ask_with_a_ledger_that_is_none_answers_says_so_and_status_shows_it(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(b"this is no database" * 500)
    place = {"HROUTE_LEDGER": str(file)}
    ran = hroute(tmp_path, "ask", "hello", **place)
    assert (ran.returncode, "sandbox" in ran.stdout, "no database" in ran.stderr) == (0, True, True)
    assert ledger_of(tmp_path, **place)["trouble"] == "corrupt"
    assert file.read_bytes() == b"this is no database" * 500


def test_no_answer_waits_for_a_store_that_could_not_be_opened(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[tuple[str, float]] = []

    def opened(patience: float) -> Store:
        asked.append((threading.current_thread().name, patience))
        raise StoreError(Trouble.LOCKED, "ledger: another program keeps it locked")

    books = Ledger(opened, readable=opened)
    answers(asking(books), 5)
    waited = [patience for name, patience in asked if name == threading.main_thread().name]
    assert len(waited) <= 3
    assert max(waited) <= PATIENCE
    assert "keeps it locked" in caplog.text
    books.close(0.1)
