"""The FastAPI example answers through the policy, and tells a guest nothing else."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hroute.providers.sandbox.script import Script

pytest.importorskip("fastapi", reason="the FastAPI example needs fastapi: it comes with the dev extra")
from fastapi.testclient import TestClient

EXAMPLE = Path(__file__).parents[1] / "examples/fastapi/app.py"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("fastapi_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def served(example: ModuleType, monkeypatch: pytest.MonkeyPatch, *faults: dict[str, Any]) -> TestClient:
    monkeypatch.delenv("HROUTE_POLICY", raising=False)
    answers = [
        {"text": "From ten, come by!", "provider": "ollama"},
        {"text": "We are sorry.", "provider": "claude_sonnet"},
    ]
    script = Script.from_data({"faults": list(faults), "answers": answers})
    return TestClient(example.create_app(sandbox=script, environ={}))


def said(text: str, chat: str = "7") -> dict[str, str]:
    return {"chat_id": chat, "text": text}


def test_an_everyday_question_is_answered_by_the_small_model_and_a_complaint_is_not(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(example, monkeypatch) as client:
        reply = client.post("/chat", json=said("Are you open on Sundays?"))
        assert (reply.status_code, reply.json()["text"]) == (200, "From ten, come by!")
        assert set(reply.json()) == {"id", "text"}
        assert client.post("/chat", json=said("My soup came cold, I want a refund")).json()["text"] == "We are sorry."


def test_an_outage_of_the_first_model_is_not_seen(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(example, monkeypatch, {"kind": "down", "provider": "claude_sonnet"}) as client:
        reply = client.post("/chat", json=said("My soup came cold, I want a refund"))
        assert reply.status_code == 200
        assert client.post("/chat/stream", json=said("My soup came cold")).status_code == 200


def test_words_come_as_they_are_written(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        served(example, monkeypatch) as client,
        client.stream("POST", "/chat/stream", json=said("A complaint!")) as reply,
    ):
        assert reply.headers["x-hroute-id"]
        assert "".join(reply.iter_text()) == "We are sorry."


def test_when_nobody_answers_a_guest_reads_a_sentence_and_an_id(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(example, monkeypatch, {"kind": "down"}) as client:
        for path in ("/chat", "/chat/stream"):
            reply = client.post(path, json=said("Are you open on Sundays?"))
            assert reply.status_code == 503
            assert reply.json()["text"] == example.SORRY
            assert reply.json()["id"]
            assert "ollama" not in reply.text


def test_a_card_in_one_message_keeps_the_rest_of_the_chat_at_home(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(example, monkeypatch) as client:
        client.post("/chat", json=said("My card is 4111 1111 1111 1111"))
        assert client.post("/chat", json=said("This is a complaint!")).json()["text"] == "From ten, come by!"
        assert client.post("/chat", json=said("This is a complaint!", "8")).json()["text"] == "We are sorry."
