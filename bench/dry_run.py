"""How fast a log is decided again: generated rows with text, without text, and the memory that it takes.

Run: python -m bench.dry_run [ROWS]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from hroute.replay import dry_run
from hroute.replay.readers import jsonl
from hroute.schema.load import load

POLICY = Path(__file__).parents[1] / "routing-config.yaml"
WORDS = [
    "the",
    "a",
    "report",
    "customer",
    "invoice",
    "summary",
    "table",
    "please",
    "write",
    "explain",
    "why",
    "code",
    "delivery",
    "opening",
    "hours",
    "open",
    "error",
]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    policy, findings, _ = load(POLICY)
    assert policy is not None, findings
    for name, with_text in (("text of about 100 characters, none twice", True), ("counts and signals, no text", False)):
        before = peak()
        start = time.process_time()
        result = dry_run.run(policy, jsonl.rows(Lines(count, with_text), "generated"))  # type: ignore[arg-type]
        spent = time.process_time() - start
        assert result.requests == count
        print(f"{name:<45} {count / spent:>9,.0f} rows/s of CPU   memory grown by {(peak() - before) / 1024:.1f} MB")


class Lines:
    """A stream of generated lines that holds none of them."""

    def __init__(self, count: int, with_text: bool) -> None:
        self.lines = generated(count, with_text)

    def readline(self, limit: int) -> bytes:
        return next(self.lines, b"")


def generated(count: int, with_text: bool) -> Iterator[bytes]:
    random = Random(7)
    for number in range(count):
        row: dict[str, object] = {
            "id": str(number),
            "session": f"s{random.randrange(count)}",
            "ts": 1790812800 + number,
        }
        if with_text:
            row["prompt"] = " ".join(random.choices(WORDS, k=16)) + f" {number}"
        else:
            row |= {"contains_pii": False, "complexity": random.choice(("low", "medium", "high"))}
        row |= {"input_tokens": random.randrange(10, 9000), "output_tokens": random.randrange(1, 900)}
        yield json.dumps(row).encode() + b"\n"


def peak() -> int:
    """Greatest resident size so far, in KB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
