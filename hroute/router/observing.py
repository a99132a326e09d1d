"""A policy in observe mode: requests go where they went before, and what the policy would have done is written down.

Nothing is enforced: no guarantee, no budget, no breaker, no validation of a rule. Whom a guarantee would have kept out
stands in the plan's `skipped`; `refusal` says whether anybody would have been left.
"""

from __future__ import annotations

from collections.abc import Iterable

from hroute.router import egress
from hroute.router.attempts import Accepted, Terms
from hroute.router.decision import Decision
from hroute.router.egress import Guard
from hroute.router.fitting import plainly_fitted
from hroute.router.plan import Candidate, Plan, Skipped, Surroundings, Why
from hroute.router.validate import demand, judge
from hroute.schema.policy import Policy
from hroute.terms.clock import Clock, Rng
from hroute.terms.message import Request


def planned(
    decision: Decision, guard: Guard, before: Candidate | None, kept_out: tuple[Skipped, ...], around: Surroundings
) -> Plan:
    """The one candidate, whatever the guarantees say: `before`, else the baseline. `kept_out` is what the plan in force
    would have left out of the decision's chain; what it would say of the baseline is added."""
    if before is not None:
        return Plan(decision, (before,), kept_out)
    baseline = guard.policy.providers[guard.policy.baseline or ""]
    target = around.targets(baseline)
    if isinstance(target, Skipped):
        return Plan(decision, (), (target, *kept_out))
    for gate in around.gates:
        if (down := gate.refuses(baseline)) is not None:
            return Plan(decision, (), (down, *kept_out))
    where = around.locate(baseline, target)
    guarantee = guard.forbids(baseline, where)
    if guarantee is not None and all(s.provider != baseline.name for s in kept_out):
        said = f"would be forbidden by guarantee {guarantee.name}"
        kept_out = (*kept_out, Skipped(baseline.name, Why.GUARANTEE, said, guarantee.name))
    return Plan(decision, (Candidate(baseline, target, where),), kept_out)


def terms(policy: Policy, request: Request, before: Candidate | None, stream: bool, clock: Clock, rng: Rng) -> Terms:
    """The ladder's terms: a request as a client sent it (`before`) is sent once, one of a program as its SDK would."""
    wanted = demand(None, request)
    if before is not None:
        return Terms(
            request_for=lambda _: request,
            permit=lambda candidate: egress.observed(policy, candidate.provider),
            judge=lambda reply: Accepted(reply, reply.text),
            deadline=before.target.total,
            clock=clock,
            rng=rng,
            budget=1,
            stream=stream,
        )
    return Terms(
        request_for=lambda candidate: plainly_fitted(request, candidate.provider),
        permit=lambda candidate: egress.observed(policy, candidate.provider),
        judge=lambda reply: judge(reply, wanted),
        deadline=policy.deadline,
        clock=clock,
        rng=rng,
        budget=policy.attempts,
        stream=stream and not wanted.holds_back,
    )


def refusal(decision: Decision, skipped: Iterable[Skipped]) -> str | None:
    """Why the policy in force would have refused the request: a rule, or guarantees that leave nobody of its chain."""
    if decision.refused:
        return f"rule {decision.rule.name}"
    kept_out = {s.provider: s.guarantee for s in skipped if s.why is Why.GUARANTEE}
    if not decision.chain or not kept_out.keys() >= set(decision.chain):
        return None
    names = dict.fromkeys(str(kept_out[name]) for name in decision.chain)
    return f"guarantee {', '.join(names)}"
