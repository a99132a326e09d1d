"""What a provider plugin is: one small protocol. A plugin knows one vendor's wire; no policy, no router."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from hroute.terms.message import Event, Reply, Request
from hroute.terms.outcome import Failure


@dataclass(frozen=True, slots=True)
class Target:
    """A provider as a plugin needs it: resolved (no references left), without anything of the policy."""

    name: str
    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    local: bool | str = False
    context_window: int | None = None
    connect: float = 5.0
    first_token: float = 30.0
    idle: float = 30.0
    total: float = 300.0
    params: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()


@runtime_checkable
class Permit(Protocol):
    """Leave to send one request to one provider; only `hroute.router.egress` makes one (SEMANTICS 2.10)."""

    @property
    def provider(self) -> str: ...

    def spend(self, provider: str) -> None:
        """Use the permit for `provider`. Raises PermissionError where it is for another, or was used before."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a plugin can carry, known without importing its SDK. `in_process`: without an address it runs in this
    process and sends nothing anywhere. `options` is the JSON Schema of a provider's `options:`; None: it takes none."""

    tools: bool = True
    images: bool = True
    thinking: bool = False
    json_schema: bool = True
    stream: bool = True
    needs_key: bool = True
    logprobs: bool = False  # reports the probabilities of its tokens where `Request.params["logprobs"]` asks for them
    default_base_url: str | None = None
    in_process: bool = False
    options: Mapping[str, Any] | None = field(default=None, hash=False)


class ProviderError(Exception):
    """A call that failed, already mapped to an outcome. Raised by `send` and by the iteration of `stream`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Plugin(Protocol):
    """One vendor's wire. Both ways of calling demand a Permit and spend it before the first byte leaves.

    It may also have `warm()`, which imports what the first call needs (nothing of it counts as latency), and `close()`
    and `aclose()`, which close its connections; and `parameters` (`hroute.providers.parameters.Parameters`), by which
    `hroute check` finds a parameter that it does not carry.
    """

    name: str
    capabilities: Capabilities

    def send(self, target: Target, request: Request, permit: Permit) -> Reply: ...

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]: ...

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply: ...

    def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]: ...
