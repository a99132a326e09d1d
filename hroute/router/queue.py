"""Requests that nobody answered: kept with everything that bound them, and asked again under the policy of then.

Taints and guarantees of the day on which a request was kept are united with those of the day on which it is tried: a
later policy may tighten, never loosen (SEMANTICS 3.8).
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from hroute.errors import CallerFault, HrouteError, LedgerError, RequestError, UsageError
from hroute.ledger.queue import Claim, Item, Queue
from hroute.router import kept
from hroute.router.bounded import GRACE, Stop, work_through
from hroute.router.drive import adrive, asender
from hroute.router.session import raised, united
from hroute.router.signals.taints import NAMES as TAINTS
from hroute.schema.policy import Guarantee, Policy
from hroute.terms.clock import Rng
from hroute.terms.ids import short, uuid7

if TYPE_CHECKING:
    from hroute.router.answer import Answer
    from hroute.router.engine import Engine, Run

log: Final = logging.getLogger("hroute.queue")

ROUNDS: Final = 24
"""Rounds after which an item is given up: with the waits below, three to four days."""
FIRST: Final = 30.0
LONGEST: Final = 6 * 3600.0
"""Seconds until the second round, doubled each time up to the longest; a tenth more or less, so that items spread."""
CONCURRENCY: Final = 4
LEASE: Final = 900_000
"""Milliseconds for which a living worker may keep an item, beyond the deadline of the policy."""

Now = Callable[[], int]
"""Milliseconds since 1970, UTC."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Tried:
    """What one round came to: an answer; or none, and when the next round is (None: given up). `lost` says that the item
    was dropped, or taken over, while it was being asked."""

    item: Item
    answer: Answer | None = None
    error: str = ""
    next_try: int | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """How a run goes: at most so many at a time; `among` these items only, due or not. Time and chance are parameters."""

    concurrency: int = CONCURRENCY
    among: Collection[str] | None = None
    grace: float = GRACE
    now: Now = now_ms
    rng: Rng = random.random
    lease: int = LEASE


def keeps(error: RequestError) -> bool:
    """Whether another day may bring an answer: not where a rule says no, nor where the request itself is wrong."""
    refused_by_rule = error.decision is not None and error.decision.refused
    return not refused_by_rule and not isinstance(error, CallerFault)


def keep_or_say(queue: Queue, run: Run, error: RequestError) -> None:
    """Keep the request of `run`, which ended with `error`, where another day may bring an answer; the error says so."""
    if not keeps(error):
        return
    try:
        error.queued = keep(queue, run, error).id
    except LedgerError as trouble:
        log.error("a request could not be kept to be retried: %s", trouble.message)
        error.help = f"{error.help or 'ask again'}. It could not be kept to be retried: {trouble.message}"
    else:
        kept_as = f"kept in the retry queue as {short(error.queued)}: hroute queue run asks it again"
        error.help = f"{kept_as}. {error.help}" if error.help else kept_as


def keep(queue: Queue, run: Run, error: RequestError, now: Now = now_ms) -> Item:
    """Keep the request of `run`, which ended with `error`. Raises LedgerError."""
    at = now()
    taints = raised({name: run.extraction.ask(name) for name in TAINTS})
    body = {"request": kept.to_json(run.request), "signals": kept.signals_to_json(run.given)}
    return queue.keep(
        run.id if _is_uuid(run.id) else uuid7(),
        body,
        now=at,
        rule=run.decision.rule.name,
        policy=run.decision.policy,
        taints=kept.signals_to_json(taints),
        guarantees=[_selectors(g) for g in run.guard.held()],
        next_try=at + round(FIRST * 1000),
        error=error.code or "",
    )


async def work_off(
    engine: Engine, queue: Queue, terms: Terms, stop: Stop, observe: Callable[[Tried], None] = lambda tried: None
) -> list[Tried]:
    """Ask everything that is due once more, and say what came of each. Raises LedgerError.

    A stop lets end what was begun, for a while; what is dropped then waits as before.
    """
    queue.sweep(now=terms.now())
    ended: list[Tried] = []
    engines = _Engines(engine)
    lease = terms.lease + round(engine.policy.deadline * 1000)

    def claims() -> Iterator[Claim]:
        done: set[str] = set()
        while True:
            left = None if terms.among is None else [id for id in terms.among if id not in done]
            claim = queue.claim(now=terms.now(), lease=lease, among=left) if left != [] else None
            if claim is None:
                return
            done.add(claim.item.id)
            yield claim

    async def one(claim: Claim) -> None:
        try:
            tried = await _round(engines, queue, claim, terms)
        except BaseException:
            queue.let_go(claim, now=terms.now())
            raise
        ended.append(tried)
        observe(tried)

    await work_through(claims(), one, terms.concurrency, stop, terms.grace)
    return ended


