"""A gateway that is killed and started again: tool loops stay where they were, and no seal comes to another account."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from hroute.providers import registry
from hroute.providers.protocol import Capabilities
from hroute.providers.sandbox.reading import read_faults
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.bookkeeping import books_of
from tests.gateway.house import ANSWERS, JSON, House, Notary, house, message, policy_of
from tests.gateway.test_loops import LONG, RULES, loop
from tests.gateway.test_process import hroute, serving, until

NAMED = {"x_claude_code_session_id": "s1"}
ACCOUNTS = """
providers:
  one: {{plugin: anthropic, model: m, base_url: "{url}/own", api_key: env:ONE, retry: {{attempts: 1}}}}
  two: {{plugin: anthropic, model: m, base_url: "{url}/own", api_key: env:TWO, retry: {{attempts: 1}}}}
routing_rules:
  - {{name: other, condition: {{cost_center: other}}, route_to: two, fallback: null}}
default: {{route_to: one}}
{more}
"""
KEYS = {"ONE": "key-one", "TWO": "key-two"}
SEALED = [
    {"role": "user", "content": "look at this"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "c2VhbA" * 20}, {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}]},
]  # fmt: skip


@contextmanager
def started(url: str, ledger: Path | None, text: str, **more: Any) -> Iterator[House]:
    """A gateway process with nothing in its memory; what it writes is in `ledger` when it ends."""
    policy = policy_of(url, text=text)
    with house(policy, **more) as here:
        if ledger is not None:
            here.gateway.engine.books = books_of(policy, {"HROUTE_LEDGER": str(ledger)})
        yield here
        if here.gateway.engine.books is not None:
            here.gateway.engine.books.ledger.flush()


def test_a_loop_stays_with_the_fallback_that_took_it_over_also_after_a_restart(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with SandboxServer() as sandbox:
        sandbox.play.add(read_faults([{"kind": "overloaded", "provider": "claude", "first": 1}]))
        with started(sandbox.url, ledger, RULES) as here:
            assert here.post("/v1/messages", message("look at this"), **NAMED).headers["x-hroute-provider"] == "cheap"
        with started(sandbox.url, ledger, RULES) as here:
            kept = here.post("/v1/messages", loop(LONG), **NAMED)
            assert (kept.headers["x-hroute-routed-to"], kept.headers["x-hroute-rule"]) == ("cheap", "default")
        with started(sandbox.url, ledger, RULES) as here:
            asked = message()
            asked["messages"] = [*loop("short")["messages"], {"role": "user", "content": "now something else"}]
            assert here.post("/v1/messages", asked, **NAMED).headers["x-hroute-routed-to"] == "claude"


def test_a_process_that_is_killed_leaves_its_loops_where_they_were(tmp_path: Path) -> None:
    rules = RULES.replace("route_to: llama, fallback: [cheap]", "route_to: llama, fallback: null")
    with SandboxServer() as sandbox:
        (tmp_path / "routing-config.yaml").write_text(rules.format(url=sandbox.url, more=""))
        sandbox.play.add(read_faults([{"kind": "overloaded", "provider": "claude", "first": 1}]))
        headers = {name.replace("_", "-"): value for name, value in NAMED.items()}
        client = httpx.Client(trust_env=False, timeout=30, headers=headers)
        with serving(tmp_path, sandbox.url) as (process, url, _):
            answer = client.post(f"{url}/v1/messages", json=message("look at this"))
            assert answer.headers["x-hroute-provider"] == "cheap"
            logged = ["logs", "--json"]
            until(lambda: "cheap" in hroute(tmp_path, *logged).stdout, 30)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        with serving(tmp_path, sandbox.url) as (_, url, _):
            kept = client.post(f"{url}/v1/messages", json=loop(LONG))
            assert (kept.headers["x-hroute-routed-to"], kept.headers["x-hroute-rule"]) == ("cheap", "default")


def test_without_a_ledger_a_loop_is_decided_by_the_turn_that_began_it(tmp_path: Path) -> None:
    reminded = loop(LONG)
    reminded["messages"][-1]["content"].append({"type": "text", "text": "<system-reminder>be brief</system-reminder>"})
    with SandboxServer() as sandbox, started(sandbox.url, None, RULES) as here:
        for body in (loop(LONG), reminded):
            answer = here.post("/v1/messages", body, **NAMED)
            assert (answer.headers["x-hroute-routed-to"], answer.headers["x-hroute-rule"]) == ("claude", "default")


def test_a_loop_that_became_tainted_stays_home_after_a_restart(tmp_path: Path) -> None:
    tainted = loop("the card is 4111 1111 1111 1111")
    with SandboxServer() as sandbox:
        for _ in range(2):
            with started(sandbox.url, tmp_path / "ledger.db", RULES) as here:
                assert here.post("/v1/messages", tainted, **NAMED).headers["x-hroute-routed-to"] == "llama"


@pytest.fixture
def notary() -> Iterator[Notary]:
    with Notary((200, JSON, ANSWERS["/v1/messages"])) as found:
        yield found


def own(notary: Notary) -> Callable[[str], Capabilities]:
    def facts(plugin: str) -> Capabilities:
        found = registry.facts(plugin)
        return replace(found, default_base_url=f"{notary.url}/own") if plugin == "anthropic" else found

    return facts


def sealed_for(notary: Notary) -> tuple[str | None, bool]:
    """With which key the last request came, and whether it brought the seal."""
    seen = notary.noted[-1]
    return seen.header("x-api-key"), "signature" in json.dumps(json.loads(seen.body)["messages"])


@pytest.mark.parametrize("kept", [True, False], ids=["ledger", "no ledger"])
def test_a_seal_comes_to_no_other_account_also_after_a_restart(notary: Notary, kept: bool, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db" if kept else None
    more: dict[str, Any] = {"facts": own(notary), "environ": KEYS}
    asked = message() | {"messages": SEALED, "tools": [{"name": "read", "input_schema": {"type": "object"}}]}
    with started(notary.url, ledger, ACCOUNTS, **more) as here:
        here.post("/v1/messages", message("look at this"), **NAMED)
        here.post("/v1/messages", asked, **NAMED)
        assert sealed_for(notary) == ("key-one", True)
    with started(notary.url, ledger, ACCOUNTS, **more) as here:
        here.post("/v1/messages", asked, **NAMED)
        assert sealed_for(notary) == ("key-one", kept)
    with started(notary.url, ledger, ACCOUNTS, **more) as here:
        here.post("/v1/messages", asked | {"model": "hroute/two"}, **NAMED)
        assert sealed_for(notary) == ("key-two", False)
        here.post("/v1/messages", asked)  # no session: nobody can know whose seal it is
        assert sealed_for(notary) == ("key-one", False)


def test_with_one_account_alone_a_seal_stays(notary: Notary) -> None:
    alone = ACCOUNTS.replace("env:TWO", "env:ONE")
    asked = message() | {"messages": SEALED, "tools": [{"name": "read", "input_schema": {"type": "object"}}]}
    with started(notary.url, None, alone, facts=own(notary), environ=KEYS) as here:
        for session in (NAMED, {}):
            here.post("/v1/messages", asked, **session)
            assert sealed_for(notary) == ("key-one", True)


HELD = """
providers:
  claude: {{plugin: anthropic, model: claude-x, base_url: "{url}/claude", api_key: env:KEY}}
  llama: {{plugin: ollama, model: llama-x, base_url: "{url}/llama", local: true}}
