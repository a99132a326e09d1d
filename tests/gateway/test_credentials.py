"""Credentials: a client's own login goes to its own vendor and nowhere else, the policy's keys to whom they are for, and no
output holds any of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hroute.gateway.clients import Client, Clients
from hroute.gateway.doors import DOORS
from hroute.providers import registry
from hroute.providers.protocol import Capabilities
from hroute.router.bookkeeping import books_of
from hroute.schema.policy import Policy
from tests.gateway.house import ANSWERS, BODIES, JSON, Notary, house, policy_of

SENT = {
    "authorization": "Bearer canary-bearer",
    "x_api_key": "canary-x-api-key",
    "api_key": "canary-api-key",
    "x_goog_api_key": "canary-goog",
    "cookie": "session=canary-cookie",
    "proxy_authorization": "Basic canary-proxy",
    "openai_organization": "canary-organization",
}
LOGIN = """
providers:
  own_claude: {{plugin: anthropic, model: m, base_url: "{url}/own_claude", api_key: client}}
  far_claude: {{plugin: anthropic, model: m, base_url: "{url}/far_claude", api_key: client}}
  own_gpt: {{plugin: openai, model: m, base_url: "{url}/own_gpt/v1", api_key: client, options: {{responses: true, completions: true}}}}
  far_gpt: {{plugin: openai, model: m, base_url: "{url}/far_gpt/v1", api_key: client, options: {{responses: true, completions: true}}}}
  llama: {{plugin: ollama, model: m, base_url: "{url}/llama", api_key: client}}
  keyed: {{plugin: anthropic, model: m, base_url: "{url}/keyed", api_key: env:KEY}}
routing_rules:
  - {{name: r1, condition: {{cost_center: own_claude}}, route_to: own_claude, fallback: null}}
  - {{name: r2, condition: {{cost_center: far_claude}}, route_to: far_claude, fallback: null}}
  - {{name: r3, condition: {{cost_center: own_gpt}}, route_to: own_gpt, fallback: null}}
  - {{name: r4, condition: {{cost_center: far_gpt}}, route_to: far_gpt, fallback: null}}
  - {{name: r5, condition: {{cost_center: llama}}, route_to: llama, fallback: null}}
default: {{route_to: keyed}}
{more}
"""
PROVIDERS = ("own_claude", "far_claude", "own_gpt", "far_gpt", "llama", "keyed")


def own(notary: Notary) -> Callable[[str], Capabilities]:
    """The vendors' own addresses, as if they were here."""
    places = {"anthropic": f"{notary.url}/own_claude", "openai": f"{notary.url}/own_gpt/v1"}

    def facts(plugin: str) -> Capabilities:
        found = registry.facts(plugin)
        return replace(found, default_base_url=places[plugin]) if plugin in places else found

    return facts


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("path", BODIES)
def test_a_clients_own_login_goes_to_its_own_vendor_and_nowhere_else(path: str, provider: str, stream: bool) -> None:
    mine = {"anthropic": "own_claude", "openai": "own_gpt"}[DOORS[path].vendor]
    with Notary((200, JSON, ANSWERS[path])) as notary:
        with house(policy_of(notary.url, text=LOGIN), facts=own(notary)) as here:
            answer = here.post(path, BODIES[path](stream=stream), x_hroute_cost_center=provider, **SENT)
        seen = repr(notary.noted)
    assert "canary-cookie" not in seen
    if provider == mine:
        assert answer.status_code == 200
        assert "canary-bearer" in seen
        assert "canary-x-api-key" in seen
    else:
        assert "canary" not in seen
        assert "canary" not in answer.text + repr(answer.headers)
        assert answer.status_code in ((200, 502) if provider == "keyed" else (503,))


ECHOES = {
    400: {"error": {"message": "bad request with key policys-own-key", "type": "policys-own-key", "code": "policys-own-key"}},
    401: {"error": {"message": "invalid key policys-own-key", "type": "authentication_error"}},
    404: {"error": {"message": "no such thing for policys-own-key", "type": "not_found_error"}},
    500: {"error": {"message": "broken: policys-own-key", "type": "api_error"}},
}  # fmt: skip


@pytest.mark.parametrize("status", ECHOES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_no_output_holds_a_key(path: str, status: int, stream: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    kept = Clients(str(tmp_path / "state" / "clients.json"))
    key = kept.add(Client("ann", "", ""))
    with Notary((status, {**JSON, "x-echo": "policys-own-key"}, json.dumps(ECHOES[status]).encode())) as notary:
        policy: Policy = policy_of(notary.url)
        with house(policy) as here:
            here.gateway.clients = kept
            engine = here.gateway.engine
            engine.books = books_of(policy, {"HROUTE_LEDGER": str(tmp_path / "ledger.db")})
            target = "claude" if path == "/v1/messages" else "gpt"
            sent: dict[str, Any] = {**SENT, "authorization": f"Bearer {key}"}
            told = [here.post(path, BODIES[path](stream=stream), x_hroute_cost_center=c, **sent) for c in (target, "alone")]  # fmt: skip
            told += [here.post(path, b"{", **sent), here.post(path, BODIES[path](), x_hroute_signal=key, **sent)]
            told += [here.post(path, BODIES[path](), x_hroute_key=key[:-1]), here.get("/v1/models/" + key)]
            told += [here.get("/metrics"), here.get("/ui"), here.get("/readyz")]
            assert engine.books is not None
            engine.books.ledger.flush()
    out, err = capfd.readouterr()
    files = [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    logged = [
        r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))
    ]  # our client's own
    everything = [*logged, out, err, *files, *(answer.text + repr(answer.headers) for answer in told)]
    for secret in ("policys-own-key", "canary", key, key[:-1], key[12:40]):
        assert [text[:200] for text in everything if secret in text] == [], secret
