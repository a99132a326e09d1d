"""Filters that only a gateway has: whose login is brought along, and that nobody is sent back to ourselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from hroute.gateway.outgoing import CREDENTIALS
from hroute.providers.protocol import Capabilities
from hroute.router.plan import Leaving, Skipped, Why
from hroute.schema.policy import Provider
from hroute.terms import locality
from hroute.terms.secret import NO_LOGIN, resolve

CLIENT: Final = "client"
"""The `api_key` of a provider that is asked with its client's own login."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where providers are: `facts` know the vendors' own addresses, `environ` what the policy leaves to it."""

    facts: Callable[[str], Capabilities]
    environ: Mapping[str, str]

    def of(self, provider: Provider) -> str | None:
        """The address of `provider`; None where it has none that could be resolved."""
        if provider.base_url is None:
            return self.facts(provider.plugin).default_base_url
        return resolve(provider.base_url, self.environ)

    def is_vendors_own(self, provider: Provider) -> bool:
        """Whether `provider` is asked where its vendor itself answers."""
        own = self.facts(provider.plugin).default_base_url
        return own is not None and self.of(provider) == own


@dataclass(frozen=True, slots=True)
class OwnLogin:
    """A provider with `api_key: client` is asked only with a login that the client brought, where its vendor answers."""

    brought: bool
    vendor: str
    addresses: Addresses

    def refuses(self, provider: Provider) -> Skipped | None:
        if provider.api_key != CLIENT:
            return None
        if provider.plugin != self.vendor or not self.addresses.is_vendors_own(provider):
            return Skipped(provider.name, Why.KEY, "a client's own login goes to its own vendor only")
        return None if self.brought else Skipped(provider.name, Why.KEY, "the client brought no login of its own")

    def postpones(self, provider: Provider) -> bool:
        return False

    def enter(self, provider: Provider) -> Skipped | Leaving | None:
        return self.refuses(provider)


@dataclass(frozen=True, slots=True)
class NotOurselves:
    """Nobody is asked who is this gateway."""

    port: int
    hosts: Collection[str]
    addresses: Addresses

    def refuses(self, provider: Provider) -> Skipped | None:
        url = self.addresses.of(provider)
        at = locality.parse(url) if url else None
        if at is None or at.port != self.port:
            return None
        here = at.host == "localhost" or locality.of_ip(at.host) == "machine" or at.host in self.hosts
        return Skipped(provider.name, Why.ADDRESS, "its base_url is this gateway itself") if here else None

    def postpones(self, provider: Provider) -> bool:
        return False

    def enter(self, provider: Provider) -> Skipped | Leaving | None:
        return None


def brings_login(headers: Mapping[str, str]) -> bool:
    """Whether a client sends a credential of its own, and not the placeholder of one that has none."""
    sent = [headers.get(name, "") for name in CREDENTIALS if name not in ("cookie", "proxy-authorization")]
    return any(value and value.rpartition(" ")[2] != NO_LOGIN for value in sent)
