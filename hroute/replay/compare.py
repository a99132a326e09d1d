"""Where rows went before, beside where they would go: same, changed, cannot tell, and whom they newly reach."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from hroute.replay.meter import Meter, Sum
from hroute.replay.redecide import Redecider, Verdict
from hroute.replay.rows import Row
from hroute.router.pricing import REQUESTED
from hroute.schema.policy import Policy
from hroute.terms.usage import Usage

Chain = tuple[str, ...]
Way = tuple[Chain, Chain]
"""The chain before and the chain now, for one completion of a row."""

ELSEWHERE = "(not in this policy)"
"""Stands for a model that served a row and that the policy does not name."""
REFUSED = "(refused)"


@dataclass(slots=True)
class Move:
    """Rows that change from one route to another; None where it is one of several. `then` and `now` are the costs."""

    before: str | None
    after: str | None
    rule: str | None
    requests: int = 0
    then: Sum = field(default_factory=Sum)
    now: Sum = field(default_factory=Sum)


class Before(Protocol):
    """Where a row went before."""

    def ways(self, row: Row, now: Verdict) -> frozenset[Way] | None:
        """Every (before, now) that the row may stand for; None where nothing is known of before."""

    def cost(self, provider: str, row: Row, usage: Usage | None) -> int | None:
        """What the row costs on the route of before."""


class UnderPolicy:
    """Before is another policy."""

    def __init__(self, policy: Policy, redecider: Redecider) -> None:
        self.old, self.new = Redecider(policy), redecider
        self.meter = Meter(policy)

    def ways(self, row: Row, now: Verdict) -> frozenset[Way] | None:
        then = self.old.decide(row)
        if len(then.decisions) == 1 or len(now.decisions) == 1:
            return frozenset((a.chain, b.chain) for a in then.decisions for b in now.decisions)
        return self.new.ways(row, now, self.old, then)

    def cost(self, provider: str, row: Row, usage: Usage | None) -> int | None:
        return self.meter.cost(provider, usage, row.ts, row.model)


class OnOneProvider:
    """Before is one provider for everything."""

    def __init__(self, provider: str, meter: Meter) -> None:
        self.provider, self.meter = provider, meter

    def ways(self, row: Row, now: Verdict) -> frozenset[Way] | None:
        return frozenset(((self.provider,), decision.chain[:1]) for decision in now.decisions)

    def cost(self, provider: str, row: Row, usage: Usage | None) -> int | None:
        return self.meter.cost(provider, usage, row.ts, row.model)


class AsLogged:
    """Before is what the row itself says: the provider it was routed to, else the model that served it."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.models = {name: provider.model.lower() for name, provider in meter.policy.providers.items()}

    def ways(self, row: Row, now: Verdict) -> frozenset[Way] | None:
        served = self._served(row)
        if served is None:
            return None
        return frozenset((self._chain(served, d.chain[:1]), d.chain[:1]) for d in now.decisions)

    def cost(self, provider: str, row: Row, usage: Usage | None) -> int | None:
        if row.cost is not None:
            return row.cost
        return self.meter.cost(provider, usage, row.ts, row.model) if provider in self.models else None

    def _served(self, row: Row) -> Chain | None:
        """The providers that the row may mean, None where it says nothing."""
        name = row.routed_to or row.model
        if name is None:
            return None
        if name in self.models:
            return (name,)
        model = name.lower()
        named = tuple(p for p, ours in self.models.items() if model.startswith(ours) or ours.startswith(model))
        return named or self._of_any_model(model) or (ELSEWHERE,)

    def _of_any_model(self, model: str) -> Chain:
        """The provider that serves whatever model is asked for, where its vendor has one of that name."""
        return tuple(p for p, ours in self.models.items() if ours == REQUESTED and self.meter.has(p, model))[:1]

    def _chain(self, served: Chain, now: Chain) -> Chain:
        """Where one model stands behind several providers, the one that serves now."""
        return now if now and now[0] in served else served[:1]


class Comparison:
    """The running count of a comparison."""

    def __init__(self, before: Before, policy: Policy) -> None:
        self.before = before
        self.away = frozenset(name for name, provider in policy.providers.items() if provider.local is not True)
        self.compared = self.same = self.changed = self.cannot_tell = 0
        self.then = Sum()
        self.newly: Counter[str] = Counter()
        self.maybe: Counter[str] = Counter()
        self.moves: dict[tuple[str | None, str | None, str | None], Move] = {}

    def add(self, row: Row, now: Verdict, usage: Usage | None, cost: int | None) -> None:
        """Count one row; `cost` is what it costs now."""
        ways = self.before.ways(row, now)
        if ways is None:
            return
        self.compared += 1
        then = self._then(ways, row, usage)
        self.then.add(then)
        differing = sum(old != new for old, new in ways)
        if differing == 0:
            self.same += 1
        elif differing < len(ways):
            self.cannot_tell += 1
        else:
            self.changed += 1
            self._move(now, ways, then, cost)
        self._reaching(ways, now.taint_unknown)

    def _then(self, ways: frozenset[Way], row: Row, usage: Usage | None) -> int | None:
        """What the row costs on its route of before: nothing where that was refused, the dearest where it may be several."""
        amounts = [self.before.cost(old[0], row, usage) if old else 0 for old in {old[:1] for old, _ in ways}]
        known = [amount for amount in amounts if amount is not None]
        return max(known) if len(known) == len(amounts) else None

    def _move(self, now: Verdict, ways: frozenset[Way], then: int | None, cost: int | None) -> None:
        before, after = _one({old[:1] for old, _ in ways}), _one({new[:1] for _, new in ways})
        move = self.moves.setdefault((before, after, now.rule), Move(before, after, now.rule))
        move.requests += 1
        move.then.add(then)
        move.now.add(cost)

    def _reaching(self, ways: frozenset[Way], taint_unknown: bool) -> None:
        """Providers off this machine that the row may now be sent to and was not before (SEMANTICS 1.9: or may be)."""
        fresh = [frozenset(new).difference(old) & self.away for old, new in ways]
        certain = frozenset.intersection(*fresh)
        self.newly.update(certain)
        if taint_unknown:
            possible = frozenset().union(*fresh) - certain
            self.newly.update(possible)
            self.maybe.update(possible)


def _one(chains: set[Chain]) -> str | None:
    """The one provider in question; None where there are several."""
    if len(chains) != 1:
        return None
    (chain,) = chains
    return chain[0] if chain else REFUSED
