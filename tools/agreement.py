"""How much `validate: {agree: ...}` keeps local, and how much of it is wrong, on recorded outputs of small models.

    python tools/agreement.py ../shared/data/routing/agreement_dev.jsonl

Every row goes through the client itself: a policy with a local model, a second one that has to agree, and a strong model
as fallback; only the plugin is replaced by one that says what the models once said. Rows are `{id, prompt, outputs:
{model: text}, correct: {model: 0 or 1}}`, and `correct` also knows the strong model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from hroute.providers.protocol import Capabilities, Permit, Target
from hroute.router.client import Client
from hroute.schema.load import load_text
from hroute.terms.message import Event, Reply, Request, Text

POLICY = """\
version: 1
providers:
  first: {{plugin: ollama, model: "{first}", local: true}}
  second: {{plugin: ollama, model: "{second}", local: true}}
  strong: {{plugin: anthropic, model: strong, api_key: env:KEY}}
routing_rules:
  - name: cascade
    condition: {{}}
    route_to: first
    fallback: strong
    validate: {{agree: {{with: second, on: answer}}}}
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows, and of them those whose answer of the first model was kept, by what is true of that answer."""

    rows: int
    kept: int
    wrong: int
    wrong_where_strong_is_right: int
    right: int  # of all answers, the strong model's among them
    reasons: Mapping[str, int]

    @property
    def kept_share(self) -> float:
        return self.kept / self.rows

    @property
    def wrong_share(self) -> float:
        """All wrong answers among the kept."""
        return self.wrong / max(self.kept, 1)

    @property
    def lost_share(self) -> float:
        """Of the kept answers, those that are wrong where the strong model would have been right."""
        return self.wrong_where_strong_is_right / max(self.kept, 1)


class Recorded:
    """A plugin that says what the models of a row said; the strong one is never read, only counted."""

    name = "recorded"
    capabilities = Capabilities()

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._said = {row["prompt"]: row["outputs"] for row in rows}

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        permit.spend(target.name)
        said = self._said[request.last_user_text].get(target.model, "asked")
        return Reply((Text(said),), target.model)

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        raise NotImplementedError

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        raise NotImplementedError

    def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]:
        raise NotImplementedError


def read(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def models(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], str]:
    """The small models, and the strong one: the only one that is judged but has no output."""
    small = list(rows[0]["outputs"])
    (strong,) = (name for name in rows[0]["correct"] if name not in small)
    return small, strong


def measure(rows: Sequence[Mapping[str, Any]], first: str, second: str) -> Measured:
    """The cascade of `first`, confirmed by `second`, over all rows."""
    policy, findings, _ = load_text(POLICY.format(first=first, second=second), "cascade.yaml")
    if policy is None:
        raise SystemExit("\n".join(finding.message for finding in findings))
    plugin, (_, strong) = Recorded(rows), models(rows)
    kept = wrong = lost = right = 0
    reasons: Counter[str] = Counter()
    with Client.from_policy(policy=policy, environ={"KEY": "none"}, load=lambda _: plugin) as client:
        for row in rows:
            answer, correct = client.complete(row["prompt"]), row["correct"]
            stayed = answer.actual_provider == "first"
            good = bool(correct[first if stayed else strong])
            kept, right = kept + stayed, right + good
            wrong += stayed and not good
            lost += stayed and not good and bool(correct[strong])
            if not stayed:
                reasons[next(a.failure.code or "" for a in reversed(answer.attempts) if a.failure)] += 1
    return Measured(len(rows), kept, wrong, lost, right, reasons)


def table(rows: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The figures of each pair, line by line; below them every model alone."""
    small, strong = models(rows)
    yield f"{'answers':<28} {'confirmed by':<28} {'kept local':>10} {'wrong*':>8} {'all wrong':>10} {'right, with strong':>19}"
    for first, second in pairs:
        m = measure(rows, first, second)
        yield f"{first:<28} {second:<28} {m.kept_share:>10.1%} {m.lost_share:>8.2%} {m.wrong_share:>10.2%} {m.right / m.rows:>19.1%}"
        told = ", ".join(f"{name} {count}" for name, count in sorted(m.reasons.items(), key=lambda item: -item[1]))
        yield f"  went up: {told}"
    yield ""
    for name in (*small, strong):
        right = sum(bool(row["correct"][name]) for row in rows) / len(rows)
        yield f"{name:<28} {'alone':<28} {'100.0%' if name != strong else '0.0%':>10} {'':>8} {1 - right:>10.2%} {right:>19.1%}"
    yield ""
    yield f"* of the kept answers, wrong where {strong} is right. {len(rows)} rows."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--first", help="the model whose answers are kept (default: every pair is measured)")
    parser.add_argument("--second", help="the model that has to agree")
    given = parser.parse_args()
    if not given.file.is_file():
        print(f"{given.file} is not there: the data is not part of the project", file=sys.stderr)
        return 2
    rows = read(given.file)
    pairs = [
        pair
        for pair in permutations(models(rows)[0], 2)
        if given.first in (None, pair[0]) and given.second in (None, pair[1])
    ]
    for line in table(rows, pairs):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
