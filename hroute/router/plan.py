"""The permitted attempts in order: the decision's chain, passed through one list of filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from hroute.providers.protocol import Capabilities, Target
from hroute.router.decision import Decision
from hroute.router.egress import Guard, Locate, honest
from hroute.schema.condition import Ask
from hroute.schema.policy import Provider
from hroute.terms.locality import Locality
from hroute.terms.message import Request, Unread
from hroute.terms.outcome import Reason

if TYPE_CHECKING:
    from hroute.router.attempts import Attempt


class Why(StrEnum):
    """What kept a provider out of the plan."""

    GUARANTEE = "guarantee"
    KEY = "key"
    ADDRESS = "address"
    CAPABILITY = "capability"
    DOWN = "down"  # taken out for the question, or its errors breaker is open
    LIMIT = "limit"
    BUDGET = "budget"
    CLIENT = "client"  # the key of the gateway's client does not open it


REASON: Final[Mapping[Why, Reason]] = {
    Why.GUARANTEE: Reason.PINNED,
    Why.KEY: Reason.CREDENTIAL,
    Why.ADDRESS: Reason.CREDENTIAL,
    Why.CAPABILITY: Reason.CAPABILITY,
    Why.DOWN: Reason.OUTAGE,
    Why.LIMIT: Reason.CAPACITY,
    Why.BUDGET: Reason.BUDGET,
    Why.CLIENT: Reason.PINNED,
}
"""Why the answer came from elsewhere, where the plan had left out the provider that the decision named."""


@dataclass(frozen=True, slots=True)
class Spent:
    """A budget without room: nano-dollars, and when it begins anew (milliseconds since 1970, shown in `zone`)."""

    budget: str
    limit: int
    spent: int
    reserved: int
    asked: int
    until: int
    zone: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A provider that is not asked; `detail` says why in one line, `guarantee` names the one that forbids it, `budget`
    the one that is spent, `tokens` how many it cannot hold."""

    provider: str
    why: Why
    detail: str
    guarantee: str | None = None
    budget: Spent | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider that may be asked: resolved, and where it really is."""

    provider: Provider
    target: Target
    where: Locality

    @property
    def name(self) -> str:
        return self.provider.name


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request demands of a provider; `tokens` is prompt plus expected output, None where unknown. `hosted` are
    the dialects of tools that only their own vendor runs."""

    tools: bool = False
    images: bool = False
    hosted: frozenset[str] = frozenset()
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """What a budget, and the ledger, must know of a request. `max_tokens` is what a provider may write at most; `ts` in milliseconds."""

    id: str
    ts: int
    decision: Decision
    request: Request
    ask: Ask
    max_tokens: Callable[[Provider], int]


Leaving = Callable[["Attempt | None"], None]
"""Told once how the call that was let in ended; None where it was never made."""


class Gate(Protocol):
    """A filter with a state of its own: a breaker, a limit, a budget. Looked at for the plan, entered before each call."""

    def refuses(self, provider: Provider) -> Skipped | None:
        """Why `provider` must not be asked now, or None. A look changes nothing."""

    def postpones(self, provider: Provider) -> bool:
        """Whether `provider` is to be asked after all others."""

    def enter(self, provider: Provider) -> Skipped | Leaving | None:
        """Let one call in, taking a slot or a probe: what is to be told its end (None: nothing), or why not."""


@dataclass(frozen=True, slots=True)
class Down:
    """The gate of `--down` and of `down:` in test cases: providers (or all of a plugin) that count as out of order."""

    names: frozenset[str]

    def refuses(self, provider: Provider) -> Skipped | None:
        if self.names.isdisjoint((provider.name, provider.plugin)):
            return None
        return Skipped(provider.name, Why.DOWN, "is down")

    def postpones(self, provider: Provider) -> bool:
        return False

    def enter(self, provider: Provider) -> Skipped | Leaving | None:
        return self.refuses(provider)


