"""What a request ends with: an Answer, or the one error that says why there is none (SEMANTICS 3.5, 3.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal

from hroute.errors import AllFailed, CallerFault, NoCredential, Refused, RequestError, UsageError
from hroute.providers.outcomes import CONTEXT
from hroute.router.attempts import Accepted, Attempt, Broken, End
from hroute.router.decision import Decision
from hroute.router.egress import Guard
from hroute.router.observing import refusal
from hroute.router.plan import REASON, Candidate, Plan, Skipped, Why
from hroute.router.pricing import bill
from hroute.schema.diagnostic import Span
from hroute.terms import money
from hroute.terms.locality import parse
from hroute.terms.message import Reply
from hroute.terms.outcome import Failure, Outcome, Reason
from hroute.terms.usage import Usage

if TYPE_CHECKING:
    from hroute.router.bookkeeping import Books
    from hroute.router.run import Run
    from hroute.schema.policy import Policy


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and how it came about.

    `routed_to` is what the decision named, `actual_provider` and `actual_model` what served; `escalation` says why they
    differ. `json` is the parsed value where JSON was asked for. `usage` and `cost` (nano-dollars, None unknown) count
    every attempt. `reply` has the parts (tool calls, thinking) and the stop reason. `would_refuse`: under a policy that only
    observes, the rule or guarantee by which the request would have been refused. `books` is where it was written down.
    """

    id: str
    text: str
    decision: Decision
    routed_to: str
    actual_provider: str
    actual_model: str
    escalation: Reason | None
    attempts: tuple[Attempt, ...]
    usage: Usage
    cost: int | None
    reply: Reply
    json: Any = None
    skipped: tuple[Skipped, ...] = field(default=())
    would_refuse: str | None = None
    books: Books | None = field(default=None, repr=False, compare=False)

    def rate(self, verdict: Literal["good", "bad"], note: str = "") -> None:
        """Say what the answer was worth, as `hroute feedback` does; the last word counts. Nothing waits for it.

        Raises UsageError where no ledger is kept, where it is no verdict, or where the note holds personal data.
        """
        if self.books is None:
            raise UsageError("no ledger is kept, so nothing can be said of an answer", help="HROUTE_LEDGER names one")
        self.books.rate(self.id, verdict, note)

    @property
    def cost_usd(self) -> float | None:
        """US dollars with at most 9 decimals; None where no price is known."""
        return money.to_json(self.cost)

    def as_json(self) -> dict[str, Any]:
        """The keys that `hroute ask --json` promises."""
        observed = {} if self.would_refuse is None else {"would_refuse": self.would_refuse}
        return {
            **observed,
            "id": self.id,
            "text": self.text,
            "json": self.json,
            "rule": self.decision.rule.name,
            "routed_to": self.routed_to,
            "actual_provider": self.actual_provider,
            "actual_model": self.actual_model,
            "escalation": None if self.escalation is None else str(self.escalation),
            "attempts": [attempt.as_json() for attempt in self.attempts],
            "skipped": [{"provider": s.provider, "why": str(s.why), "detail": s.detail} for s in self.skipped],
            "usage": self.usage.as_json(),
            "cost_usd": self.cost_usd,
        }


def answer_of(policy: Policy, run: Run, accepted: Accepted, books: Books | None) -> Answer:
    """The answer of a driven run that `accepted` a reply."""
    served = next(attempt for attempt in reversed(run.log.attempts) if attempt.role == "answer")
    observed = policy.mode == "observe"
    usage, cost = bill(policy, run.log.attempts, at=datetime.now(UTC))
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
        would_refuse=refusal(run.decision, run.skipped) if observed else None,
        books=books,
    )


_CAUSE: Final[Mapping[Outcome, Reason]] = {
    Outcome.CAPABILITY: Reason.CAPABILITY,
    Outcome.CREDENTIAL: Reason.CREDENTIAL,
    Outcome.CAPACITY: Reason.CAPACITY,
    Outcome.SERVER: Reason.OUTAGE,
    Outcome.TRANSPORT: Reason.OUTAGE,
    Outcome.TIMEOUT: Reason.SLOW,
    Outcome.BAD_CONTENT: Reason.BAD_CONTENT,
}


