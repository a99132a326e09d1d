"""What a call will cost is said before it: with the answers that were, or with what is assumed where there were none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hroute.ledger.lengths import Lengths
from hroute.ledger.rollup import bucket
from hroute.router.explanation import explain
from hroute.router.forecast import Estimate, Learned
from hroute.router.switching import Warm, switch
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.message import prompt

TEXT = """\
version: 1
providers:
  dear:  {plugin: openai, model: m, api_key: env:KEY, price: {input: 2, output: 10, cache_read: 0.2, cache_write: 2.5}}
  cheap: {plugin: openai, model: s, api_key: env:KEY, price: {input: 0.1, output: 0.5}}
  own:   {plugin: ollama, model: l, local: true, usd_per_hour: 1.2}
  odd:   {plugin: openai, model: unheard-of, api_key: env:KEY, base_url: "https://models.example.com/v1"}
  night: {plugin: openai, model: m, api_key: env:KEY, price: {input: 2, output: 10, hours: [{from: "22:00", to: "06:00", input: 1, output: 5}]}}
routing_rules:
  - {name: code, condition: {task_type: code}, route_to: cheap, params: {max_tokens: 100}}
  - {name: home, condition: {task_type: chat}, route_to: own}
  - {name: odd, condition: {task_type: qa}, route_to: odd}
  - {name: late, condition: {task_type: translation}, route_to: night}
  - {name: closed, condition: {tenant: blocked}, refuse: "closed"}
default: {route_to: dear}
"""
BUDGET = "budgets: [{name: daily, limit_usd: 1, per: day}]\n"
NOON, NIGHT = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 23, tzinfo=UTC)


def policy_of(more: str = "") -> Policy:
    policy, findings, _ = load_text(TEXT + more)
    assert policy is not None, findings
    return policy


def known(**answers: int) -> Learned:
    """Answers of ten tokens and of a thousand, by rule: `code=30` are thirty, of which a fifth are long."""
    return lambda rule, provider, model: Lengths(
        {bucket(200): answers.get(rule, 0) * 4 // 5, bucket(1_000): answers.get(rule, 0) // 5}
    )


def forecast(learned: Learned | None = None, more: str = "", at: datetime = NOON, **signals: Any) -> Estimate:
    found = explain(
        policy_of(more),
        prompt("a b c d e f g h"),
        {"prompt_tokens": 1_000, "task_type": "generation", **signals},
        environ={"KEY": "k"},
        learned=learned,
        at=at,
    )
    return found.estimate


def test_without_a_ledger_five_hundred_tokens_are_assumed_and_that_is_said() -> None:
    found = forecast()
    assert (found.output, found.share, found.answers) == (500, None, 0)
    assert found.basis == "1000 tokens in; 500 out, assumed"
    assert found.nano == 1_000 * 2_000 + 500 * 10_000


def test_with_answers_the_median_counts_and_how_many_it_rests_on() -> None:
    found = forecast(known(default=50))
    assert (found.share, found.answers) == (0.5, 50)
    assert found.output is not None
    assert 185 <= found.output <= 216
    assert found.basis == f"1000 tokens in; {found.output} out, the median of 50 answers by this rule"
    assert found.nano == 1_000 * 2_000 + found.output * 10_000


def test_too_few_answers_are_no_history_and_that_is_said() -> None:
    found = forecast(known(default=15))
    assert (found.output, found.share, found.answers) == (500, None, 0)
    assert "15 answers by this rule are too few" in found.basis


def test_no_answer_is_longer_than_it_may_be() -> None:
    found = forecast(known(code=50), task_type="code")
    assert found.output == 100
    assert "the most allowed, below the median of 50 answers" in found.basis
    assert forecast(task_type="code").output == 100


def test_what_the_caller_expects_comes_first() -> None:
    found = forecast(known(default=50), expected_tokens=1_300)
    assert (found.output, found.basis) == (300, "1000 tokens in; 300 out, as the caller expects")


def test_budgets_set_aside_what_nine_in_ten_answers_stayed_below() -> None:
    assert forecast(known(default=50)).set_aside is None
    found = forecast(known(default=50), BUDGET)
    assert found.set_aside_output is not None
    assert 925 <= found.set_aside_output <= 1_080
    assert found.set_aside == 1_000 * 2_000 + found.set_aside_output * 10_000
    assert forecast(more=BUDGET).set_aside_output == 1_024


def test_a_machine_that_is_paid_by_the_hour_is_reckoned_by_time() -> None:
    found = forecast(task_type="chat")
    assert found.nano == 10_000_000
    assert "30 s of a machine" in found.basis


def test_an_unknown_price_stays_unknown() -> None:
    found = forecast(known(odd=50), BUDGET, task_type="qa")
    assert (found.nano, found.set_aside) == (None, None)


def test_the_hour_of_the_call_is_what_counts() -> None:
    assert forecast(task_type="translation", at=NOON).nano == 1_000 * 2_000 + 500 * 10_000
    assert forecast(task_type="translation", at=NIGHT).nano == 1_000 * 1_000 + 500 * 5_000


def test_a_refusal_costs_nothing() -> None:
    assert forecast(tenant="blocked").nano == 0


# leaving a prompt cache


@pytest.mark.parametrize(
    ("tokens", "to", "saved", "lost", "pays"),
    [
        # staying: .2 a token read and 5,000 micro-dollars out; leaving: .1 a token and 250 out; anew: 2.5 - .2 a token
        (1_000, "cheap", 200_000 + 5_000_000 - 100_000 - 250_000, 2_300_000, True),
        (10_000, "cheap", 2_000_000 + 5_000_000 - 1_000_000 - 250_000, 23_000_000, False),
        (10_000, "odd", None, 23_000_000, False),
    ],
)
def test_a_switch_is_weighed_against_the_cache_that_it_leaves(
    tokens: int, to: str, saved: int | None, lost: int, pays: bool
) -> None:
    found = switch(policy_of(), Warm("dear", tokens, 10.0), to, at=NOON)
    assert found is not None
    assert (found.saved, found.lost, found.pays) == (saved, lost, pays)


@pytest.mark.parametrize(
    "warm",
    [None, Warm("dear", 0, 1.0), Warm("dear", 1_000, 300.0), Warm("cheap", 1_000, 1.0), Warm("gone", 1_000, 1.0)],
)
def test_nothing_is_lost_where_nothing_is_warm(warm: Warm | None) -> None:
    assert switch(policy_of(), warm, "cheap", at=NOON) is None
