"""What the commands share that send many requests: a client, and a Ctrl-C in good order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from hroute.cli import policies, streams

if TYPE_CHECKING:
    from hroute.router.bounded import Stop
    from hroute.router.client import AsyncClient

SandboxOption = Annotated[
    bool, typer.Option("--sandbox", help="Scripted answers under every provider's name: no key, no server.")
]
SandboxScriptOption = Annotated[
    str | None, typer.Option("--sandbox-script", metavar="FILE", help="What the sandbox answers, and how it fails.")
]


def client_of(policy: str | None, sandbox: bool, script: str | None) -> AsyncClient:
    """A client for the policy, which begins with what the ledger remembers of the providers; or for its rehearsal."""
    from hroute.cli.sandbox import read_script
    from hroute.router.client import AsyncClient

    loaded = policies.load(policy)
    playing = sandbox or script is not None
    if playing:
        streams.talk("sandbox: answers are scripted, nothing is sent; the decisions are real")
    client = AsyncClient.from_policy(
        policy=loaded, sandbox=(read_script(script) if script else True) if playing else None
    )
    if not playing:
        from hroute.router.memory import remind

        remind(client.engine.health, loaded, os.environ)
    return client


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """The first Ctrl-C lets end what was begun, the second drops it; so does a polite kill."""

    def heard() -> None:
        if not stop.asked.is_set():
            streams.talk("stopping: what was begun may still end, Ctrl-C again drops it")
        stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heard)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
