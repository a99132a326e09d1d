"""The score says what it rests on, and admits where that is nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals import wording
from hroute.router.signals.extract import Extraction
from hroute.router.signals.score import Features, assess, complexity, cuts
from hroute.schema.policy import Scoring
from hroute.terms.message import Request, prompt

Extract = Callable[..., Extraction]

DESIGN = """Design a multi-region order system for 40 million users. Compare the trade-offs of eventual and strong
consistency, prove that no order is lost when one region fails, and optimise for latency. Constraints: two regions, one
database team. First describe the architecture, then the failure modes, finally a migration plan in detail."""


def measured(extraction: Extraction) -> tuple[float, float, str]:
    score, confidence, level = (extraction.ask(name) for name in ("score", "confidence", "complexity"))
    assert isinstance(score, float)
    assert isinstance(confidence, float)
    return score, confidence, str(level)


@pytest.mark.parametrize("text", ["Why is the sky blue?", "Are you open on Sundays?", "Hello!", "Is delivery free?"])
def test_plain_questions_are_easy_with_confidence(extract: Extract, text: str) -> None:
    score, confidence, level = measured(extract(text))
    assert score <= 0.35
    assert confidence >= 0.6
    assert level == "low"


def test_a_long_design_question_is_hard(extract: Extract) -> None:
    score, confidence, level = measured(extract(DESIGN))
    assert score > 0.7
    assert confidence >= 0.6
    assert level == "high"


@pytest.mark.parametrize("text", ["", "asdf qwer", "ok", "¿Por qué el cielo es azul?"])
def test_no_evidence_is_not_easy(extract: Extract, text: str) -> None:
    assert measured(extract(text)) == (0.5, 0.3, "medium")


def test_a_code_file_a_format_and_a_long_context_add_their_parts(extract: Extract) -> None:
    source = "def f(x):\n    return x\n" * 400
    extraction = extract(prompt("Refactor this module, return it as JSON", files=(("big.py", source),)))
    parts = extraction.score_parts
    assert parts["code"] == 0.31
    assert parts["format"] > 0
    assert parts["context"] > 0


def test_the_parts_add_up_to_the_score(extract: Extract) -> None:
    for text in (DESIGN, "Why?", "Write a Python function that returns JSON"):
        extraction = extract(text)
        assert sum(extraction.score_parts.values()) == pytest.approx(measured(extraction)[0], abs=1e-6)


def test_asking_again_and_again_makes_it_harder() -> None:
    def score(turns: int) -> float:
        return assess(Features(wording.read("Where is it?"), 5, clarifying_turns=turns), Scoring()).score

    assert score(0) < score(1) < score(2)


def test_weights_of_the_policy_move_the_score() -> None:
    features = Features(wording.read("Refactor it"), 5, has_code=True)
    assert assess(features, Scoring(weights={"code": 0.9})).parts["code"] == 0.9


def test_complexity_is_cut_at_the_articles_thresholds() -> None:
    at = Scoring()
    assert complexity(0.35, 0.6, at) == "low"
    assert complexity(0.350001, 0.6, at) == "medium"
    assert complexity(0.2, 0.59, at) == "medium"
    assert complexity(0.7, 0.9, at) == "medium"
    assert complexity(0.700001, 0.3, at) == "high"


def test_a_miss_cost_derives_the_cuts_and_dear_misses_lower_them() -> None:
    assert cuts(Scoring(miss_cost=13 / 7)) == pytest.approx((0.35, 0.7))
    low, high = cuts(Scoring(miss_cost=10))
    assert low == pytest.approx(1 / 11)
    assert low < high < 0.7
    assert complexity(0.2, 0.9, Scoring(miss_cost=10)) == "medium"


def test_a_score_that_the_caller_gives_is_what_complexity_is_cut_from(extract: Extract) -> None:
    extraction = extract("Why is the sky blue?", score=0.9, confidence=0.9)
    assert extraction.ask("complexity") == "high"
    assert extraction.score_parts == {}


@given(st.text(max_size=300), st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
def test_score_and_confidence_are_fractions_on_the_grid(text: str, tokens: int, context: int, code: bool) -> None:
    said = assess(Features(wording.read(text), tokens, context, has_code=code), Scoring())
    for value in (said.score, said.confidence):
        assert 0 <= value <= 1
        assert round(value, 6) == value


def test_an_empty_request_can_be_scored(extract: Extract) -> None:
    assert measured(extract(Request(()))) == (0.5, 0.3, "medium")
