"""Who may serve, in which order, and why the others may not."""

from __future__ import annotations

from typing import Any

import pytest

from hroute.providers.protocol import Capabilities, Target
from hroute.router import egress
from hroute.router.decision import Decision
from hroute.router.egress import Guard
from hroute.router.plan import Down, Needs, Plan, Skipped, Surroundings, Why, needs_of, plan
from hroute.router.targets import target_of
from hroute.schema.policy import Policy, Provider
from hroute.terms.message import Message, Request, Text, Tool, Unread
from tests.router.stage import KEYED, PII, guarantee, policy, provider, rule

HOME = provider("home", local=True, context_window=8192)
CLOUD = provider("cloud", context_window=200_000)
OTHER = provider("other", api_key="env:OTHER_KEY")
STAYS = guarantee("stays", ["home"], PII)


def planned(
    of: Policy,
    *,
    needs: Needs | None = None,
    pii: bool = False,
    environ: dict[str, str] | None = None,
    gates: Any = (),
    facts: Capabilities | None = None,
    local_facts: Capabilities | None = None,
) -> Plan:
    known = facts or Capabilities()

    def facts_of(p: Provider) -> Capabilities:
        return (local_facts or Capabilities(needs_key=False)) if p.local else known

    def where(p: Provider, target: Target) -> Any:
        return egress.locate(p, target)

    guard = Guard(of, lambda feature: pii if feature == "contains_pii" else False)
    route = of.default.route
    assert route is not None
    around = Surroundings(
        lambda p: target_of(p, facts_of(p), KEYED if environ is None else environ), facts_of, where, gates
    )
    return plan(Decision(of.default, route.chain, {}, of.hash), route.chain, guard, needs or Needs(), around)


def why(plan: Plan) -> dict[str, Why]:
    return {s.provider: s.why for s in plan.skipped}


def test_the_chain_is_the_plan_where_nothing_stands_against_it() -> None:
    assert planned(policy([CLOUD, HOME], rule(["cloud", "home"]))).route == ("cloud", "home")


def test_a_guarantee_is_evaluated_although_no_rule_asked_for_its_signal() -> None:
    of = policy([CLOUD, HOME], rule(["cloud", "home"]), STAYS)
    assert planned(of, pii=False).route == ("cloud", "home")
    tainted = planned(of, pii=True)
    assert tainted.route == ("home",)
    assert tainted.skipped == (Skipped("cloud", Why.GUARANTEE, "forbidden by guarantee stays", "stays"),)


def test_a_provider_that_only_claims_to_be_local_is_no_way_out() -> None:
    liar = provider("liar", local=True, base_url="https://ollama.example.com")
    of = policy([liar, HOME], rule(["liar", "home"]), guarantee("stays", ["home", "liar"], PII))
    found = planned(of, pii=True)
    assert found.route == ("home",)
    assert "its address is not" in found.skipped[0].detail
    assert planned(of, pii=False).route == ("liar", "home")


def test_an_address_from_the_environment_is_judged_as_it_resolves() -> None:
    moved = provider("moved", local=True, base_url="env:OLLAMA_URL")
    of = policy([moved], rule(["moved"]), guarantee("stays", ["moved"], PII))
    assert planned(of, pii=True, environ={"OLLAMA_URL": "http://127.0.0.1:9"}).route == ("moved",)
    assert planned(of, pii=True, environ={"OLLAMA_URL": "http://10.0.0.9:9"}).route == ()


def test_a_provider_without_its_key_is_skipped_with_one_line() -> None:
    found = planned(policy([OTHER, CLOUD], rule(["other", "cloud"])))
    assert found.route == ("cloud",)
    assert found.skipped == (Skipped("other", Why.KEY, "$OTHER_KEY is not set"),)


def test_a_key_in_clear_is_never_shown() -> None:
    odd = provider("odd", api_key="keyring:work")
    found = planned(policy([odd], rule(["odd"])))
    assert found.skipped[0].detail == "work in the keyring is not set"


