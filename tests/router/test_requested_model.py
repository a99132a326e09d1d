"""A provider of any model (`model: requested`) costs what the model costs that was asked for."""

from __future__ import annotations

from datetime import UTC, datetime

from hroute.replay.dry_run import run
from hroute.replay.result import Result
from hroute.replay.rows import Row
from hroute.router.attempts import Attempt
from hroute.router.charges import charge
from hroute.router.pricing import bill, price_of, serving
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.outcome import Outcome
from hroute.terms.usage import Usage

MILLION = 1_000_000
DOLLAR = 1_000_000_000


def policy() -> Policy:
    found, findings, _ = load_text(
        "providers:\n  asked: {plugin: anthropic, model: requested}\n  small: {plugin: anthropic, model: claude-haiku-4-5}\n"
        "routing_rules: [{name: subagents, condition: {purpose: subagent}, route_to: small, fallback: asked}]\n"
        "default: {route_to: asked, fallback: null}\n"
    )
    assert found is not None, findings
    return found


def dried(*rows: Row) -> Result:
    return run(policy(), rows)


def row(model: str | None, purpose: str = "turn") -> Row:
    signals = {"purpose": purpose}
    return Row(1, "1", model=model, input_tokens=MILLION, output_tokens=0, signals=signals)


def test_a_call_costs_what_its_model_costs() -> None:
    attempt = Attempt("asked", "claude-opus-4-8", Outcome.OK, 10.0, None, usage=Usage(input=MILLION))
    assert bill(policy(), [attempt])[1] == 5 * DOLLAR
    assert charge(policy().providers["asked"], attempt, datetime(2026, 11, 20, tzinfo=UTC)) == 5 * DOLLAR


def test_a_model_that_nobody_knows_has_no_price_and_others_keep_theirs() -> None:
    providers = policy().providers
    assert price_of(serving(providers["asked"], "nonesuch-9")) is None
    assert serving(providers["small"], "claude-opus-4-8") is providers["small"]
    assert serving(providers["asked"], "").model == "requested"


def test_a_dry_run_prices_each_row_by_the_model_that_it_asked_for() -> None:
    found = dried(row("claude-opus-4-8"), row("claude-haiku-4-5"), row("claude-opus-4-8", "subagent"))
    assert found.total.cost == (5 + 1 + 1) * DOLLAR
    assert {c.provider: c.cost for c in found.constants} == {"asked": 11 * DOLLAR, "small": 3 * DOLLAR}
    assert found.unpriced == ()


def test_a_row_that_names_no_model_makes_the_sum_unknown() -> None:
    found = dried(row(None))
    assert found.total.cost is None
    assert found.unpriced == ("asked",)