def enter(gates: Iterable[Gate], provider: Provider) -> Skipped | tuple[Leaving, ...]:
    """Through every gate, or through none: what was taken before the one that refuses is given back."""
    entered: list[Leaving] = []
    for gate in gates:
        found = gate.enter(provider)
        if isinstance(found, Skipped):
            for leaving in entered:
                leaving(None)
            return found
        if found is not None:
            entered.append(found)
    return tuple(entered)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is asked, in order, and who is not and why."""

    decision: Decision
    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def route(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.candidates)


Targets = Callable[[Provider], Target | Skipped]
"""A provider with its references resolved, or what is missing."""

Facts = Callable[[Provider], Capabilities]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a plan needs to know besides the request: references resolved, facts of plugins, places, and the gates."""

    targets: Targets
    facts: Facts
    locate: Locate
    gates: Sequence[Gate] = ()


def plan(decision: Decision, chain: Iterable[str], guard: Guard, needs: Needs, around: Surroundings) -> Plan:
    """The candidates of `chain` that may serve, in order, postponed ones last. A name counts once."""
    candidates: list[Candidate] = []
    skipped: list[Skipped] = []
    for name in dict.fromkeys(chain):
        found = consider(guard.policy.providers[name], guard, needs, around)
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            candidates.append(found)
    candidates.sort(key=lambda c: any(gate.postpones(c.provider) for gate in around.gates))
    return Plan(decision, tuple(candidates), tuple(skipped))


def consider(provider: Provider, guard: Guard, needs: Needs, around: Surroundings) -> Candidate | Skipped:
    """`provider` as a candidate, or the first reason against it: the guarantees speak before anything else."""
    target = around.targets(provider)
    where: Locality = "cloud" if isinstance(target, Skipped) else around.locate(provider, target)
    # A provider that cannot be resolved is judged by its claim: the guarantee is the better reason to name.
    guarantee = guard.forbids(provider, _claimed(provider) if isinstance(target, Skipped) else where)
    if guarantee is not None:
        return Skipped(
            provider.name, Why.GUARANTEE, _forbidden(guarantee.name, provider, where, target), guarantee.name
        )
    if isinstance(target, Skipped):
        return target
    lack = _lack(provider, around.facts(provider), needs)
    if lack:
        return Skipped(provider.name, Why.CAPABILITY, lack)
    window = provider.context_window
    if window is not None and needs.tokens is not None and needs.tokens > window:
        said = f"holds {window} tokens, about {needs.tokens} are needed"
        return Skipped(provider.name, Why.CAPABILITY, said, tokens=needs.tokens)
    for gate in around.gates:
        refusal = gate.refuses(provider)
        if refusal is not None:
            return refusal
    return Candidate(provider, target, where)


def needs_of(request: Request, tokens: int | None) -> Needs:
    """What `request` demands. `tokens` is its estimated size with the expected output."""
    images = any(isinstance(part, Unread) and part.kind == "image" for m in request.messages for part in m.parts)
    hosted = frozenset(tool.hosted.partition(":")[0] for tool in request.tools if tool.hosted)
    return Needs(bool(request.tools), images, hosted, tokens)


def _lack(provider: Provider, facts: Capabilities, needs: Needs) -> str | None:
    if needs.tools and not facts.tools:
        return "cannot use tools"
    if needs.images and not facts.images:
        return "cannot read images"
    if any(dialect.partition("_")[0] != provider.plugin for dialect in needs.hosted):
        return "does not run a tool that the request brings from another vendor"
    return None


def _claimed(provider: Provider) -> Locality:
    if provider.local == "network":
        return "network"
    return "machine" if provider.local else "cloud"


def _forbidden(guarantee: str, provider: Provider, where: Locality, target: Target | Skipped) -> str:
    if not isinstance(target, Skipped) and not honest(provider, where):
        return f"forbidden by guarantee {guarantee}: it claims to be local, but its address is not"
    return f"forbidden by guarantee {guarantee}"
