"""How long the answers of a rule by a model are: learned as they come, forgotten as others come, one small row to read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hroute.ledger import rollup

if TYPE_CHECKING:
    from hroute.ledger.records import RequestRow
    from hroute.ledger.store import Transaction

GENERATION: Final = 500
"""Answers after which those before the last so many are forgotten: what is learned rests on the last 500 to 1,000."""

LEAST: Final = 20
"""Answers that a quantile must rest on."""

_KEY: Final = "rule = ? AND provider = ? AND model = ?"
_READ: Final = f"SELECT recent, n, before, m FROM answer_length WHERE {_KEY}"
_WRITE: Final = (
    "INSERT INTO answer_length (rule, provider, model, recent, n, before, m) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (rule, provider, model) DO UPDATE SET recent = excluded.recent, n = excluded.n, "
    "before = excluded.before, m = excluded.m"
)

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Lengths:
    """What was learned of one rule, provider and model: answers by bucket of tokens (`hroute.ledger.rollup`)."""

    counts: dict[int, int]

    @property
    def answers(self) -> int:
        return sum(self.counts.values())

    def below(self, share: float) -> int | None:
        """Tokens below which that share of the answers stayed; None where there were too few of them."""
        found = rollup.quantile(self.counts, share) if self.answers >= LEAST else None
        return None if found is None else round(found)


def add(transaction: Transaction, rows: Iterable[RequestRow]) -> None:
    """Learn from requests that have ended. A rehearsal teaches nothing, nor does an answer that was not kept."""
    found: dict[Key, Counter[int]] = {}
    for row in rows:
        if row.mode == "sandbox" or row.outcome != "ok":
            continue
        for attempt in row.tries:
            tokens = attempt.usage.output + attempt.usage.reasoning
            if attempt.outcome == "ok" and attempt.kind == "try" and tokens:
                key = (row.rule, attempt.provider, attempt.asked or attempt.model)
                found.setdefault(key, Counter())[rollup.bucket(tokens)] += 1
    for key, fresh in found.items():
        recent, before = _generations(transaction, key)
        recent.update(fresh)
        if recent.total() >= GENERATION:
            recent, before = Counter(), recent
        transaction.run(_WRITE, (*key, _written(recent), recent.total(), _written(before), before.total()))


def of(transaction: Transaction, rule: str, provider: str, model: str) -> Lengths:
    """What was learned of the answers by a rule of a provider's model; the model as the policy names it."""
    recent, before = _generations(transaction, (rule, provider, model))
    return Lengths(dict(recent + before))


def _generations(transaction: Transaction, key: Key) -> tuple[Counter[int], Counter[int]]:
    for recent, _, before, _ in transaction.run(_READ, key):
        return _counted(recent), _counted(before)
    return Counter(), Counter()


def _counted(written: str) -> Counter[int]:
    return Counter({int(bucket): int(n) for bucket, n in json.loads(written).items()})


def _written(counts: Counter[int]) -> str:
    return json.dumps(counts, separators=(",", ":"))
