"""Two policies against each other: every kind of request that changes route, with a witness; no log is needed.

For each pair of an old and a new rule whose outcomes differ, the search looks for a request that the old policy gives to
the one and the new policy to the other. Where it finds none, that is a proof.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hroute.router.analysis.reach import Effort, Found, NotProven
from hroute.router.analysis.witness import describe, witness, words
from hroute.router.analysis.world import World
from hroute.router.decide import destinations
from hroute.router.decision import Signals
from hroute.router.index import Index
from hroute.schema.policy import DEFAULT, Policy, Rule
from hroute.schema.region import Box, intersect, subtract


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of request that changes route. `witness` is signal -> JSON value; a chain is empty for a refusal.

    `leaves_machine`: the old chain had only local providers, and the new one does not.
    """

    from_rule: str
    to_rule: str
    from_chain: tuple[str, ...]
    to_chain: tuple[str, ...]
    region_text: str
    witness_text: str
    witness: Mapping[str, Any] = field(default_factory=dict)
    leaves_machine: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes, and whether that is proven for every possible request (False: time ran out)."""

    changes: tuple[Change, ...]
    proven: bool = True


def diff(old: Policy, new: Policy, *, stop: Callable[[], bool] = lambda: False) -> Difference:
    """Every kind of request that `new` treats otherwise than `old`: rule pairs whose outcomes differ and that some
    request of the space goes between."""
    if old.hash == new.hash:
        return Difference(())
    world = World((old, new), (Index(old), Index(new)))
    changes: list[Change] = []
    try:
        for i, j in _pairs(old, new):
            found = _between(world, i, j, Effort(stop))
            if found is not None:
                changes.append(_change(world, old.all_rules[i], new.all_rules[j], found))
    except NotProven:
        return Difference(tuple(changes), False)
    return Difference(tuple(changes))


def _pairs(old: Policy, new: Policy) -> Iterator[tuple[int, int]]:
    """Pairs of an old and a new rule between which a request may change route.

    Two rules that both policies have, in the same order, cannot be such a pair: the request meets both conditions, so in
    each policy the same one of them comes first. That leaves what was edited, added or moved, against everything.
    """
    in_old, in_new = _places(old), _places(new)
    was = [in_old.get(c) if in_new[c] == j else None for j, c in enumerate(map(_condition, new.all_rules))]
    kept = [position for position in was if position is not None]
    in_order = kept == sorted(kept)
    edited = [j for j, position in enumerate(was) if position is None]
    for i, before in enumerate(old.all_rules):
        now = in_new.get(_condition(before)) if in_old[_condition(before)] == i else None
        for j in sorted({*edited, now}) if now is not None and in_order else range(len(was)):
            then = was[j]
            if now is not None and then is not None and i != then and (i < then) == (now < j):
                continue
            if outcome(old, before) != outcome(new, new.all_rules[j]):
                yield i, j


def _places(policy: Policy) -> dict[Hashable, int]:
    """Where each condition stands first."""
    places: dict[Hashable, int] = {}
    for position, rule in enumerate(policy.all_rules):
        places.setdefault(_condition(rule), position)
    return places


def _condition(rule: Rule) -> Hashable:
    """What makes two rules match the same requests."""
    return (rule.condition, rule.name if rule.hold else None, rule.name == DEFAULT)


def outcome(policy: Policy, rule: Rule) -> tuple[object, ...]:
    """What a rule does with a request, as something to compare: where it may go and by which arms."""
    if rule.route is None:
        return ("refuse",)
    partial = rule.rollout < 1 or rule.holdout > 0
    return (
        rule.route.chain, rule.route.split, rule.rollout, rule.holdout, policy.baseline if partial else None, rule.validate, rule.params, rule.shadow,
    )  # fmt: skip


def _between(world: World, old: int, new: int, effort: Effort) -> Found | None:
    """A request that the old policy gives to rule `old` and the new one to rule `new`."""
    stack = [both for a in world.rule(old, 0) for b in world.rule(new, 1) if (both := intersect(a, b)) is not None]
    while stack:
        box = stack.pop()
        signals = world.pick(box)
        if signals is None:
            continue
        effort.count()
        winners = (world.indexes[0].match(signals), world.indexes[1].match(signals))
        if winners == (old, new):
            return Found(signals, _narrowed(world, winners, signals, box))
        which = 0 if winners[0] != old else 1
        hole = next(b for b in world.rule(winners[which], which) if world.holds(b, signals))
        stack += subtract(box, hole)
    return None


def _narrowed(world: World, winners: tuple[int, int], signals: Signals, box: Box) -> Box:
    """The part of the box around a request that no earlier rule of either policy touches: what a person reads."""
    for which, winner in enumerate(winners):
        for earlier in range(winner):
            for hole in world.rule(earlier, which):
                box = next(piece for piece in subtract(box, hole) if world.holds(piece, signals))
    return box


def _change(world: World, before: Rule, after: Rule, found: Found) -> Change:
    old, new = world.policies
    shown = witness(world, found)
    return Change(
        before.name,
        after.name,
        before.route.chain if before.route else (),
        after.route.chain if after.route else (),
        describe(world, found.box),
        words(world, shown),
        shown,
        bool(before.route and _all_local(old, before) and after.route and not _all_local(new, after)),
    )


def _all_local(policy: Policy, rule: Rule) -> bool:
    return all(policy.providers[name].local for name in destinations(policy, rule))
