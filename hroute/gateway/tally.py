"""What each session has cost so far and would have cost at the model that it asked for, for the line at the bottom of a
terminal; names of the policy and numbers only."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hroute.gateway.asked import Asked
from hroute.gateway.loops import conversation
from hroute.ledger import prices
from hroute.router.answer import Answer
from hroute.router.pricing import price_of
from hroute.router.switching import CACHED_SECONDS
from hroute.schema.policy import Policy
from hroute.terms import money
from hroute.terms.money import Price
from hroute.terms.usage import Usage

MOST: Final = 1_000
"""Sessions that are remembered; the one least used goes first."""
_TALKS: Final = 50  # conversations of one session (its subagents' too) whose prompt caches are reckoned


@dataclass(frozen=True, slots=True)
class Sum:
    """A session so far. `turns` counts the answers of each provider; `cost` is in nano-dollars, `asked` what the model
    that the client asked for would have cost; None once a price was not known. `talks` are (tokens, when) of the last
    prompt of each conversation, by its name."""

    turns: Mapping[str, int] = field(default_factory=dict)
    cost: int | None = 0
    asked: int | None = 0
    rule: str = ""
    provider: str = ""
    model: str = ""
    escalation: str = ""
    mode: str = "enforce"
    talks: Mapping[bytes, tuple[int, float]] = field(default_factory=dict)

    @property
    def saved(self) -> int | None:
        """Nano-dollars less than at the model asked for; negative where it was more."""
        return None if self.cost is None or self.asked is None else self.asked - self.cost

    def as_json(self) -> dict[str, Any]:
        last = {
            "provider": self.provider,
            "model": self.model,
            "rule": self.rule,
            "escalation": self.escalation or None,
        }
        sums = {"cost_usd": money.to_json(self.cost), "as_asked_usd": money.to_json(self.asked)}
        return {
            "mode": self.mode,
            "turns": dict(self.turns),
            **sums,
            "saved_usd": money.to_json(self.saved),
            "last": last,
        }


class Tally:
    """The sums of the sessions that this process knows. Safe between threads."""

    def __init__(self, most: int = MOST, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._sums: OrderedDict[str, Sum] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, asked: Asked, policy: Policy, answer: Answer) -> None:
        """`answer` was given to `asked`."""
        name, session = conversation(asked), asked.session
        if name is None or session is None:
            return
        used, provider = answer.usage, answer.actual_provider
        prompt, now = used.input + used.cache_read + used.cache_write, self._now()
        price = _asked_for(policy, asked)
        with self._lock:
            before = self._sums.pop(session, Sum())
            would: int | None = answer.cost
            if answer.actual_model != asked.model:
                warm, at = before.talks.get(name, (0, 0.0))
                cached = min(warm, prompt) if now - at < CACHED_SECONDS else 0
                would = _would(price, cached, prompt, used)
            self._sums[session] = Sum(
                {**before.turns, provider: before.turns.get(provider, 0) + 1},
                _sum(before.cost, answer.cost),
                _sum(before.asked, would),
                answer.decision.rule.name,
                provider,
                answer.actual_model,
                str(answer.escalation) if answer.escalation else "",
                policy.mode,
                _last({**before.talks, name: (prompt, now)}),
            )
            if len(self._sums) > self._most:
                self._sums.popitem(last=False)

    def of(self, session: str) -> Sum | None:
        """The sum of a session; None where nothing is known of it."""
        with self._lock:
            return self._sums.get(session)


def _asked_for(policy: Policy, asked: Asked) -> Price | None:
    """The price of the model that the client asked for; where that is no model of its vendor, of what serves by default."""
    price = prices.lookup(asked.door.vendor, asked.model)
    if price is not None:
        return price
    route = policy.default.route
    name = policy.baseline or (route.to if route is not None else "")
    return price_of(policy.providers[name]) if name in policy.providers else None


def _would(price: Price | None, cached: int, prompt: int, used: Usage) -> int | None:
    """What the same tokens cost at `price` where the model had kept its prompt cache: else a saving is a dream, for a
    turn of a long conversation is nearly all read from there."""
    if price is None:
        return None
    usage = Usage(cache_read=cached, cache_write=prompt - cached, output=used.output, reasoning=used.reasoning)
    return prices.cost(price, usage)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _last(talks: dict[bytes, tuple[int, float]]) -> dict[bytes, tuple[int, float]]:
    """No more of them than are worth keeping: the latest."""
    if len(talks) <= _TALKS:
        return talks
    return dict(sorted(talks.items(), key=lambda item: item[1][1])[-_TALKS:])
