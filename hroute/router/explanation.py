"""Why a request goes where it goes, as data: what `hroute explain` shows. Nothing is sent and no socket is opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hroute.router import reference
from hroute.router.analysis.nearest import nearest
from hroute.router.decide import Compiled, decide, decide_lazy
from hroute.router.decision import Decision, Nearest, Signals, Step
from hroute.router.egress import Guard
from hroute.router.pricing import estimate
from hroute.router.signals.extract import Extraction
from hroute.schema.policy import Policy, Provider, Rule
from hroute.terms.locality import Locality
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
    compiled: Compiled,
    request: Request | None,
    given: Mapping[str, Value],
    *,
    down: Collection[str] = (),
    lazy: bool = False,
    hour: int | None = None,
) -> Explanation:
    """Decide one request and say why.

    `down` names providers or plugins that are out of order for the question; `lazy` reads only what the answer depends
    on, as a real request does; else every extractor runs. `hour` is the hour of arrival, 0 to 23, where a rule asks.
    """
    policy = compiled.policy
    extraction = Extraction(policy, request, given, hour=hour)
    decision = decide_lazy(compiled, extraction.ask, extraction.known) if lazy else decide(compiled, extraction.all())
    tries, skipped = _tries(policy, decision, extraction, down)
    return Explanation(
        policy=policy,
        decision=decision,
        steps=tuple(reference.steps(policy, extraction.ask)),
        nearest=None if lazy else nearest(compiled, decision.signals),
        estimate=_estimate(policy, decision, extraction),
        tries=tries,
        skipped=skipped,
        assumed=extraction.assumed,
        findings=extraction.findings,
        score_parts=extraction.score_parts,
    )


def output_tokens(rule: Rule, asked: int | None) -> int:
    """Output tokens to expect of a call by `rule` (SEMANTICS 1.12): what is allowed, at most `EXPECTED_OUTPUT`."""
    limit = asked if asked is not None else rule.params.get("max_tokens")
    return min(limit, EXPECTED_OUTPUT) if isinstance(limit, int) else EXPECTED_OUTPUT


def _tries(
    policy: Policy, decision: Decision, extraction: Extraction, down: Collection[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    guard = Guard(policy, extraction.ask)
    tries: list[str] = []
    skipped: dict[str, str] = {}
    for name in decision.chain:
        provider = policy.providers[name]
        forbidden = guard.forbids(provider, _claimed(provider))
        if forbidden is not None:
            skipped[name] = f"forbidden by guarantee {forbidden.name}"
        elif not {name, provider.plugin}.isdisjoint(down):
            skipped[name] = "down"
        else:
            tries.append(name)
    return tuple(tries), skipped


def _claimed(provider: Provider) -> Locality:
    """Where the provider says it is; `check` holds that against its address, without a look-up."""
    if provider.local == "network":
        return "network"
    return "machine" if provider.local else "cloud"


def _estimate(policy: Policy, decision: Decision, extraction: Extraction) -> Estimate:
    prompt_tokens = decision.signals.get("prompt_tokens")
    if decision.route_to is None:
        return Estimate(0, "refused: nothing is sent")
    if not isinstance(prompt_tokens, int):
        return Estimate(None, "there is no prompt to measure")
    expected = decision.signals.get("expected_tokens")
    output = output_tokens(decision.rule, extraction.request.max_tokens if extraction.request else None)
    said = "assumed"
    if isinstance(expected, int) and "expected_tokens" in extraction.given and expected >= prompt_tokens:
        output, said = expected - prompt_tokens, "as the caller expects"
    nano = estimate(policy, decision.route_to, prompt_tokens, output)
    return Estimate(nano, f"{prompt_tokens} tokens in; {output} out, {said}")