def escalation(
    plan: Plan, attempts: Sequence[Attempt], skipped: Sequence[Skipped], served: str, observed: bool
) -> Reason | None:
    """Why `served` answered and not the provider that the decision named; None where it is the same."""
    named = plan.decision.route_to
    if served == named:
        return None
    if observed:
        return Reason.OBSERVED
    failed = [a.outcome for a in attempts if a.provider == named and a.role == "answer"]
    if failed:
        return _CAUSE.get(failed[-1], Reason.OUTAGE)
    reasons = [REASON[s.why] for s in skipped if s.provider == named]
    return reasons[0] if reasons else Reason.SLOW  # neither failed nor left out: it was put last


def error_of(
    id: str,
    plan: Plan,
    guard: Guard,
    attempts: Sequence[Attempt],
    skipped: Sequence[Skipped],
    end: End,
    found: Callable[[], str] = str,
    seconds: Iterable[Candidate] = (),
) -> RequestError:
    """The error that a request without an answer ends with, in the order of SEMANTICS 3.6. `found` says which personal
    data was found and where, for a refusal; never the data itself. `seconds` are those outside the chain who were asked
    to confirm or to judge."""
    known = {candidate.name: candidate for candidate in (*seconds, *plan.candidates)}
    stayed = all(known[a.provider].where == "machine" for a in attempts)
    held = guard.held() if stayed else ()
    forbidden = [*skipped, *(_kept_out(guard, plan, held) if held else ())]
    details = (*_rule(plan.decision, found() if held else ""), *_tried(attempts, known), *_not_tried(forbidden))
    spent = next((s for s in skipped if s.why is Why.BUDGET), None) if stayed else None
    if spent is not None and not isinstance(end, Broken):
        return _over_budget(spent, plan, attempts, skipped, details, id)
    kind, message, help = _verdict(guard, plan, attempts, skipped, end, bool(held))
    return kind(
        message, decision=plan.decision, attempts=attempts, skipped=skipped, details=details, help=help, id=id
    )  # fmt: skip


def refused_by_rule(id: str, decision: Decision) -> Refused:
    """The error of a rule that says `refuse:`."""
    message = decision.rule.refuse or "refused by the policy"
    return Refused(message, decision=decision, details=_rule(decision), id=id)


def _over_budget(
    spent: Skipped, plan: Plan, attempts: Sequence[Attempt], skipped: Sequence[Skipped], details: Sequence[str], id: str
) -> Refused:
    """The error of a request that a budget refused, and that nobody answered for nothing."""
    return Refused(
        spent.detail,
        decision=plan.decision,
        attempts=attempts,
        skipped=skipped,
        details=details,
        help="wait until then, or raise `limit_usd`; what costs nothing is still served",
        code="HR904",
        id=id,
    )


def _verdict(
    guard: Guard, plan: Plan, attempts: Sequence[Attempt], skipped: Sequence[Skipped], end: End, held: bool
) -> tuple[type[RequestError], str, str]:
    """The error, its text and its advice. A stream that broke has already answered in part: that is never a refusal."""
    explain = "hroute explain shows who may serve it and why"
    if isinstance(end, Broken):
        told = f"the answer broke off after it had begun: {end.failure.message}"
        return AllFailed, told, "ask again: a broken answer is never continued by another model"
    large = _too_large(attempts, skipped)
    if held and any("local" in (g.only or {}) or "local" in (g.never or {}) for g in guard.held()):
        told = "the policy keeps this request on this machine, and no local provider "
        if large:
            return Refused, f"{told}holds {large}", _SHORTER
        told += "answers"
        return Refused, told, f"{_start(plan, attempts) or 'start a local provider that may serve it'}; {explain}"
    if held:
        return Refused, "a guarantee of the policy leaves nobody who could serve this request", explain
    outcomes = [a.outcome for a in attempts] + [_as_outcome(s) for s in skipped if s.why is not Why.GUARANTEE]
    if outcomes and all(outcome is Outcome.CREDENTIAL for outcome in outcomes):
        rehearse = "to rehearse without keys: hroute ask --sandbox"
        told = "no provider that could serve this request has a credential that works"
        return NoCredential, told, _joined(_keys(skipped), rehearse)
    if isinstance(end, Failure) and end.outcome is Outcome.CALLER_FAULT:
        return CallerFault, f"{attempts[-1].provider} rejected the request itself: {end.message}", "mend the request"
    if large:
        return AllFailed, f"no provider of the chain holds {large}", _SHORTER
    told = "every provider that may serve this request failed"
    return AllFailed, told, _joined(_start(plan, attempts), _keys(skipped), explain)


