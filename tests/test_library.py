"""The library in programs that do not do as the documents say: closed twice, on two event loops, forked, never closed."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import hroute
from hroute.providers.sandbox.server import SandboxServer

KINDS = ("classification", "code", "qa")
"""One task type a plugin."""

POLICY = """\
providers:
  local: {{plugin: ollama, model: llama3.1:8b, base_url: '{url}', local: true}}
  claude: {{plugin: anthropic, model: claude-sonnet-5-5, base_url: '{url}', api_key: env:KEY}}
  gpt: {{plugin: openai, model: gpt-x, base_url: '{url}/v1', api_key: env:KEY}}
routing_rules:
  - {{name: l, condition: {{task_type: classification}}, route_to: local}}
  - {{name: a, condition: {{task_type: code}}, route_to: claude}}
default: {{route_to: gpt}}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Iterator[Path]:
    server = SandboxServer()
    place = tmp_path / "routing-config.yaml"
    place.write_text(POLICY.format(url=server.url))
    yield place
    server.close()


def client(policy: Path, ledger: Path | None = None) -> hroute.Client:
    return hroute.Client.from_policy(policy, environ={"KEY": "k" * 20}, ledger=str(ledger) if ledger else False)


def aclient(policy: Path) -> hroute.AsyncClient:
    return hroute.AsyncClient.from_policy(policy, environ={"KEY": "k" * 20}, ledger=False)


def rows(ledger: Path) -> int:
    with closing(sqlite3.connect(ledger)) as opened:
        (found,) = opened.execute("select count(*) from request").fetchone()
    return int(found)


def test_a_closed_client_serves_again_and_loses_no_row(policy: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    llm = client(policy, ledger)
    for expected in (3, 6):
        assert all(llm.complete("Hi there.", task_type=kind).text for kind in KINDS)
        llm.close()
        llm.close()
        assert rows(ledger) == expected


def test_one_asynchronous_client_serves_several_event_loops(policy: Path) -> None:
    llm = aclient(policy)

    async def ask() -> list[str]:
        return [(await llm.complete("Hi there.", task_type=kind)).text for kind in KINDS]

    assert all(asyncio.run(ask()))
    assert all(asyncio.run(ask()))
    asyncio.run(llm.aclose())


def test_a_blocking_client_may_be_used_where_a_loop_runs(policy: Path) -> None:
    async def main() -> list[str]:
        with client(policy) as llm:
            return [llm.complete("Hi there.", task_type=kind).text for kind in KINDS]

    assert all(asyncio.run(main()))


def test_a_child_process_goes_on_with_a_client_and_both_write_their_rows(policy: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with client(policy, ledger) as llm:
        for kind in KINDS:
            llm.complete("Hi there.", task_type=kind)
        child = os.fork()
        if child == 0:
            try:
                for kind in KINDS * 5:
                    llm.complete("Hi there.", task_type=kind)
                llm.close()
                os._exit(0)
            finally:
                os._exit(1)
        for kind in KINDS * 5:
            llm.complete("Hi there.", task_type=kind)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert rows(ledger) == 33


CARELESS = """\
import asyncio, sys
import hroute

policy, kinds = sys.argv[1], sys.argv[2:]

def never_closed():
    llm = hroute.Client.from_policy(policy, environ={"KEY": "k" * 20}, ledger=False)
    for kind in kinds:
        llm.complete("Hi there.", task_type=kind)
        next(llm.stream("Hi there.", task_type=kind))

async def never_closed_either():
    llm = hroute.AsyncClient.from_policy(policy, environ={"KEY": "k" * 20}, ledger=False)
    for kind in kinds:
        await llm.complete("Hi there.", task_type=kind)
        async for _ in llm.stream("Hi there.", task_type=kind):
            break
    await asyncio.sleep(0.01)
    while len(asyncio.all_tasks()) > 1:  # those that hang up
        await asyncio.sleep(0.01)
    asyncio.create_task(llm.complete("Hi there.", task_type=kinds[0]))

never_closed()
asyncio.run(never_closed_either())
print("done")
"""


def test_a_program_that_closes_nothing_is_told_nothing_and_ends(policy: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", CARELESS, str(policy), *KINDS], capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "done\n", "")


def test_a_client_that_is_dropped_leaves_no_thread_behind(policy: Path) -> None:
    import threading

    before = threading.active_count()
    for _ in range(3):
        llm = client(policy)
        llm.complete("Hi there.", task_type="code")
        llm.close()
    del llm
    gc.collect()
    until = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < until:  # the server's own need a moment
        time.sleep(0.02)
    assert threading.active_count() <= before


PROGRAM = """\
from __future__ import annotations

import hroute

with hroute.Client.from_policy("routing-config.yaml", sandbox=True) as llm:
    reply = llm.complete("Hi", session="s", cost_center="bot", json_schema={"type": "object"}, max_tokens=5)
    text: str = reply.text + reply.routed_to + reply.actual_model + reply.id + reply.decision.rule.name
    cost: float | None = reply.cost_usd
    why: hroute.Reason | None = reply.escalation
    tried: list[str] = [attempt.provider for attempt in reply.attempts if attempt.outcome is hroute.Outcome.OK]
    read: int = reply.usage.input
    routed = llm.route(hroute.TaskContext(task_type="classification", batch_size=500), "x")
    for event in llm.stream("x"):
        if isinstance(event, hroute.TextDelta):
            text += event.text
    tool = hroute.Tool("look", "Looks.", {"type": "object"})
    asked = hroute.Request((hroute.Message("user", (hroute.Text("Hi"),)),), tools=(tool,))
    calls = [part.name for part in llm.complete(asked).reply.parts if isinstance(part, hroute.ToolUse)]
    try:
        llm.complete("x")
    except (hroute.Refused, hroute.NoCredential, hroute.AllFailed) as error:
        text += error.decision.rule.name if error.decision else ""


async def main() -> None:
    async with hroute.AsyncClient.from_policy("routing-config.yaml", sandbox=True) as llm:
        stream = llm.stream("x")
        async for word in stream.text():
            print(word)
        print(stream.answer.json, (await llm.complete("x")).cost_usd)
"""


@pytest.mark.slow
def test_a_program_s_types_are_checked_and_a_misspelled_name_is_found(tmp_path: Path) -> None:
    for text, wanted in ((PROGRAM, 0), (PROGRAM.replace("hroute.TextDelta", "hroute.TextDelt"), 1)):
        (tmp_path / "program.py").write_text(text)
        ran = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--config-file=", "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip
        assert ran.returncode == wanted, ran.stdout
