"""A learned score is judged on what it has not seen, says what it does not beat, and is the same every time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.learn import Example, data, examples, fit, learn, predicted, solve
from hroute.router.outcomes import Outcome
from hroute.router.signals.extract import Extraction
from hroute.router.tune import at_random
from hroute.schema.learned import FEATURES, scorer_of
from hroute.schema.load import load_text
from hroute.terms.message import prompt


def rows(source: str, count: int = 120, *, tells: str = "code", seed: int = 3) -> list[Example]:
    """Rows of which `tells` says what the dear answer gains, and nothing else does."""
    random, made = Random(f"{source}{seed}"), []
    for number in range(count):
        strengths = {name: float(random.random() < 0.5) for name in ("code", "length", "choices")}
        gain = strengths.get(tells, float(random.random() < 0.5))
        made.append(Example(strengths, random.random(), random.random(), at_random(f"{source}{number}"), 1 - gain, 1.0, source))  # fmt: skip
    return made


def learned_from(*parts: Iterable[Example]) -> list[Example]:
    return [row for part in parts for row in part]


def test_what_tells_is_learned_and_holds_on_sources_left_out() -> None:
    lesson = learn(learned_from(rows("a"), rows("b"), rows("c")))
    assert lesson.apart
    assert lesson.scorer.weights["code"] > 0.5
    assert abs(lesson.scorer.weights.get("length", 0)) < 0.1
    assert lesson.beats("random")
    assert lesson.beats("length")
    assert lesson.scorer.skill > 0.3
    assert all(judged.figures[0] is not None and judged.figures[0] > 0.7 for judged in lesson.sources)


def test_what_tells_in_one_source_only_is_not_praised() -> None:
    lesson = learn(learned_from(rows("a", tells="code"), rows("b", tells="nothing"), rows("c", tells="nothing")))
    assert not lesson.beats("random")
    assert lesson.scorer.skill < 0.3


def test_rows_of_one_source_are_judged_in_folds_and_it_says_so() -> None:
    lesson = learn(rows(""))
    assert not lesson.apart
    assert lesson.beats("random")
    assert [judged.rows for judged in lesson.sources] == [120]


def test_a_source_weighs_the_same_however_many_rows_it_has() -> None:
    small, large = rows("a", 40), rows("b", 800, tells="length")
    weights = fit(learned_from(small, large)).weights
    assert weights["code"] == pytest.approx(weights["length"], abs=0.15)


def test_no_mark_of_hardness_makes_a_request_look_easier() -> None:
    def turned(row: Example) -> Example:
        return Example(row.strengths, row.score, row.length, row.chance, row.dear - 0.5, row.cheap, row.source)

    scorer = fit([turned(row) for row in rows("a")])
    assert "code" not in scorer.weights
    assert scorer.weights.get("choices", -1) <= 0


def test_it_is_the_same_every_time() -> None:
    some = learned_from(rows("a"), rows("b"))
    assert json.dumps(data(learn(some), 240)) == json.dumps(data(learn(some), 240))


def test_the_file_is_plain_data_that_a_policy_reads_and_scores_by() -> None:
    lesson = learn(learned_from(rows("a"), rows("b")))
    text = json.dumps(data(lesson, 240))
    assert scorer_of(json.loads(text)) == lesson.scorer
    policy, findings, _ = load_text(f"version: 1\nrouting_rules: []\nscoring: {{scorer: {text}}}\n")
    assert policy is not None, findings
    said = Extraction(policy, prompt("Write a Python function that sorts a list"), {})
    easy = Extraction(policy, prompt("Hello!"), {})
    assert float(str(said.ask("score"))) > float(str(easy.ask("score")))
    assert sum(said.score_parts.values()) == pytest.approx(said.ask("score"), abs=1e-6)
    assert easy.ask("confidence") == 0.3 or "known" in lesson.scorer.weights
    assert predicted(lesson.scorer, said.strengths) == pytest.approx(said.ask("score"), abs=0.002)


def test_the_features_are_those_that_requests_show() -> None:
    policy, findings, _ = load_text("version: 1\nrouting_rules: []\n")
    assert policy is not None, findings
    (example,) = examples(policy, [Outcome("Is it open?\nA. yes\nB. no\nC. perhaps", 0, 1, "x")])
    assert tuple(sorted(example.strengths)) == tuple(sorted(FEATURES))
    assert example.strengths["choices"] == 1
    assert all(0 <= strength <= 1 for strength in example.strengths.values())


def test_nothing_is_learned_from_nothing() -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        learn([])


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"weights": {}},
        {"weights": {"colour": 1}, "intercept": 0},
        {"weights": {"code": "x"}, "intercept": 0},
        {"weights": {"code": 1e9}, "intercept": 0},
        {"weights": {"code": 1}},
        {"weights": {"code": 1}, "intercept": float("nan")},
        {"weights": {"code": 1}, "intercept": 0, "skill": 2},
        {"schema": "hroute.scorer/9", "weights": {"code": 1}, "intercept": 0},
    ],
)
def test_what_is_no_scorer_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        scorer_of(wrong)


@given(st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=3, max_size=3), st.lists(st.integers(-9, 9), min_size=3, max_size=3))  # fmt: skip
def test_elimination_solves_what_can_be_solved(matrix: list[list[int]], right: list[int]) -> None:
    square = [[sum(a * b for a, b in zip(x, y, strict=True)) + (i == j) for j, y in enumerate(matrix)] for i, x in enumerate(matrix)]  # fmt: skip
    found = solve(square, right)
    for line, value in zip(square, right, strict=True):
        assert sum(a * x for a, x in zip(line, found, strict=True)) == pytest.approx(value, abs=1e-6)
