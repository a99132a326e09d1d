"""Calls beside a client's own: a judge is asked the judge's question, a shadow gets a copy, whatever dialect both speak."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hroute.ledger import report
from hroute.ledger.ledger import at
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.bookkeeping import Books
from hroute.router.judge import SYSTEM
from tests.gateway.house import house, policy_of

WRITTEN = """
providers:
  claude: {{plugin: anthropic, model: claude-x, base_url: "{url}/claude", api_key: env:KEY, timeout: {timeout}}}
  opus: {{plugin: anthropic, model: opus-x, base_url: "{url}/opus", api_key: env:KEY, timeout: {timeout}}}
  gpt: {{plugin: openai, model: gpt-x, base_url: "{url}/gpt/v1", api_key: env:KEY, timeout: {timeout}}}
routing_rules:
  - {{name: judged, condition: {{cost_center: judged}}, route_to: claude, validate: {{judge: opus}}}}
  - {{name: agreed, condition: {{cost_center: agreed}}, route_to: claude, validate: {{agree: {{with: opus, on: text}}}}}}
  - {{name: alike, condition: {{cost_center: alike}}, route_to: claude, shadow: {{to: opus}}}}
  - {{name: unlike, condition: {{cost_center: unlike}}, route_to: claude, shadow: {{to: gpt}}}}
default: {{route_to: claude}}
guarantees:
  - {{name: home, when: {{contains_pii: true}}, never: {{name: [opus, gpt]}}}}
{more}
"""
ANSWERS = Script.from_data({"answers": [{"provider": "opus", "message": ["conversation"], "text": '{"verdict": "good"}'}, {"text": "Blue."}]})  # fmt: skip
SHADOWS = {"alike": "opus", "unlike": "gpt"}


def asking(text: str = "Is it blue?", **more: Any) -> dict[str, Any]:
    return {"model": "any", "max_tokens": 50, "messages": [{"role": "user", "content": text}], **more}


def test_a_judge_of_the_clients_dialect_is_asked_the_judges_question() -> None:
    with (
        SandboxServer(ANSWERS, keep_bodies=True) as sandbox,
        house(policy_of(sandbox.url, text=WRITTEN)) as found,
    ):
        reply = found.post("/v1/messages", asking(), x_hroute_cost_center="judged")
        (question,) = [call["body"] for call in sandbox.calls.as_json() if call["provider"] == "opus"]
    assert reply.status_code == 200, reply.text
    assert SYSTEM in str(question["system"]).replace("\\n", "\n")
    assert "<answer>\\nBlue.\\n</answer>" in str(question["messages"])


def test_an_answer_that_a_second_model_confirms_is_the_first_ones() -> None:
    both = Script.from_data({"answers": [{"provider": "opus", "text": "blue"}, {"text": "Blue."}]})
    with SandboxServer(both) as sandbox, house(policy_of(sandbox.url, text=WRITTEN)) as found:
        reply = found.post("/v1/messages", asking(), x_hroute_cost_center="agreed")
    assert reply.status_code == 200, reply.text
    assert (reply.json()["content"][0]["text"], reply.json()["model"]) == ("Blue.", "claude-x")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("center", SHADOWS)
def test_a_shadow_gets_a_copy_whose_answer_nobody_sees(center: str, stream: bool, tmp_path: Path) -> None:
    books = at(str(tmp_path / "ledger.db"), key_file=str(tmp_path / "ledger.db.key"))
    with SandboxServer(ANSWERS, keep_bodies=True) as sandbox:
        policy = policy_of(sandbox.url, text=WRITTEN)
        with house(policy, books=Books(policy, books)) as found:
            reply = found.post("/v1/messages", asking(stream=stream), x_hroute_cost_center=center)
            assert reply.status_code == 200, reply.text
            assert reply.headers["x-hroute-routed-to"] == "claude"
            row = shadowed(books)
        calls = {call["provider"]: call["body"] for call in sandbox.calls.as_json()}
    assert set(calls) == {"claude", SHADOWS[center]}
    assert not calls[SHADOWS[center]].get("stream")
    assert "Is it blue?" in str(calls[SHADOWS[center]])
    same = None if stream else True  # a stream that is passed on as it comes is not read
    assert row["around"]["shadow"] == {"provider": SHADOWS[center], "outcome": "ok", "same": same}
    assert [a["kind"] for a in row["attempts"]] == ["try", "shadow"]


def test_a_shadow_of_the_gateway_reaches_nobody_whom_a_guarantee_forbids(tmp_path: Path) -> None:
    books = at(str(tmp_path / "ledger.db"), key_file=str(tmp_path / "ledger.db.key"))
    with SandboxServer(ANSWERS, keep_bodies=True) as sandbox:
        policy = policy_of(sandbox.url, text=WRITTEN)
        with house(policy, books=Books(policy, books)) as found:
            for center in SHADOWS:
                found.post("/v1/messages", asking("My card is 4111 1111 1111 1111."), x_hroute_cost_center=center)
            row = shadowed(books)
        assert {call["provider"] for call in sandbox.calls.as_json()} == {"claude"}
    assert row["around"]["shadow"]["outcome"] == "dropped"


def shadowed(books: Any) -> dict[str, Any]:
    """The last request's row, once its shadow has ended."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        assert books.flush(10), books.state()
        with books.read() as view:
            rows: list[dict[str, Any]] = [row for page in report.pages(view) for row in page]
        if rows and "shadow" in rows[-1]["around"]:
            return rows[-1]
        time.sleep(0.02)
    raise AssertionError("no shadow was recorded")
