"""What a provider says when it is asked without a prompt: is the key good, is the model there, what is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hroute.providers.protocol import Permit, Target
from hroute.terms.outcome import Failure


@dataclass(frozen=True, slots=True)
class Residence:
    """A model in a local server's memory: the context it is loaded with in tokens, its size, and how much of that lies in
    the memory of a graphics card, in bytes. None: the server does not say."""

    context: int | None = None
    size: int | None = None
    vram: int | None = None

    @property
    def vram_share(self) -> float | None:
        """0..1; None where it is not known."""
        return min(1.0, self.vram / self.size) if self.size and self.vram is not None else None


@dataclass(frozen=True, slots=True)
class Probe:
    """The answer, after `ms`. `failure` is why there is none, or why the key is not taken. `listed`: whether the model is
    there, None where the server does not say. `trained` is the model's own context in tokens, `remote` the host that
    really serves it ("" is the one that was asked), `loaded` where a local server has it in memory."""

    ms: float
    failure: Failure | None = None
    listed: bool | None = None
    trained: int | None = None
    loaded: Residence | None = None
    remote: str = ""


@runtime_checkable
class Probing(Protocol):
    """A plugin that can be asked."""

    def probe(self, target: Target, permit: Permit) -> Probe:
        """Ask `target` for its model; nothing of any request is sent, and nothing is paid for. Raises nothing but what a
        misused permit raises."""
