"""One engine for library, command line, gateway and batch: begin a request, drive its ladder, settle it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hroute.errors import UsageError
from hroute.providers import registry
from hroute.providers.protocol import Capabilities, Permit, Plugin, Target
from hroute.router import decide as deciding
from hroute.router import egress
from hroute.router.answer import Answer, error_of, escalation, refused_by_rule
from hroute.router.attempts import Accepted, Attempt, Broken, Call, End, Log, Move, Result, Step, Terms, attempts
from hroute.router.decision import Decision
from hroute.router.doubt import Doubt, doubts, reporting
from hroute.router.egress import Guard
from hroute.router.gates import Awaited, Limited, all_open, patient
from hroute.router.health import Health
from hroute.router.limits import Size
from hroute.router.plan import (
    Asking,
    Candidate,
    Down,
    Gate,
    Needs,
    Plan,
    Skipped,
    Surroundings,
    consider,
    needs_of,
    plan,
)
from hroute.router.pricing import bill
from hroute.router.session import Sessions
from hroute.router.signals.extract import BlockCache, Extraction
from hroute.router.targets import Keyring, stand_in, target_of
from hroute.router.validate import Demand, demand, judge
from hroute.schema.policy import Policy, Provider, Validate
from hroute.terms.clock import Clock, Rng, SystemClock
from hroute.terms.ids import uuid7
from hroute.terms.locality import Locality
from hroute.terms.message import Request
from hroute.terms.signal import Value, coerce

if TYPE_CHECKING:
    from hroute.ledger.queue import Queue
    from hroute.router.bookkeeping import Account, Books

Observer = Callable[[Attempt | Move], None]
Steer = Callable[[Decision, Extraction], Decision]

DEFAULT_MAX_TOKENS: Final = 4096
"""Output tokens where neither caller nor rule says (SEMANTICS 1.12), capped by the model."""


@dataclass(frozen=True, slots=True)
class Run:
    """One request on its way: decided and planned; `steps` is the ladder to be driven. `account` is where it is written
    down, if books are kept. `given` are the signals that came with it; `queue`: it is kept where nobody answers."""

    id: str
    request: Request
    decision: Decision
    extraction: Extraction
    guard: Guard
    plan: Plan
    demand: Demand
    steps: Generator[Step, Result, End]
    log: Log
    streams: bool
    account: Account | None = None
    given: Mapping[str, Value] = field(default_factory=dict)
    queue: bool = False

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return (*self.plan.skipped, *self.log.skipped)


class Engine:
    """A compiled policy with everything that a request needs from outside: plugins, environment, time, chance, gates.

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
        self.policy = policy
        self.compiled = deciding.compile(policy)
        self.clock: Clock = clock or (health.clock if health else SystemClock())
        self.health = health or Health(self.clock, rng)
        self.stand_in = stand_in
        self._environ = environ
        self._load = load
        self._facts = facts
        self._keyring = keyring
        self._resolver = resolver or egress.Remembered()
        self._rng = rng
        self._gates = (self.health, *gates)
        self._all_open = all_open(policy.on_all_open)
        self.books = books
        self.sessions = sessions or Sessions()
        self.queue = queue
        self._observe = observe
        self._scans = BlockCache()
        self._plugins: dict[str, Plugin] = {}
        self._warm: set[str] = set()
        self._lock = threading.Lock()

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
        other._scans, other._plugins, other._warm, other._lock = self._scans, self._plugins, self._warm, self._lock
        return other

    def decide(
        self, request: Request | None, given: Mapping[str, Value], *, id: str = ""
    ) -> tuple[Decision, Extraction]:
        """What the policy decides, extracting only what the answer depends on."""
        extraction = Extraction(self.policy, request, given, hour=_hour(self.policy), cache=self._scans)
        decision = deciding.decide_lazy(self.compiled, extraction.ask, extraction.known, request_id=id)
        return decision, extraction

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
        id = id or uuid7()
        arrived, begun = time.time_ns() // 1_000_000, self.clock.now()
        given = self.sessions.enter(self.policy, request, given)
        decision, extraction = self.decide(request, given, id=id)
        if steer is not None:
            decision = steer(decision, extraction)
        self.sessions.leave(self.policy, request, given, decision, extraction)
        log = Log()
        account = None
        if self.books is not None:
            most = partial(_max_tokens, request, decision.rule.params)
            asking = Asking(id, arrived, decision, request, extraction.ask, most)
            account = self.books.open(asking, extraction, log, self.clock, begun, stream)
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
        if doubts(wanted.rules):
            find = self._finder(guard, request, extraction, wanted.rules, gates)
            terms = replace(terms, doubt=Doubt(decision.rule, request, wanted, find, _plain))
        terms = replace(terms, queue=Limited(self.health, lambda: _size(extraction)))
        steps = patient(planned, terms, log, self.health, self._all_open)
        if account is not None:
            steps = account.watched(steps, planned)
        queue = decision.rule.on_all_failed == "queue" if queue is None else queue
        return Run(
            id, request, decision, extraction, guard, planned, wanted, steps, log, terms.stream, account, given, queue
        )

    def observe(
        self,
        request: Request,
        given: Mapping[str, Value],
        before: Candidate,
        *,
        id: str | None = None,
        stream: bool = False,
    ) -> Run:
        """Decide, and plan one call to where the client's request went `before`, whatever the decision says. Who would
        have been kept out, and by which guarantee, stands in `skipped`. For a policy in observe mode."""
        id = id or uuid7()
        arrived, begun = time.time_ns() // 1_000_000, self.clock.now()
        decision, extraction = self.decide(request, given, id=id)
        guard = Guard(self.policy, extraction.ask)
        around = Surroundings(self.target, self._facts_of, self._locate)
        needs = _needs(self.policy, decision.chain, request, extraction)
        planned = Plan(decision, (before,), plan(decision, decision.chain, guard, needs, around).skipped)
        log = Log()
        terms = Terms(
            request_for=lambda _: request,
            permit=lambda candidate: egress.observed(self.policy, candidate.provider),
            judge=lambda reply: Accepted(reply, reply.text),
            deadline=before.target.total,
            clock=self.clock,
            rng=self._rng,
            budget=1,
            stream=stream,
            observe=self._observe,
        )
        steps = attempts(planned, terms, log)
        account = None
        if self.books is not None:
            most = partial(_max_tokens, request, {})
            asking = Asking(id, arrived, decision, request, extraction.ask, most)
            account = self.books.open(asking, extraction, log, self.clock, begun, stream)
            steps = account.watched(steps, planned)
        return Run(
            id, request, decision, extraction, guard, planned, demand(None, request), steps, log, stream, account
        )

    def plan(
        self,
        decision: Decision,
        guard: Guard,
        request: Request | None,
        extraction: Extraction,
        gates: Sequence[Gate] = (),
    ) -> Plan:
        """Who may serve `decision`, in order, and who not and why. In observe mode that is the baseline."""
        observing = self.policy.mode == "observe" and self.policy.baseline is not None
        chain = (self.policy.baseline,) if observing and self.policy.baseline else decision.chain
        around = Surroundings(self.target, self._facts_of, self._locate, gates)
        return plan(decision, chain, guard, _needs(self.policy, chain, request, extraction), around)

    def settle(self, run: Run, end: End) -> Answer:
        """The answer of a driven run. Raises Refused, NoCredential or AllFailed where there is none; a stream that broke
        after its commit has no answer either, what came of it was told."""
        if isinstance(end, Accepted):
            answer = self._answer(run, end)
            if run.account is not None:
                run.account.answered(answer)
            return answer
        log = run.log
        error = error_of(run.id, run.plan, run.guard, log.attempts, run.skipped, end, lambda: _found(run), log.seconds)
        if run.account is not None:
            run.account.failed(error, broke=isinstance(end, Broken))
        if run.queue and self.queue is not None:
            from hroute.router.queue import keep_or_say

            keep_or_say(self.queue, run, error)
        raise error

    def partial(self, run: Run, broken: Broken) -> Answer:
        """What had come of a stream that broke, as an answer whose stop is `truncated`."""
        return self._answer(run, Accepted(broken.reply, broken.reply.text))

    def plugin(self, call: Call) -> Plugin:
        """The plugin that makes `call`."""
        return self.stand_in or self._plugin(call.candidate.provider.plugin)

    def target(self, provider: Provider) -> Target | Skipped:
        """`provider` with its references resolved."""
        facts = self._facts_of(provider)
        if self.stand_in is not None:
            return stand_in(provider, facts, self._environ)
        return target_of(provider, facts, self._environ, self._keyring)

    def close(self) -> None:
        """Close every connection of the plugins, and wait until the books are written."""
        for plugin in self._drop_plugins():
            if (close := getattr(plugin, "close", None)) is not None:
                close()
        if self.books is not None:
            self.books.close()
        if self.queue is not None:
            self.queue.close()

    async def aclose(self) -> None:
        """`close` on an event loop."""
        for plugin in self._drop_plugins():
            if (aclose := getattr(plugin, "aclose", None)) is not None:
                await aclose()
        if self.books is not None:
            from asyncio import to_thread

            await to_thread(self.books.close)
        if self.queue is not None:
            self.queue.close()

    def _answer(self, run: Run, accepted: Accepted) -> Answer:
        served = next(attempt for attempt in reversed(run.log.attempts) if attempt.role == "answer")
        observed = self.policy.mode == "observe"
        usage, cost = bill(self.policy, run.log.attempts, at=datetime.now(UTC))
        return Answer(
            id=run.id,
            text=accepted.text,
            decision=run.decision,
            routed_to=run.decision.route_to or "",
            actual_provider=served.provider,
            actual_model=served.model,
            escalation=escalation(run.plan, run.log.attempts, run.skipped, served.provider, observed),
            attempts=tuple(run.log.attempts),
            usage=usage,
            cost=cost,
            reply=accepted.reply,
            json=accepted.json,
            skipped=run.skipped,
        )

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
            load=self._unready,
            gates=gates,
            observe=self._observe,
        )

    def _finder(
        self, guard: Guard, request: Request, extraction: Extraction, rules: Validate, gates: Sequence[Gate]
    ) -> Callable[[str], Candidate | Skipped]:
        """Providers outside the chain that confirm or judge, through the same filters as those in it. A judge calls no
        tools, it only reads of them."""
        around = Surroundings(self.target, self._facts_of, self._locate, gates)

        def find(name: str) -> Candidate | Skipped:
            needs = _needs(self.policy, (name,), request, extraction)
            if name == rules.judge and name != rules.agree_with:
                needs = replace(needs, tools=False, hosted=frozenset())
            return consider(self.policy.providers[name], guard, needs, around)

        return find

    def _facts_of(self, provider: Provider) -> Capabilities:
        return self._facts(provider.plugin)

    def _locate(self, provider: Provider, target: Target) -> Locality:
        if self.stand_in is not None and target.base_url is None and provider.local:
            return "network" if provider.local == "network" else "machine"
        runs_here = provider.plugin == "sandbox" or self._facts_of(provider).in_process
        in_process = runs_here and target.base_url is None
        return egress.locate(provider, target, in_process=in_process, resolver=self._resolver)

    def _plugin(self, name: str) -> Plugin:
        found = self._plugins.get(name)
        if found is None:
            with self._lock:
                found = self._plugins.setdefault(name, self._plugins.get(name) or self._load(name))
        return found

    def _unready(self, candidate: Candidate) -> Callable[[], None] | None:
        """What has to be done before the plugin of `candidate` is called for the first time."""
        name = candidate.provider.plugin
        if self.stand_in is not None or name in self._warm:
            return None

        def ready() -> None:
            if (warm := getattr(self._plugin(name), "warm", None)) is not None:
                warm()
            self._warm.add(name)

        return ready

    def _drop_plugins(self) -> list[Plugin]:
        with self._lock:
            dropped = list(self._plugins.values())
            self._plugins.clear()
        return dropped


