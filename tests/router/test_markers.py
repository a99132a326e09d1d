"""Refusals and admissions of ignorance, told from answers that only sound alike."""

from __future__ import annotations

import pytest

from hroute.router.markers import declines, refuses, unsure
from hroute.terms.message import StopReason
from tests.router.stage import said


@pytest.mark.parametrize(
    "text",
    ["I'm sorry, but I can't help with that.", "I am sorry, I cannot do that", "I can’t do this", "As an AI model, I have no opinions.", "Unfortunately, I am unable to open links.",
     "Hello! I cannot assist with this.", "**I cannot** provide that.", "Well, I won't do that.", "Es tut mir leid, das geht nicht.", "Leider kann ich das nicht.", "Je ne peux pas répondre.",
     "Lo siento, no puedo.", "Вибачте, я не можу.", "К сожалению, я не могу.", "Przykro mi, nie mogę."],
)  # fmt: skip
def test_a_refusal_is_known_by_its_opening(text: str) -> None:
    assert declines(text)


@pytest.mark.parametrize(
    "text",
    ["We open at nine.", "x" * 300 + ". I cannot help you", "Yes, I can.", "He said that I cannot come.", "You can't go wrong with blue.", "What I can't recommend enough is tea.",
     "The letter says: we are sorry for the delay.", "Nobody knows.", "Cannons were invented in China.", "No, podemos ir mañana."],
)  # fmt: skip
def test_an_answer_is_no_refusal(text: str) -> None:
    assert not declines(text)
    assert not unsure(text)


@pytest.mark.parametrize(
    "text",
    ["I don't know.", "I'm not sure, but it may be blue.", "I am not entirely certain.", "I do not have access to your calendar.", "It is unclear from the text.", "The document does not mention a price.",
     "There isn't enough information to say.", "Das weiß ich nicht.", "Ich bin mir nicht sicher.", "Je ne sais pas.", "No lo sé.", "Я не знаю.", "Hmm, I have no idea."],
)  # fmt: skip
def test_a_model_that_does_not_know_says_so_at_once(text: str) -> None:
    assert unsure(text)
    assert not declines(text)


def test_a_declared_refusal_needs_no_marker() -> None:
    assert refuses(said("Hm.", stop=StopReason.REFUSAL))
    assert not refuses(said("Hm."))


@pytest.mark.parametrize("text", ["", " ", "sorry " * 50_000, "i " * 100_000, "\n" * 100_000])
def test_a_hostile_text_costs_little(text: str) -> None:
    declines(text)
    unsure(text)
