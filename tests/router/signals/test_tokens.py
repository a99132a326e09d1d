"""The token estimate keeps the known ratios of current tokenizers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals.tokens import estimate, estimate_all

PROSE = (
    "The bill arrives at the end of the month. You ship a bot, it responds well, and the client is happy. The first "
    "month goes by quietly, and then you open the billing page and find that every single request went to one model. "
)
CODE = """
def first_match(policy: Policy, ask: Ask) -> Rule:
    for rule in policy.rules:
        if holds(effective_condition(rule), ask):
            return rule
    return policy.default
"""


def test_english_prose_takes_about_four_characters_a_token() -> None:
    assert 3.6 <= len(PROSE) / estimate(PROSE) <= 5.0


def test_code_is_denser_than_prose() -> None:
    assert 2.2 <= len(CODE) / estimate(CODE) < len(PROSE) / estimate(PROSE)


def test_chinese_takes_about_a_token_a_character() -> None:
    text = "账单在月底到来。你发布了一个机器人，它回答得很好，客户也很满意。"
    assert 0.8 <= len(text) / estimate(text) <= 1.3


def test_digits_go_by_threes_at_most() -> None:
    assert 10 / 3 <= estimate("1234567890") <= 10


def test_nothing_is_no_token_and_anything_is_one() -> None:
    assert estimate("") == 0
    assert estimate("a") == 1
    assert estimate_all(["", "a", "b"]) == 2


def test_twice_the_text_is_twice_the_tokens() -> None:
    assert abs(estimate(PROSE * 1_000) - 1_000 * estimate(PROSE)) <= 1_000


@given(st.text(alphabet=st.characters(categories=None)))
def test_every_text_has_an_estimate_between_zero_and_two_tokens_a_character(text: str) -> None:
    assert 0 <= estimate(text) <= 2 * len(text) + 1
