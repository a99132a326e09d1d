"""Permits are for one provider and one use, and nobody else can make them; a claim of locality is checked."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import hroute.router.egress as egress_module
from hroute.providers.protocol import Target
from hroute.router.egress import Forbidden, Guard, Remembered, honest, locate, permit
from hroute.schema.condition import All, Not
from tests.router.stage import PII, guarantee, policy, provider, rule

HOME = provider("home", local=True)
LAN = provider("lan", local="network", base_url="http://10.0.0.5")
CLOUD = provider("cloud")
STAYS = guarantee("stays", ["home", "lan"], PII, only={"local": [True, "network"]})


def guard(*guarantees: Any, pii: bool = True) -> Guard:
    of = policy([HOME, LAN, CLOUD], rule(["cloud", "home"]), *guarantees)
    return Guard(of, lambda feature: pii if feature == "contains_pii" else False)


def test_a_permit_is_spent_once() -> None:
    leave = permit(guard(STAYS), HOME, "machine")
    leave.spend("home")
    with pytest.raises(Forbidden, match="used before"):
        leave.spend("home")


def test_a_permit_for_one_provider_is_none_for_another() -> None:
    leave = permit(guard(STAYS), HOME, "machine")
    with pytest.raises(Forbidden, match="is for home"):
        leave.spend("cloud")
    leave.spend("home")


def test_no_permit_is_made_where_a_guarantee_forbids() -> None:
    with pytest.raises(Forbidden, match="stays"):
        permit(guard(STAYS), CLOUD, "cloud")
    assert permit(guard(STAYS, pii=False), CLOUD, "cloud").provider == "cloud"


def test_an_exception_of_a_guarantee_lifts_it() -> None:
    lifted = guarantee("stays", ["home"], All(()), unless=PII)
    assert permit(guard(lifted), CLOUD, "cloud").provider == "cloud"
    with pytest.raises(Forbidden):
        permit(guard(guarantee("stays", ["home"], All(()), unless=Not(PII))), CLOUD, "cloud")


def test_a_claim_that_the_address_belies_is_worth_nothing_under_a_guarantee() -> None:
    with pytest.raises(Forbidden):
        permit(guard(STAYS), HOME, "cloud")
    with pytest.raises(Forbidden):
        permit(guard(STAYS), HOME, "network")
    assert permit(guard(STAYS), LAN, "network").provider == "lan"
    assert permit(guard(STAYS), LAN, "machine").provider == "lan"


def test_a_guarantee_that_does_not_speak_of_locality_does_not_ask_for_it() -> None:
    strong = guarantee("strong", ["home"], only={"tier": "strong"})
    assert permit(guard(strong), HOME, "cloud").provider == "home"


def test_a_guarantee_is_evaluated_only_where_it_matters_and_once() -> None:
    asked: list[str] = []

    def ask(feature: str) -> bool:
        asked.append(feature)
        return True

    one = Guard(policy([HOME, CLOUD], rule(["home"]), STAYS), ask)
    assert one.forbids(HOME, "machine") is None
    assert asked == []
    assert one.forbids(CLOUD, "cloud") is STAYS
    assert one.forbids(CLOUD, "cloud") is STAYS
    assert asked == ["contains_pii"]


def target(url: str | None, model: str = "m") -> Target:
    return Target("x", model, url)


@pytest.mark.parametrize(
    ("addresses", "where"),
    [(("10.0.0.5",), "network"), (("10.0.0.5", "8.8.8.8"), "cloud"), ((), "cloud"), (("127.0.0.1",), "network"), (("169.254.169.254",), "cloud")],
)  # fmt: skip
def test_a_name_counts_as_network_only_where_every_address_is(addresses: tuple[str, ...], where: str) -> None:
    lan = provider("lan", local="network", base_url="http://gpu.lan")
    assert locate(lan, target("http://gpu.lan:8000"), resolver=lambda _: addresses) == where


def test_a_name_is_looked_up_only_for_who_claims_to_be_in_the_network() -> None:
    def forbidden(_: str) -> tuple[str, ...]:
        raise AssertionError("looked up")

    for provider_ in (CLOUD, HOME):
        assert locate(provider_, target("https://api.example.com"), resolver=forbidden) == "cloud"


def test_a_name_is_looked_up_once_and_again_where_it_was_not_known() -> None:
    asked: list[str] = []

    def resolver(host: str) -> tuple[str, ...]:
        asked.append(host)
        return ("10.0.0.5",) if host == "gpu.lan" else ()

    known = Remembered(resolver)
    assert [known("gpu.lan"), known("gpu.lan")] == [("10.0.0.5",)] * 2
    assert [known("nowhere"), known("nowhere")] == [(), ()]
    assert asked == ["gpu.lan", "nowhere", "nowhere"]


def test_a_cloud_model_of_ollama_is_in_the_cloud() -> None:
    ollama = provider("o", local=True, plugin="ollama")
    assert locate(ollama, target("http://127.0.0.1:11434", "gpt-oss:120b-cloud")) == "cloud"
    assert locate(ollama, target("http://127.0.0.1:11434", "kimi:cloud")) == "cloud"
    assert locate(ollama, target("http://127.0.0.1:11434", "llama3.1:8b")) == "machine"


def test_a_command_is_near_only_where_somebody_vouches() -> None:
    assert locate(provider("c", local=True, plugin="command"), target(None)) == "cloud"
    assert locate(provider("c", local=True, plugin="command", vouched="no network"), target(None)) == "machine"


def test_nobody_is_nearer_than_it_claims_to_need() -> None:
    assert honest(CLOUD, "cloud")
    assert honest(CLOUD, "machine")
    assert not honest(LAN, "cloud")
    assert not honest(HOME, "network")


def test_only_the_egress_constructs_a_permit() -> None:
    root = Path(egress_module.__file__).parents[1]
    makers = set()
    for file in root.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        spends = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "spend"}
        of_the_suite = file.name in ("calling.py", "testing.py") and file.parent.name == "providers"
        if "_Leave" in names or (spends and file.name != "protocol.py" and not of_the_suite):
            makers.add(file.name)
        asked = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        if asked & {"hroute.providers.calling", "hroute.providers.testing"} and not of_the_suite:
            makers.add(file.name)  # the suite's own permits are for the suite alone
    assert makers == {"egress.py"}
