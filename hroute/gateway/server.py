"""The gateway as a process: it listens, follows its policy's file, and ends without dropping anybody."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Final

import uvicorn

from hroute.errors import UsageError
from hroute.gateway.app import Application
from hroute.gateway.gateway import Gateway
from hroute.gateway.inbound import IDLE, Inbound
from hroute.router.engine import Engine
from hroute.router.reload import Reload, Reloader
from hroute.schema.policy import Policy

DRAIN: Final = 30.0
"""Seconds that requests under way may take to finish after SIGTERM."""
SWITCH: Final = 0.0005
"""Seconds after which another thread gives way to the event loop."""
_BACKLOG: Final = 2048
_TICKS: Final = 10
"""Ticks of the server's clock, a tenth of a second each, between two looks at the clients' clocks."""
_NEW_OBJECTS: Final = 50_000
"""Objects after which the collector looks through the young ones: a request makes thousands, and leaves no cycles."""

log: Final = logging.getLogger("hroute.gateway")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the gateway listens, and for how many seconds it drains."""

    host: str
    port: int
    drain: float = DRAIN

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises UsageError where that address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}", help="choose another --port") from None
    listener.setblocking(False)
    return listener


def serve(
    gateway: Gateway,
    listener: socket.socket,
    *,
    drain: float = DRAIN,
    reloader: Reloader | None = None,
    engine_of: Callable[[Policy], Engine] | None = None,
    told: Callable[[Reload], None] = lambda _: None,
    ready: Callable[[], None] = lambda: None,
    lifeline: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then let requests under way finish. `reloader` follows the policy's file, and
    `engine_of` makes the engine of what it brings; SIGHUP looks at once. `lifeline` is a pipe whose end is a SIGTERM."""
    config = uvicorn.Config(
        Application(gateway),
        loop="uvloop",
        http=Inbound,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(IDLE),
        timeout_graceful_shutdown=int(drain),
    )
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    sys.setswitchinterval(SWITCH)  # the ledger's thread must not hold up a request for long
    server = _Server(config, ready, gateway.metrics.lay_down, lifeline)
    gateway.metrics.policy(gateway.engine.policy.hash)
    following = _Following(gateway, reloader, engine_of, told) if reloader and engine_of else None
    if following is not None:
        server.at_start = following.start
    try:
        server.run(sockets=[listener])
    finally:
        if following is not None:
            following.stop()


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        tend: Callable[[], None] = lambda: None,
        lifeline: int | None = None,
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._tend = tend
        self._lifeline = lifeline
        self.at_start: Callable[[], None] = lambda: None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, a second Ctrl-C does not wait; the process then ends as one that has done its work."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    def _left_alone(self) -> None:
        """Who watched over this worker is gone."""
        if self._lifeline is not None:
            asyncio.get_running_loop().remove_reader(self._lifeline)
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0:
            self._tend()
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Inbound):
                    connection.look(now)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self.at_start()
            if self._lifeline is not None:
                asyncio.get_running_loop().add_reader(self._lifeline, self._left_alone)
            gc.collect()
            gc.freeze()  # what is there now stays: it need not be looked through again
            gc.set_threshold(_NEW_OBJECTS, 10, 10)
            self._ready()


class _Following:
    """Swaps the engine when the policy's file brings a good one; breakers and connections stay."""

    def __init__(
        self,
        gateway: Gateway,
        reloader: Reloader,
        engine_of: Callable[[Policy], Engine],
        told: Callable[[Reload], None],
    ) -> None:
        self._gateway = gateway
        self._reloader = reloader
        self._engine_of = engine_of
        self._told = told
        self._stop = threading.Event()
        self._looking = threading.Lock()
        self._limits = self._spending()

    def start(self) -> None:
        threading.Thread(target=self._follow, name="hroute-reload", daemon=True).start()
        with suppress(NotImplementedError, AttributeError, ValueError):
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, self._look))

    def stop(self) -> None:
        self._stop.set()

    def _follow(self) -> None:
        from hroute.router.reload import ticks

        for _ in ticks(self._files, self._stop):
            if self._stop.is_set():
                return
            self._look()

    def _files(self) -> tuple[str, ...]:
        clients = self._gateway.clients
        keys = (clients.path,) if clients is not None else ()
        return (self._reloader.path, *self._reloader.current.sources, *keys)

    def _spending(self) -> tuple[tuple[str, int | None], ...]:
        """What the clients' keys may spend: a budget of the engine, so that a change makes a new one."""
        clients = self._gateway.clients
        try:
            return tuple((c.name, c.monthly) for c in clients.all()) if clients is not None else ()
        except UsageError as error:
            self._gateway.trouble = error.message
            return self._limits

    def _look(self) -> None:
        """Read again where something changed. Only one thread at a time looks."""
        with self._looking:
            event = self._reloader.refresh()
            limits, before = self._spending(), self._limits
            self._limits = limits
            if event is None:
                if limits != before:
                    self._swap()
                return
            if event.kind == "reloaded":
                self._swap()
            else:
                self._gateway.trouble = str(event)
            self._gateway.metrics.policy(self._gateway.engine.policy.hash, event.kind)
        self._told(event)

    def _swap(self) -> None:
        """The engine of the policy that is read now takes over; what the one before leaves is cleared away."""
        self._gateway.swap(self._engine_of(self._reloader.current))
        gc.collect()
