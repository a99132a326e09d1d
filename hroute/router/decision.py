"""What `decide` says: which rule, which route, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hroute.schema.condition import Test
from hroute.schema.policy import Rule
from hroute.terms.signal import Value

Signals = Mapping[str, Value]
"""Signal name (or the key of a text test) -> value. A missing name is absent, or has the table's default."""


class Decision(NamedTuple):
    """A pure function of (policy, signals).

    `chain` is the provider that serves, then the fallbacks in order; empty for a refusal. `variant` says which arm
    of a rollout took it: "" (the rule's own route), "rollout" or "holdout" (the baseline), "split".
    """

    rule: Rule
    chain: tuple[str, ...]
    signals: Signals
    policy: str
    variant: str = ""

    @property
    def route_to(self) -> str | None:
        return self.chain[0] if self.chain else None

    @property
    def fallback(self) -> tuple[str, ...]:
        return self.chain[1:]

    @property
    def refused(self) -> bool:
        return self.rule.refuse is not None

    @property
    def score(self) -> float | None:
        value = self.signals.get("score")
        return value if isinstance(value, float) else None

    @property
    def confidence(self) -> float | None:
        value = self.signals.get("confidence")
        return value if isinstance(value, float) else None


@dataclass(frozen=True, slots=True)
class Step:
    """One rule on the way: whether it matched, and if not the first test that failed and what was there instead."""

    rule: Rule
    match: bool
    test: Test | None = None
    got: Value | None = None


@dataclass(frozen=True, slots=True)
class Nearest:
    """The cheapest change of signals that leads elsewhere: `changes` maps a signal to the value it would need."""

    rule: str
    route_to: str | None
    changes: Mapping[str, Any] = field(default_factory=dict)
