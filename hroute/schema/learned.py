"""A learned score in a policy: the data file that `hroute train` writes, or the same mapping in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from hroute.schema.draft import Draft
from hroute.schema.policy import Scorer
from hroute.schema.source import Path

SCHEMA: Final = "hroute.scorer/1"
FEATURES: Final = ("context", "format", "length", "clarifying", "reasoning", "code", "known", "simple", "question", "choices")  # fmt: skip
"""What a learned score may weigh, each from 0 to 1."""


def read(draft: Draft, path: Path) -> Scorer | None:
    """The scorer at `path`; a text names its file. None where nothing stands there, or HR012 says why it is none."""
    value = draft.get(path)
    if isinstance(value, str):
        text = draft.file(path, value)
        if text is None:
            return None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
    if value is None:
        return None
    try:
        return scorer_of(value)
    except ValueError as error:
        draft.find("HR012", f"`scorer`: {error}", path, help="hroute train writes such a file")
        return None


def scorer_of(value: object) -> Scorer:
    """The scorer that a JSON value holds. Raises ValueError, saying why it is none."""
    if not isinstance(value, Mapping):
        raise ValueError("not the data of a scorer")
    if value.get("schema", SCHEMA) != SCHEMA:
        raise ValueError(f"not of the form {SCHEMA}")
    weights = value.get("weights")
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError("it has no `weights`")
    unknown = [str(name) for name in weights if name not in FEATURES]
    if unknown:
        raise ValueError(f"`{unknown[0][:40]}` is no feature: {', '.join(FEATURES)}")
    skill = _number(value.get("skill", 0.0), "skill")
    if not 0 <= skill <= 1:
        raise ValueError("`skill` is a number from 0 to 1")
    named = {name: _number(weights[name], name) for name in FEATURES if name in weights}
    return Scorer(_number(value.get("intercept"), "intercept"), named, skill)


def plain(scorer: Scorer) -> dict[str, Any]:
    """The scorer as it would stand in a policy."""
    return {"intercept": scorer.intercept, "weights": dict(scorer.weights), "skill": scorer.skill}


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or abs(value) > 1_000:
        raise ValueError(f"`{name}` is no number between -1000 and 1000")
    return float(value)
