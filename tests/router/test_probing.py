"""Providers are asked whether they are there, without a prompt, and whom a guarantee keeps out is not asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hroute.providers import registry
from hroute.providers.ollama_window import residence_of
from hroute.providers.probe import Probing
from hroute.providers.protocol import Target
from hroute.providers.testing import Leave
from hroute.router.probing import Probed, probe
from hroute.schema.load import load_text
from hroute.schema.policy import Policy

GIGABYTE = 1_000_000_000
RULES = "routing_rules: []\ndefault: {route_to: p, fallback: null}\n"


class Vendor:
    """Answers each path with (status, body); what came is in `asked` as "METHOD path"."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                outer.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.answer()

            def answer(self) -> None:
                outer.asked.append(f"{self.command} {self.path}")
                status, body = outer.answers.get(self.path, (404, {"error": {"message": "no such page"}}))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.server.shutdown()
    made.server.server_close()


def loaded(entry: str, more: str = "") -> Policy:
    policy, findings, _ = load_text(f"providers:\n  p: {{{entry}}}\n{RULES}{more}")
    assert policy is not None, findings
    return policy


def asked(entry: str, more: str = "", **environ: str) -> Probed:
    policy = loaded(entry, more)
    (found,) = probe(policy, [policy.providers["p"]], {"KEY": "k", **environ})
    return found


def model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "type": "model", "created": 1, "owned_by": "x", "display_name": name, "created_at": "2026-01-01T00:00:00Z"}  # fmt: skip


def test_a_key_that_is_taken_and_a_model_that_is_there_are_well(vendor: Vendor) -> None:
    vendor.answers["/v1/models/m"] = (200, model("m"))
    found = asked(f"plugin: anthropic, model: m, base_url: '{vendor.url}', api_key: env:KEY")
    assert (found.ok, found.problem, found.probe is not None) == (True, "", True)
    vendor.answers["/v1/models"] = (200, {"object": "list", "data": [model("m"), model("m2")]})
    found = asked(f"plugin: openai, model: m2, base_url: '{vendor.url}/v1', api_key: env:KEY")
    assert found.ok
    assert found.probe is not None
    assert found.probe.listed is True
    assert vendor.asked == ["GET /v1/models/m", "GET /v1/models"], "nothing that costs anything"


@pytest.mark.parametrize("entry", ["plugin: anthropic, base_url: '{url}'", "plugin: openai, base_url: '{url}/v1'"])
def test_a_key_that_is_rejected_is_told(entry: str, vendor: Vendor) -> None:
    for path in ("/v1/models", "/v1/models/m"):
        vendor.answers[path] = (401, {"error": {"type": "authentication_error", "message": "bad key sk-secret"}})
    found = asked(f"{entry.format(url=vendor.url)}, model: m, api_key: env:KEY")
    assert (found.ok, found.problem) == (False, "its key is rejected (401)")
    assert "sk-secret" not in repr(found)


def test_a_server_that_does_not_list_its_models_may_have_it_all_the_same(vendor: Vendor) -> None:
    found = asked(f"plugin: openai, model: m, base_url: '{vendor.url}/v1', api_key: env:KEY")
    assert found.ok
    assert found.notes == ("it does not say whether it has `m`",)


def test_a_vendor_s_own_word_about_a_model_is_believed(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hroute.providers.openai._vendor", lambda _: True)
    vendor.answers["/v1/models"] = (200, {"object": "list", "data": [model("n")]})
    found = asked(f"plugin: openai, model: m, base_url: '{vendor.url}/v1', api_key: env:KEY")
    assert found.problem == "it has no model `m`"


def test_ollama_says_what_is_loaded_how_large_and_where(vendor: Vendor) -> None:
    vendor.answers["/api/show"] = (
        200,
        {"model_info": {"general.architecture": "llama", "llama.context_length": 131072}},
    )
    row = {
        "name": "small:8b",
        "model": "small:8b",
        "context_length": 8192,
        "size": 5 * GIGABYTE,
        "size_vram": 3 * GIGABYTE,
    }
    vendor.answers["/api/ps"] = (200, {"models": [{"name": "other"}, row]})
    found = asked(f"plugin: ollama, model: 'small:8b', base_url: '{vendor.url}', local: true, context_window: 200000")
    assert found.ok
    assert found.notes == (
        "trained for 131072 tokens, and the policy counts on 200000",
        "loaded with 8192 tokens, 5.0 GB, 60 % of it in VRAM",
    )
    assert found.as_json()["loaded"] == {"context": 8192, "bytes": 5 * GIGABYTE, "vram_share": 0.6}
    assert json.loads(vendor.bodies[0]) == {"model": "small:8b"}
    vendor.answers["/api/ps"] = (200, {"models": []})
    assert asked(f"plugin: ollama, model: 'small:8b', base_url: '{vendor.url}', local: true").notes[-1] == "not loaded"


def test_a_model_that_was_not_pulled_is_told(vendor: Vendor) -> None:
    found = asked(f"plugin: ollama, model: 'small:8b', base_url: '{vendor.url}', local: true")
    assert found.problem == "it has no model `small:8b`"


def test_a_local_model_that_is_served_elsewhere_is_a_problem(vendor: Vendor) -> None:
    vendor.answers["/api/show"] = (200, {"remote_host": "https://ollama.com:443", "model_info": {}})
    vendor.answers["/api/ps"] = (200, {"models": []})
    assert "served by https://ollama.com:443" in asked(f"plugin: ollama, model: m, base_url: '{vendor.url}', local: true").problem  # fmt: skip
    assert asked(f"plugin: ollama, model: m, base_url: '{vendor.url}'").ok


def test_names_with_and_without_their_tag_are_the_same_model() -> None:
    running = {"models": [{"name": "llama3:latest", "size": 1, "size_vram": 1, "context_length": 4096}]}
    assert residence_of(running, "llama3") is not None
    assert residence_of(running, "llama3:latest") is not None
    assert residence_of(running, "llama") is None
    assert residence_of({"models": None}, "llama3") is None
    assert residence_of({}, "llama3") is None


def test_who_is_not_there_or_has_no_key_is_told() -> None:
    assert (
        asked("plugin: ollama, model: m, base_url: 'http://127.0.0.1:9', local: true").problem == "connection refused"
    )
    found = asked("plugin: anthropic, model: m, api_key: env:NO_SUCH")
    assert (found.problem, found.probe) == ("$NO_SUCH is not set", None)
    assert "not installed" in asked("plugin: command, command: [no-such-program-of-anybody]").problem


def test_whom_a_guarantee_keeps_from_every_request_is_not_asked(vendor: Vendor) -> None:
    home = "guarantees:\n  - {name: nothing_leaves, only: {local: true}}\n"
    found = asked(f"plugin: openai, model: m, base_url: '{vendor.url}/v1', api_key: env:KEY", home)
    assert found.ok
    assert "nothing_leaves" in found.notes[0]
    assert vendor.asked == []
    private = "guarantees:\n  - {name: home, when: {contains_pii: true}, only: {local: true}}\n"
    asked(f"plugin: openai, model: m, base_url: '{vendor.url}/v1', api_key: env:KEY", private)
    assert vendor.asked, "a guarantee about some requests is none about this one, which holds nothing"


@pytest.mark.parametrize("plugin", ["anthropic", "openai", "ollama", "command"])
def test_a_probe_demands_a_permit_as_any_send_does(plugin: str) -> None:
    made = registry.load(plugin)
    assert isinstance(made, Probing)
    with pytest.raises(PermissionError):
        made.probe(Target("p", "m", "http://127.0.0.1:9", "k", command=("x",)), Leave("p", denied=True))
