"""Logs with labels as `tune`, `train` and `eval` read them: rows with a prompt and what two answers were worth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.router.outcomes import Outcome

FEWEST: Final = 50
"""With fewer rows every figure is luck."""


def read(logs: Sequence[str], cheap: str | None, dear: str | None) -> tuple[list[Outcome], int]:
    """The rows of all logs and how many lines are none; of several logs a row that does not say where it is from bears its
    log's name. Raises UsageError where there are too few, OSError where a log cannot be read."""
    from hroute.router import outcomes

    good: list[Outcome] = []
    bad = 0
    for log in logs:
        name = os.path.basename(log) if len(logs) > 1 else ""
        with open(log, encoding="utf-8", errors="replace") as lines:
            for row in outcomes.read(lines, cheap, dear):
                bad += row is None
                if row is not None:
                    good.append(row if row.source else replace(row, source=name))
    if len(good) < FEWEST:
        raise UsageError(
            f"{', '.join(logs)}: {len(good)} rows with a prompt and two outcomes, and at least {FEWEST} are needed",
            help='a line is {"prompt": ..., "cheap": 0..1, "dear": 0..1}; --cheap and --dear name models in `scores`',
        )
    return good, bad
