"""A score learned from outcomes: a linear model over the strengths of few features, judged on sources it has not seen.

    score = intercept + sum of weight x strength        fitted by ridge regression to dear - cheap, the gain of asking dear

Each source weighs the same, however many rows it has. The weights in the file are fitted on all sources; every figure that
is reported comes from a model that had not seen the source it is judged on. What shines on held-out rows of its own source
collapses on others, so nothing else is worth reporting. Rows of one source only are judged in five folds, and then nothing
is known of other sources. All of it is pure and the same every time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any, Final

from hroute.router.outcomes import Outcome
from hroute.router.signals.extract import Extraction
from hroute.router.signals.score import VERSION
from hroute.router.tune import Interval, Labelled, apgr, at_random, difference
from hroute.schema.learned import FEATURES, SCHEMA
from hroute.schema.policy import Policy, Scorer
from hroute.terms.message import prompt

FOLDS: Final = 5
COMPARED: Final = ("learned", "score", "length", "random")
"""The scores of each judged row, in this order."""
LEAST_GAP: Final = 0.03
"""A dear model that gains less on the whole has no gap that a score could recover."""
EASY: Final = frozenset({"known", "simple", "question", "choices"})
"""Features that speak for an easy request; all others speak for a hard one."""
_RIDGE: Final = 0.02
"""What shrinks the weights, as a share of all rows: a feature that few rows show weighs little."""
_LEAST: Final = 0.005


@dataclass(frozen=True, slots=True)
class Example:
    """One row: its features, the policy's own score, its length in characters, and what two answers were worth."""

    strengths: Mapping[str, float]
    score: float
    length: float
    chance: float
    cheap: float
    dear: float
    source: str


@dataclass(frozen=True, slots=True)
class Judged:
    """How well the scores of COMPARED order the rows of one source, or of all: APGR, None where there is no gap."""

    source: str
    rows: int
    figures: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learned. `sources` are each judged by a model without them, `together` all of them, `ahead` by how much it
    is better than COMPARED[1:] there, with an interval; `apart` says that there were sources to leave out."""

    scorer: Scorer
    sources: tuple[Judged, ...]
    together: Judged
    ahead: tuple[Interval, ...]
    apart: bool

    def beats(self, other: str) -> bool:
        """Whether it is better than `other` even at the unfavourable end of the interval."""
        return self.ahead[COMPARED.index(other) - 1].low > 0


def examples(policy: Policy, outcomes: Iterable[Outcome]) -> list[Example]:
    """The rows as the policy's extractors see them."""
    return [_example(policy, outcome) for outcome in outcomes]


def learn(rows: Sequence[Example]) -> Lesson:
    """A scorer for all rows, and how well such a one does on rows that it was not fitted on. Raises ValueError without rows."""
    if not rows:
        raise ValueError("there is nothing to learn from")
    names = sorted({row.source for row in rows})
    apart = len(names) > 1
    parts = [[r for r in rows if r.source == name] for name in names] if apart else _folds(rows)
    held_out = [_held_out(rows, part) for part in parts]
    everything = [row for part in held_out for row in part]
    sources = tuple(
        _judged(name, part) for name, part in (zip(names, held_out, strict=True) if apart else [(names[0], everything)])
    )
    ahead = tuple(difference(everything, 0, which) for which in range(1, len(COMPARED)))
    together = _judged("together", everything)
    skill = min(1.0, max(0.0, 2 * ((together.figures[0] or 0.5) - 0.5)))
    fitted = fit(rows)
    return Lesson(Scorer(fitted.intercept, fitted.weights, round(skill, 3)), sources, together, ahead, apart)


def fit(rows: Sequence[Example]) -> Scorer:
    """Ridge regression of the gain on the strengths, the intercept unshrunk, each source with the same weight.

    What speaks for hard may only add and what speaks for easy only take away: a feature whose weight comes out the wrong way
    is luck of these rows, and is left out.
    """
    used = [name for name in FEATURES if any(row.strengths.get(name) for row in rows)]
    while True:
        intercept, weights = _regression(rows, used)
        astray = {name for name, weight in weights.items() if (weight > 0) == (name in EASY) and weight}
        if not astray:
            kept = {name: round(weight, 4) for name, weight in weights.items() if abs(weight) >= _LEAST}
            return Scorer(round(intercept, 4), kept, 0.0)
        used = [name for name in used if name not in astray]


