"""Shadows: a copy of a request to another provider, sent once the answer is there, recorded and never returned.

A shadow goes through the same filters as any call: guarantees, keys, capabilities, breakers, limits, budgets. It waits
for nobody's place and nobody waits for it; where it may not go at once it is dropped, and the record says why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from hroute.router.agree import opinion
from hroute.router.answers import Unclear
from hroute.router.attempts import Accepted, Attempt, End, Log, Move, Terms, attempts
from hroute.router.decide import fraction
from hroute.router.drive import ASend, Send, Steps, adrive, drive
from hroute.router.gates import Limited
from hroute.router.plan import Candidate, Plan, Skipped
from hroute.schema.policy import Rule, Validate
from hroute.terms.clock import Clock
from hroute.terms.outcome import Failure, Outcome

if TYPE_CHECKING:
    from asyncio import Task

    from hroute.router.answer import Answer
    from hroute.router.bookkeeping import Account
    from hroute.router.run import Run

MOST: Final = 16
"""Shadows on their way at the same time; what comes then is dropped."""

PATIENCE: Final = 10.0
"""Seconds for which those on their way are waited for at the end: they are paid for."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A copy that is to be sent to `to` when its request is answered, and to have ended by `until` (of the clock)."""

    to: str
    find: Callable[[str], Candidate | Skipped]
    plan: Plan
    terms: Terms
    until: float
    rules: Validate


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What came of a shadow: its call, or why there was none. `same`: it says what the answer says; None: that cannot be
    told. `text` is its answer, for whoever may keep texts."""

    provider: str
    attempt: Attempt | None
    dropped: str = ""
    same: bool | None = None
    text: str = ""

    def as_json(self) -> dict[str, Any]:
        outcome = "dropped" if self.attempt is None else str(self.attempt.outcome)
        found: dict[str, Any] = {"provider": self.provider, "outcome": outcome}
        return found | ({"why": self.dropped} if self.attempt is None else {"same": self.same})


def shadow_of(
    rule: Rule, id: str, find: Callable[[str], Candidate | Skipped], plan: Plan, terms: Terms, begun: float
) -> Shadow | None:
    """The shadow of request `id`, if its rule has one and the sample holds the request. Its calls count against the
    request's attempts and deadline, which runs from `begun`."""
    wanted = rule.shadow
    if wanted is None or fraction(rule.name, "shadow", id) >= wanted.sample:
        return None
    queue = replace(terms.queue, waits=False) if isinstance(terms.queue, Limited) else None
    own = replace(
        terms, queue=queue, doubt=None, stream=False, role="shadow", own_params=True, observe=_calls_only(terms.observe)
    )
    return Shadow(wanted.to, find, plan, own, begun + terms.deadline, rule.validate or Validate())


class Shadows:
    """Those of one process that are on their way. Safe between threads and event loops."""

    def __init__(self, most: int = MOST, patience: float = PATIENCE) -> None:
        self._most = most
        self._patience = patience
        self._lock = threading.Lock()
        self._casts: dict[_Cast, threading.Thread | Task[End]] = {}
        self._closed = False

    @property
    def under_way(self) -> int:
        """How many have not ended yet."""
        return len(self._casts)

    def cast(self, run: Run, answer: Answer, send: Send, clock: Clock) -> None:
        """Send the shadow of an answered request, if it has one, in a thread of its own."""
        if run.shadow is None:
            return
        cast = _Cast(run.shadow, answer, run.account, clock)

        def go() -> None:
            try:
                drive(cast.steps(), send, clock)
            finally:
                self._forget(cast)

        with self._lock:
            started = self._room()
            if started:
                thread = threading.Thread(target=go, name="hroute-shadow", daemon=True)
                try:
                    thread.start()
                    self._casts[cast] = thread
                except RuntimeError:  # none is to be had, or the program is ending: the answer is there all the same
                    started = False
        if not started:
            cast.drop(_FULL)

    def acast(self, run: Run, answer: Answer, send: ASend, clock: Clock, *, warm: bool = True) -> None:
        """Send the shadow of an answered request, if it has one, in a task of its own, on the running event loop. Where
        `send` needs no plugin's SDK, none is made ready (`warm` false)."""
        shadow = run.shadow
        if shadow is None:
            return
        from asyncio import get_running_loop

        if not warm:
            shadow = replace(shadow, terms=replace(shadow.terms, load=lambda _: None))
        cast = _Cast(shadow, answer, run.account, clock)
        with self._lock:
            if room := self._room():
                task = get_running_loop().create_task(adrive(cast.steps(), send, clock))
                self._casts[cast] = task
        if not room:
            return cast.drop(_FULL)

        def ended(task: Task[End]) -> None:
            self._forget(cast)
            if task.cancelled():
                cast.give_up()  # perhaps before it began
            else:
                task.exception()  # it was written down; nobody else is told

        task.add_done_callback(ended)

    def close(self) -> None:
        """Wait for those on their way, so long as is fair, and give the others up. No further one is sent."""
        until = monotonic() + self._patience
        for cast, way in self._left():
            if isinstance(way, threading.Thread):
                way.join(max(0.0, until - monotonic()))
                if way.is_alive():
                    cast.give_up()

    async def aclose(self) -> None:
        """`close` on an event loop."""
        from asyncio import Task, gather, get_running_loop, to_thread, wait

        left = self._left()
        loop = get_running_loop()
        tasks = [way for _, way in left if isinstance(way, Task) and way.get_loop() is loop]
        if tasks:
            _, late = await wait(tasks, timeout=self._patience)
            for task in late:
                task.cancel()
            await gather(*late, return_exceptions=True)
        if any(isinstance(way, threading.Thread) for _, way in left):
            await to_thread(self.close)

    def _left(self) -> list[tuple[_Cast, threading.Thread | Task[End]]]:
        with self._lock:
            self._closed = True
            return list(self._casts.items())

    def _room(self) -> bool:
        return not self._closed and len(self._casts) < self._most

    def _forget(self, cast: _Cast) -> None:
        with self._lock:
            self._casts.pop(cast, None)


