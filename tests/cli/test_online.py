"""`check --online` and `status --online`: each provider is asked, and a wrong key or a missing model is an answer of no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.router.test_probing import Vendor, model
from tests.router.test_probing import vendor as vendor

RULES = "routing_rules: []\ndefault: {route_to: big, fallback: null}\n"


@pytest.fixture
def policy(vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("BIG_KEY", "sk-a-secret-of-nobody")
    monkeypatch.setenv("HROUTE_LEDGER", "")
    path = tmp_path / "online.yaml"
    entry = f"plugin: anthropic, model: big-1, base_url: '{vendor.url}', api_key: env:BIG_KEY"
    path.write_text(f"providers:\n  big: {{{entry}}}\n{RULES}")
    return str(path)


def test_what_is_well_is_told_and_answers_yes(cli: Cli, vendor: Vendor, policy: str) -> None:
    vendor.answers["/v1/models/big-1"] = (200, model("big-1"))
    ran = cli("check", "--online", policy)
    assert (ran.code, "online\n  big   answers in" in ran.out) == (0, True), ran.out + ran.err
    status = cli("status", "--online", "-p", policy)
    assert "online\n  big   answers in" in status.out
    assert json.loads(cli("status", "--online", "--json", "-p", policy).out)["online"]["model_present"] is True
    assert "sk-a-secret" not in ran.out + status.out


def test_what_is_wrong_makes_the_answer_no(cli: Cli, vendor: Vendor, policy: str) -> None:
    vendor.answers["/v1/models/big-1"] = (401, {"error": {"type": "authentication_error"}})
    ran = cli("check", "--online", "--json", policy)
    assert ran.code == 1
    (told,) = json.loads(ran.out)["online"]
    assert (told["provider"], told["ok"], told["problem"]) == ("big", False, "its key is rejected (401)")
    assert "its key is rejected (401)" in cli("check", "--online", policy).out


def test_nobody_is_asked_without_it(cli: Cli, vendor: Vendor, policy: str) -> None:
    assert cli("check", policy).code == 0
    assert "online" not in json.loads(cli("check", "--json", policy).out)
    cli("status", "-p", policy)
    assert vendor.asked == []
