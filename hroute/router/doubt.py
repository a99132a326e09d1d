"""Whether a reply of the right form may be kept: its certainty, a second model's answer, another provider's verdict.

Doubt is about the provider that the rule names and about local fallbacks. A fallback elsewhere is what doubt goes up to:
it is taken at its word. What cannot be confirmed is not kept; what a vendor does not report (token probabilities) is
said, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Final

from hroute.providers.protocol import Capabilities
from hroute.router.agree import disagreement, incomparable, opinion
from hroute.router.answers import Unclear
from hroute.router.attempts import Accepted, Broken, Doubted, Log, Result, Role, Step, Terms, one_call
from hroute.router.canonical import Canonical
from hroute.router.egress import Guard
from hroute.router.fitting import needs
from hroute.router.judge import question, verdict
from hroute.router.plan import Candidate, Plan, Skipped, Surroundings, consider
from hroute.router.signals.extract import Extraction
from hroute.router.validate import Demand
from hroute.schema.policy import Provider, Rule, Validate
from hroute.terms.message import Reply, Request
from hroute.terms.outcome import Failure, Outcome

UNREPORTED: Final = "no token probabilities are reported: `min_certainty` decides nothing"

Doubts = Generator[Step, Result, Doubted | None]


def doubts(rules: Validate) -> bool:
    """Whether a rule doubts replies whose form is right."""
    return rules.min_certainty is not None or rules.agree_with is not None or rules.judge is not None


def concerns(rule: Rule, provider: Provider) -> bool:
    """Whether the answers of `provider` are doubted under `rule`."""
    named = (rule.route.to, *(name for name, _ in rule.route.split)) if rule.route else ()
    return bool(provider.local) or provider.name in named


def reporting(request: Request, rule: Rule, provider: Provider, facts: Capabilities) -> Request:
    """`request`, asking for token probabilities where they matter and the plugin reports them."""
    wanted = rule.validate is not None and rule.validate.min_certainty is not None
    if not wanted or not facts.logprobs or not concerns(rule, provider):
        return request
    return replace(request, params={**request.params, "logprobs": True})


def finder(
    around: Surroundings, guard: Guard, request: Request, extraction: Extraction, rules: Validate
) -> Callable[[str], Candidate | Skipped]:
    """Providers outside the chain that confirm or judge, through the same filters as those in it. A judge calls no
    tools, it only reads of them."""

    def find(name: str) -> Candidate | Skipped:
        wanted = needs(guard.policy, (name,), request, extraction)
        if name == rules.judge and name != rules.agree_with:
            wanted = replace(wanted, tools=False, hosted=frozenset())
        return consider(guard.policy.providers[name], guard, wanted, around)

    return find


@dataclass(slots=True)
class Doubt:
    """The doubts of one request under one rule; the `doubt` of its ladder.

    `find` gives a provider outside the chain as a candidate, or says why it may not be asked; `fit` makes a request of
    ours into one for a provider. A second model is asked once, whoever's answer it is compared with.
    """

    rule: Rule
    request: Request
    wanted: Demand
    find: Callable[[str], Candidate | Skipped]
    fit: Callable[[Request, Provider], Request]
    _second: list[Canonical | Unclear | Failure] = field(default_factory=list)

    def __call__(
        self, candidate: Candidate, accepted: Accepted, plan: Plan, terms: Terms, log: Log, until: float
    ) -> Generator[Step, Result, Accepted | Doubted]:
        """`accepted` where it may be kept, else why not; the attempt in the log is amended by what is found."""
        if not concerns(self.rule, candidate.provider):
            return accepted
        place = len(log.attempts) - 1
        if self.wanted.rules.min_certainty is not None and accepted.reply.certainty is None:
            log.attempts[place] = replace(log.attempts[place], note=UNREPORTED)
        asking = _Asking(self.find, plan, terms, log, until)
        doubted = yield from self._doubts(candidate, accepted, asking)
        if doubted is None:
            return accepted
        failure = doubted.failure
        log.attempts[place] = replace(log.attempts[place], outcome=failure.outcome, failure=failure)
        return doubted

    def _doubts(self, candidate: Candidate, accepted: Accepted, asking: _Asking) -> Doubts:
        """The first doubt that is not dispelled, the cheapest asked first."""
        rules = self.wanted.rules
        if rules.min_certainty is not None and (failure := uncertain(accepted.reply, rules.min_certainty)) is not None:
            return Doubted(failure)
        if rules.agree_with is not None:
            doubted = yield from self._confirm(rules.agree_with, candidate, accepted, asking)
            if doubted is not None:
                return doubted
        if rules.judge is not None and rules.judge != candidate.name:
            return (yield from self._judge(rules.judge, accepted, asking))
        return None

    def _confirm(self, name: str, candidate: Candidate, accepted: Accepted, asking: _Asking) -> Doubts:
        """Models that differ are not asked again: a second draw that happens to fit confirms far less than the first
        (the measured share of wrong answers holds for one)."""
        first = opinion(accepted, self.wanted.rules)
        if isinstance(first, Unclear):
            return Doubted(incomparable(first))
        if name == candidate.name:
            return Doubted(_bad("no other model is left that could confirm the answer", "unconfirmed"), again=False)
        if not self._second:
            said = yield from asking.ask(name, "agree", asking.terms.request_for, asking.terms.judge)
            self._second.append(said if isinstance(said, Failure) else opinion(said, self.wanted.rules))
        failure = disagreement(first, self._second[0], name)
        return None if failure is None else Doubted(failure, again=False)

    def _judge(self, name: str, accepted: Accepted, asking: _Asking) -> Doubts:
        asked = question(self.request, accepted)
        said = yield from asking.ask(name, "judge", lambda other: self.fit(asked, other.provider), ruling)
        if isinstance(said, Failure):
            return Doubted(_bad(f"{name} gave no verdict: {said.message}", "unjudged"), again=False)
        return None if verdict(said.reply) == "good" else Doubted(_bad(f"{name} finds the answer bad", "judged_bad"))


@dataclass(frozen=True, slots=True)
class _Asking:
    """How somebody outside the chain is asked: once, by leave of the egress, within the deadline and the attempts."""

    find: Callable[[str], Candidate | Skipped]
    plan: Plan
    terms: Terms
    log: Log
    until: float

    def ask(
        self,
        name: str,
        role: Role,
        request_for: Callable[[Candidate], Request],
        accept: Callable[[Reply], Accepted | Failure],
    ) -> Generator[Step, Result, Accepted | Failure]:
        """What `name` says, or why it says nothing of use."""
        if len(self.log.attempts) >= self.terms.budget or self.terms.clock.now() >= self.until:
            return _bad("the request has no call or no time left for it", "no_room")
        found = self.find(name)
        if isinstance(found, Skipped):
            return self._skipped(found)
        self.log.seconds.append(found)
        later = tuple(c for c in self.plan.candidates if c.name != name)
        terms = replace(
            self.terms, request_for=request_for, judge=accept, role=role, doubt=None, own_params=True, stream=False
        )
        plan = replace(self.plan, candidates=(found, *later))
        ended = yield from one_call(found, plan, terms, self.log, self.until)
        if isinstance(ended, Skipped):
            return self._skipped(ended)
        return ended.failure if isinstance(ended, Broken) else ended

    def _skipped(self, skipped: Skipped) -> Failure:
        self.log.skipped.append(skipped)
        return _bad(f"it may not be asked: {skipped.detail}", "not_asked")


def uncertain(reply: Reply, least: float) -> Failure | None:
    """Why `reply` is too uncertain; None where it is not, or where nothing is reported."""
    if reply.certainty is None or reply.certainty >= least:
        return None
    return _bad(f"its tokens have a mean probability of {reply.certainty:.2f}, {least:g} is demanded", "uncertain")


def ruling(reply: Reply) -> Accepted | Failure:
    """A judge's reply, where it holds a verdict."""
    if verdict(reply) is None:
        return _bad("the reply holds no clear verdict", "no_verdict")
    return Accepted(reply, reply.text)


def _bad(message: str, code: str) -> Failure:
    return Failure(Outcome.BAD_CONTENT, message, code=code)
