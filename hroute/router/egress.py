"""The one door: what every guarantee says about a request, where a provider really is, and the only maker of Permits.

A plugin sends nothing without a Permit, and a Permit is made here alone, after the guarantees were asked again; so a
mistake in the plan, in a later filter or in a plugin cannot send a request where a guarantee forbids it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hroute.providers.protocol import Permit, Target
from hroute.schema.condition import Ask, holds
from hroute.schema.policy import Guarantee, Policy, Provider
from hroute.terms import locality
from hroute.terms.locality import Locality

Resolver = Callable[[str], tuple[str, ...]]
"""Host name -> its addresses as text; empty where it has none."""

Locate = Callable[[Provider, Target], Locality]
"""Where a provider really is."""

_FAR: Final[Mapping[object, int]] = {"machine": 0, True: 0, "network": 1, "cloud": 2, False: 2}


class Forbidden(PermissionError):
    """A guarantee forbids this provider for this request, or a permit was used for what it was not made for."""


class Guard:
    """The guarantees of a policy for one request, each evaluated at most once and only when it matters.

    `ask` gives a feature's value and extracts it where need be, so that a taint is never absent when bytes leave.
    """

    def __init__(self, policy: Policy, ask: Ask) -> None:
        self.policy = policy
        self._ask = ask
        self._verdicts: dict[str, bool] = {}

    def holds(self, guarantee: Guarantee) -> bool:
        """Whether `guarantee` binds this request: its `when` holds and its `unless` does not."""
        known = self._verdicts.get(guarantee.name)
        if known is None:
            known = holds(guarantee.when, self._ask)
            known = known and not (guarantee.unless is not None and holds(guarantee.unless, self._ask))
            self._verdicts[guarantee.name] = known
        return known

    def forbids(self, provider: Provider, where: Locality) -> Guarantee | None:
        """The first guarantee that keeps this request from `provider`, which really is at `where`."""
        for guarantee in self.policy.guarantees:
            if not _permits(guarantee, provider, where) and self.holds(guarantee):
                return guarantee
        return None

    def held(self) -> tuple[Guarantee, ...]:
        """Every guarantee that binds this request."""
        return tuple(g for g in self.policy.guarantees if self.holds(g))

    def known(self) -> tuple[str, ...]:
        """The names of those already found to bind it; asks nothing more."""
        return tuple(name for name, verdict in self._verdicts.items() if verdict)


def permit(guard: Guard, provider: Provider, where: Locality) -> Permit:
    """Leave for one send of the guarded request to `provider`. Raises Forbidden naming the guarantee."""
    guarantee = guard.forbids(provider, where)
    if guarantee is not None:
        raise Forbidden(f"guarantee {guarantee.name} forbids {provider.name} for this request")
    return _Leave(provider.name, guard.known(), guard.policy.hash)


def observed(policy: Policy, provider: Provider) -> Permit:
    """Leave for one send where the client's own request went before: a policy that only observes forbids nothing, it
    writes down what it would have done. Raises Forbidden where the policy is in force."""
    if policy.mode != "observe":
        raise Forbidden(f"the policy is in force: {provider.name} is asked only where it may be")
    return _Leave(provider.name, (), policy.hash)


def honest(provider: Provider, where: Locality) -> bool:
    """Whether `provider` is at least as near as its `local:` says."""
    return _FAR[where] <= _FAR[provider.local]


def locate(
    provider: Provider, target: Target, *, in_process: bool = False, resolver: Resolver | None = None
) -> Locality:
    """Where `provider` really is. A name is looked up only for one that claims `local: network`, and is at best that:
    every address it has must be one that an operator can vouch for (SEMANTICS 2.7). The transport checks again where it
    connects, so that a name which moves later leads nowhere."""
    if in_process:
        return "machine"
    if provider.plugin == "command":
        return "machine" if provider.vouched else "cloud"
    if provider.plugin == "ollama" and served_elsewhere(target.model):
        return "cloud"
    near = locality.classify(target.base_url)
    if near != "cloud" or provider.local != "network" or target.base_url is None:
        return near
    address = locality.parse(target.base_url)
    found = (resolver or addresses)(address.host) if address and ":" not in address.host else ()
    return "network" if found and all(locality.of_ip(ip) != "cloud" for ip in found) else "cloud"


def served_elsewhere(model: str) -> bool:
    """Whether an Ollama model of that name runs on the vendor's machines."""
    return model.endswith((":cloud", "-cloud"))


def addresses(host: str) -> tuple[str, ...]:
    """What the system's resolver says about `host`; empty where it knows nothing."""
    import socket

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class Remembered:
    """`addresses`, asked once for each name that is known; a name without addresses is asked for again."""

    def __init__(self, resolver: Resolver = addresses) -> None:
        self._resolver = resolver
        self._known: dict[str, tuple[str, ...]] = {}

    def __call__(self, host: str) -> tuple[str, ...]:
        found = self._known.get(host) or self._resolver(host)
        if found:
            self._known[host] = found
        return found


class _Leave:
    """One send to one provider under one policy. Spending it twice, or for another provider, raises Forbidden."""

    __slots__ = ("_unspent", "guarantees", "policy", "provider")

    def __init__(self, provider: str, guarantees: tuple[str, ...], policy: str) -> None:
        self.provider = provider
        self.guarantees = guarantees
        self.policy = policy
        self._unspent = [True]

    def spend(self, provider: str) -> None:
        if provider != self.provider:
            raise Forbidden(f"this permit is for {self.provider}, not for {provider}")
        try:
            self._unspent.pop()  # one step: of two threads only one gets it
        except IndexError:
            raise Forbidden(f"this permit for {self.provider} was used before") from None


def _permits(guarantee: Guarantee, provider: Provider, where: Locality) -> bool:
    if provider.name not in guarantee.permitted:
        return False
    return honest(provider, where) or not _rests_on_locality(guarantee)


def _rests_on_locality(guarantee: Guarantee) -> bool:
    return "local" in (guarantee.only or {}) or "local" in (guarantee.never or {})
