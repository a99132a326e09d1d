"""A log with labels: what a cheap and a dear answer to each prompt were worth, beside what the signals say of it.

One JSON object a line: `{"prompt": "...", "cheap": 0.0, "dear": 1.0}`, or `{"prompt": "...", "scores": {"model": 0.5}}` and the
names of the two models. Worth is a number from 0 to 1. `source` (or `suite`) says where a row is from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hroute.router.signals.extract import Extraction
from hroute.router.tune import Labelled, at_random
from hroute.schema.policy import Policy
from hroute.terms.message import prompt

COMPARED = ("score", "length", "random")
"""What `labelled` gives each row, in this order."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the log."""

    prompt: str
    cheap: float
    dear: float
    source: str = ""


def read(lines: Iterable[str], cheap: str | None, dear: str | None) -> Iterator[Outcome | None]:
    """Each line as an outcome; None for one that is no such row (it is counted by whoever reads)."""
    for line in lines:
        if line.strip():
            yield _outcome(line, cheap, dear)


def labelled(policy: Policy, outcomes: Iterable[Outcome]) -> list[Labelled]:
    """The rows with the policy's score, the prompt's length, and chance."""
    return [Labelled(row.cheap, row.dear, _scores(policy, row.prompt)) for row in outcomes]


def _scores(policy: Policy, text: str) -> tuple[float, ...]:
    score = Extraction(policy, prompt(text), {}).ask("score")
    assert isinstance(score, float | int)
    return (float(score), float(len(text)), at_random(text))


def _outcome(line: str, cheap: str | None, dear: str | None) -> Outcome | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
        return None
    scores = row.get("scores")
    if isinstance(scores, dict) and cheap is not None and dear is not None:
        worth = (scores.get(cheap), scores.get(dear))
    else:
        worth = (row.get("cheap"), row.get("dear"))
    first, second = (_worth(value) for value in worth)
    source = row.get("source", row.get("suite", ""))
    return None if first is None or second is None else Outcome(row["prompt"], first, second, str(source)[:80])


def _worth(value: object) -> float | None:
    if isinstance(value, bool):
        return float(value)
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None
