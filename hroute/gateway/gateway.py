"""The gateway: what all requests share (policy, connections, identity), and the way of one of them through it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any, Final

from hroute.errors import HrouteError
from hroute.gateway import access, counting, held
from hroute.gateway.access import Gone, Rejected
from hroute.gateway.asked import Asked, headers_of, read
from hroute.gateway.clients import Client, Clients, Rates, allowed, given_by, without_key
from hroute.gateway.doors import MESSAGES, Door, dialect_of, vendor_of
from hroute.gateway.exchange import Exchange
from hroute.gateway.gates import Addresses, NotOurselves, OwnLogin, brings_login
from hroute.gateway.hints import hinted
from hroute.gateway.loops import Loops, account_of, accounts_of
from hroute.gateway.metrics import Metrics
from hroute.gateway.observing import PassingBy, RawAsked, as_it_is, before, raw_call
from hroute.gateway.outgoing import INSTANCE, Standing, written
from hroute.gateway.own_dialect import OwnDialect
from hroute.gateway.refusals import FINAL, Refusal, refusal_of
from hroute.gateway.responder import Receive, Responder, Scope, Send
from hroute.gateway.tally import Tally
from hroute.gateway.upstream import Upstream
from hroute.ledger.writer import State
from hroute.providers import registry
from hroute.providers.forward import Forwarder
from hroute.providers.protocol import Capabilities, ProviderError
from hroute.router import egress
from hroute.router.answer import Answer
from hroute.router.attempts import Call
from hroute.router.engine import Engine, Run
from hroute.router.plan import Gate
from hroute.terms.outcome import Outcome
from hroute.wire.errors import Dialect
from hroute.wire.fields import Malformed

log: Final = logging.getLogger("hroute.gateway")
_IN_A_THREAD: Final = 1 << 20
"""Bytes of a body from which on it is read and decided beside the event loop."""


@dataclass(slots=True)
class Gateway:
    """`engine` is replaced when the policy changes; a request keeps the one it began with. `hosts` are further names under
    which it may be called; `loopback`: only programs of this machine reach it; `environ` resolves addresses."""

    engine: Engine
    hosts: frozenset[str] = frozenset()
    loopback: bool = True
    environ: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    facts: Callable[[str], Capabilities] = registry.facts
    clients: Clients | None = None
    rates: Rates = field(default_factory=Rates)
    loops: Loops = field(default_factory=Loops)
    tally: Tally = field(default_factory=Tally)
    forwarder: Forwarder = field(default_factory=Forwarder)
    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    metrics: Metrics = field(default_factory=Metrics)
    trouble: str = ""
    """What is wrong with the policy's file, while the last good one serves."""

    def __post_init__(self) -> None:
        self.metrics.ledger(self._writing)

    @property
    def observing(self) -> bool:
        return self.engine.policy.mode == "observe"

    async def serve(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        """One request that asks a model."""
        responder = Responder(send)
        async with self.telling(responder, door.dialect):
            headers, client = self.admit(scope)
            if not self.observing:
                access.check_media(headers)
            raw = await access.body_of(receive, headers)
            query = scope["query_string"].decode("latin-1")
            if self.observing:
                by = RawAsked(scope["method"], _as_sent(scope), query, headers, raw, door.vendor)
                await self._observe(door, by, responder, client)
            else:
                asked = await self._read(door, raw, headers, query)
                await self._answer(_of_client(asked, client), responder, client)

    async def pass_by(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request that asks no model, while observing: it goes where it went before."""
        responder = Responder(send)
        async with self.telling(responder, dialect_of(scope["path"])):
            headers, _ = self.admit(scope)
            raw = await access.body_of(receive, headers)
            query, path = scope["query_string"].decode("latin-1"), _as_sent(scope)
            by = RawAsked(scope["method"], path, query, headers, raw, vendor_of(scope["path"], headers))
            await self._relay(by, responder)

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The tokens of a request, estimated here; or by the vendor who would serve it, where the policy lets it count."""
        responder = Responder(send)
        async with self.telling(responder, MESSAGES.dialect):
            headers, client = self.admit(scope)
            access.check_media(headers)
            raw, query = await access.body_of(receive, headers), scope["query_string"].decode("latin-1")
            asked = _of_client(await self._read(MESSAGES, raw, headers, query), client)
            found = await self._counted(asked, client)
            said = "x-hroute-estimated" if found.estimated else "x-hroute-counted-by"
            headers_back = (("content-type", "application/json"), (said, found.by))
            await responder.whole(200, headers_back, written({"input_tokens": found.tokens}))

    async def _counted(self, asked: Asked, client: Client | None) -> counting.Counted:
        engine = self.engine
        if not counting.by_vendor(engine):
            return counting.estimated(engine, asked)
        return await counting.counted(
            engine,
            asked,
            self.forwarder,
            self.instance,
            gates=self._gates(asked, client),
            steer=hinted(engine.policy, asked.model) or self.loops.staying(engine, asked),
            standing=lambda call: self._standing(asked, call),
        )

    def readiness(self) -> dict[str, Any]:
        """Whether requests can be served, and by which policy. A policy that cannot be loaded does not stop the last one,
        nor does a ledger that cannot be written."""
        policy, writing = self.engine.policy, self._writing()
        troubled = writing is not None and writing.trouble is not None
        return {
            "ready": True,
            "policy": policy.hash,
            "mode": policy.mode,
            "trouble": self.trouble or None,
            "ledger": None if writing is None or not troubled else writing.message,
        }

    def _writing(self) -> State | None:
        """How writing into the ledger goes; None where none is kept."""
        books = self.engine.books
        return None if books is None else books.ledger.state()

    def swap(self, engine: Engine) -> None:
        """Serve by `engine` from now on; requests under way keep the one that they began with."""
        self.engine, self.trouble = engine, ""

    async def aclose(self) -> None:
        await self.forwarder.aclose()
        await self.engine.aclose()

    def admit(
        self, scope: Scope, *, page: bool = False, anybody: bool = False, admin: bool = False
    ) -> tuple[dict[str, str], Client | None]:
        """The headers of a request that may come in, without a key of ours, and whose key that was. Raises Rejected.

        A `page` of ours costs nobody anything. Off loopback one is for keys, of administrators alone where it tells of
        everybody (`admin`), unless `anybody` may see it.
        """
        headers = headers_of(scope["headers"])
        access.check(headers, self.hosts, loopback=self.loopback)
        if self.instance in headers.get(INSTANCE, ""):
            raise Rejected(Refusal(508, "hroute: this request has come back to the gateway that sent it", FINAL))
        headers, key = without_key(headers)
        client = self.clients.find(key) if key and self.clients is not None else None
        if client is None and (key or not self.loopback) and not anybody:
            raise Rejected(Refusal(401, "hroute: this key opens nothing here; hroute keys client add NAME makes one"))
        if page:
            if admin and not self.loopback and client is not None and not client.admin:
                raise Rejected(Refusal(403, "hroute: this page is for keys of administrators"))
        elif client is not None and (seconds := self.rates.wait(client)) > 0:
            wait = (("retry-after", str(ceil(seconds))),)
            raise Rejected(Refusal(429, f"hroute: client {client.name} has used its requests of this minute", wait))
        return headers, client

    async def _read(self, door: Door, raw: bytes, headers: dict[str, str], query: str) -> Asked:
        if len(raw) < _IN_A_THREAD:
            return read(door, raw, headers, query)
        return await asyncio.to_thread(read, door, raw, headers, query)

    async def _answer(self, asked: Asked, responder: Responder, client: Client | None) -> None:
        """By the policy."""
        engine = self.engine

        def begin() -> Run:
            self.loops.recall(engine, asked)
            given = held.rebuilt(engine, asked).given
            steer = hinted(engine.policy, asked.model) or self.loops.staying(engine, asked)
            streams = asked.request.stream
            return engine.begin(asked.request, given, stream=streams, steer=steer, gates=self._gates(asked, client))

        forgotten = self.loops.has_to_recall(engine, asked) or held.is_forgotten(engine, asked)
        short = len(asked.raw) < _IN_A_THREAD and not forgotten
        run = begin() if short else await asyncio.to_thread(begin)
        upstream = Upstream(
            asked,
            self.forwarder,
            self.instance,
            engine.plugin,
            lambda call: self._standing(asked, call),
            raw_wire=engine.stand_in is None,
            leave=lambda call: egress.permit(run.guard, call.candidate.provider, call.candidate.where),
        )
        answer = await self._go(Exchange(engine, run, asked, upstream, responder))
        engine.shadows.acast(run, answer, upstream.again().once, engine.clock, warm=False)
        self.loops.served(asked, engine.policy, answer)
        self.tally.add(asked, engine.policy, answer)

    async def _go(self, exchange: Exchange) -> Answer:
        """The exchange to its end, counted."""
        started, answer = time.monotonic(), None
        self.metrics.under_way.inc()
        try:
            answer = await exchange.go()
            return answer
        finally:
            self.metrics.under_way.dec()
            seconds, status = time.monotonic() - started, exchange.responder.status or 499
            self.metrics.ended(exchange.asked.door.dialect, exchange.run, status, seconds, answer)

    async def _observe(self, door: Door, by: RawAsked, responder: Responder, client: Client | None) -> None:
        """As before; what the policy says is written down. What it cannot read is passed on all the same."""
        engine = self.engine
        try:
            asked = _of_client(read(door, by.body, by.headers, by.query, by.path, leniently=True), client)
            place = before(engine.policy, door.vendor, asked.model, self.environ)
            run = engine.observe(asked.request, asked.given, place, stream=asked.request.stream)
        except Exception as error:
            log.warning("a request was passed on without a decision: %s", type(error).__name__)
            await self._relay(by, responder)
            return
        passing = PassingBy(asked, self.forwarder, self.instance)
        self.tally.add(asked, engine.policy, await self._go(Exchange(engine, run, asked, passing, responder)))

    async def _relay(self, by: RawAsked, responder: Responder) -> None:
        """As it is, both ways."""
        policy = self.engine.policy
        place = before(policy, by.vendor, "", self.environ)
        permit = egress.observed(policy, place.provider)
        raw = await self.forwarder.forward(place.target, raw_call(by, place.target, self.instance), permit)
        try:
            raw.said()
            await responder.start(raw.status, as_it_is(raw))
            while chunk := await raw.chunk():
                await responder.piece(chunk)
            await responder.end()
        finally:
            raw.close()

    def _gates(self, asked: Asked, client: Client | None) -> tuple[Gate, ...]:
        """The filters of this request alone."""
        places = Addresses(self.facts, self.environ)
        brought = brings_login(asked.headers)
        gates: tuple[Gate, ...] = (
            OwnLogin(brought, asked.door.vendor, places),
            NotOurselves(self.port, self.hosts, places),
        )
        if wishes := asked.door.beyond(asked.body):
            gates = (*gates, OwnDialect(asked.door.dialect, wishes, places, asked.model, self.engine.stand_in is None))
        narrowed = allowed(client, self.engine.policy) if client is not None else None
        return gates if narrowed is None else (*gates, narrowed)

    def _standing(self, asked: Asked, call: Call) -> Standing:
        """What the provider of `call` is to the client of `asked`."""
        provider = call.candidate.provider
        own_address = Addresses(self.facts, self.environ).is_vendors_own(provider)
        vendor = own_address or call.candidate.where == "machine" or provider.labels.get("vendor") == provider.plugin
        known = self.loops.of(asked)
        if known is not None and known.accounts:
            sealed = known.accounts <= {account_of(provider)}
        else:  # whoever has sealed it, only one can have who is alone
            alone = accounts_of(self.engine.policy, provider.plugin) <= {account_of(provider)}
            sealed = alone and (own_address or call.candidate.where == "machine")
        return Standing(vendor, own_address, sealed)

    @asynccontextmanager
    async def telling(self, responder: Responder, dialect: Dialect) -> AsyncIterator[None]:
        """Whatever goes wrong inside is told in `dialect`, as long as nothing else was said."""
        try:
            yield
        except Gone:
            return
        except Exception as error:
            refusal = _refusal(error)
            if responder.begun:
                log.info("an answer broke off: %s", type(error).__name__)
            else:
                self.metrics.refused(dialect, refusal.status)
                headers = (("content-type", "application/json"), *refusal.headers)
                await responder.whole(refusal.status, headers, written(refusal.body(dialect)))


def _as_sent(scope: Scope) -> str:
    """The path as it was written: an escape that is undone here could end a line at the upstream."""
    written_so: bytes = scope.get("raw_path") or scope["path"].encode()
    return written_so.decode("latin-1")


def _of_client(asked: Asked, client: Client | None) -> Asked:
    return asked if client is None else replace(asked, given=given_by(client, asked.given))


def _refusal(error: Exception) -> Refusal:
    match error:
        case Rejected(refusal=refusal):
            return refusal
        case Malformed():
            return Refusal(400, f"hroute: {error}")
        case HrouteError():
            return refusal_of(error)
        case ProviderError(failure=failure):
            return Refusal(504 if failure.outcome is Outcome.TIMEOUT else 502, f"hroute: {failure.message}")
    # a defect of ours: its text might quote the request
    log.error("a request failed inside: %s at %s", type(error).__name__, _place(error))
    return Refusal(500, f"hroute itself failed: {type(error).__name__}")


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
