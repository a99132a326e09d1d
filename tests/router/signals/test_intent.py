"""Intents: the policy's own by phrase, pattern and example, and five that are built in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals import wording
from hroute.router.signals.intent import Intents
from hroute.schema.policy import Intent, Policy, TextTest

BUILT_IN = Intents()


def of(text: str, intents: Intents = BUILT_IN) -> set[str]:
    return set(intents.of(text, wording.read(text)))


@pytest.mark.parametrize(
    "text",
    [
        "Are you open on Sundays?", "What's your address?", "Is delivery free?", "when do you close tonight?", "How much is a latte?",
        "do you deliver to Mitte?", "where are you", "What are your opening hours?", "do you accept credit cards?",
        "What is the street address of that hotel?", "do they serve alcohol?", "tell me how long a transfer takes", "is there a fee for using my card abroad",
    ],
)  # fmt: skip
def test_questions_about_hours_address_prices_and_delivery_are_faq(text: str) -> None:
    assert of(text) == {"faq"}


@pytest.mark.parametrize(
    "text",
    [
        "My order came cold, I want my money back",
        "This is unacceptable!",
        "You charged me twice",
        "my pizza was two hours late",
        "I have been waiting since noon",
    ],
)
def test_complaints_are_complaints_and_never_faq(text: str) -> None:
    assert "complaint" in of(text)
    assert "faq" not in of(text)


@pytest.mark.parametrize("text", ["Can I sue my landlord?", "I will call my lawyer", "Is this clause GDPR compliant?"])
def test_legal_matters_are_legal(text: str) -> None:
    assert "legal" in of(text)


@pytest.mark.parametrize(
    "text",
    [
        "Write a commit message",
        "Draft an e-mail to my boss",
        "come up with five slogans for a bakery",
        "Rewrite this paragraph",
        "Please write me a poem about rain",
    ],
)
def test_texts_to_be_made_are_generation(text: str) -> None:
    assert of(text) == {"generation"}


def test_code_to_be_written_is_no_generation_of_text() -> None:
    assert of("Write a Python function to parse CSV files") == set()


@pytest.mark.parametrize("text", ["Hello!", "thanks, bye", "How are you?", "Good morning! How's it going?"])
def test_greetings_and_thanks_are_smalltalk(text: str) -> None:
    assert of(text) == {"smalltalk"}


@pytest.mark.parametrize(
    "text",
    [
        "Hello, my server is on fire",
        "Why is the sky blue?",
        "Explain the opening of this Python file",
        "",
        "asdf",
        "Why was there an extra charge when I transferred money?",
        "A bag costs $20 and the price rises by 20% every 2 months. How much does it cost after 36 months?",
        "¿Por qué?",
    ],
)
def test_everything_unknown_has_no_intent(text: str) -> None:
    assert of(text) == set()


def test_faq_words_in_a_long_message_are_no_faq() -> None:
    assert "faq" not in of("Here is our handbook. " * 40 + "Our opening hours are long.")


def test_the_policys_own_intents_hold_by_phrase_and_pattern(policy: Policy) -> None:
    intents = Intents(policy.intents.values())
    assert of("Can I book a table?", intents) == {"booking"}
    assert of("a table for 12, please", intents) == {"booking"}
    assert of("book a table near the periodic table", intents) == set()


def test_an_example_holds_for_messages_with_nearly_its_words(policy: Policy) -> None:
    intents = Intents(policy.intents.values())
    assert "menu" in of("Which cakes do you bake on Fridays?", intents)
    assert "menu" not in of("Which trains leave on Fridays?", intents)


POLITE = ("can you tell me", "please show me", "i need to know", "do you know", "i want to see")


def hours(day: str) -> tuple[str, ...]:
    return tuple(f"{ask} the opening hours of the bakery on {day}" for ask in POLITE)


MANY = Intents(
    (
        Intent("bakery", None, tuple(e for day in ("monday", "tuesday", "sunday", "friday") for e in hours(day))),
        Intent(
            "trains",
            None,
            tuple(
                f"{ask} when the train to {city} leaves" for ask in POLITE for city in ("rome", "oslo", "bonn", "york")
            ),
        ),
    )
)


def test_from_twenty_examples_on_a_message_need_be_like_none_of_them_alone() -> None:
    assert "bakery" in of("bakery hours sunday, please?", MANY)
    assert "trains" in of("which train leaves for oslo", MANY)


def test_words_that_no_example_holds_speak_against_it() -> None:
    assert "bakery" not in of("write a novel about the bakery of my grandmother in brittany", MANY)
    assert of("tell me the capital of France, please", MANY).isdisjoint({"bakery", "trains"})
    assert of("can you please help me", MANY).isdisjoint({"bakery", "trains"}), "asking alone is no evidence"


def test_an_entry_of_a_built_in_s_name_adds_to_it_and_its_unless_overrules_both() -> None:
    own = Intents((Intent("faq", TextTest("message~1", "message", any_of=("öffnungszeiten",), unless=("pizza",))),))
    assert of("Wie sind die Öffnungszeiten?", own) == {"faq"}
    assert of("Are you open on Sundays?", own) == {"faq"}
    assert of("Are you open on Sundays for pizza?", own) == set()


@pytest.mark.parametrize(
    "text",
    ["are you a real person?", "who made you?", "tell me a joke", "thanks, that's all", "what is your favorite colour"],
)
def test_talk_about_the_one_who_answers_is_smalltalk(text: str) -> None:
    assert of(text) == {"smalltalk"}


@pytest.mark.parametrize(
    "text", ["I'm going to kill myself", "thanks, but my order is wrong", "are you real? I am in despair"]
)
def test_grave_words_are_never_smalltalk(text: str) -> None:
    assert "smalltalk" not in of(text)


@given(st.text(alphabet=st.characters(categories=None)))
def test_no_text_crashes_the_intents(text: str) -> None:
    of(text)
