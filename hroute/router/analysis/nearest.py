"""The nearest request that would go elsewhere: which signals would have to differ, and what to."""

from __future__ import annotations

from collections.abc import Iterator

from hroute.router.analysis.witness import as_json
from hroute.router.analysis.world import World
from hroute.router.decide import Compiled
from hroute.router.decision import Nearest, Signals
from hroute.router.features import asker
from hroute.schema.condition import Ask
from hroute.schema.region import Members, Part, Spans, admits, full, without
from hroute.terms.signal import ABSENT, MICRO, SIGNALS, Kind, Value


def nearest(compiled: Compiled, signals: Signals) -> Nearest | None:
    """The fewest changes of signals that lead to another first provider (or to or from a refusal).

    Two kinds of change are tried: into each box of every rule, and out of the rule that matches now, one signal at a
    time. None where neither leads anywhere else.
    """
    index, world = compiled.index, World((compiled.policy,), (compiled.index,))
    ask = asker(compiled.policy, signals)
    here = index.match(signals)
    best: tuple[tuple[int, int, int], dict[str, Value]] | None = None
    for changed in _attempts(compiled, world, here, ask):
        there = index.match(_closed({**signals, **changed}, world))
        if compiled.outcomes[there][1][:1] == compiled.outcomes[here][1][:1]:
            continue
        rank = (len(changed), sum(SIGNALS[f.partition("~")[0]].taint for f in changed), there)
        if best is None or rank < best[0]:
            best = rank, changed
    if best is None:
        return None
    rule, chain, _ = compiled.outcomes[best[0][2]]
    return Nearest(rule.name, chain[0] if chain else None, {f: as_json(v) for f, v in best[1].items()})


def _attempts(compiled: Compiled, world: World, here: int, ask: Ask) -> Iterator[dict[str, Value]]:
    rules = compiled.policy.rules
    for rule in rules:
        for box in rule.region:
            changed = {f: _moved(world, f, part, ask(f)) for f, part in box.items() if not admits(part, f, ask(f))}
            if changed:
                yield changed
    for box in rules[here].region if here < len(rules) else ():
        for feature, part in box.items():
            for rest in without(full(feature), part):
                yield {feature: _moved(world, feature, rest, ask(feature))}


def _moved(world: World, feature: str, part: Part, value: Value) -> Value:
    """The value nearest to `value` that the part admits."""
    if isinstance(part, Spans) and part.ranges and isinstance(value, (int, float)):
        number = round(value * MICRO) if SIGNALS[feature].kind is Kind.FRACTION else int(value)
        near = min((min(max(number, low), high) for low, high in part.ranges), key=lambda n: abs(n - number))
        return near / MICRO if SIGNALS[feature].kind is Kind.FRACTION else near
    if isinstance(part, Members) and isinstance(value, frozenset):
        forbidden = frozenset().union(*(n or value for holds, n in part.clauses if not holds))
        wanted = {
            n
            for holds, names in part.clauses
            if holds and names and not (value - forbidden) & names
            for n in sorted(names)[:1]
        }
        return frozenset((value - forbidden) | wanted)
    picked = world.pick({feature: part})
    return ABSENT if picked is None else picked.get(feature, ABSENT)


def _closed(signals: dict[str, Value], world: World) -> Signals:
    pii = signals.get("pii")
    if isinstance(pii, frozenset):
        ((_, counting),) = world.counts.clauses
        signals["contains_pii"] = not pii.isdisjoint(counting or ())
    return signals
