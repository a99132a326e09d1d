"""When a second model confirms an answer, and what is said where it does not."""

from __future__ import annotations

import pytest

from hroute.router.agree import DISAGREEMENT, NO_ANSWER, disagreement, incomparable, opinion
from hroute.router.answers import Unclear
from hroute.router.attempts import Accepted
from hroute.router.canonical import Canonical
from hroute.router.validate import demand, judge
from hroute.schema.policy import Validate
from hroute.terms.message import Reply, Tool, ToolUse
from hroute.terms.outcome import Failure, Outcome
from tests.router.stage import ask, failing, said


def view(text: str | Reply, rules: Validate = Validate()) -> Canonical | Unclear:
    reply = said(text) if isinstance(text, str) else text
    accepted = judge(reply, demand(rules, ask())) if isinstance(text, str) else Accepted(reply, reply.text)
    assert isinstance(accepted, Accepted), accepted
    return opinion(accepted, rules)


def confirmed(one: str | Reply, other: str | Reply, rules: Validate = Validate()) -> bool:
    first = view(one, rules)
    assert isinstance(first, Canonical), first
    return disagreement(first, view(other, rules), "gemma") is None


def test_the_same_answer_in_other_words_confirms() -> None:
    assert confirmed('{"reasoning": "long", "answer": "18"}', "9 * 2 = 18.\n\nThe answer is **$18**.")
    assert not confirmed("The answer is 18.", "The answer is 19.")


def test_what_the_policy_demands_of_the_form_shapes_what_is_compared() -> None:
    rules = Validate(choices=("positive", "negative"), agree_with="gemma")
    assert confirmed("**Positive**", "Sentiment: positive.", rules)
    assert not confirmed("positive", "negative", rules)
    json = Validate(format="json", agree_with="gemma", agree_on="json")
    assert confirmed('Sure: {"a": 1, "b": "X"}', '```json\n{"b": "x", "a": 1.0}\n```', json)
    assert not confirmed('{"a": 1, "b": "X"}', '{"a": 1}', json)


def test_two_refusals_are_no_agreement() -> None:
    assert isinstance(view("I'm sorry, but I can't help with that."), Unclear)
    assert isinstance(view("I don't know."), Unclear)
    assert isinstance(view("The answer cannot be determined."), Unclear)


def test_calls_of_tools_are_compared_by_name_and_input() -> None:
    def call(city: str, id: str = "t") -> Reply:
        return Reply((ToolUse(id, "weather", {"city": city, "unit": "c"}),), "m")

    assert Tool("weather", "", {}).name == "weather"
    assert confirmed(call("Kyiv", "one"), call("Kyiv", "two"))
    assert not confirmed(call("Kyiv"), call("Lviv"))
    assert not confirmed(call("Kyiv"), "It is sunny")


def test_long_prose_cannot_be_confirmed_and_the_failure_says_so() -> None:
    prose = view("We are a small shop and open every day of the week. " * 10)
    assert isinstance(prose, Unclear)
    failure = incomparable(prose)
    assert failure.outcome is Outcome.BAD_CONTENT
    assert failure.code == NO_ANSWER
    assert "agreement does not apply" in failure.message
    assert "shop" not in failure.message


@pytest.mark.parametrize("second", [Unclear("it is empty"), failing(Outcome.TIMEOUT), view("17")])
def test_whatever_does_not_confirm_is_bad_content_and_names_who_was_asked(
    second: Canonical | Unclear | Failure,
) -> None:
    first = view("18")
    assert isinstance(first, Canonical)
    failure = disagreement(first, second, "gemma")
    assert failure is not None
    assert (failure.outcome, failure.code) == (Outcome.BAD_CONTENT, DISAGREEMENT)
    assert "gemma" in failure.message
    assert "18" not in failure.message
    assert "17" not in failure.message
