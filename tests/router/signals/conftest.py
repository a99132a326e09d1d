"""A small policy and short ways to an extraction."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hroute.router.signals.extract import Extraction
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.message import Request, prompt
from hroute.terms.signal import Value

POLICY = """
version: 1
intents:
  booking: {any_of: ["book a table"], matches: ['table for \\d+'], unless: ["periodic table"]}
  menu: {examples: ["which cakes do you bake on fridays"]}
routing_rules:
  - {name: private, condition: {contains_pii: true}, route_to: ollama, fallback: null}
  - {name: sunday, condition: {message: {any_of: ["sunday*"]}}, route_to: ollama}
  - {name: team, condition: {user: "anna*"}, route_to: ollama}
"""


def policy_of(text: str) -> Policy:
    policy, findings, _ = load_text(text)
    assert policy is not None, findings
    return policy


@pytest.fixture(scope="session")
def policy() -> Policy:
    return policy_of(POLICY)


@pytest.fixture
def extract(policy: Policy) -> Callable[..., Extraction]:
    def make(text: str | Request | None, policy: Policy = policy, **given: Value) -> Extraction:
        return Extraction(policy, prompt(text) if isinstance(text, str) else text, given)

    return make