_SHORTER: Final = "shorten it, or name a provider with a larger `context_window` in `fallback`"


def _too_large(attempts: Sequence[Attempt], skipped: Sequence[Skipped]) -> str:
    """What nobody could hold ("about 9000 tokens"), where size is all that stood in the way; else nothing."""
    left_out = [s.tokens for s in skipped if s.why is not Why.GUARANTEE]
    failures = [a.failure for a in attempts]
    if not (left_out or failures) or None in left_out or any(f is None or f.code not in CONTEXT for f in failures):
        return ""
    known = [tokens for tokens in left_out if tokens is not None]
    return f"about {max(known)} tokens" if known else "a request of this size"


def _as_outcome(skipped: Skipped) -> Outcome:
    return Outcome.CREDENTIAL if skipped.why in (Why.KEY, Why.ADDRESS) else Outcome.CAPABILITY


def _start(plan: Plan, attempts: Sequence[Attempt]) -> str:
    """The advice to start servers of this machine that refused the connection."""
    here = {c.name for c in plan.candidates if c.where == "machine"}
    silent = [a.provider for a in attempts if a.provider in here and a.outcome is Outcome.TRANSPORT]
    return f"start {' or '.join(dict.fromkeys(silent))}" if silent else ""


def _keys(skipped: Iterable[Skipped]) -> str:
    """The advice to set the variables that hold no key."""
    missing = dict.fromkeys(s.detail.split()[0] for s in skipped if s.why is Why.KEY and s.detail.startswith("$"))
    return f"set {' or '.join(name.removeprefix('$') for name in missing)}" if missing else ""


def _joined(*advice: str) -> str:
    return "; ".join(a for a in advice if a)


def _rule(decision: Decision, found: str = "") -> tuple[str, ...]:
    because = f" ({found})" if found else ""
    return (f"rule       {decision.rule.name}{_place(decision.rule.span)}{because}",)


def _place(span: Span | None) -> str:
    return f", {span.file}:{span.line}" if span else ""


def _tried(attempts: Sequence[Attempt], known: Mapping[str, Candidate]) -> list[str]:
    lines = []
    for (name, role), group in groupby(attempts, key=lambda a: (a.provider, a.role)):
        calls = list(group)
        failure = calls[-1].failure
        target = known[name].target
        address = parse(target.base_url) if target.base_url else None
        where = f" at {address.host}{f':{address.port}' if address.port else ''}" if address else ""
        times = f" ({len(calls)} tries)" if len(calls) > 1 else ""
        verb = "tried" if role == "answer" else "asked"
        lines.append(f"{verb}      {name} / {target.model}{where}: {failure.message if failure else 'ok'}{times}")
    return lines


def _not_tried(skipped: Iterable[Skipped]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for one in skipped:
        by_reason.setdefault(one.detail, []).append(one.provider)
    return [f"not tried  {', '.join(dict.fromkeys(names))}: {detail}" for detail, names in by_reason.items()]


def _kept_out(guard: Guard, plan: Plan, held: Iterable[Any]) -> list[Skipped]:
    """Providers outside the chain that a guarantee would have kept out anyway, for the reader of a refusal."""
    in_chain = {*plan.decision.chain, *(s.provider for s in plan.skipped)}
    return [
        Skipped(name, Why.GUARANTEE, f"forbidden by guarantee {g.name}{_place(g.spans.get('name'))}", g.name)
        for g in held
        for name in guard.policy.providers
        if name not in g.permitted and name not in in_chain and _declared(guard, name)
    ]


def _declared(guard: Guard, name: str) -> bool:
    provider = guard.policy.providers[name]
    used = {p for rule in guard.policy.all_rules if rule.route for p in rule.route.chain}
    return not provider.catalogued or name in used
