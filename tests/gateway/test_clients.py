"""Keys of the gateway's clients: kept as hashes, and each opens what it says."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hroute.errors import UsageError
from hroute.gateway.clients import Client, Clients, Rates, with_budgets, without_key
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.bookkeeping import books_of
from tests.gateway.house import BODIES, House, before_sandbox, house, message, policy_of

EMPTY = Client("bot", "", "")


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    return Clients(str(tmp_path / "hroute" / "clients.json"))


@pytest.fixture
def stage(clients: Clients) -> Iterator[tuple[House, SandboxServer]]:
    with before_sandbox() as (house, sandbox):
        house.gateway.clients = clients
        yield house, sandbox


def test_only_hashes_are_kept_and_nobody_else_can_read_them(clients: Clients) -> None:
    key = clients.add(EMPTY)
    folder = Path(clients.path).parent
    assert all(key[12:] not in file.read_bytes().decode("latin-1") for file in folder.iterdir())
    assert all(os.stat(file).st_mode & 0o077 == 0 for file in folder.iterdir())
    found = clients.find(key)
    assert found is not None
    assert found.name == "bot"


def test_another_key_opens_nothing(clients: Clients) -> None:
    key = clients.add(EMPTY)
    for wrong in ("", "hrk_", key[:-1], key[:12] + "x" * 43, key + "x", key.upper(), "sk-ant-123"):
        assert clients.find(wrong) is None
    Path(clients.path + ".pepper").write_bytes(b"another")
    assert Clients(clients.path).find(key) is None


def test_a_name_is_given_once_and_a_revoked_key_opens_nothing_at_once(clients: Clients) -> None:
    other = Clients(clients.path)
    key = clients.add(EMPTY)
    with pytest.raises(UsageError, match="there is a client"):
        clients.add(EMPTY)
    assert other.find(key) is not None
    assert clients.revoke("bot")
    assert not clients.revoke("bot")
    assert other.find(key) is None


def test_a_file_that_others_can_read_is_not_used(clients: Clients) -> None:
    clients.add(EMPTY)
    os.chmod(clients.path, 0o644)
    with pytest.raises(UsageError, match="others can read"):
        Clients(clients.path).all()
    os.chmod(clients.path, 0o600)
    Path(clients.path).write_text("{")
    with pytest.raises(UsageError, match="is not what"):
        Clients(clients.path).all()


@pytest.mark.parametrize("place", ["x-hroute-key", "x-api-key", "authorization"])
def test_a_key_is_found_wherever_a_client_puts_it_and_never_passed_on(
    stage: tuple[House, SandboxServer], clients: Clients, place: str
) -> None:
    house, sandbox = stage
    key = clients.add(replace(EMPTY, signals={"cost_center": "llama"}))
    value = f"Bearer {key}" if place == "authorization" else key
    answer = house.post("/v1/messages", message(), **{place.replace("-", "_"): value})
    assert answer.status_code == 200
    assert answer.headers["x-hroute-routed-to"] == "llama"
    rest, found = without_key({place: value, "accept": "x"})
    assert (rest, found) == ({"accept": "x"}, key)
    assert without_key({"authorization": f"bearer  {key}"}) == ({}, key)
    assert house.post("/v1/messages", message(), x_hroute_key="hrk_wrong").status_code == 401
    assert key not in json.dumps(sandbox.calls.as_json())


def test_a_vendors_credential_is_no_key_of_ours() -> None:
    headers = {"authorization": "Bearer sk-ant-oat01-x", "x-api-key": "sk-ant-api03-x"}
    assert without_key(headers) == (headers, None)


def test_defaults_stand_and_what_is_fixed_cannot_be_said(stage: tuple[House, SandboxServer], clients: Clients) -> None:
    house, _ = stage
    free = clients.add(Client("free", "", "", signals={"cost_center": "llama"}))
    held = clients.add(Client("held", "", "", signals={"cost_center": "llama"}, fixed=("cost_center", "contains_pii")))
    said = {"x_hroute_cost_center": "gpt"}
    assert house.post("/v1/messages", message(), x_hroute_key=free, **said).headers["x-hroute-routed-to"] == "gpt"
    assert house.post("/v1/messages", message(), x_hroute_key=held, **said).headers["x-hroute-routed-to"] == "llama"


def test_a_key_opens_its_routes_only(stage: tuple[House, SandboxServer], clients: Clients) -> None:
    house, sandbox = stage
    key = clients.add(replace(EMPTY, routes=("to_llama",)))
    assert house.post("/v1/messages", message(), x_hroute_key=key, x_hroute_cost_center="llama").status_code == 200
    before = len(sandbox.calls.as_json())
    elsewhere = house.post("/v1/messages", message(), x_hroute_key=key, x_hroute_cost_center="gpt")
    assert elsewhere.headers["x-hroute-provider"] == "claude"
    assert not [c for c in sandbox.calls.as_json()[before:] if c["provider"] == "gpt"]
    nobody = clients.add(Client("nobody", "", "", routes=("no_such_rule",)))
    assert house.post("/v1/messages", message(), x_hroute_key=nobody).status_code == 403


def test_requests_of_a_minute_are_counted(stage: tuple[House, SandboxServer], clients: Clients) -> None:
    house, _ = stage
    key = clients.add(replace(EMPTY, per_minute=2))
    statuses = [house.post("/v1/messages", message(), x_hroute_key=key).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert int(house.post("/v1/messages", message(), x_hroute_key=key).headers["retry-after"]) <= 30


def test_a_bucket_fills_steadily() -> None:
    now = [0.0]
    rates, client = Rates(lambda: now[0]), replace(EMPTY, id="a", per_minute=60)
    assert [rates.wait(client) for _ in range(60)] == [0.0] * 60
    assert rates.wait(client) == pytest.approx(1.0)
    now[0] = 0.5
    assert rates.wait(client) == pytest.approx(0.5)
    now[0] = 1.1
    assert rates.wait(client) == 0.0


def test_off_loopback_a_key_is_needed_and_pages_are_for_administrators(
    stage: tuple[House, SandboxServer], clients: Clients
) -> None:
    house, _ = stage
    plain, admin = clients.add(EMPTY), clients.add(Client("ops", "", "", admin=True))
    house.gateway.loopback = False
    elsewhere = {"host": "gateway.example"}
    assert house.post("/v1/messages", message(), **elsewhere).status_code == 401
    assert house.post("/v1/messages", message(), x_hroute_key=plain, **elsewhere).status_code == 200
    assert house.get("/metrics", **elsewhere).status_code == 401
    assert house.get("/metrics", x_hroute_key=plain, **elsewhere).status_code == 403
    assert house.get("/metrics", x_hroute_key=admin, **elsewhere).status_code == 200
    assert house.get("/ui", x_hroute_key=plain, **elsewhere).status_code == 403
    assert house.get("/ui", x_hroute_key=admin, **elsewhere).status_code == 200
    for page in ("/v1/models", "/readyz", "/openapi.json", "/"):
        assert house.get(page, **elsewhere).status_code == 401
        assert house.get(page, x_hroute_key=plain, **elsewhere).status_code == 200
    assert house.get("/healthz", **elsewhere).status_code == 200


def test_what_a_client_may_spend_is_a_budget() -> None:
    policy = policy_of("http://127.0.0.1:9")
    [budget] = with_budgets(policy, (replace(EMPTY, monthly=5_000_000_000), EMPTY)).budgets
    assert (budget.limit, budget.per, dict(budget.where)) == (5_000_000_000, "month", {"client": ("bot",)})


PRICED = """
providers:
  claude: {{plugin: anthropic, model: claude-x, base_url: "{url}/claude", api_key: env:KEY, price: {{input: 3, output: 15}}}}
default: {{route_to: claude}}
{more}
"""


@pytest.mark.parametrize("path", BODIES)
def test_a_client_that_has_spent_its_month_is_told_so_in_its_dialect(
    path: str, clients: Clients, tmp_path: Path
) -> None:
    poor, rich = replace(EMPTY, name="poor", monthly=1_000), replace(EMPTY, name="rich", monthly=10**12)
    keys = {client.name: clients.add(client) for client in (poor, rich)}
    with SandboxServer() as sandbox:
        policy = with_budgets(policy_of(sandbox.url, text=PRICED), clients.all())
        with house(policy) as here:
            here.gateway.clients = clients
            here.gateway.engine.books = books_of(policy, {"HROUTE_LEDGER": str(tmp_path / "ledger.db")})
            assert here.post(path, BODIES[path](), x_hroute_key=keys["rich"]).status_code == 200
            refused = here.post(path, BODIES[path](stream=True), x_hroute_key=keys["poor"])
            calls = len(sandbox.calls.as_json())
    assert (refused.status_code, refused.headers["x-should-retry"], calls) == (402, "false", 1)
    told = refused.json()["error"]
    assert "client poor" in told["message"]
    assert "$0.00" in told["message"]
    assert ("code" in told) is (path != "/v1/messages")
