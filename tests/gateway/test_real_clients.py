"""Real clients, unchanged, through the gateway: each says hi and goes round a tool loop, in its dialect and translated.

A few run always where they are installed; all of them, and the real llama.cpp engine, are in the slow set.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any

import anthropic
import openai
import pytest

from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.replay.readers.detect import opened
from hroute.replay.rows import Row
from hroute.schema.load import load_text
from tests.gateway.agents import CLIENTS, QUIET, TOOLS, claude, command
from tests.gateway.engine import llama
from tests.gateway.house import POLICY, TIMEOUT, House, before_sandbox, house
from tests.gateway.test_process import hroute, serving

TARGETS = ("claude", "gpt", "llama")
FAST = {("claude", "claude"), ("claude", "gpt"), ("codex", "claude"), ("llm", "claude")}
"""Quick to start, one of each front door; Anthropic's own dialect, and what is translated into and out of it."""


def pairs(clients: Any, fast: set[tuple[str, str]]) -> list[Any]:
    """Every client with every target; those that are not `fast` are slow."""
    return [pytest.param(*one, marks=() if one in fast else pytest.mark.slow) for one in product(clients, TARGETS)]


@pytest.mark.parametrize(("client", "target"), pairs(CLIENTS, FAST))
def test_a_client_says_hi(client: str, target: str, tmp_path: Path) -> None:
    command(client)
    with before_sandbox({"answers": [{"text": "Hello from behind the gateway."}]}) as (house, sandbox):
        said = CLIENTS[client](house.url, tmp_path, "say hi", f"hroute/{target}")
        assert "Hello from behind the gateway." in said.stdout, (said.stdout[-2000:], said.stderr[-2000:])
        assert {call["provider"] for call in sandbox.calls.as_json()} == {target}


@pytest.mark.parametrize(("client", "target"), pairs(TOOLS, {("claude", "gpt"), ("codex", "claude")}))
def test_a_client_goes_round_a_tool_loop(client: str, target: str, tmp_path: Path) -> None:
    command(client)
    answers: list[dict[str, Any]] = [
        {"message": {"any_of": ["read the note"], "unless": ["generate a title"]}, "text": "Looking.", "tools": [TOOLS[client]], "first": 1},
        {"text": "It is read."},
    ]  # fmt: skip
    with before_sandbox({"answers": answers}) as (house, sandbox):
        said = CLIENTS[client](house.url, tmp_path, "read the note", f"hroute/{target}")
        sent = [json.dumps(call["body"]) for call in sandbox.calls.as_json()]
        assert "It is read." in said.stdout, (said.stdout[-2000:], said.stderr[-2000:])
        assert any("the number is 4711" in body for body in sent)
        assert {call["provider"] for call in sandbox.calls.as_json()} == {target}


def test_claude_codes_subagent_is_known_for_one_whatever_its_instructions(tmp_path: Path) -> None:
    command("claude")
    agents = tmp_path / "work" / ".claude" / "agents"
    agents.mkdir(parents=True)
    own = "---\nname: reader\ndescription: reads notes\n---\nRead what you are told to read, and say it in one word.\n"
    (agents / "reader.md").write_text(own)
    call = {"name": "Agent", "input": {"description": "read it", "prompt": "look in there", "subagent_type": "reader"}}
    answers = [{"message": {"any_of": ["ask somebody"]}, "tools": [call], "first": 1}, {"text": "Done."}]
    with before_sandbox({"answers": answers}, text=WITH_SUBAGENTS) as (house, sandbox):
        said = claude(house.url, tmp_path, "ask somebody", "claude-opus-4-8")
        asked = [call["provider"] for call in sandbox.calls.as_json()]
    assert "Done." in said.stdout, (said.stdout, said.stderr)
    assert asked == ["claude", "gpt", "claude"]
    transcripts = opened([str(tmp_path / "home" / ".claude" / "projects")])
    assert {row.signals["purpose"] for row in transcripts if isinstance(row, Row)} == {"turn", "subagent"}


WITH_SUBAGENTS = """
providers:
  claude: {{plugin: anthropic, model: claude-x, base_url: "{url}/claude", api_key: env:KEY, timeout: {timeout}}}
  gpt: {{plugin: openai, model: gpt-x, base_url: "{url}/gpt/v1", api_key: env:KEY, timeout: {timeout}}}
routing_rules: [{{name: subagents, condition: {{purpose: subagent}}, route_to: gpt, fallback: claude}}]
default: {{route_to: claude, fallback: gpt}}
{more}
"""