routing_rules:
  - {{name: stays_here, condition: {{message: {{any_of: [stay here]}}}}, route_to: llama, hold: session}}
default: {{route_to: claude}}
{more}
"""


def test_a_rule_that_holds_a_session_holds_it_after_a_restart() -> None:
    said = {"role": "assistant", "content": "fine"}
    turns = [{"role": "user", "content": "please stay here"}, said, {"role": "user", "content": "go there"}]
    later = [*turns, said, {"role": "user", "content": "and there"}]
    with SandboxServer() as sandbox:
        with started(sandbox.url, None, HELD) as here:
            for body in (message("please stay here"), message("go there"), message() | {"messages": turns}):
                assert here.post("/v1/messages", body, **NAMED).headers["x-hroute-rule"] == "stays_here"
        with started(sandbox.url, None, HELD) as here:
            kept = here.post("/v1/messages", message() | {"messages": later}, **NAMED)
            assert (kept.headers["x-hroute-routed-to"], kept.headers["x-hroute-rule"]) == ("llama", "stays_here")
            again = here.post("/v1/messages", message("go on, then"), **NAMED)
            assert again.headers["x-hroute-rule"] == "stays_here"
            other = here.post("/v1/messages", message("go there"), x_claude_code_session_id="s2")
            assert other.headers["x-hroute-rule"] == "default"
