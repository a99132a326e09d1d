"""Can a request of this region reach that rule? The one question behind every static finding.

The search is guided by the matcher: take a concrete request of the region and match it. If the rule wins, that request
is the witness. If an earlier rule takes it, that rule's box is subtracted from the region, and the search goes on with
what is left; nothing left is a proof, and the rules met on the way are all that shadow it. Bounded by `Effort`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hroute.router.analysis.world import World
from hroute.router.decision import Signals
from hroute.schema.region import Box, subtract

Stop = Callable[[], bool]


class NotProven(Exception):
    """The effort ran out before the search ended: the question stays open."""


@dataclass(slots=True)
class Effort:
    """How much may be spent by all searches together: `stop` says that the time is over."""

    stop: Stop = lambda: False
    steps: int = 0

    def count(self) -> None:
        """One step of a search. Raises NotProven when the time is over."""
        self.steps += 1
        if self.steps & 31 == 0 and self.stop():
            raise NotProven


@dataclass(frozen=True, slots=True)
class Found:
    """A request that answers the question, and the box of the region in which it lies."""

    signals: Signals
    box: Box


@dataclass(slots=True)
class Search:
    """The outcome: `found`, or a proof that there is none, with the positions of the rules that took everything."""

    found: Found | None = None
    blockers: list[int] = field(default_factory=list)


def reach(world: World, region: Iterable[Box], target: int, effort: Effort) -> Search:
    """A request of `region` (canonical boxes inside the target rule's own) that the target rule wins.

    Raises NotProven when the effort runs out.
    """
    return search(world, region, lambda position: position == target, effort)


def search(
    world: World, region: Iterable[Box], wanted: Callable[[int], bool], effort: Effort, which: int = 0
) -> Search:
    """A request of `region` whose winning rule is `wanted`; boxes of unwanted winners are subtracted.

    Sound where no wanted rule hides behind an unwanted winner inside that winner's box: always so for a single target
    that every request of the region would reach if nothing came before it.
    """
    outcome = Search()
    stack = list(region)[::-1]
    index = world.indexes[which]
    while stack:
        box = stack.pop()
        signals = world.pick(box)
        if signals is None:
            continue
        effort.count()
        winner = index.match(signals)
        if wanted(winner):
            outcome.found = Found(signals, box)
            return outcome
        if winner not in outcome.blockers:
            outcome.blockers.append(winner)
        hole = next(b for b in world.rule(winner, which) if world.holds(b, signals))
        stack += list(subtract(box, hole))[::-1]
    return outcome
