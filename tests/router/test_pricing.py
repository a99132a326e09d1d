"""What a provider costs: override, local, list price, unknown; in that order."""

from __future__ import annotations

import pytest

from hroute.router.pricing import cost_of, price_of
from hroute.schema.policy import Provider
from hroute.terms.money import Price, from_usd
from hroute.terms.usage import Usage

OVERRIDE = Price(3_000_000_000, 15_000_000_000)
ONE = Usage(input=1_000_000)


def test_the_policys_own_price_comes_first() -> None:
    assert price_of(Provider("p", "anthropic", "claude-haiku-4-5", price=OVERRIDE)) is OVERRIDE
    assert price_of(Provider("p", "ollama", "llama", local=True, price=OVERRIDE, usd_per_hour=1)) is OVERRIDE


@pytest.mark.parametrize("local", [True, "network"])
def test_a_local_provider_costs_nothing(local: bool) -> None:
    provider = Provider("p", "ollama", "llama3.1:8b", local=local)
    assert cost_of(provider, Usage(input=10**6, output=10**6)) == 0


def test_the_list_price_is_found_by_plugin_model_and_address() -> None:
    assert cost_of(Provider("p", "anthropic", "claude-haiku-4-5"), ONE) == from_usd(1)
    assert price_of(Provider("p", "openai", "deepseek-v4-pro", base_url="https://api.deepseek.com")) is not None


def test_an_unknown_model_has_no_price_and_no_cost() -> None:
    provider = Provider("p", "openai", "own-model", base_url="https://models.example/v1")
    assert price_of(provider) is None
    assert cost_of(provider, ONE) is None


def test_a_remote_ollama_is_not_free() -> None:
    assert price_of(Provider("p", "ollama", "gpt-oss:120b-cloud")) is None


def test_hardware_paid_by_the_hour_is_charged_by_time_and_is_unknown_without_it() -> None:
    provider = Provider("p", "ollama", "llama", local=True, usd_per_hour=from_usd("3.60"))
    assert price_of(provider) is None
    assert cost_of(provider, ONE) is None
    assert cost_of(provider, ONE, seconds=2.0) == from_usd("0.002")


@pytest.mark.parametrize(
    ("billing", "command", "model", "input_usd"),
    [
        ({"billing": "flat"}, ("claude", "-p"), "sonnet", 0),
        ({"billing": "metered"}, ("claude", "-p"), "claude-haiku-4-5", 1),
        ({"billing": "metered", "profile": "claude"}, ("npx", "-y", "claude-code"), "claude-haiku-4-5", 1),
        ({"billing": "metered"}, ("claude", "-p"), "an-alias", None),
        ({"billing": "metered"}, ("mine",), "claude-haiku-4-5", None),
        ({}, ("claude", "-p"), "claude-haiku-4-5", None),
    ],
)
def test_a_subscription_costs_what_its_terms_say(
    billing: dict[str, str], command: tuple[str, ...], model: str, input_usd: int | None
) -> None:
    paid = Provider("paid", "command", model, command=command, options=billing)
    assert cost_of(paid, ONE) == (None if input_usd is None else from_usd(input_usd))