def _max_tokens(request: Request, rule_params: Mapping[str, Any], provider: Provider) -> int:
    """Output tokens that `provider` may write for this request."""
    return fitted(request, rule_params, provider).max_tokens or DEFAULT_MAX_TOKENS


def fitted(request: Request, rule_params: Mapping[str, Any], provider: Provider) -> Request:
    """`request` as `provider` is to get it: the caller's parameters over the rule's, and a limit on the output."""
    params = {**rule_params, **request.params}
    asked = request.max_tokens or params.pop("max_tokens", None) or provider.params.get("max_tokens")
    limit = asked if isinstance(asked, int) else DEFAULT_MAX_TOKENS
    params.pop("max_tokens", None)
    return replace(request, params=params, max_tokens=min(limit, provider.max_output or limit))


def _plain(request: Request, provider: Provider) -> Request:
    """A request of our own, as `provider` is to get it."""
    return fitted(request, {}, provider)


def coerced(signals: Mapping[str, Any]) -> dict[str, Value]:
    """Signals as a caller writes them, as values of the table; None is "not given". Raises UsageError."""
    if "message" in signals:
        raise UsageError("`message` is the prompt itself and is not given as a signal")
    return {name: coerce(name, value) for name, value in signals.items() if value is not None}


def _needs(policy: Policy, chain: Sequence[str], request: Request | None, extraction: Extraction) -> Needs:
    """What the request demands; its size is only estimated where a provider of the chain has a window."""
    tokens = None
    if any(policy.providers[name].context_window is not None for name in chain):
        sizes = [extraction.ask("expected_tokens"), extraction.ask("prompt_tokens")]
        tokens = max((size for size in sizes if isinstance(size, int)), default=None)
    return needs_of(request or Request(()), tokens)


def _size(extraction: Extraction) -> Size:
    """The tokens of a call, as estimated; only asked where a limit counts them."""
    prompt, expected = extraction.ask("prompt_tokens"), extraction.ask("expected_tokens")
    known = prompt if isinstance(prompt, int) else 0
    return Size(known, max(0, expected - known) if isinstance(expected, int) else 0)


def _found(run: Run) -> str:
    """Kinds and places of what the detectors found, three at most: `pii: us_ssn at characters 10-21`."""
    shown = [f"{f.kind} at characters {f.start}-{f.end}" for f in run.extraction.findings]
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return f"pii: {', '.join(shown[:3])}{more}" if shown else ""


def _hour(policy: Policy) -> int:
    """Hour of arrival in the ledger's time zone (UTC where it names none)."""
    name = policy.ledger.get("timezone")
    if not isinstance(name, str):
        return datetime.now(UTC).hour
    from zoneinfo import ZoneInfo

    return datetime.now(ZoneInfo(name)).hour
