"""Who may be asked now: the way of a request through the limits, and what happens where every errors breaker is open."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from hroute.router.attempts import Attempt, End, Log, Result, Step, Terms, Wait, attempts
from hroute.router.health import Health
from hroute.router.limits import Shortage, Size, Taken
from hroute.router.plan import Candidate, Leaving, Plan, Skipped, Why
from hroute.schema.policy import Provider
from hroute.schema.quantities import duration
from hroute.terms.outcome import Outcome

_TICK: Final = 0.01
"""Seconds that are waited at least before all breakers are looked at again."""


@dataclass(frozen=True, slots=True)
class AllOpen:
    """`on_all_open`: what to do where every provider that could serve has an open errors breaker. `wait` is in seconds."""

    kind: Literal["fail", "probe_best", "wait"]
    wait: float = 0.0


def all_open(written: str) -> AllOpen:
    """The policy's `on_all_open` (`fail`, `probe_best`, `wait <= 5s`), as the schema let it pass."""
    if written.startswith("wait"):
        return AllOpen("wait", duration(written.removeprefix("wait").strip().removeprefix("<=")))
    return AllOpen("probe_best" if written == "probe_best" else "fail")


@dataclass(frozen=True, slots=True)
class Awaited:
    """The gate of a plan that is to wait for the errors breakers: it refuses nobody, what is slow stands last still."""

    health: Health

    def refuses(self, provider: Provider) -> Skipped | None:
        return None

    def postpones(self, provider: Provider) -> bool:
        return self.health.postpones(provider)

    def enter(self, provider: Provider) -> Skipped | Leaving | None:
        return None


@dataclass(frozen=True, slots=True)
class Limited:
    """The limits of the providers, for one request. `size` estimates the tokens of a call; it is asked only where tokens
    are counted. Where it does not wait (`waits`), a limit that is hit is the answer at once."""

    health: Health
    size: Callable[[], Size]
    waits: bool = True

    def __call__(
        self, candidate: Candidate, alone: Callable[[], bool], until: float
    ) -> Generator[Wait, Any, Leaving | Skipped]:
        """Room for one call to `candidate`, waited for where that is allowed, or the limit that is hit.

        A limit is waited for as long as `limits.wait` says; where it says nothing, not at all while another candidate is
        left, and until the deadline where this one is `alone` (SEMANTICS 3.4).
        """
        provider, clock = candidate.provider, self.health.clock
        limiter = self.health.of(provider).limiter

        def patience() -> float:
            if not self.waits:
                return 0.0
            left = until - clock.now()
            wait = provider.limits.wait
            return min(wait, left) if wait is not None else left if alone() else 0.0

        taken = yield from limiter.enter(self.size() if limiter.counts_tokens else Size(), patience)
        if isinstance(taken, Shortage):
            return Skipped(provider.name, Why.LIMIT, taken.detail)
        if clock.now() >= until:
            limiter.undo(taken)
            return Skipped(provider.name, Why.LIMIT, "there was room only at the deadline")

        def leave(attempt: Attempt | None, held: Taken = taken) -> None:
            if attempt is None:
                limiter.undo(held)
                return
            limiter.leave(held, _used(attempt))
            limiter.heed(attempt.allowances, _asked(attempt))

        return leave


def patient(plan: Plan, terms: Terms, log: Log, health: Health, rule: AllOpen) -> Generator[Step, Result, End]:
    """The ladder, and where it asked nobody since every errors breaker is open, what `on_all_open` says.

    `probe_best` probes at once the one whose breaker would be the first to let a call in; `wait <= t` waits until one
    does, at most `t` and never past the deadline. No more than the breaker's own probes are let through by either.
    """
    until = terms.clock.now() + terms.deadline
    patience = min(until, terms.clock.now() + rule.wait)
    end = yield from attempts(plan, terms, log)
    while end is None and not log.attempts and all(s.why not in (Why.LIMIT, Why.BUDGET) for s in log.skipped):
        bell = health.bell()
        breakers = [health.of(c.provider).breaker for c in plan.candidates]
        soon = [(seconds, n) for n, breaker in enumerate(breakers) if (seconds := breaker.seconds()) is not None]
        if rule.kind == "probe_best" and soon:
            breakers[min(soon)[1]].probe()
        else:
            left, seconds = patience - terms.clock.now(), min(soon)[0] if soon else None
            if not breakers or left <= 0 or (seconds or 0.0) > left:
                break
            yield Wait(min(left, _TICK if seconds == 0 else seconds or left), bell)
        log.skipped.clear()
        end = yield from attempts(plan, replace(terms, deadline=until - terms.clock.now()), log)
        if rule.kind == "probe_best":
            break
    return end


def _used(attempt: Attempt) -> int | None:
    """Tokens that count for a limit; what was read from a cache does not. None where the vendor said nothing."""
    usage = attempt.usage
    return None if usage is None else (usage.input + usage.cache_write + usage.output + usage.reasoning) or None


def _asked(attempt: Attempt) -> float | None:
    """Seconds for which the vendor asks everybody to stay away."""
    busy = attempt.outcome in (Outcome.CAPACITY, Outcome.SERVER)
    return attempt.failure.retry_after if busy and attempt.failure else None
