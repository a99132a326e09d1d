"""`hroute queue`: what failed is listed, shown, retried, dropped, and asked again, through any kill exactly once."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hroute.cli import queue as commands
from hroute.ledger.queue import Queue
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.router import kept
from hroute.router.bounded import Stop
from hroute.router.client import AsyncClient
from hroute.router.queue import Terms
from hroute.schema.load import load_text
from hroute.terms.ids import uuid7
from hroute.terms.message import prompt
from tests.cli.conftest import POLICY, Cli, environment

CARD = "My card is 4111 1111 1111 1111, please book."
DOWN = "faults: [{kind: down}]"


@pytest.fixture(autouse=True)
def _scripts(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HROUTE_QUEUE", str(tmp_path / "queue"))
    monkeypatch.setenv("HROUTE_LEDGER", "")
    (tmp_path / "down.yaml").write_text(DOWN)
    (tmp_path / "blue.yaml").write_text("answers: [{text: Blue.}]")


def fail(cli: Cli, words: str = "Why is the sky blue?", *more: str) -> str:
    """Ask in vain with --queue; the short id of what is kept."""
    ran = cli("ask", "--queue", "--sandbox-script", "down.yaml", "--json", words, *more)
    assert ran.code in (5, 6)
    queued: str = json.loads(ran.out)["queued"]
    return queued[-8:]


def run(cli: Cli, *arguments: str, script: str = "blue.yaml") -> Any:
    return cli("queue", "run", "--sandbox-script", script, *arguments)


def test_a_watch_that_is_cancelled_in_the_moment_in_which_it_is_told_to_stop_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[Stop] = []

    async def work_off(engine: Any, queue: Queue, terms: Terms, stop: Stop, tell: Any) -> list[Any]:
        stops.append(stop)
        return []

    monkeypatch.setattr("hroute.router.queue.work_off", work_off)

    async def main() -> None:
        queue = Queue(str(tmp_path / "queue"))
        client = AsyncClient.from_policy(policy=load_text("routing_rules: []")[0], sandbox=True, environ={})
        watching = asyncio.create_task(commands._work(client, queue, Terms(1, None), 600.0, as_json=False))
        while not stops:
            await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(watching.cancel)
        stops[0]()
        with pytest.raises(asyncio.CancelledError):
            await watching

    asyncio.run(main())


def test_a_request_that_failed_is_kept_and_the_way_on_is_said(cli: Cli) -> None:
    ran = cli("ask", "--queue", "--sandbox-script", "down.yaml", "hello")
    assert ran.code == 6
    assert "kept in the retry queue as " in ran.err
    assert "hroute queue run asks it again" in ran.err
    assert cli("ask", "--sandbox-script", "down.yaml", "hello").code == 6
    assert len(cli("queue", "list").out.splitlines()) == 1


def test_what_the_policy_kept_at_home_waits_for_home(cli: Cli) -> None:
    ran = cli("ask", "--queue", "--sandbox-script", "down.yaml", CARD)
    assert ran.code == 5
    assert "kept in the retry queue" in ran.err
    (row,) = [json.loads(line) for line in cli("queue", "list", "--json").out.splitlines()]
    assert row["schema"] == "hroute.queue/1"
    assert row["taints"] == {"contains_pii": True, "pii": ["payment_card"], "pii_in": ["user"]}
    assert row["guarantees"] == ["pii_stays_home"]
    assert "4111" not in json.dumps(row)


def test_the_list_says_when_and_never_what(cli: Cli) -> None:
    assert cli("queue", "list").err == "nothing is kept\n"
    id = fail(cli, CARD)
    ran = cli("queue", "list")
    assert ran.out.split() == [id, "waiting", "0", "s", "ago", "private", "HR902", "next", "try", "in", ran.out.split()[-3], "s", "(sandbox)"]  # fmt: skip
    assert "4111" not in ran.out + ran.err
    assert cli("queue", "list", "--state", "done").out == ""
    assert cli("queue", "list", "--state", "nonsense").code == 2


def test_show_says_what_binds_it_and_its_text_only_when_asked(cli: Cli) -> None:
    id = fail(cli, CARD)
    ran = cli("queue", "show", id)
    assert "contains_pii=true" in ran.out
    assert "pii_stays_home" in ran.out
    assert "4111" not in ran.out + ran.err
    assert CARD in cli("queue", "show", id, "--text").out
    assert "4111" not in cli("queue", "show", id, "--json").out
    assert json.loads(cli("queue", "show", id, "--json", "--text").out)["body"]["request"]["messages"][0]["parts"] == [{"part": "text", "text": CARD}]  # fmt: skip
    assert cli("queue", "show", "nothing").code == 2


def test_a_run_asks_what_is_due_and_keeps_the_answer(cli: Cli) -> None:
    id = fail(cli)
    early = run(cli)
    assert (early.code, early.out) == (0, "")
    assert "nothing is due; 1 waiting, the next in " in early.err
    assert cli("queue", "retry", "--all").err == "1 request due now: hroute queue run\n"
    ran = run(cli)
    assert ran.code == 0
    assert ran.out.startswith(f"{id}  done  big  rule default  $")
    assert "1 of 1 answered: hroute queue show ID --text" in ran.err
    shown = cli("queue", "show", id, "--text")
    assert shown.out.endswith("\nBlue.\n")
    assert json.loads(cli("queue", "show", id, "--json", "--text").out)["answer"]["text"] == "Blue."
    assert json.loads(cli("queue", "show", id, "--json").out)["result"]["actual_provider"] == "big"
    assert run(cli).err.endswith("nothing is to be asked\n")


def test_a_run_that_fails_says_when_the_next_one_is(cli: Cli) -> None:
    id = fail(cli)
    ran = run(cli, id, script="down.yaml")
    assert ran.code == 1
    assert ran.out.startswith(f"{id}  waiting  HR903  next try in ")
    row = json.loads(run(cli, id, "--json", script="down.yaml").out)
    assert (row["state"], row["error"]) == ("waiting", "HR903")
    assert json.loads(cli("queue", "show", id, "--json").out)["attempts"] == 2


def test_items_are_dropped_with_their_text(cli: Cli, tmp_path: Path) -> None:
    first, second = fail(cli, "one"), fail(cli, "two")
    assert cli("queue", "drop", first).err == "1 request removed\n"
    run(cli, second)
    assert json.loads(cli("queue", "drop", "--done", "--json").out)["drop"][0].endswith(second)
    assert list((tmp_path / "queue").rglob("*.json")) == []
    assert cli("queue", "drop").code == 2
    assert cli("queue", "drop", "--all").code == 0
    assert cli("queue", "drop", "x", "--all").code == 2


def test_what_is_done_is_not_retried(cli: Cli) -> None:
    id = fail(cli)
    run(cli, id)
    ran = cli("queue", "retry", id)
    assert ran.code == 1
    assert f"{id} is done: not changed" in ran.err


def test_a_rehearsal_never_answers_a_real_request_nor_the_other_way(cli: Cli) -> None:
    fail(cli)
    cli("queue", "retry", "--all")
    ran = cli("queue", "run")
    assert (ran.code, ran.out) == (0, "")
    assert "1 waiting from rehearsals: add --sandbox" in ran.err
    assert cli("ask", "--queue", "hello").code == 4
    assert [json.loads(line)["owner"].endswith("/sandbox") for line in cli("queue", "list", "--json").out.splitlines()] == [True, False]  # fmt: skip


def test_a_queue_that_cannot_be_read_is_one_clear_error(cli: Cli, tmp_path: Path) -> None:
    fail(cli)
    for file in (tmp_path / "queue").glob("queue.db*"):
        file.write_bytes(b"nonsense" * 200)
    ran = cli("queue", "list")
    assert ran.code == 2
    assert "the retry queue in " in ran.err


def started(folder: Path, *options: str, **environ: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "hroute", "queue", "run", *options],
        cwd=folder,
        env=environment(folder, HROUTE_QUEUE=str(folder / "queue"), HROUTE_LEDGER="", **environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def filled(folder: Path, count: int, *, rehearsal: bool = True) -> set[str]:
    queue = Queue(folder / "queue", rehearsal=rehearsal)
    ids = [uuid7() for _ in range(count)]
    for n, id in enumerate(ids):
        queue.keep(id, {"request": kept.to_json(prompt(f"question {n}")), "signals": {}}, now=1)
    queue.close()
    return set(ids)


def killed(folder: Path, kills: int, ids: set[str], *options: str, longest: float, **environ: str) -> None:
    """Work the queue off and kill it at random moments, so often; where nothing is left, as many are added to `ids`."""
    rng = random.Random(len(ids))
    died = 0
    while died < kills:
        process = started(folder, *options, **environ)
        try:
            process.wait(timeout=rng.uniform(0.2, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            died += 1
        process.communicate(timeout=30)
        if process.returncode != -signal.SIGKILL:
            exactly_once(folder, ids)
            ids |= filled(folder, len(ids), rehearsal="--sandbox-script" in options)


def exactly_once(folder: Path, ids: set[str]) -> None:
    queue = Queue(folder / "queue")
    items = queue.items()
    assert {item.id for item in items} == ids
    assert {item.state for item in items} == {"done"}
    results = [queue.result(item.id) for item in items]
    assert all(result is not None and result["text"] == "Blue." for result in results)
    assert sorted(p.stem for p in (folder / "queue" / "results").glob("*.json")) == sorted(ids)
    queue.close()


def test_a_kill_at_any_moment_loses_no_request_and_doubles_no_result(tmp_path: Path) -> None:
    ids = filled(tmp_path, 60)
    (tmp_path / "s.yaml").write_text("answers: [{text: Blue.}]\nfaults: [{kind: slow, for: 20ms}]")
    killed(tmp_path, 4, ids, "--sandbox-script", "s.yaml", longest=1.0)
    last = started(tmp_path, "--sandbox-script", "blue.yaml")
    last.communicate(timeout=60)
    assert last.returncode == 0
    exactly_once(tmp_path, ids)


@pytest.mark.slow
def test_25_kills_in_process_lose_no_request_and_double_no_result(tmp_path: Path) -> None:
    ids = filled(tmp_path, 150)
    (tmp_path / "s.yaml").write_text("answers: [{text: Blue.}]\nfaults: [{kind: slow, for: 20ms}]")
    killed(tmp_path, 25, ids, "--sandbox-script", "s.yaml", longest=1.5)
    last = started(tmp_path, "--sandbox-script", "s.yaml")
    last.communicate(timeout=120)
    assert last.returncode == 0
    exactly_once(tmp_path, ids)


@pytest.mark.slow
def test_25_kills_at_a_real_server_lose_no_request_and_ask_few_twice(tmp_path: Path) -> None:
    calls: list[str] = []
    ids = filled(tmp_path, 150, rehearsal=False)
    script = Script.from_data({"faults": [{"kind": "slow", "for": 0.05}], "answers": [{"text": "Blue."}]})
    with SandboxServer(script, log=calls.append) as server:
        policy = POLICY.replace("127.0.0.1:11434", server.url.removeprefix("http://")).replace("default: {route_to: big}", "default: {route_to: home}")  # fmt: skip
        (tmp_path / "routing-config.yaml").write_text(policy)
        killed(tmp_path, 25, ids, longest=3.0)
        last = started(tmp_path)
        last.communicate(timeout=120)
        assert last.returncode == 0
    exactly_once(tmp_path, ids)
    assert len(ids) <= len(calls) <= len(ids) + 25 * 4  # what was under way at a kill is asked again


def test_two_that_work_at_the_same_time_share_the_queue(tmp_path: Path) -> None:
    ids = filled(tmp_path, 40)
    (tmp_path / "s.yaml").write_text("answers: [{text: Blue.}]\nfaults: [{kind: slow, for: 20ms}]")
    both = [started(tmp_path, "--sandbox-script", "s.yaml", "--json") for _ in range(2)]
    told = [process.communicate(timeout=60)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    done = [json.loads(line)["id"] for lines in told for line in lines]
    assert sorted(done) == sorted(ids)
    exactly_once(tmp_path, ids)


def test_an_interrupt_lets_go_of_what_was_begun(cli: Cli, tmp_path: Path) -> None:
    ids = filled(tmp_path, 6)
    (tmp_path / "s.yaml").write_text("answers: [{text: Blue.}]\nfaults: [{kind: slow, for: 25, after: 2}]")
    process = started(tmp_path, "--sandbox-script", "s.yaml", "--concurrency", "2")
    queue = Queue(tmp_path / "queue")
    until = time.monotonic() + 30
    while len(queue.items(("done",))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert {item.state for item in queue.items()} == {"done", "waiting"}
    queue.close()
    assert run(cli).code == 0
    exactly_once(tmp_path, ids)


def test_a_watch_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    process = started(tmp_path, "--sandbox-script", "blue.yaml", "--watch", "1")
    ids = filled(tmp_path, 2)
    queue = Queue(tmp_path / "queue")
    until = time.monotonic() + 30
    while len(queue.items(("done",))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    queue.close()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 130
    exactly_once(tmp_path, ids)
