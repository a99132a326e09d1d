"""The ways in which the conformance suite calls a plugin: whole and streamed, blocking and on an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hroute.providers.protocol import Plugin, Target
from hroute.terms.message import Event, Reply, Request

T = TypeVar("T")


@dataclass
class Leave:
    """A permit for the suite. It counts, and refuses as the router's would."""

    provider: str
    denied: bool = False
    spent: int = 0

    def spend(self, provider: str) -> None:
        self.spent += 1
        if self.denied or provider != self.provider or self.spent > 1:
            raise PermissionError("no leave")


Way = Callable[[Plugin, Target, Request, Leave], Any]


def one_send(plugin: Plugin, target: Target, sent: Request, leave: Leave) -> Reply:
    return plugin.send(target, sent, leave)


def one_stream(plugin: Plugin, target: Target, sent: Request, leave: Leave) -> list[Event]:
    return list(plugin.stream(target, sent, leave))


def one_asend(plugin: Plugin, target: Target, sent: Request, leave: Leave) -> Reply:
    async def main() -> Reply:
        try:
            return await plugin.asend(target, sent, leave)
        finally:
            await hang_up(plugin)

    return run(main())


def one_astream(plugin: Plugin, target: Target, sent: Request, leave: Leave) -> list[Event]:
    async def main() -> list[Event]:
        try:
            return [event async for event in plugin.astream(target, sent, leave)]
        finally:
            await hang_up(plugin)

    return run(main())


STREAMS: Final[tuple[Way, ...]] = (one_stream, one_astream)
WAYS: Final[tuple[Way, ...]] = (one_send, one_asend, *STREAMS)


def ways_of(plugin: Plugin) -> tuple[Way, ...]:
    return WAYS if plugin.capabilities.stream else WAYS[:2]


async def hang_up(plugin: Plugin) -> None:
    """Close the connections of an event loop that is about to end."""
    aclose = getattr(plugin, "aclose", None)
    if aclose is not None:
        await aclose()


def run(main: Coroutine[Any, Any, T]) -> T:
    from asyncio import run

    return run(main)
