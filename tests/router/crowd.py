"""A crowd of requests at once, through the real engine, on one virtual clock: each ladder goes on when its time has come."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hroute.errors import RequestError
from hroute.router.answer import Answer
from hroute.router.attempts import Call, Commit, End, Load, Opened, Wait
from hroute.router.engine import Engine, Run
from hroute.terms.clock import VirtualClock
from hroute.terms.message import Reply, TextDelta
from hroute.terms.outcome import Failure, Outcome
from tests.router.stage import ask

Answers = Callable[[Call], tuple[float, Reply | Failure]]
"""Seconds that a call takes, and what comes of it."""


@dataclass(eq=False)
class Visitor:
    """One request on its way: what was called for it, how long it waited, and how it ended."""

    given: Mapping[str, Any]
    run: Run
    began: float
    called: list[str] = field(default_factory=list)
    waited: float = 0.0
    answer: Answer | None = None
    error: RequestError | None = None
    ended: float | None = None

    @property
    def served_by(self) -> str | None:
        return self.answer.actual_provider if self.answer else None


class Crowd:
    """Plays arrivals against `answers`; `planned` is told each request when it has its plan, `watch` each call as it
    begins: both see the crowd as it stands then."""

    def __init__(
        self,
        engine: Engine,
        answers: Answers,
        watch: Callable[[Visitor, Call], None] | None = None,
        planned: Callable[[Visitor], None] | None = None,
    ) -> None:
        assert isinstance(engine.clock, VirtualClock)
        self.engine = engine
        self.clock = engine.clock
        self.visitors: list[Visitor] = []
        self.under_way: list[tuple[str, float]] = []
        self._answers = answers
        self._watch = watch
        self._planned = planned
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, moment: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (max(moment, self.clock.now()), next(self._order), what))

    def arrive(self, moment: float, *, stream: bool = False, down: frozenset[str] = frozenset(), **given: Any) -> None:
        def begin() -> None:
            run = self.engine.begin(ask(), given, stream=stream, down=down)
            visitor = Visitor(given, run, self.clock.now())
            self.visitors.append(visitor)
            if self._planned:
                self._planned(visitor)
            self._step(visitor, None)

        self.at(moment, begin)

    def play(self) -> list[Visitor]:
        """Until nothing is left to happen."""
        while self._agenda:
            moment, _, what = heapq.heappop(self._agenda)
            self.clock.advance(max(0.0, moment - self.clock.now()))
            what()
        return self.visitors

    def _step(self, visitor: Visitor, result: Any) -> None:
        try:
            step = visitor.run.steps.send(result)
        except StopIteration as stop:
            self._end(visitor, stop.value)
            return
        match step:
            case Load(ready):
                ready()
                self._step(visitor, None)
            case Wait():
                self._wait(visitor, step)
            case Call():
                self._call(visitor, step)
            case Commit(opened, _):
                seconds, reply = opened.rest
                self.at(self.clock.now() + seconds, lambda: self._step(visitor, reply))

    def _wait(self, visitor: Visitor, wait: Wait) -> None:
        began, over = self.clock.now(), list[bool]()

        def wake() -> None:
            if not over:
                over.append(True)
                visitor.waited += self.clock.now() - began
                self._step(visitor, None)

        self.at(began + wait.seconds, wake)
        if wait.bell is not None:
            wait.bell.hear(lambda: self.at(self.clock.now(), wake))

    def _call(self, visitor: Visitor, call: Call) -> None:
        name, began = call.candidate.name, self.clock.now()
        call.permit.spend(name)
        if self._watch:
            self._watch(visitor, call)
        visitor.called.append(name)
        here = (name, began)
        self.under_way.append(here)
        seconds, result = self._answers(call)
        limit = call.target.first_token if call.stream else call.target.total
        if seconds > limit:
            seconds, result = limit, Failure(Outcome.TIMEOUT, "no answer in time")

        def answered() -> None:
            self.under_way.remove(here)
            if call.stream and isinstance(result, Reply):
                self._step(visitor, Opened((TextDelta("…"),), (seconds, result)))
            else:
                self._step(visitor, result)

        self.at(began + seconds, answered)

    def _end(self, visitor: Visitor, end: End) -> None:
        visitor.ended = self.clock.now()
        try:
            visitor.answer = self.engine.settle(visitor.run, end)
        except RequestError as error:
            visitor.error = error
