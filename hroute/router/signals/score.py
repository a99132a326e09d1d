"""How hard a request looks, from 0 to 1, with the contributions by name, and how much evidence that rests on.

    score = sum of weight x strength + 1/2 x (1 - evidence)       over context, format, length, clarifying, reasoning, code;
    confidence = 0.3 + 0.7 x evidence                              the second term is the part named `doubt`

`evidence` grows with every mark that speaks either way, as 1 - product of (1 - mark). With none the score is .5 and the
confidence .3: no evidence is not "easy". What speaks for hard adds at least as much as it takes from the doubt, so that
nothing hard makes a request look easier. Length is counted in words: signs of a formula make a prompt long, not hard. Where
answers are listed to choose from, a cheap model guesses right often enough that a dear one gains less.

Among requests of one kind such a score is worth about as much as the prompt's length, among kinds somewhat more
(docs/signals-measured.md); rules that *know* (intents, task types) are worth more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log2
from types import MappingProxyType
from typing import Final

from hroute.router.signals import wording
from hroute.schema.policy import Scorer, Scoring

VERSION: Final = "score/3"

WEIGHTS: Final = MappingProxyType(
    {"context": 0.20, "format": 0.10, "length": 0.35, "clarifying": 0.25, "reasoning": 0.50, "code": 0.31}
)
"""What each feature adds at full strength; `scoring: {weights: {...}}` moves them."""

NO_EVIDENCE: Final = (0.5, 0.3)
_ARTICLE_LOW, _ARTICLE_HIGH = 0.35, 0.7


@dataclass(frozen=True, slots=True)
class Features:
    """What the score looks at: what `wording.read` found, and what other signals say."""

    said: frozenset[str] = frozenset()
    words: int = 0
    context_tokens: int = 0
    clarifying_turns: int = 0
    has_code: bool = False
    code_files: bool = False
    response_format: str = "text"
    intents: frozenset[str] = frozenset()
    task_type: str | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """`parts` add up to `score` (before it is cut to 0..1)."""

    score: float
    confidence: float
    parts: dict[str, float] = field(default_factory=dict)


def assess(features: Features, scoring: Scoring) -> Assessment:
    """Score and confidence of a request: the policy's own scorer's, else the heuristic's."""
    if scoring.scorer is not None:
        return _by_scorer(strengths_of(features), scoring.scorer)
    strengths = _strengths(features)
    weights = {**WEIGHTS, **scoring.weights}
    parts = {name: round(weights.get(name, 0.0) * strength, 3) for name, strength in strengths.items() if strength}
    evidence = _evidence(features, strengths)
    doubt = round((1 - evidence) * NO_EVIDENCE[0], 3)
    if doubt:
        parts["doubt"] = doubt
    score = min(1.0, max(0.0, sum(parts.values())))
    return Assessment(
        round(score, 6),
        round(NO_EVIDENCE[1] + (1 - NO_EVIDENCE[1]) * evidence, 6),
        {k: v for k, v in parts.items() if v},
    )


def strengths_of(features: Features) -> dict[str, float]:
    """Everything that a learned score may weigh (`hroute.schema.learned.FEATURES`), each from 0 to 1."""
    return {
        **_strengths(features),
        "known": float(not features.intents.isdisjoint(_EASY)),
        "simple": float(features.task_type in _SIMPLE),
        "question": float("plain question" in features.said),
        "choices": float(wording.CHOICES in features.said),
    }


def _by_scorer(strengths: dict[str, float], scorer: Scorer) -> Assessment:
    """What was learned, cut to 0..1. Its confidence is its skill on requests of sources that it had not seen; where a
    request shows no feature that it weighs, there is no evidence."""
    parts = {name: round(weight * strengths[name], 3) for name, weight in scorer.weights.items() if strengths[name]}
    parts = {"base": round(scorer.intercept, 3), **{name: part for name, part in parts.items() if part}}
    evidence = scorer.skill if len(parts) > 1 else 0.0
    score = min(1.0, max(0.0, sum(parts.values())))
    return Assessment(round(score, 6), round(NO_EVIDENCE[1] + (1 - NO_EVIDENCE[1]) * evidence, 6), parts)


_EASY: Final = frozenset(("faq", "smalltalk"))
_SIMPLE: Final = frozenset(("classification", "translation", "extraction", "summarization"))


def cuts(scoring: Scoring) -> tuple[float, float]:
    """The scores up to which complexity is low, and above which it is high.

    With `miss_cost` m (a wrong cheap answer costs as much as m needless dear ones) and the score read as the chance of a
    wrong cheap answer, cheap is right up to m x score <= 1 x (1 - score): low = 1 / (1 + m). High keeps the ratio of odds
    that the article's cuts have, r = (.7 / .3) / (.35 / .65): high = r / (r + m). m = 13/7 gives .35 and .7 again.
    """
    if scoring.miss_cost is None:
        return scoring.low, scoring.high
    ratio = _ARTICLE_HIGH / (1 - _ARTICLE_HIGH) / (_ARTICLE_LOW / (1 - _ARTICLE_LOW))
    return 1 / (1 + scoring.miss_cost), ratio / (ratio + scoring.miss_cost)


def complexity(score: float, confidence: float, scoring: Scoring) -> str:
    """`high` above the upper cut; `low` up to the lower cut where confidence suffices; else `medium`, which is doubt."""
    low, high = cuts(scoring)
    if score > high:
        return "high"
    return "low" if score <= low and confidence >= scoring.confidence else "medium"


def _strengths(features: Features) -> dict[str, float]:
    groups = wording.count(features.said, "reasoning")
    demands = wording.count(features.said, "format") + (features.response_format != "text")
    return {
        "context": min(1.0, features.context_tokens / 8_000),
        "format": min(1.0, demands / 2),
        "length": min(1.0, max(0.0, log2(features.words / 10) / 6)) if features.words else 0.0,
        "clarifying": min(1.0, features.clarifying_turns / 2),
        "reasoning": 1 - 0.5**groups,
        "code": 1.0 if features.has_code or features.code_files else 0.5 if features.task_type == "code" else 0.0,
    }


def _evidence(features: Features, strengths: dict[str, float]) -> float:
    """1 - product of (1 - mark): marks that it is hard, and marks that it is easy."""
    marks = [
        0.4 * strengths["context"],
        0.2 * strengths["format"],
        0.5 * strengths["length"],
        0.5 * strengths["clarifying"],
        0.7 * strengths["reasoning"],
        0.6 * strengths["code"],
    ]
    if features.intents & _EASY:
        marks.append(0.8)
    if wording.CHOICES in features.said:
        marks.append(0.3)
    if features.task_type in _SIMPLE:
        marks.append(0.5)
    if (
        features.words <= 22
        and not strengths["reasoning"]
        and not strengths["code"]
        and not features.intents & {"complaint", "legal", "generation"}
        and "plain question" in features.said
    ):
        marks.append(0.55)
    missing = 1.0
    for mark in marks:
        missing *= 1 - mark
    return 1 - missing
