"""A generated log: the same rows every time, of every kind that the replay has to tell apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

START = datetime(2026, 10, 1, tzinfo=UTC)
SUBJECTS = (
    "the opening hours",
    "my invoice",
    "this function",
    "the carrot cake",
    "our contract",
    "a haiku",
    "the weather",
)
OPENINGS = (
    "Tell me about {0}.",
    "Write a summary of {0} in three sentences.",
    "Why does {0} not work? def main(): return 1",
    "I want to complain about {0}, this is unacceptable.",
    "Please translate {0} into German and return JSON.",
    "My card is 4111 1111 1111 1111, what about {0}?",
    "Hi! Are you open on Sundays? I ask because of {0}.",
    "Analyse {0} step by step and prove that your plan is optimal.",
)
TASKS = (None, None, "code", "classification", "qa")


def rows(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Rows with text, some of them with signals or counts beside it."""
    random = Random(seed)
    for number in range(count):
        row: dict[str, Any] = {
            "id": f"row-{number}",
            "ts": (START + timedelta(seconds=number)).isoformat(),
            "session": f"s{random.randrange(1 + count // 5)}",
            "prompt": random.choice(OPENINGS).format(random.choice(SUBJECTS)) + f" ({number % 97})",
        }
        if random.random() < 0.5:
            row |= {"input_tokens": random.randrange(20, 4000), "output_tokens": random.randrange(1, 900)}
        if random.random() < 0.3:
            row["system"] = "You are the assistant of a small shop."
        if task := random.choice(TASKS):
            row["task_type"] = task
        if random.random() < 0.1:
            row["batch_size"] = 500
        yield row


def lines(count: int, seed: int = 1, broken: float = 0.0) -> Iterator[str]:
    """The rows as lines; with `broken`, that share of further lines stands between them, cut off in the middle."""
    random = Random(seed + 1)
    for row in rows(count, seed):
        line = json.dumps(row)
        if random.random() < broken:
            yield line[: random.randrange(1, len(line))]
        yield line
