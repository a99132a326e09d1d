"""The built-in providers: dated, without secrets, and on models that the price source knows."""

from __future__ import annotations

import datetime

import pytest

from hroute.schema.catalogue import CATALOGUE, CATALOGUE_VERSION
from hroute.schema.load import load_text
from hroute.terms.locality import classify
from hroute.terms.secret import is_reference


def test_it_holds_the_six_names_that_policies_may_use_undeclared() -> None:
    assert list(CATALOGUE) == ["ollama", "claude_haiku", "claude_sonnet", "claude_opus", "gpt4o", "deepseek"]
    assert datetime.date.fromisoformat(CATALOGUE_VERSION)


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry_holds_no_secret_and_is_local_only_where_its_address_is(name: str) -> None:
    entry = CATALOGUE[name]
    assert "api_key" not in entry or is_reference(entry["api_key"])
    local = "base_url" in entry and classify(entry["base_url"]) == "machine"
    assert entry.get("local", False) is local


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name != "ollama"])
def test_the_price_source_knows_the_model_and_its_window(name: str) -> None:
    data = pytest.importorskip("genai_prices.data")
    entry = CATALOGUE[name]
    vendor = "deepseek" if name == "deepseek" else entry["plugin"]
    (models,) = [provider.models for provider in data.providers if provider.id == vendor]
    (model,) = [model for model in models if model.id == entry["model"]]
    assert model.context_window == entry["context_window"]
    assert entry["max_output"] < entry["context_window"]


def test_every_entry_is_a_provider_as_a_policy_would_write_it() -> None:
    policy, findings, _ = load_text("default: claude_haiku")
    assert policy is not None, findings
    for name, entry in CATALOGUE.items():
        provider = policy.providers[name]
        assert {key: getattr(provider, key) for key in entry} == entry
