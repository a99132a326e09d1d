"""How the providers are now: of each an errors breaker, a latency breaker and its limits, as one gate of the plan.

One Health serves all requests of a process and outlives a reload of the policy: what is known about a provider is kept
as long as it is the same model at the same address with the same credential.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hroute.router.attempts import Attempt
from hroute.router.breaker import BAD, VERDICTS, Breaker, Pass, Verdict
from hroute.router.latency import LatencyBreaker
from hroute.router.limits import Limiter
from hroute.router.plan import Leaving, Skipped, Why
from hroute.schema.policy import Provider
from hroute.terms.clock import Bell, Clock, Rng, SystemClock, VirtualClock
from hroute.terms.outcome import Failure, Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """Told to the observer: a breaker of `provider` went from one state to another."""

    provider: str
    breaker: Literal["errors", "latency"]
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Condition:
    """How one provider is, for a status page. Seconds; `p95` is None without samples, `latency` without that breaker."""

    provider: str
    errors: str
    open_for: float | None
    latency: str | None
    p95: float | None
    p95_limit: float | None
    last_error: str | None
    under_way: int
    waiting: int

    def as_json(self) -> dict[str, Any]:
        return {
            "errors_breaker": self.errors,
            "open_for_s": None if self.open_for is None else round(self.open_for, 1),
            "latency_breaker": self.latency,
            "p95_s": None if self.p95 is None else round(self.p95, 3),
            "p95_limit_s": self.p95_limit,
            "last_error": self.last_error,
            "under_way": self.under_way,
            "waiting": self.waiting,
        }


@dataclass(frozen=True, slots=True)
class Past:
    """A call that ended `ago` seconds before now, from the record of another process; `seconds` is its latency, `told`
    what its provider said (status and code) where it failed; `tokens` are those that count for a limit."""

    provider: str
    outcome: Outcome
    ago: float
    seconds: float | None = None
    told: str = ""
    tokens: int = 0


class Standing:
    """Everything that is known about one provider."""

    def __init__(
        self, provider: Provider, clock: Clock, rng: Rng, changed: Callable[[Change], None] | None = None
    ) -> None:
        self.provider = provider
        self.clock = clock
        self.last: Failure | None = None
        self.changed = changed
        self._rng = rng
        self.limiter = Limiter(provider.limits, clock)
        self.breaker = Breaker(provider.breaker, clock, rng, self._teller("errors"))
        self.latency = self._latency()

    def adjust(self, provider: Provider) -> None:
        """Go on under other settings, as after a reload, with what is known."""
        self.provider = provider
        self.limiter.adjust(provider.limits)
        self.breaker.settings = provider.breaker
        if self.latency is None or provider.breaker.latency is None:
            self.latency = self._latency()
        else:
            self.latency.adjust(provider.breaker.latency, provider.breaker.probes)

    def refusal(self) -> Skipped | None:
        """Why the errors breaker lets nobody in, or None."""
        seconds = self.breaker.seconds()
        return None if seconds == 0 else self._skipped(seconds)

    def enter(self) -> Skipped | Visit:
        """Let one call in past the errors breaker."""
        leave = self.breaker.enter()
        return self._skipped(self.breaker.seconds()) if leave is None else Visit(self, leave)

    def remember(self, call: Past) -> None:
        """A call that somebody else has made. An answer is a sign of life, also where the breaker would be open."""
        self.limiter.remember(call.tokens)
        verdict = VERDICTS[call.outcome]
        if verdict is Verdict.ANSWERED:
            self.breaker.probe()
        leave = self.breaker.enter() or Pass(self.breaker.era)
        if verdict in BAD:
            self.last = Failure(call.outcome, call.told or str(call.outcome))
        self.breaker.hear(leave, verdict)
        if self.latency and call.outcome is Outcome.OK and call.seconds is not None:
            self.latency.leave(self.latency.enter(), call.seconds)

    def go_by(self, clock: Clock) -> None:
        """Go on by another clock that shows the same time."""
        self.clock = self.breaker.clock = self.limiter.clock = clock
        if self.latency:
            self.latency.clock = clock

    def condition(self) -> Condition:
        state, seconds = self.breaker.state, self.breaker.seconds()
        latency = self.latency
        return Condition(
            provider=self.provider.name,
            errors=state,
            open_for=seconds if state == "open" else None,
            latency=latency.state if latency else None,
            p95=latency.p95 if latency else None,
            p95_limit=latency.settings.p95 if latency else None,
            last_error=self.last.message if self.last else None,
            under_way=self.limiter.under_way,
            waiting=self.limiter.waiting,
        )

    def _skipped(self, seconds: float | None) -> Skipped:
        """A provider that rejects our credential lacks a key, any other is out of order."""
        rejected = self.last is not None and self.last.outcome is Outcome.CREDENTIAL
        because = f" ({self.last.message})" if self.last else ""
        told = f"is open, {seconds:.0f} s more" if seconds else "lets no more calls in until those under way have ended"
        return Skipped(self.provider.name, Why.KEY if rejected else Why.DOWN, f"its errors breaker {told}{because}")

    def _latency(self) -> LatencyBreaker | None:
        settings = self.provider.breaker
        if settings.latency is None:
            return None
        return LatencyBreaker(settings.latency, settings.probes, self.clock, self._rng, self._teller("latency"))

    def _teller(self, breaker: Literal["errors", "latency"]) -> Callable[[str, str], None]:
        def tell(before: str, after: str) -> None:
            if self.changed is not None:
                self.changed(Change(self.provider.name, breaker, before, after))

        return tell


class Visit:
    """One call that the breakers have let in; called with the attempt at its end.

    Latency counts from the moment the request turned to this provider, our own waiting included, to the reply; of a
    stream to its first words, since the rest is as fast as its reader. The load of a cold model is not counted.
    """

    __slots__ = ("_leave", "_probe", "_spoke", "_standing")

    def __init__(self, standing: Standing, leave: Pass) -> None:
        self._standing = standing
        self._leave = leave
        self._spoke = False
        self._probe = standing.latency.enter() if standing.latency else None

    def spoke(self) -> None:
        """The stream has said its first words: the provider is alive, however long it goes on."""
        self._spoke = True
        self._standing.breaker.hear(self._leave, Verdict.ANSWERED)

    def __call__(self, attempt: Attempt | None) -> None:
        standing = self._standing
        verdict = self._verdict(attempt)
        if verdict in BAD and attempt is not None:
            standing.last = attempt.failure
        standing.breaker.hear(self._leave, verdict)
        if standing.latency and self._probe is not None:
            answered = attempt is not None and attempt.outcome is Outcome.OK
            standing.latency.leave(self._probe, latency_of(attempt) if answered and attempt else None)

    def _verdict(self, attempt: Attempt | None) -> Verdict:
        if attempt is None or (attempt.outcome is Outcome.TIMEOUT and attempt.hurried):
            return Verdict.NOTHING
        verdict = VERDICTS[attempt.outcome]
        return Verdict.NOTHING if self._spoke and verdict is Verdict.ANSWERED else verdict


class Health:
    """The standing of every provider, by name, and the gate that they make. Safe between threads and event loops."""

    def __init__(
        self,
        clock: Clock | None = None,
        rng: Rng = random.random,
        observe: Callable[[Change], None] | None = None,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self._rng = rng
        self._observe = observe
        self._lock = threading.RLock()
        self._standings: dict[str, Standing] = {}
        self._bell = Bell()

    def of(self, provider: Provider) -> Standing:
        """What is known about `provider`; nothing, where it is another model, address or credential than before."""
        standing = self._standings.get(provider.name)
        if standing is not None and standing.provider is provider:
            return standing
        with self._lock:
            standing = self._standings.get(provider.name)
            if standing is None or _identity(standing.provider) != _identity(provider):
                standing = self._standings[provider.name] = Standing(provider, self.clock, self._rng, self._hear)
            elif standing.provider != provider:
                standing.adjust(provider)
        return standing

    def refuses(self, provider: Provider) -> Skipped | None:
        """Refused is who has an open errors breaker. A limit is no matter of the plan: one may wait for it."""
        return self.of(provider).refusal()

    def postpones(self, provider: Provider) -> bool:
        """Put last is who has an open latency breaker."""
        latency = self.of(provider).latency
        return latency is not None and latency.postpones()

    def enter(self, provider: Provider) -> Skipped | Leaving | None:
        """Past the errors breaker, which counts how the call ends."""
        return self.of(provider).enter()

    def bell(self) -> Bell:
        """Rings at the next change of any breaker."""
        return self._bell

    def conditions(self, providers: Iterable[Provider]) -> list[Condition]:
        """How the providers are now."""
        return [self.of(provider).condition() for provider in providers]

    def seed(self, providers: Iterable[Provider], past: Iterable[Past]) -> None:
        """Begin with what other processes met in the last minutes: their calls are played again, oldest first, for every
        provider that nothing is known about yet."""
        calls: dict[str, list[Past]] = {}
        for call in sorted(past, key=lambda call: -call.ago):
            calls.setdefault(call.provider, []).append(call)
        for provider in providers:
            with self._lock:
                if provider.name in calls and provider.name not in self._standings:
                    standing = _remembered(provider, calls[provider.name], self.clock, self._rng)
                    standing.changed = self._hear
                    self._standings[provider.name] = standing

    def _hear(self, change: Change) -> None:
        with self._lock:
            bell, self._bell = self._bell, Bell()
        bell.ring()
        if self._observe is not None:
            self._observe(change)


def latency_of(attempt: Attempt) -> float:
    """Seconds that a call took for its request, as the latency breaker counts them."""
    spoken = attempt.latency_ms if attempt.first_token_ms is None else attempt.first_token_ms
    return max(0.0, attempt.waited_ms + spoken - attempt.load_ms) / 1000


def _remembered(provider: Provider, calls: Sequence[Past], clock: Clock, rng: Rng) -> Standing:
    """The standing that `provider` would have, had these calls been made here."""
    now = clock.now()
    then = VirtualClock(now - max(0.0, calls[0].ago))
    standing = Standing(provider, then, rng)
    for call in calls:
        then.advance(max(0.0, now - call.ago - then.now()))
        standing.remember(call)
    then.advance(max(0.0, now - then.now()))
    standing.go_by(clock)
    return standing


def _identity(provider: Provider) -> tuple[object, ...]:
    return (provider.plugin, provider.model, provider.base_url, provider.api_key, provider.command)
