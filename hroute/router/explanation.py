"""Why a request goes where it goes, as data: what `hroute explain` shows. Nothing is sent and no socket is opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from hroute.providers import registry
from hroute.router import reference
from hroute.router.analysis.nearest import nearest
from hroute.router.decide import decide
from hroute.router.decision import Decision, Nearest, Signals, Step
from hroute.router.egress import Guard
from hroute.router.forecast import Estimate, Learned, forecast
from hroute.router.plan import Down
from hroute.router.planner import Planner
from hroute.router.switching import Switch, Warm, switch
from hroute.schema.policy import Policy, Rule
from hroute.terms.message import Request
from hroute.terms.signal import Value

if TYPE_CHECKING:
    from hroute.router.signals.extract import Finding


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and everything a person may want to know about it.

    `tries` are the providers that would be asked, in order; `skipped` maps the others of the chain to the reason.
    `assumed` names signals whose value was assumed because there was no text to read. `switch` is what it costs to leave
    the prompt cache of the conversation's last provider, None where nothing is left.
    """

    policy: Policy
    decision: Decision
    steps: tuple[Step, ...]
    nearest: Nearest | None
    estimate: Estimate
    switch: Switch | None
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
    learned: Learned | None = None,
    warm: Warm | None = None,
    at: datetime | None = None,
) -> Explanation:
    """Decide one request and say why, as an engine with that environment would.

    `down` names providers or plugins that are out of order for the question; `lazy` reads only what the answer depends
    on, as a real request does; else every extractor runs. No name is looked up and no keyring is opened: where those
    would be asked, the policy's word stands. `learned` knows of earlier answers, `warm` of the conversation's last one; `at`
    is when the call would be made, for prices that depend on it.
    """
    planner = Planner(
        policy,
        environ=environ,
        facts=registry.facts,
        keyring=lambda name: name,
        resolver=lambda host: ("127.0.0.1",),
    )
    decision, extraction = planner.decide(request, given)
    if not lazy:
        decision = decide(planner.compiled, extraction.all())
    gates = (Down(frozenset(down)),) if down else ()
    planned = planner.plan(decision, Guard(policy, extraction.ask), request, extraction, gates)
    skipped = {skipped.provider: skipped.detail for skipped in planned.skipped}
    for name in skipped:
        if not {name, policy.providers[name].plugin}.isdisjoint(down):
            skipped[name] = "down"  # what was asked about, whatever else is missing
    return Explanation(
        policy=policy,
        decision=decision,
        steps=tuple(reference.steps(policy, extraction.ask)),
        nearest=None if lazy else nearest(planner.compiled, decision.signals),
        estimate=forecast(policy, decision, request, given.get("expected_tokens"), learned, at=at),
        switch=switch(policy, warm, decision.route_to, at=at),
        tries=planned.route,
        skipped=skipped,
        assumed=extraction.assumed,
        findings=extraction.findings,
        score_parts=extraction.score_parts,
    )