_FULL: Final = "too many shadows are on their way, or none is sent any more"


class _Cast:
    """One shadow on its way, which is written down once however it ends."""

    def __init__(self, shadow: Shadow, answer: Answer, account: Account | None, clock: Clock) -> None:
        self._shadow = shadow
        self._answer = answer
        self._account = account
        self._clock = clock
        self._log = Log()
        self._called: Candidate | None = None
        self._begun = clock.now()
        self._lock = threading.Lock()
        self._told = False

    def steps(self) -> Steps:
        """The ladder of its one call."""
        end: End = None
        try:
            end = yield from self._asked()
        finally:
            self._tell(end)
        return end

    def drop(self, why: str) -> None:
        """It is not sent."""
        self._write(Shadowed(self._shadow.to, None, why))

    def give_up(self) -> None:
        """It is not waited for any longer."""
        called = self._called
        if called is None:
            return self.drop("it had not begun when the program ended")
        elapsed = (self._clock.now() - self._begun) * 1000
        failure = Failure(Outcome.CANCELLED, "nobody waited for it any longer")
        attempt = Attempt(called.name, called.target.model, failure.outcome, elapsed, failure, role="shadow")
        self._write(Shadowed(called.name, attempt))

    def _asked(self) -> Steps:
        shadow, answer = self._shadow, self._answer
        left = shadow.until - self._clock.now()
        if shadow.to == answer.actual_provider:
            return None  # it has answered itself
        if left <= 0 or len(answer.attempts) >= shadow.terms.budget:
            self.drop("the request has no call or no time left for it")
            return None
        found = shadow.find(shadow.to)
        if isinstance(found, Skipped):
            self.drop(found.detail)
            return None
        self._called = found
        plan = replace(shadow.plan, candidates=(found,))
        return (yield from attempts(plan, replace(shadow.terms, budget=1, deadline=left), self._log))

    def _tell(self, end: End) -> None:
        attempt = next(iter(self._log.attempts), None)
        if attempt is None:
            if self._log.skipped:
                self.drop(self._log.skipped[0].detail)
            return
        said = end if isinstance(end, Accepted) else None
        same = None if said is None else same_answer(self._answer, said, self._shadow.rules)
        self._write(Shadowed(attempt.provider, attempt, same=same, text=said.text if said else ""))

    def _write(self, shadowed: Shadowed) -> None:
        with self._lock:
            told, self._told = self._told, True
        if not told and self._account is not None:
            self._account.shadowed(shadowed)


def same_answer(answer: Answer, said: Accepted, rules: Validate) -> bool | None:
    """Whether both say the same, as two models that must agree are compared; None where that cannot be told."""
    ours = Accepted(answer.reply, answer.text, answer.json)
    if ours.text.split() == said.text.split() and ours.json == said.json:
        return True
    first, second = opinion(ours, rules), opinion(said, rules)
    if isinstance(first, Unclear) or isinstance(second, Unclear):
        return None
    return first.same(second)


def _calls_only(
    observe: Callable[[Attempt | Move], None] | None,
) -> Callable[[Attempt | Move], None] | None:
    """Whoever is told of calls is told of these too; that a shadow is given up moves nobody."""
    if observe is None:
        return None

    def told(what: Attempt | Move) -> None:
        if isinstance(what, Attempt):
            observe(what)

    return told
