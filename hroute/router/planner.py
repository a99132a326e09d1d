"""Decide and plan under one policy: where a request would go and who may serve it; nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hroute.providers.protocol import Capabilities, Target
from hroute.router import decide as deciding
from hroute.router import egress
from hroute.router.decision import Decision
from hroute.router.egress import Guard
from hroute.router.fitting import hour, needs
from hroute.router.plan import Gate, Plan, Skipped, Surroundings, plan
from hroute.router.signals.extract import BlockCache, Extraction
from hroute.router.targets import Keyring, stand_in, target_of
from hroute.schema.policy import Policy, Provider
from hroute.terms.locality import Locality
from hroute.terms.message import Request
from hroute.terms.signal import Value


class Planner:
    """A compiled policy with the environment that its providers' keys and addresses are looked up in.

    `played`: a stand-in (the sandbox) plays every provider, so keys are not looked up. `scans` are the blocks that were
    read before. Safe between threads.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        environ: Mapping[str, str],
        facts: Callable[[str], Capabilities],
        keyring: Keyring | None = None,
        resolver: egress.Resolver | None = None,
        played: bool = False,
        scans: BlockCache | None = None,
    ) -> None:
        self.policy = policy
        self.compiled = deciding.compile(policy)
        self._environ = environ
        self._facts = facts
        self._keyring = keyring
        self._resolver = resolver or egress.Remembered()
        self._played = played
        self._scans = BlockCache() if scans is None else scans

    def decide(
        self, request: Request | None, given: Mapping[str, Value], *, id: str = ""
    ) -> tuple[Decision, Extraction]:
        """What the policy decides, extracting only what the answer depends on."""
        extraction = Extraction(self.policy, request, given, hour=hour(self.policy), cache=self._scans)
        decision = deciding.decide_lazy(self.compiled, extraction.ask, extraction.known, request_id=id)
        return decision, extraction

    def plan(
        self,
        decision: Decision,
        guard: Guard,
        request: Request | None,
        extraction: Extraction,
        gates: Sequence[Gate] = (),
    ) -> Plan:
        """Who may serve `decision`, in order, and who not and why."""
        wanted = needs(self.policy, decision.chain, request, extraction)
        return plan(decision, decision.chain, guard, wanted, self.surroundings(gates))

    def surroundings(self, gates: Sequence[Gate] = ()) -> Surroundings:
        """What a plan needs to know besides the request."""
        return Surroundings(self.target, self._facts_of, self._locate, gates)

    def target(self, provider: Provider) -> Target | Skipped:
        """`provider` with its references resolved."""
        facts = self._facts_of(provider)
        if self._played:
            return stand_in(provider, facts, self._environ)
        return target_of(provider, facts, self._environ, self._keyring)

    def _facts_of(self, provider: Provider) -> Capabilities:
        return self._facts(provider.plugin)

    def _locate(self, provider: Provider, target: Target) -> Locality:
        if self._played and target.base_url is None and provider.local:
            return "network" if provider.local == "network" else "machine"
        runs_here = provider.plugin == "sandbox" or self._facts_of(provider).in_process
        in_process = runs_here and target.base_url is None
        return egress.locate(provider, target, in_process=in_process, resolver=self._resolver)