ENGINE = """
providers:
  messages: {{plugin: anthropic, model: tiny, base_url: "{url}", local: true, api_key: env:KEY}}
  chat: {{plugin: openai, model: tiny, base_url: "{url}/v1", local: true, api_key: env:KEY}}
  responses: {{plugin: openai, model: tiny, base_url: "{url}/v1", local: true, api_key: env:KEY, options: {{responses: true}}}}
  scripted: {{plugin: openai, model: gpt-x, base_url: "{scripted}/scripted/v1", api_key: env:KEY, retry: {{attempts: 1}}}}
routing_rules:
  - {{name: loop, condition: {{cost_center: never}}, route_to: scripted, fallback: chat}}
default: {{route_to: chat, fallback: [messages, responses]}}
"""
"""A real llama.cpp by each of the three wires that it speaks."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama(tmp_path_factory.mktemp("engine")) as url:
        yield url


def served(house: House) -> dict[str, float]:
    """How often each provider answered well."""
    lines = house.get("/metrics").text
    found = re.findall(r'hroute_attempts_total\{outcome="ok",provider="(\w+)"\} ([\d.]+)', lines)
    return {provider: float(times) for provider, times in found}


def engine_house(url: str, scripted: str = "http://127.0.0.1:1") -> Any:
    policy, findings, _ = load_text(ENGINE.format(url=url, scripted=scripted))
    assert policy is not None, findings
    return house(policy)


@pytest.mark.slow
@pytest.mark.parametrize("wire", ["messages", "chat", "responses"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_says_hi_to_llama_cpp(client: str, wire: str, engine: str, tmp_path: Path) -> None:
    """What it hears is noise: that it ends well, and shows some of it, is all there is to see."""
    command(client)
    with engine_house(engine) as found:
        said = CLIENTS[client](found.url, tmp_path, "say hi", f"hroute/{wire}")
        assert said.returncode == 0, (said.stdout[-2000:], said.stderr[-2000:])
        assert len(said.stdout.strip()) > 0
        assert set(served(found)) == {wire}


@pytest.mark.slow
@pytest.mark.parametrize("client", TOOLS)
def test_llama_cpp_takes_over_in_the_middle_of_a_tool_loop(client: str, engine: str, tmp_path: Path) -> None:
    """Noise calls no tool. So the call is scripted, and once its result is there only the real engine is left: it has to
    read tools, call and result on its own wire, and its words end the loop."""
    command(client)
    call = {"message": {"any_of": ["read the note"], "unless": ["generate a title"]}, "tools": [TOOLS[client]]}
    gone = {"kind": "server_error", "prompt": {"any_of": ["the number is 4711"]}}
    script = Script.from_data({"answers": [call], "faults": [gone]})
    with SandboxServer(script, keep_bodies=True) as sandbox, engine_house(engine, sandbox.url) as found:
        said = CLIENTS[client](found.url, tmp_path, "read the note", "hroute/loop")
        assert said.returncode == 0, (said.stdout[-2000:], said.stderr[-2000:])
        assert served(found)["chat"] >= 1
        assert "4711" in json.dumps([call["body"] for call in sandbox.calls.as_json()])


@pytest.mark.slow
@pytest.mark.parametrize("wire", ["messages", "chat", "responses"])
def test_the_sdks_talk_to_llama_cpp(wire: str, engine: str) -> None:
    asked: list[Any] = [{"role": "user", "content": "say hi"}]
    with engine_house(engine) as found:
        anthropics = anthropic.Anthropic(base_url=found.url, api_key="dummy")
        openais = openai.OpenAI(base_url=f"{found.url}/v1", api_key="dummy")
        model = f"hroute/{wire}"
        one = anthropics.messages.create(model=model, max_tokens=40, messages=asked)
        assert one.usage.input_tokens > 0
        with anthropics.messages.stream(model=model, max_tokens=40, messages=asked) as stream:
            assert "".join(stream.text_stream) == "".join(b.text for b in stream.get_final_message().content if b.type == "text")  # fmt: skip
        chat = openais.chat.completions.create(model=model, max_tokens=40, messages=asked)
        assert chat.choices[0].finish_reason in ("stop", "length")
        pieces = list(openais.chat.completions.create(model=model, max_tokens=40, messages=asked, stream=True))
        assert pieces[-1].choices[0].finish_reason in ("stop", "length")
        response = openais.responses.create(model=model, max_output_tokens=40, input="say hi")
        assert response.status in ("completed", "incomplete")
        assert served(found) == {wire: 5.0}


def until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_claude_code_is_served_to_the_end_while_the_policy_changes_and_the_gateway_ends(tmp_path: Path) -> None:
    command("claude")
    slow = {"kind": "slow", "for": "1500ms", "provider": "claude"}
    script = Script.from_data({"faults": [slow], "answers": [{"text": "Hello to the end."}]})
    with SandboxServer(script) as sandbox, serving(tmp_path, sandbox.url) as (process, url, said):
        answers: list[Any] = []
        asking = Thread(target=lambda: answers.append(claude(url, tmp_path / "c", "say hi", "claude-opus-4-8")))
        asking.start()
        metrics = House(None, url)  # type: ignore[arg-type]
        until(lambda: "hroute_requests_under_way 1.0" in metrics.get("/metrics").text)
        policy = tmp_path / "routing-config.yaml"
        policy.write_text(policy.read_text().replace("default: {route_to: claude, fallback: gpt}", "default: {route_to: gpt}"))  # fmt: skip
        process.send_signal(signal.SIGHUP)
        until(lambda: any(line.startswith("policy reloaded") for line in said))
        process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert "Hello to the end." in answers[0].stdout, answers
        assert process.wait(30) == 0


def test_claude_code_through_hroute_claude_and_its_line(tmp_path: Path) -> None:
    """The real program, a gateway that lives as long as it does, and the session's line while it lives."""
    program = command("claude")
    with SandboxServer(Script.from_data({"answers": [{"text": "Hello from behind."}]})) as sandbox:
        (tmp_path / "routing-config.yaml").write_text(POLICY.format(url=sandbox.url, more="", timeout=TIMEOUT))
        kept = {"PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}", "KEY": "k", **QUIET}
        words = ["--session-id", SESSION, "--model", "hroute/gpt", "-p", "say hi"]
        done = hroute(tmp_path, "claude", *words, **kept)
        assert (done.returncode, done.stdout.strip()) == (0, "Hello from behind."), done.stderr
        assert [call["provider"] for call in sandbox.calls.as_json()] == ["gpt"]
        with serving(tmp_path, sandbox.url) as (_, url, _):
            claude(url, tmp_path / "c", "say hi", "hroute/gpt", "--session-id", SESSION)
            told = json.dumps({"session_id": SESSION})
            line = hroute(tmp_path, "statusline", input=told, ANTHROPIC_BASE_URL=url).stdout
    assert line.startswith("hroute  gpt 1  ")


SESSION = "5f0c6f0e-1111-4c53-9d0a-2b8d6a1e0c11"
