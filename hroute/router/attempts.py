"""The ladder of one request as a generator: deadline -> fallbacks -> retries -> one call.

It yields what is to be done (`Load`, `Call`, `Wait`, `Commit`) and receives what came of it, so that the synchronous and the
asynchronous driver are a few lines each, and a test drives thousands of failures on a clock that stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from hroute.providers.protocol import Permit, Target
from hroute.router.backoff import Tries, pause
from hroute.router.entry import Inside, enter, shut
from hroute.router.plan import Candidate, Gate, Leaving, Plan, Skipped
from hroute.router.steps import Accepted as Accepted
from hroute.router.steps import Attempt as Attempt
from hroute.router.steps import Broken as Broken
from hroute.router.steps import Call as Call
from hroute.router.steps import Commit as Commit
from hroute.router.steps import Doubted as Doubted
from hroute.router.steps import End as End
from hroute.router.steps import Load as Load
from hroute.router.steps import Move as Move
from hroute.router.steps import Opened as Opened
from hroute.router.steps import Result as Result
from hroute.router.steps import Role as Role
from hroute.router.steps import Step as Step
from hroute.router.steps import Wait as Wait
from hroute.schema.policy import CHAIN_ATTEMPTS
from hroute.terms.clock import Clock, Rng
from hroute.terms.message import Reply, Request
from hroute.terms.outcome import Failure, Outcome


class Queue(Protocol):
    """Where a call waits for room at its provider: for as long as it may, `alone` where no other candidate is left."""

    def __call__(
        self, candidate: Candidate, alone: Callable[[], bool], until: float
    ) -> Generator[Wait, Any, Leaving | Skipped]: ...


class Doubting(Protocol):
    """Whether an accepted reply of `candidate` may be kept. May make calls of its own by `one_call`, under other terms."""

    def __call__(
        self, candidate: Candidate, accepted: Accepted, plan: Plan, terms: Terms, log: Log, until: float
    ) -> Generator[Step, Result, Accepted | Doubted]: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What the ladder needs besides the plan: limits, the parts it calls, time and chance.

    `deadline` is in seconds from now to the first semantic event; `bad_limit` the replies that one provider may spoil;
    `stream` asks for streams that are passed on at once; `queue` is passed before the gates; `doubt` has the last word
    on what `judge` accepted; `role` is what the calls are for.
    """

    request_for: Callable[[Candidate], Request]
    permit: Callable[[Candidate], Permit]
    judge: Callable[[Reply], Accepted | Failure]
    deadline: float
    clock: Clock
    rng: Rng
    bad_limit: int = 2
    budget: int = CHAIN_ATTEMPTS  # calls over the whole chain
    stream: bool = False
    own_params: bool = False  # the policy added parameters: a 400 may be their fault
    load: Callable[[Candidate], Callable[[], None] | None] = lambda candidate: None  # before its first call
    gates: Sequence[Gate] = ()
    queue: Queue | None = None
    doubt: Doubting | None = None
    role: Role = "answer"
    observe: Callable[[Attempt | Move], None] | None = None


@dataclass(slots=True)
class Log:
    """What has happened so far; the caller holds it too, so that it survives an exception. `seconds` are those outside
    the chain who were asked to confirm or to judge an answer."""

    attempts: list[Attempt] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    seconds: list[Candidate] = field(default_factory=list)


def attempts(plan: Plan, terms: Terms, log: Log) -> Generator[Step, Result, End]:
    """Ask the candidates of `plan` in order until one answers, the request is at fault, or the limits are reached."""
    until = float("inf")
    end: End = None
    for place, candidate in enumerate(plan.candidates):
        if len(log.attempts) >= terms.budget or terms.clock.now() >= until:
            break
        unusable = yield from _loaded(candidate, terms, log)
        started, before = terms.clock.now(), len(log.attempts)
        until = min(until, started + terms.deadline)
        ended = unusable or (yield from _retries(candidate, plan, terms, log, until))
        if ended is None:
            continue
        end = ended
        if not isinstance(end, Failure) or end.outcome is Outcome.CALLER_FAULT:
            break
        if terms.observe:
            tries, seconds = sum(a.role == "answer" for a in log.attempts[before:]), terms.clock.now() - started
            terms.observe(Move(candidate.name, end, tries, seconds, _next(plan, place, terms, log, until)))
    return end


def _loaded(candidate: Candidate, terms: Terms, log: Log) -> Generator[Step, Result, Failure | None]:
    """Have the plugin of `candidate` ready; a plugin that cannot be is a provider that lacks everything."""
    ready = terms.load(candidate)
    if ready is None:
        return None
    failure = yield Load(ready)
    if not isinstance(failure, Failure):
        return None
    log.attempts.append(Attempt(candidate.name, candidate.target.model, failure.outcome, 0.0, failure))
    if terms.observe:
        terms.observe(log.attempts[-1])
    return failure


