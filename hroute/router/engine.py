"""One engine for library, command line, gateway and batch: begin a request, drive its ladder, settle it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from hroute.providers import registry
from hroute.providers.protocol import Capabilities, Permit, Plugin
from hroute.router import egress, observing
from hroute.router.answer import Answer, answer_of, error_of, refused_by_rule
from hroute.router.attempts import Accepted, Attempt, Broken, Call, End, Log, Move, Terms, attempts
from hroute.router.decision import Decision
from hroute.router.doubt import Doubt, doubts, finder, reporting
from hroute.router.egress import Guard
from hroute.router.fitting import fitted, max_tokens, plainly_fitted
from hroute.router.gates import Awaited, Limited, all_open, patient
from hroute.router.health import Health
from hroute.router.plan import Asking, Candidate, Down, Gate
from hroute.router.planner import Planner
from hroute.router.plugins import Plugins
from hroute.router.run import Run as Run
from hroute.router.run import coerced as coerced
from hroute.router.run import size
from hroute.router.session import Sessions
from hroute.router.shadow import Shadows, shadow_of
from hroute.router.signals.extract import Extraction
from hroute.router.targets import Keyring
from hroute.router.validate import Demand, demand, judge
from hroute.schema.policy import Policy, Validate
from hroute.terms.clock import Clock, Rng, SystemClock
from hroute.terms.ids import uuid7
from hroute.terms.message import Request
from hroute.terms.signal import Value

if TYPE_CHECKING:
    from hroute.ledger.queue import Queue
    from hroute.router.bookkeeping import Account, Books

Observer = Callable[[Attempt | Move], None]
Steer = Callable[[Decision, Extraction], Decision]


class Engine(Planner):
    """A planner with everything that a request needs from outside: plugins, time, chance, gates.

    `stand_in` is a plugin that plays every provider (the sandbox): keys are not looked up, all else stays as it is.
    `health` is what is known about the providers; engines that share one (after a reload) share breakers and limits.
    `sessions` are what it remembers of conversations. `books` hold the policy's budgets before each call, and write down
    each request; None: neither is done. `queue` keeps requests that nobody answered; None: they are not kept.
    Safe between threads; one instance of each plugin is kept, since it holds the connections.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        environ: Mapping[str, str],
        load: Callable[[str], Plugin] = registry.load,
        facts: Callable[[str], Capabilities] = registry.facts,
        stand_in: Plugin | None = None,
        keyring: Keyring | None = None,
        resolver: egress.Resolver | None = None,
        clock: Clock | None = None,
        rng: Rng = random.random,
        gates: Sequence[Gate] = (),
        health: Health | None = None,
        books: Books | None = None,
        sessions: Sessions | None = None,
        queue: Queue | None = None,
        observe: Observer | None = None,
    ) -> None:
        super().__init__(
            policy,
            environ=environ,
            facts=facts,
            keyring=keyring,
            resolver=resolver,
            played=stand_in is not None,
        )
        self.clock: Clock = clock or (health.clock if health else SystemClock())
        self.health = health or Health(self.clock, rng)
        self._load = load
        self._rng = rng
        self._gates = (self.health, *gates)
        self._all_open = all_open(policy.on_all_open)
        self.books = books
        self.sessions = sessions or Sessions()
        self.queue = queue
        self.shadows = Shadows()
        self._observe = observe
        self._plugins = Plugins(load, stand_in)

    def under(self, policy: Policy) -> Engine:
        """This engine under another policy: the same connections, health, sessions and ledger."""
        other = Engine(
            policy,
            environ=self._environ,
            load=self._load,
            facts=self._facts,
            stand_in=self.stand_in,
            keyring=self._keyring,
            resolver=self._resolver,
            clock=self.clock,
            rng=self._rng,
            gates=self._gates[1:],
            health=self.health,
            books=self.books and self.books.under(policy),
            sessions=self.sessions,
            queue=self.queue,
            observe=self._observe,
        )
        other._scans, other._plugins, other.shadows = self._scans, self._plugins, self.shadows
        return other

    @property
    def stand_in(self) -> Plugin | None:
        return self._plugins.stand_in

    def begin(
        self,
        request: Request,
        given: Mapping[str, Value],
        *,
        id: str | None = None,
        down: frozenset[str] = frozenset(),
        stream: bool = False,
        gates: Sequence[Gate] = (),
        steer: Steer | None = None,
        queue: bool | None = None,
    ) -> Run:
        """Decide and plan. Raises Refused where a rule says `refuse:`; nothing is sent here.

        A stream is passed on at once only where nothing has to be judged first. `gates` are further ones, for this
        request alone; `steer` may change where a decision leads (a hint, a session that stays), and every filter follows.
        `queue`: whether it is kept where nobody answers; None, as the rule says.
        """
        if self.policy.mode == "observe":
            return self.observe(request, given, id=id, down=down, stream=stream)
        id, arrived, begun = id or uuid7(), time.time_ns() // 1_000_000, self.clock.now()
        decision, extraction, given = self._decided(request, given, id, steer)
        log = Log()
        asking = Asking(
            id, arrived, decision, request, extraction.ask, partial(max_tokens, request, decision.rule.params)
        )
        account = self._account(asking, extraction, log, begun, stream)
        if decision.refused:
            refusal = refused_by_rule(id, decision)
            if account is not None:
                account.failed(refusal)
            raise refusal
        guard = Guard(self.policy, extraction.ask)
        more = (*gates, *((Down(down),) if down else ()))
        gates = (*self._gates, *more, *(account.gates if account else ()))
        planned = self.plan(decision, guard, request, extraction, gates)
        if not planned.candidates and self._all_open.kind != "fail":
            planned = self.plan(decision, guard, request, extraction, (Awaited(self.health), *gates[1:]))
        wanted = demand(decision.rule.validate, request)
        terms = self._terms(request, decision, guard, wanted, gates, stream and not wanted.holds_back)
        around = self.surroundings(gates)
        if doubts(wanted.rules):
            find = finder(around, guard, request, extraction, wanted.rules)
            terms = replace(terms, doubt=Doubt(decision.rule, request, wanted, find, plainly_fitted))
        terms = replace(terms, queue=Limited(self.health, lambda: size(extraction)))
        find = finder(around, guard, request, extraction, Validate())
        shadow = shadow_of(decision.rule, id, find, planned, terms, begun)
        steps = patient(planned, terms, log, self.health, self._all_open)
        if account is not None:
            steps = account.watched(steps, planned)
        queue = decision.rule.on_all_failed == "queue" if queue is None else queue
        return Run(
            id, request, decision, extraction, guard, planned, wanted, steps, log, terms.stream, account, given, queue, shadow
        )  # fmt: skip

    def observe(
        self,
        request: Request,
        given: Mapping[str, Value],
        before: Candidate | None = None,
        *,
        id: str | None = None,
        down: frozenset[str] = frozenset(),
        stream: bool = False,
    ) -> Run:
        """Decide, and plan a call to where the request went `before` (the baseline, where that is not said), whatever the
        decision says: for a policy in observe mode, which keeps nobody from anything. Whom a guarantee would have kept
        out stands in `skipped`, the baseline among them. A request as it is given `before` is sent once and as it is."""
        id, arrived, begun = id or uuid7(), time.time_ns() // 1_000_000, self.clock.now()
        decision, extraction, given = self._decided(request, given, id)
        guard, log, wanted = Guard(self.policy, extraction.ask), Log(), demand(None, request)
        kept_out = self.plan(decision, guard, request, extraction).skipped
        planned = observing.planned(decision, guard, before, kept_out, self.surroundings((Down(down),)))
        terms = observing.terms(self.policy, request, before, stream, self.clock, self._rng)
        steps = attempts(planned, replace(terms, load=self._plugins.unready, observe=self._observe), log)
        asking = Asking(id, arrived, decision, request, extraction.ask, partial(max_tokens, request, {}))
        account = self._account(asking, extraction, log, begun, stream)
        if account is not None:
            steps = account.watched(steps, planned)
        return Run(id, request, decision, extraction, guard, planned, wanted, steps, log, terms.stream, account, given)

    def settle(self, run: Run, end: End) -> Answer:
        """The answer of a driven run. Raises Refused, NoCredential or AllFailed where there is none; a stream that broke
        after its commit has no answer either, what came of it was told."""
        if isinstance(end, Accepted):
            answer = answer_of(self.policy, run, end, self.books)
            if run.account is not None:
                run.account.answered(answer)
            return answer
        log = run.log
        error = error_of(run.id, run.plan, run.guard, log.attempts, run.skipped, end, run.found, log.seconds)
        if run.account is not None:
            run.account.failed(error, broke=isinstance(end, Broken))
        if run.queue and self.queue is not None:
            from hroute.router.queue import keep_or_say

            keep_or_say(self.queue, run, error)
        raise error

    def partial(self, run: Run, broken: Broken) -> Answer:
        """What had come of a stream that broke, as an answer whose stop is `truncated`."""
        return answer_of(self.policy, run, Accepted(broken.reply, broken.reply.text), self.books)

    def plugin(self, call: Call) -> Plugin:
        """The plugin that makes `call`."""
        return self._plugins.of(call.candidate.provider.plugin)

    def close(self) -> None:
        """Wait for the shadows, close every connection of the plugins, and wait until the books are written."""
        self.shadows.close()
        self._plugins.close()
        if self.books is not None:
            self.books.close()
        if self.queue is not None:
            self.queue.close()

    async def aclose(self) -> None:
        """`close` on an event loop."""
        await self.shadows.aclose()
        await self._plugins.aclose()
        if self.books is not None:
            from asyncio import to_thread

            await to_thread(self.books.close)
        if self.queue is not None:
            self.queue.close()

    def _decided(
        self, request: Request, given: Mapping[str, Value], id: str, steer: Steer | None = None
    ) -> tuple[Decision, Extraction, Mapping[str, Value]]:
        """The decision, with what the session knows, which is told of it."""
        given = self.sessions.enter(self.policy, request, given)
        decision, extraction = self.decide(request, given, id=id)
        if steer is not None:
            decision = steer(decision, extraction)
        self.sessions.leave(self.policy, request, given, decision, extraction)
        return decision, extraction, given

    def _account(self, asking: Asking, extraction: Extraction, log: Log, begun: float, stream: bool) -> Account | None:
        if self.books is None:
            return None
        return self.books.open(asking, extraction, log, self.clock, begun, stream)

    def _terms(
        self, request: Request, decision: Decision, guard: Guard, wanted: Demand, gates: Sequence[Gate], stream: bool
    ) -> Terms:
        rule = decision.rule

        def permit(candidate: Candidate) -> Permit:
            return egress.permit(guard, candidate.provider, candidate.where)

        def request_for(candidate: Candidate) -> Request:
            made = fitted(request, rule.params, candidate.provider)
            return reporting(made, rule, candidate.provider, self._facts_of(candidate.provider))

        return Terms(
            request_for=request_for,
            permit=permit,
            judge=lambda reply: judge(reply, wanted),
            deadline=self.policy.deadline if rule.deadline is None else rule.deadline,
            clock=self.clock,
            rng=self._rng,
            bad_limit=wanted.rules.attempts,
            budget=self.policy.attempts if rule.attempts is None else rule.attempts,
            stream=stream,
            own_params=bool(rule.params) or wanted.rules.min_certainty is not None,
            load=self._plugins.unready,
            gates=gates,
            observe=self._observe,
        )
