"""What only a client's own dialect can say: a request that asks for it goes where that dialect is spoken, or nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from hroute.gateway.gates import Addresses
from hroute.gateway.outgoing import resolved
from hroute.providers import wires
from hroute.providers.protocol import Target
from hroute.router.plan import Leaving, Skipped, Why
from hroute.schema.policy import Provider
from hroute.terms.secret import resolve
from hroute.wire.errors import Dialect


@dataclass(frozen=True, slots=True)
class OwnDialect:
    """The gate of a request whose `wishes` no other dialect has words for, for `model`. `raw_wire`: providers are asked on their wires."""

    dialect: Dialect
    wishes: tuple[str, ...]
    addresses: Addresses
    model: str
    raw_wire: bool = True

    def refuses(self, provider: Provider) -> Skipped | None:
        model = resolve(provider.model, self.addresses.environ) or provider.model
        target = resolved(
            Target(provider.name, model, self.addresses.of(provider) or "", options=provider.options), self.model
        )
        wire = wires.wire_of(provider.plugin, target, self.dialect) if self.raw_wire else None
        if wire is not None and wire.dialect == self.dialect:
            return None
        said = f"does not speak {self.dialect.replace('_', ' ')}, which alone can give: {', '.join(self.wishes)}"
        return Skipped(provider.name, Why.CAPABILITY, said)

    def postpones(self, provider: Provider) -> bool:
        return False

    def enter(self, provider: Provider) -> Skipped | Leaving | None:
        return self.refuses(provider)