def _retries(candidate: Candidate, plan: Plan, terms: Terms, log: Log, until: float) -> Generator[Step, Result, End]:
    """Ask one provider until it answers or has used its tries; None where its gates let nothing pass."""
    end: End = None
    calls = bad = 0
    while True:
        ended = yield from _kept(candidate, plan, terms, log, until)
        if isinstance(ended, Skipped):
            log.skipped.append(ended)
            return end
        if isinstance(ended, Doubted):
            if not ended.again:
                return ended.failure
            ended = ended.failure
        if not isinstance(ended, Failure):
            return ended
        end, calls, bad = ended, calls + 1, bad + (ended.outcome is Outcome.BAD_CONTENT)
        seconds = pause(ended, Tries(calls, bad), candidate.provider.retry, terms.bad_limit, terms.rng)
        if seconds is None or len(log.attempts) >= terms.budget or terms.clock.now() + seconds >= until:
            return end
        if seconds > 0:
            if shut(candidate, terms):
                return end  # its breaker has just opened: the next one sooner
            yield Wait(seconds)


def _kept(
    candidate: Candidate, plan: Plan, terms: Terms, log: Log, until: float
) -> Generator[Step, Result, Accepted | Doubted | Failure | Broken | Skipped]:
    """One call whose reply may be kept; a stream that was passed on is past all doubt."""
    ended = yield from one_call(candidate, plan, terms, log, until)
    if terms.doubt is None or terms.stream or not isinstance(ended, Accepted):
        return ended
    return (yield from terms.doubt(candidate, ended, plan, terms, log, until))


def one_call(
    candidate: Candidate, plan: Plan, terms: Terms, log: Log, until: float
) -> Generator[Step, Result, Accepted | Failure | Broken | Skipped]:
    """One call to `candidate` past limits and gates, or who does not let it in."""
    inside = yield from enter(candidate, plan, terms, until)
    if isinstance(inside, Skipped):
        return inside
    try:
        return (yield from _once(candidate, plan, terms, log, until, inside))
    finally:
        inside.end(None)


def _once(
    candidate: Candidate, plan: Plan, terms: Terms, log: Log, until: float, inside: Inside
) -> Generator[Step, Result, Accepted | Failure | Broken]:
    """One call, judged and written down, also when the caller goes away in the middle of it."""
    started = terms.clock.now()
    first_token = None

    def written(failure: Failure | None, reply: Reply | None) -> None:
        attempt = Attempt(
            provider=candidate.name,
            model=(reply.model if reply else "") or candidate.target.model,
            outcome=failure.outcome if failure else Outcome.OK,
            latency_ms=elapsed,
            failure=failure,
            usage=reply.usage if reply else None,
            first_token_ms=first_token,
            load_ms=reply.load_ms if reply else 0.0,
            waited_ms=inside.waited_ms,
            hurried=_hurried(candidate, terms, started, until),
            allowances=reply.allowances if reply else failure.allowances if failure else (),
            role=terms.role,
        )
        log.attempts.append(attempt)
        inside.end(attempt)
        if terms.observe:
            terms.observe(attempt)

    try:
        target = _within(candidate.target, until - started, terms.stream)
        result = yield Call(candidate, target, terms.request_for(candidate), terms.permit(candidate), terms.stream)
        if isinstance(result, Opened):
            first_token = _ms(terms.clock, started)
            inside.spoke()
            result = yield Commit(result, target.model)
    except BaseException as error:
        if not isinstance(error, Exception):
            elapsed = _ms(terms.clock, started)
            written(Failure(Outcome.CANCELLED, "the caller went away"), None)
        raise
    elapsed = _ms(terms.clock, started)
    ended, reply = _judged(result, first_token is not None, candidate, plan, terms)
    failure = ended if isinstance(ended, Failure) else ended.failure if isinstance(ended, Broken) else None
    written(failure, reply)
    return ended


def _judged(
    result: Result, committed: bool, candidate: Candidate, plan: Plan, terms: Terms
) -> tuple[Accepted | Failure | Broken, Reply | None]:
    match result:
        case Reply():
            return (Accepted(result, result.text) if committed else terms.judge(result)), result
        case Broken():
            return result, result.reply
        case Failure():
            return _fair(result, candidate, plan, terms), None
        case _:
            raise TypeError(f"a call was answered with {type(result).__name__}")


def _fair(failure: Failure, candidate: Candidate, plan: Plan, terms: Terms) -> Failure:
    """A 400 is the caller's fault only where the caller's own choice of model and parameters was sent (SEMANTICS 3.3)."""
    ours = candidate.name != plan.decision.route_to or terms.own_params or bool(candidate.provider.params)
    if failure.outcome is Outcome.CALLER_FAULT and ours:
        return replace(failure, outcome=Outcome.CAPABILITY)
    return failure


def _within(target: Target, seconds: float, stream: bool) -> Target:
    """`target` with timeouts that end with the deadline. A stream that has begun may run past it."""
    return replace(
        target,
        connect=min(target.connect, seconds),
        first_token=min(target.first_token, seconds),
        total=target.total if stream else min(target.total, seconds),
    )


def _hurried(candidate: Candidate, terms: Terms, started: float, until: float) -> bool:
    """Whether the deadline has come over a call that was left less than the time for a first word, and less than half of
    the deadline: a provider that is asked at the last moment is not slow."""
    fair = min(candidate.target.first_token, terms.deadline / 2)
    return until - started < fair and terms.clock.now() >= until - 0.01


def _next(plan: Plan, place: int, terms: Terms, log: Log, until: float) -> str | None:
    if len(log.attempts) >= terms.budget or terms.clock.now() >= until or place + 1 >= len(plan.candidates):
        return None
    return plan.candidates[place + 1].name


def _ms(clock: Clock, since: float) -> float:
    return (clock.now() - since) * 1000
