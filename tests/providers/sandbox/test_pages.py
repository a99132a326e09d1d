"""The pages of the HTTP sandbox: models that are there, what Ollama has in memory, and the faults that strike them."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from hroute.errors import UsageError
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer

LOADED = {"model": "llama3.1:8b", "context": 8192, "size": 6_000, "vram": 4_500}


def asked(script: dict[str, Any], method: str, path: str, **more: Any) -> httpx.Response:
    with SandboxServer(Script.from_data(script)) as server, httpx.Client(trust_env=False) as client:
        return client.request(method, server.url + path, **more)


def test_a_model_is_there_or_not() -> None:
    script = {"models": ["gpt-x"]}
    assert asked(script, "GET", "/gpt/v1/models/gpt-x").json()["id"] == "gpt-x"
    missing = asked(script, "GET", "/gpt/v1/models/gpt-y")
    assert (missing.status_code, "gpt-y" in missing.json()["error"]["message"]) == (404, True)


def test_ollama_has_in_memory_what_the_script_says() -> None:
    (row,) = asked({"models": ["llama3.1:8b"], "loaded": [LOADED]}, "GET", "/api/ps").json()["models"]
    assert (row["model"], row["context_length"], row["size"], row["size_vram"]) == ("llama3.1:8b", 8192, 6_000, 4_500)
    assert asked({"models": ["llama3.1:8b"], "loaded": []}, "GET", "/api/ps").json() == {"models": []}


def test_ollama_knows_any_model_unless_the_script_lists_them() -> None:
    assert asked({}, "POST", "/api/show", json={"model": "any"}).status_code == 200
    gone = asked({"models": ["llama3.1:8b"]}, "POST", "/ollama/api/show", json={"model": "any"})
    assert (gone.status_code, gone.json()["error"]) == (404, "model 'any' not found")


def test_a_fault_of_every_call_strikes_the_pages_too() -> None:
    faults = [{"kind": "unauthorized", "provider": "bad"}, {"kind": "overloaded", "provider": "some", "first": 3}]
    assert asked({"faults": faults}, "GET", "/bad/v1/models").status_code == 401
    assert asked({"faults": faults}, "GET", "/some/v1/models").status_code == 200
    assert asked({"faults": faults}, "GET", "/v1/models").status_code == 200


def test_a_loaded_model_that_does_not_fit_is_named() -> None:
    with pytest.raises(UsageError, match=r"loaded\[0\]"):
        Script.from_data({"loaded": [{"model": "m", "size": "big"}]})


def test_a_crowd_that_comes_at_once_is_let_in() -> None:
    """200 connections before any of them is served: none waits for the system to ask again."""
    with SandboxServer() as server:
        address = urlsplit(server.url)
        crowd = [socket.create_connection((address.hostname, address.port), 10) for _ in range(200)]
        for made in crowd:
            made.sendall(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        answers = [made.makefile("rb").readline() for made in crowd]
        for made in crowd:
            made.close()
    assert set(answers) == {b"HTTP/1.1 200 OK\r\n"}
