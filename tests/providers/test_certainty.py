"""Token probabilities: asked for on the wire only where they matter, and read from what Ollama and OpenAI send."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from math import log
from typing import Any

import pytest

from hroute.providers import registry
from hroute.router.client import Client
from hroute.schema.load import load_text
from hroute.terms.message import prompt
from hroute.wire import ollama, openai_chat
from hroute.wire.fields import mean_probability

TOKENS = [{"token": "1", "logprob": log(0.5)}, {"token": "8", "logprob": log(0.9)}]
BODIES = {
    "ollama": {"model": "m", "message": {"role": "assistant", "content": "18"}, "done": True, "done_reason": "stop"},
    "openai": {"model": "m", "choices": [{"message": {"role": "assistant", "content": "18"}, "finish_reason": "stop"}]},
}


def body(plugin: str, tokens: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(BODIES[plugin]))
    if plugin == "ollama":
        return made | {"logprobs": tokens}
    made["choices"][0]["logprobs"] = {"content": tokens}
    return made


def test_the_mean_probability_of_tokens() -> None:
    assert mean_probability(TOKENS) == pytest.approx(0.7)
    assert mean_probability([{"logprob": -9999}, {"logprob": 0.0}]) == pytest.approx(0.5)
    assert mean_probability([{"logprob": 1.0}]) == 1.0


@pytest.mark.parametrize("tokens", [None, [], {}, "x", [{"token": "a"}], [{"logprob": None}], [3]])
def test_what_reports_no_probabilities_has_none(tokens: object) -> None:
    assert mean_probability(tokens) is None
    assert ollama.parse_reply(body("ollama", tokens)).certainty is None
    assert openai_chat.parse_reply(body("openai", tokens)).certainty is None
    assert openai_chat.parse_reply(BODIES["openai"]).certainty is None


def test_both_dialects_ask_only_where_they_are_told_to() -> None:
    asking = prompt("x", params={"logprobs": True})
    assert ollama.emit_request(asking, "m")["logprobs"] is True
    assert openai_chat.emit_request(asking, "m")["logprobs"] is True
    assert "logprobs" not in ollama.emit_request(prompt("x"), "m")
    assert "logprobs" not in openai_chat.emit_request(prompt("x"), "m")


def test_a_plugin_that_says_it_reports_them_knows_the_parameter() -> None:
    assert [name for name in registry.built_in() if registry.facts(name).logprobs] == ["openai", "ollama"]


class Server(HTTPServer):
    """Answers every request with the body of its dialect and the probabilities set here."""

    tokens: Any = TOKENS
    asked: list[dict[str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/api/show":
            self.server.asked.append(given)
        plugin = "ollama" if self.path == "/api/chat" else "openai"
        data = json.dumps(body(plugin, self.server.tokens if given.get("logprobs") else None)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.mark.parametrize(("plugin", "path"), [("ollama", ""), ("openai", "/v1")])
def test_a_certain_answer_is_kept_and_an_uncertain_one_asked_for_twice(server: Server, plugin: str, path: str) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}{path}"
    policy, findings, _ = load_text(
        f"""
version: 1
providers:
  small: {{plugin: {plugin}, model: m, base_url: "{url}", api_key: env:KEY, local: true}}
routing_rules:
  - {{name: sure, condition: {{tenant: "!=x"}}, route_to: small, fallback: null, validate: {{min_certainty: 0.6}}}}
default: {{route_to: small}}
"""
    )
    assert policy is not None, findings
    with Client.from_policy(policy=policy, environ={"KEY": "k"}) as client:
        assert client.complete("What is 9 * 2?").text == "18"
        assert len(server.asked) == 1
        server.tokens = [{"token": "18", "logprob": log(0.2)}]
        with pytest.raises(Exception, match="every provider"):
            client.complete("What is 9 * 2?")
        assert len(server.asked) == 3
        assert client.complete("What is 9 * 2?", tenant="x").text == "18"
        assert "logprobs" not in server.asked[-1]
