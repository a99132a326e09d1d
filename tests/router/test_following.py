"""A client follows its policy's file: a good one is taken by requests to come, a bad one changes nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hroute.errors import PolicyError
from hroute.router.client import AsyncClient, Client
from hroute.router.following import checked
from hroute.router.reload import Reload

ROOT = Path(__file__).parents[2]
GOOD = "routing_rules:\n  - {name: one, condition: {}, route_to: ollama}\n"
BETTER = GOOD.replace("name: one", "name: two")
CASES = "cases:\n  - {name: all stays here, given: {prompt: hi}, expect: {route_to: ollama}}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HROUTE_CACHE", "")
    monkeypatch.setenv("HROUTE_LEDGER", "")
    file = tmp_path / "routing-config.yaml"
    file.write_text(GOOD)
    return file


def swap(file: Path, text: str) -> None:
    (file.parent / "new").write_text(text)
    (file.parent / "new").replace(file)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.02)


def following(file: Path, told: list[Reload] | None = None, **more: Any) -> Client:
    heard = None if told is None else told.append
    return Client.from_policy(file, sandbox=True, environ={}, on_reload=heard, **more)


def rule(client: Client) -> str:
    return client.complete("hello").decision.rule.name


def test_a_saved_policy_serves_the_next_request(file: Path) -> None:
    told: list[Reload] = []
    with following(file, told) as client:
        assert rule(client) == "one"
        before = client.policy.hash
        swap(file, BETTER)
        until(lambda: client.policy.hash != before)
        assert rule(client) == "two"
        until(lambda: bool(told))
        assert [event.kind for event in told] == ["reloaded"]


def test_a_bad_policy_is_told_loudly_and_changes_nothing(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Reload] = []
    with following(file, told) as client, caplog.at_level(logging.WARNING, "hroute.policy"):
        swap(file, GOOD.replace("ollama", "olama"))
        until(lambda: len(told) == 1)
        assert told[0].kind == "rejected"
        assert "REJECTED" in caplog.text
        assert rule(client) == "one"
        file.unlink()
        until(lambda: len(told) == 2)
        assert told[1].kind == "missing"
        assert rule(client) == "one"


def test_a_policy_that_fails_its_own_tests_is_not_taken(file: Path) -> None:
    told: list[Reload] = []
    (file.parent / "routing-config.test.yaml").write_text(CASES)
    with following(file, told) as client:
        swap(file, GOOD.replace("ollama", "gpt4o"))
        until(lambda: len(told) == 1)
        assert "its own test fails: all stays here" in str(told[0])
        assert rule(client) == "one"
        swap(file, BETTER)
        until(lambda: rule(client) == "two")


def test_a_policy_and_its_tests_are_checked_together(file: Path) -> None:
    cases = file.parent / "routing-config.test.yaml"
    assert checked(str(file)).rules[0].name == "one"
    cases.write_text(CASES)
    assert checked(str(file)).rules[0].name == "one"
    for wrong in (CASES.replace("ollama", "gpt4o"), "cases: 3\n", "{"):
        cases.write_text(wrong)
        with pytest.raises(PolicyError):
            checked(str(file))


def test_a_policy_that_fails_its_tests_may_still_be_begun_with(file: Path) -> None:
    (file.parent / "routing-config.test.yaml").write_text(CASES.replace("ollama", "gpt4o"))
    with following(file) as client:
        assert rule(client) == "one"


def test_what_has_begun_ends_under_the_policy_it_began_with(file: Path) -> None:
    with following(file) as client:
        stream = client.stream("hello")
        next(stream)
        old = client.engine
        swap(file, BETTER)
        until(lambda: client.engine is not old)
        for _ in stream:
            pass
        assert stream.answer.decision.rule.name == "one"
        assert client.engine.health is old.health
        assert client.engine.sessions is old.sessions
        assert client.engine._plugins is old._plugins


def test_an_asynchronous_client_follows_too(file: Path) -> None:
    async def main() -> None:
        async with AsyncClient.from_policy(str(file), sandbox=True, environ={}) as client:
            swap(file, BETTER)
            end = time.monotonic() + 20
            while (await client.complete("hello")).decision.rule.name != "two":
                assert time.monotonic() < end
                await asyncio.sleep(0.02)

    asyncio.run(main())


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "hroute-policy"}


def test_nothing_is_left_running_after_a_close_or_when_nobody_holds_the_client(file: Path) -> None:
    before = threads()
    with following(file):
        assert len(threads() - before) == 1
    assert threads() == before
    client: Client | None = following(file)
    assert client is not None
    client = None
    gc.collect()
    until(lambda: threads() == before)


def test_no_thread_is_begun_for_a_policy_that_is_given_or_is_not_to_be_followed(file: Path) -> None:
    before = threads()
    policy = following(file, reload=False).policy
    assert rule(Client.from_policy(policy=policy, sandbox=True, environ={})) == "one"
    assert threads() == before


def test_where_nothing_can_be_watched_the_file_is_looked_at(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise OSError("no more watches")

    monkeypatch.setattr("hroute.router.reload.ticks", broken)
    with following(file) as client:
        swap(file, BETTER)
        until(lambda: rule(client) == "two")


def test_a_program_that_never_closes_its_client_ends_all_the_same(file: Path) -> None:
    code = (
        "import hroute, sys\n"
        f"client = hroute.Client.from_policy({str(file)!r}, sandbox=True)\n"
        "print(client.complete('hello').decision.rule.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", "")
