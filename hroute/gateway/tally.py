"""What each session has cost so far, for the line at the bottom of a terminal; names of the policy and numbers only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from hroute.router.answer import Answer
from hroute.terms import money

MOST: Final = 1_000
"""Sessions that are remembered; the one least used goes first."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A session so far; `cost` is in nano-dollars, None once a price was not known."""

    requests: int = 0
    cost: int | None = 0
    provider: str = ""
    model: str = ""
    rule: str = ""
    escalation: str = ""

    def as_json(self) -> dict[str, Any]:
        named = {
            "provider": self.provider,
            "model": self.model,
            "rule": self.rule,
            "escalation": self.escalation or None,
        }
        return {"requests": self.requests, "cost_usd": money.to_json(self.cost), **named}


class Tally:
    """The sums of the sessions that this process knows. Safe between threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._sums: OrderedDict[str, Sum] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, session: str | None, answer: Answer) -> None:
        """`answer` was given in `session`."""
        if not session:
            return
        with self._lock:
            before = self._sums.pop(session, Sum())
            cost = None if before.cost is None or answer.cost is None else before.cost + answer.cost
            why = str(answer.escalation) if answer.escalation else ""
            rule = answer.decision.rule.name
            self._sums[session] = Sum(before.requests + 1, cost, answer.actual_provider, answer.actual_model, rule, why)
            if len(self._sums) > self._most:
                self._sums.popitem(last=False)

    def of(self, session: str) -> Sum | None:
        """The sum of a session; None where nothing is known of it."""
        with self._lock:
            return self._sums.get(session)