async def _round(engines: _Engines, queue: Queue, claim: Claim, terms: Terms) -> Tried:
    """Ask once, and write down what came of it."""
    item = claim.item
    try:
        answer = await _ask(engines, queue, item)
    except RequestError as error:
        return _put_back(queue, claim, error.code or "", terms, again=keeps(error), at_least=_asked_for(error))
    except UsageError:
        return _put_back(queue, claim, "invalid", terms, again=False)
    except HrouteError:
        raise
    except Exception as error:  # a defect of ours must not lose the request
        return _put_back(queue, claim, f"internal: {type(error).__name__}", terms, again=True)
    at = terms.now()
    result = {**answer.as_json(), "id": item.id, "request_id": answer.id, "finished": at}
    return Tried(item, answer, lost=not queue.finish(claim, result, now=at))


async def _ask(engines: _Engines, queue: Queue, item: Item) -> Answer:
    body = queue.body(item.id)
    if body is None or not isinstance(body.get("request"), dict) or not isinstance(body.get("signals"), dict):
        raise UsageError("the kept request is not here any more")
    request = replace(kept.from_json(body["request"]), stream=False)
    engine = engines.bound_by(item.guarantees)
    given = united(engine.policy, request, kept.signals_from_json(body["signals"]), kept.signals_from_json(item.taints))
    run = engine.begin(request, given, queue=False)  # it is kept already
    send = asender(engine.plugin)
    answer = engine.settle(run, await adrive(run.steps, send, engine.clock))
    engine.shadows.acast(run, answer, send, engine.clock)
    return answer


def _put_back(queue: Queue, claim: Claim, error: str, terms: Terms, *, again: bool, at_least: float = 0.0) -> Tried:
    rounds = claim.item.attempts + 1
    at = terms.now()
    next_try = None
    if again and rounds < ROUNDS:
        wait = min(FIRST * 2**rounds, LONGEST) * (0.9 + 0.2 * terms.rng())
        next_try = at + round(1000 * max(wait, at_least))
    held = queue.put_back(claim, error, now=at, next_try=next_try)
    return Tried(claim.item, None, error, next_try, lost=not held)


def _asked_for(error: RequestError) -> float:
    """Seconds that a vendor asked us to wait."""
    waits = [
        a.failure.retry_after for a in error.attempts if a.failure is not None and a.failure.retry_after is not None
    ]
    return min(max(waits, default=0.0), LONGEST)


@dataclass(slots=True)
class _Engines:
    """The engine, and for each set of guarantees that came with an item the same one bound by them as well."""

    engine: Engine
    bound: dict[str, Engine] = field(default_factory=dict)

    def bound_by(self, guarantees: Sequence[Mapping[str, Any]]) -> Engine:
        if not guarantees:
            return self.engine
        key = json.dumps([dict(g) for g in guarantees], sort_keys=True)
        if key not in self.bound:
            self.bound[key] = self.engine.under(tightened(self.engine.policy, guarantees))
        return self.bound[key]


def tightened(policy: Policy, guarantees: Sequence[Mapping[str, Any]]) -> Policy:
    """`policy` with guarantees of another day, which now hold whatever the request is."""
    added = []
    for number, one in enumerate(guarantees, 1):
        only, never = one.get("only"), one.get("never")
        name = f"{one.get('name', number)} (kept with the request)"
        added.append(Guarantee(name, permitted=_permitted(policy, only, never), only=only, never=never))
    return replace(policy, guarantees=(*policy.guarantees, *added))


def _permitted(policy: Policy, only: Mapping[str, Any] | None, never: Mapping[str, Any] | None) -> frozenset[str]:
    from hroute.schema.selectors import selects

    return frozenset(
        name
        for name, provider in policy.providers.items()
        if (only is None or selects(only, provider, policy.tiers))
        and (never is None or not selects(never, provider, policy.tiers))
    )


def _selectors(guarantee: Guarantee) -> dict[str, Any]:
    plain = {"only": guarantee.only, "never": guarantee.never}
    return {"name": guarantee.name, **{key: dict(value) for key, value in plain.items() if value is not None}}


def _is_uuid(id: str) -> bool:
    return len(id) == 36 and set(id) <= set("0123456789abcdef-")
