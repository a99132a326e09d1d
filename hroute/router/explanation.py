"""Why a request goes where it goes, as data: what `hroute explain` shows. Nothing is sent and no socket is opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hroute.router import reference
from hroute.router.analysis.nearest import nearest
from hroute.router.decide import decide
from hroute.router.decision import Decision, Nearest, Signals, Step
from hroute.router.egress import Guard
from hroute.router.engine import Engine
from hroute.router.plan import Down
from hroute.router.pricing import estimate
from hroute.schema.policy import Policy, Rule
from hroute.terms.message import Request
from hroute.terms.signal import Value

if TYPE_CHECKING:
    from hroute.router.signals.extract import Finding

EXPECTED_OUTPUT: Final = 500
"""Output tokens that are assumed where no history says better (SEMANTICS 1.12)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the call would cost, in nano-dollars (None: unknown), and what that rests on."""

    nano: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and everything a person may want to know about it.

    `tries` are the providers that would be asked, in order; `skipped` maps the others of the chain to the reason.
    `assumed` names signals whose value was assumed because there was no text to read.
    """

    policy: Policy
    decision: Decision
    steps: tuple[Step, ...]
    nearest: Nearest | None
    estimate: Estimate
    tries: tuple[str, ...]
    skipped: Mapping[str, str]
    assumed: tuple[str, ...]
    findings: tuple[Finding, ...]
    score_parts: Mapping[str, float]

    @property
    def signals(self) -> Signals:
        return self.decision.signals

    @property
    def unreached(self) -> tuple[Rule, ...]:
        """The rules after the one that matched."""
        return self.policy.rules[len(self.steps) :]


def explain(
    policy: Policy,
    request: Request | None,
    given: Mapping[str, Value],
    *,
    environ: Mapping[str, str],
    down: Collection[str] = (),
    lazy: bool = False,
) -> Explanation:
    """Decide one request and say why, as an engine with that environment would.

    `down` names providers or plugins that are out of order for the question; `lazy` reads only what the answer depends
    on, as a real request does; else every extractor runs. No name is looked up and no keyring is opened: where those
    would be asked, the policy's word stands.
    """
    engine = Engine(policy, environ=environ, resolver=lambda host: ("127.0.0.1",), keyring=lambda name: name)
    decision, extraction = engine.decide(request, given)
    if not lazy:
        decision = decide(engine.compiled, extraction.all())
    gates = (Down(frozenset(down)),) if down else ()
    planned = engine.plan(decision, Guard(policy, extraction.ask), request, extraction, gates)
    skipped = {skipped.provider: skipped.detail for skipped in planned.skipped}
    for name in skipped:
        if not {name, policy.providers[name].plugin}.isdisjoint(down):
            skipped[name] = "down"  # what was asked about, whatever else is missing
    return Explanation(
        policy=policy,
        decision=decision,
        steps=tuple(reference.steps(policy, extraction.ask)),
        nearest=None if lazy else nearest(engine.compiled, decision.signals),
        estimate=_estimate(policy, decision, request, given),
        tries=planned.route,
        skipped=skipped,
        assumed=extraction.assumed,
        findings=extraction.findings,
        score_parts=extraction.score_parts,
    )


def output_tokens(rule: Rule, asked: int | None) -> int:
    """Output tokens to expect of a call by `rule` (SEMANTICS 1.12): what is allowed, at most `EXPECTED_OUTPUT`."""
    limit = asked if asked is not None else rule.params.get("max_tokens")
    return min(limit, EXPECTED_OUTPUT) if isinstance(limit, int) else EXPECTED_OUTPUT


def _estimate(policy: Policy, decision: Decision, request: Request | None, given: Mapping[str, Value]) -> Estimate:
    prompt_tokens, expected = decision.signals.get("prompt_tokens"), given.get("expected_tokens")
    if decision.route_to is None:
        return Estimate(0, "refused: nothing is sent")
    if not isinstance(prompt_tokens, int):
        return Estimate(None, "there is no prompt to measure")
    output, said = output_tokens(decision.rule, request.max_tokens if request else None), "assumed"
    if isinstance(expected, int) and expected >= prompt_tokens:
        output, said = expected - prompt_tokens, "as the caller expects"
    nano = estimate(policy, decision.route_to, prompt_tokens, output)
    return Estimate(nano, f"{prompt_tokens} tokens in; {output} out, {said}")