def test_a_server_of_ones_own_needs_no_key() -> None:
    vllm = provider("vllm", api_key=None, base_url="http://127.0.0.1:8000/v1")
    bare = provider("bare", api_key=None, base_url=None)
    facts = Capabilities(default_base_url="https://api.openai.com/v1")
    found = planned(policy([vllm, bare], rule(["vllm", "bare"])), facts=facts)
    assert found.route == ("vllm",)
    assert why(found) == {"bare": Why.KEY}


def test_an_address_that_is_not_set_never_becomes_the_vendors_own() -> None:
    mine = provider("mine", base_url="env:MY_URL")
    facts = Capabilities(default_base_url="https://api.openai.com/v1")
    found = planned(policy([mine], rule(["mine"])), facts=facts)
    assert why(found) == {"mine": Why.ADDRESS}
    local = provider("o", local=True, base_url="env:OLLAMA_URL")
    ollama = Capabilities(needs_key=False, default_base_url="http://127.0.0.1:11434")
    assert planned(policy([local], rule(["o"])), local_facts=ollama).candidates[0].where == "machine"


@pytest.mark.parametrize(
    ("needs", "facts"),
    [(Needs(tools=True), Capabilities(tools=False)), (Needs(images=True), Capabilities(images=False))],
)
def test_what_a_plugin_cannot_carry_is_a_lack(needs: Needs, facts: Capabilities) -> None:
    of = policy([CLOUD, HOME], rule(["cloud", "home"]))
    assert why(planned(of, needs=needs, facts=facts)) == {"cloud": Why.CAPABILITY}


def test_what_does_not_fit_goes_where_it_does() -> None:
    of = policy([HOME, CLOUD], rule(["home", "cloud"]))
    found = planned(of, needs=Needs(tokens=8193))
    assert found.route == ("cloud",)
    assert found.skipped[0].detail == "holds 8192 tokens, about 8193 are needed"
    assert planned(of, needs=Needs(tokens=8192)).route == ("home", "cloud")


def test_a_tool_that_one_vendor_runs_goes_to_no_other() -> None:
    anthropic, openai = provider("a", plugin="anthropic"), provider("o", plugin="openai")
    search = Tool("web_search", "", {}, hosted="anthropic:web_search_20250305")
    needs = needs_of(Request((), tools=(search,)), None)
    assert planned(policy([openai, anthropic], rule(["o", "a"])), needs=needs).route == ("a",)


def test_the_needs_of_a_request_are_read_from_its_parts() -> None:
    image = Message("user", (Text("look"), Unread("image", "image/png")))
    needs = needs_of(Request((image,), tools=(Tool("t", "", {}),)), 12)
    assert (needs.tools, needs.images, needs.tokens) == (True, True, 12)
    assert not needs_of(Request((Message("user", (Unread("document"),)),)), None).images


def test_what_is_down_is_skipped_by_name_or_by_plugin() -> None:
    of = policy([CLOUD, HOME], rule(["cloud", "home"]))
    assert why(planned(of, gates=[Down(frozenset({"cloud"}))])) == {"cloud": Why.DOWN}
    assert planned(of, gates=[Down(frozenset({"fake"}))]).route == ()


def test_the_guarantee_is_the_reason_that_is_named_first() -> None:
    of = policy([OTHER], rule(["other"]), STAYS)
    assert why(planned(of, pii=True, gates=[Down(frozenset({"other"}))])) == {"other": Why.GUARANTEE}


def test_a_slow_provider_is_asked_last_not_left_out() -> None:
    class Slow:
        def refuses(self, p: Provider) -> Skipped | None:
            return None

        def postpones(self, p: Provider) -> bool:
            return p.name == "home"

        def enter(self, p: Provider) -> None:
            return None

    of = policy([HOME, CLOUD], rule(["home", "cloud"]), STAYS)
    assert planned(of, gates=[Slow()]).route == ("cloud", "home")
    assert planned(of, gates=[Slow()], pii=True).route == ("home",)


def test_no_name_stands_twice() -> None:
    assert planned(policy([CLOUD, HOME], rule(["cloud", "home", "cloud"]))).route == ("cloud", "home")