def _regression(rows: Sequence[Example], used: Sequence[str]) -> tuple[float, dict[str, float]]:
    share, size = _shares(rows), range(len(used))
    inputs = [[row.strengths.get(name, 0.0) for name in used] for row in rows]
    gains = [row.dear - row.cheap for row in rows]
    middle = [sum([w * line[n] for w, line in zip(share, inputs, strict=True)]) for n in size]
    mean = sum([w * gain for w, gain in zip(share, gains, strict=True)])
    centred = [[value - m for value, m in zip(line, middle, strict=True)] for line in inputs]
    columns = [[line[n] for line in centred] for n in size]
    weighed = [[w * value for w, value in zip(share, column, strict=True)] for column in columns]
    products = [[sum(map(mul, weighed[a], columns[b])) + _RIDGE * (a == b) for b in size] for a in size]
    weights = solve(products, [sum([w * (g - mean) for w, g in zip(weighed[n], gains, strict=True)]) for n in size])
    return mean - sum(map(mul, weights, middle)), dict(zip(used, weights, strict=True))


def data(lesson: Lesson, rows: int) -> dict[str, Any]:
    """What is written: a plain JSON object that the policy's `scoring: {scorer: FILE}` reads."""
    scorer = lesson.scorer
    figures = dict(zip(COMPARED, (_rounded(figure) for figure in lesson.together.figures), strict=True))
    return {
        "schema": SCHEMA,
        "intercept": scorer.intercept,
        "weights": dict(scorer.weights),
        "skill": scorer.skill,
        "trained": {
            "rows": rows,
            "sources": {judged.source or "the log": judged.rows for judged in lesson.sources},
            "features": VERSION,
            "apgr_on_unseen": figures,
            "sources_left_out": lesson.apart,
        },
    }


def predicted(scorer: Scorer, strengths: Mapping[str, float]) -> float:
    """What a scorer says before it is cut to 0..1: where many lie beyond, their order still counts."""
    return scorer.intercept + sum(weight * strengths.get(name, 0.0) for name, weight in scorer.weights.items())


def solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """x with matrix x = right, by elimination with the largest pivot; 0 for an unknown that nothing determines."""
    rows = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = max(range(column, size), key=lambda n: abs(rows[n][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column][column]
        if abs(head) < 1e-12:
            continue
        for n in range(size):
            if n != column and rows[n][column]:
                factor = rows[n][column] / head
                rows[n] = [a - factor * b for a, b in zip(rows[n], rows[column], strict=True)]
    return [row[-1] / row[n] if abs(row[n]) >= 1e-12 else 0.0 for n, row in enumerate(rows)]


def _example(policy: Policy, outcome: Outcome) -> Example:
    read = Extraction(policy, prompt(outcome.prompt), {})
    score = read.ask("score")
    assert isinstance(score, int | float)
    chance, length = at_random(outcome.prompt), float(len(outcome.prompt))
    return Example(read.strengths, float(score), length, chance, outcome.cheap, outcome.dear, outcome.source)


def _held_out(rows: Sequence[Example], part: Sequence[Example]) -> list[Labelled]:
    """The rows of `part`, scored by a model that was fitted on all the others."""
    own = {id(row) for row in part}
    scorer = fit([row for row in rows if id(row) not in own] or part)
    return [Labelled(r.cheap, r.dear, (predicted(scorer, r.strengths), r.score, r.length, r.chance)) for r in part]


def _folds(rows: Sequence[Example]) -> list[list[Example]]:
    """Five parts by chance that is the same every time; rows with one prompt stay together."""
    parts = [[row for row in rows if int(row.chance * FOLDS) == fold] for fold in range(FOLDS)]
    return [part for part in parts if part]


def _judged(source: str, rows: Sequence[Labelled]) -> Judged:
    gap = sum(row.dear - row.cheap for row in rows) / len(rows)
    there = gap >= LEAST_GAP
    return Judged(source, len(rows), tuple(apgr(rows, which) if there else None for which in range(len(COMPARED))))


def _shares(rows: Sequence[Example]) -> list[float]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.source] = counts.get(row.source, 0) + 1
    return [1 / counts[row.source] / len(counts) for row in rows]


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
