"""How one call is let in: room at its provider first, then every gate; and who is told how it ended."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from hroute.router import plan as planning
from hroute.router.plan import Candidate, Leaving, Plan, Skipped

if TYPE_CHECKING:
    from hroute.router.attempts import Attempt, Terms, Wait


class Inside:
    """A call that has been let in, after `waited_ms`: those who let it in are told its first words and, once, its end."""

    def __init__(self, leavings: Sequence[Leaving], waited_ms: float) -> None:
        self.waited_ms = waited_ms
        self._leavings = leavings

    def spoke(self) -> None:
        for leaving in self._leavings:
            if (spoke := getattr(leaving, "spoke", None)) is not None:
                spoke()

    def end(self, attempt: Attempt | None) -> None:
        leavings, self._leavings = self._leavings, ()
        for leaving in leavings:
            leaving(attempt)


def enter(candidate: Candidate, plan: Plan, terms: Terms, until: float) -> Generator[Wait, Any, Inside | Skipped]:
    """Room first, which may have to be waited for, then every gate at once, as they stand after the wait."""
    started = terms.clock.now()
    room: tuple[Leaving, ...] = ()
    if terms.queue is not None:
        found = yield from terms.queue(candidate, lambda: _alone(candidate, plan, terms), until)
        if isinstance(found, Skipped):
            return found
        room = (found,)
    entered = planning.enter(terms.gates, candidate.provider)
    if isinstance(entered, Skipped):
        for leaving in room:
            leaving(None)
        return entered
    return Inside((*entered, *room), (terms.clock.now() - started) * 1000)


def shut(candidate: Candidate, terms: Terms) -> bool:
    """Whether a gate would not let `candidate` be asked now."""
    return any(gate.refuses(candidate.provider) is not None for gate in terms.gates)


def _alone(candidate: Candidate, plan: Plan, terms: Terms) -> bool:
    """Whether nobody after `candidate` could be asked now."""
    return all(shut(later, terms) for later in plan.candidates[plan.candidates.index(candidate) + 1 :])
