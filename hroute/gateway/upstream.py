"""One call of the ladder, made on the raw wire: what leaves, what comes back, and what it is to the router."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hroute.gateway.asked import Asked
from hroute.gateway.outgoing import Outgoing, Standing, outgoing, resolved, written
from hroute.gateway.passing import Passed, Told, events_of
from hroute.providers import wires
from hroute.providers.forward import Forwarder, Headers, RawCall, RawReply
from hroute.providers.outcomes import with_allowances
from hroute.providers.protocol import Permit, Plugin, ProviderError
from hroute.providers.wires import Wire
from hroute.router.attempts import Call, Opened, Result
from hroute.router.stream import failure_of, says_something
from hroute.terms.message import Done, Event, Reply, StopReason
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage
from hroute.wire.fields import Malformed, VendorFault, loads, mapping
from hroute.wire.sequence import Assembly

HOP: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length", "upgrade", "trailer"})  # fmt: skip
"""Headers of an answer that belong to its connection."""
_OF_ITS_SITE: Final = frozenset({"set-cookie", "date", "server", "content-encoding", "alt-svc", "strict-transport-security"})  # fmt: skip
"""Headers of an answer that mean something at the vendor's own site only."""

HIDDEN: Final = "[key]"
"""Stands where a vendor has quoted a key of the policy."""


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer in the client's own dialect, as it came."""

    status: int
    headers: Headers
    body: bytes


@dataclass(slots=True)
class Seen:
    """What the last call brought besides its result: an answer that can go to the client as it is (`whole`, or `rejected`
    where it was none), headers of a stream, what found no place in the other dialect."""

    whole: Whole | None = None
    rejected: Whole | None = None
    headers: Headers = ()
    dropped: tuple[str, ...] = ()
    model: str = ""


@dataclass(slots=True)
class Upstream:
    """Makes the calls of one request. `standing` says what a provider is to the client."""

    asked: Asked
    forwarder: Forwarder
    instance: str
    plugins: Callable[[Call], Plugin]
    standing: Callable[[Call], Standing]
    raw_wire: bool = True
    transparent: bool = False
    leave: Callable[[Call], Permit] | None = None
    seen: Seen = field(default_factory=Seen)
    _open: list[RawReply] = field(default_factory=list)

    async def send(self, call: Call) -> Result:
        """Make `call`. What goes wrong is a Failure; a stream comes back as Opened, its `rest` a Passed or a Told."""
        self.close()
        self.seen = Seen(model=resolved(call.target, self.asked.model).model)
        wire = self._wire(call)
        try:
            return await (self._by_plugin(call) if wire is None else self._by_wire(call, wire))
        except Exception as error:
            return failure_of(error)

    def again(self) -> Upstream:
        """One for further calls beside the client's own, which sees nothing of this one's."""
        return replace(self, seen=Seen(), _open=[])

    async def once(self, call: Call) -> Result:
        """`send` the only call, and hang up."""
        try:
            return await self.send(call)
        finally:
            self.close()

    def close(self) -> None:
        """Hang up on what is still open."""
        while self._open:
            self._open.pop().close()

    def _wire(self, call: Call) -> Wire | None:
        if not self.raw_wire:
            return None
        return wires.wire_of(
            call.candidate.provider.plugin, resolved(call.target, self.asked.model), self.asked.door.dialect
        )

    async def _by_wire(self, call: Call, wire: Wire) -> Result:
        call = replace(call, target=resolved(call.target, self.asked.model))
        if wire.dialect == "ollama":
            wire = await self._informed(wire, call)
        leaving = outgoing(self.asked, call, wire, self.standing(call), self.instance)
        self.seen.dropped = leaving.dropped
        raw = await self.forwarder.forward(call.target, leaving.call, call.permit)
        self._open.append(raw)
        if raw.status != 200:
            return await self._rejected(raw, leaving, wire, call.target.api_key)
        if call.stream and not _in_one_piece(raw):
            return await self._opened(raw, leaving, wire)
        return await self._whole(raw, leaving, wire)

    async def _informed(self, wire: Wire, call: Call) -> Wire:
        """Ollama's wire with what the server says of the model: its window, and whether it really serves it itself. Raises
        ProviderError where the model of a provider that claims to be local is served elsewhere."""
        model = self.forwarder.models.of(call.target)
        if model is None and self.leave is not None:
            asking = RawCall(
                "/api/show", (("content-type", "application/json"),), written({"model": call.target.model})
            )
            raw = await self.forwarder.forward(call.target, asking, self.leave(call))
            try:
                body = await raw.whole()
            finally:
                raw.close()
            model = self.forwarder.models.learned(call.target, body if raw.status == 200 else b"{}")
        return wires.with_model(wire, model)

    async def _rejected(self, raw: RawReply, leaving: Outgoing, wire: Wire, key: str | None) -> Failure:
        """What the vendor says, save our own key: some quote what they were sent."""
        body = _without(key, await raw.whole())
        if leaving.same:
            headers = tuple((name, value.replace(key, HIDDEN) if key else value) for name, value in headers_back(raw))
            self.seen.rejected = Whole(raw.status, headers, body)
        return wires.rejection(wire, raw.status, raw.headers, body)

    async def _whole(self, raw: RawReply, leaving: Outgoing, wire: Wire) -> Reply:
        body = await raw.whole()
        try:
            reply = wire.parse(mapping(loads(body), "body"))
        except (Malformed, VendorFault) as error:
            raise ProviderError(wires.fault(wire, error)) from None
        if leaving.same:
            self.seen.whole = Whole(200, headers_back(raw), body)
        return with_allowances(reply, raw.headers)

    async def _opened(self, raw: RawReply, leaving: Outgoing, wire: Wire) -> Reply | Opened:
        if leaving.same:
            self.seen.headers = headers_back(raw)
            passed = Passed(raw, wire)
            reply = await passed.opened()
            return Opened((), passed) if reply is None else reply
        reader = wire.reader()
        first: list[Event] = []
        rest = events_of(raw, wire, reader)
        async for events in rest:
            first += events
            if any(map(says_something, events)):
                raw.said()
                ended = [first.pop()] if isinstance(first[-1], Done) else []
                return Opened((), Told(first, _after(ended, rest, raw), lambda: _so_far(reader.end())))
        return _finished(first)

    async def _by_plugin(self, call: Call) -> Result:
        """By the plugin's own code: the sandbox, a command, a third party's."""
        plugin: Plugin = self.plugins(call)
        if (warm := getattr(plugin, "warm", None)) is not None:
            await asyncio.to_thread(warm)
        if not call.stream:
            return await plugin.asend(call.target, call.request, call.permit)
        said = Assembly(call.target.model)
        first: list[Event] = []
        events = plugin.astream(call.target, call.request, call.permit)
        async for event in events:
            first.append(event)
            if says_something(event):
                said.add(first)
                rest = _singly(events, said)
                return Opened((), Told(first, rest, lambda: said.reply(StopReason.TRUNCATED, Usage())))
        return _finished(first)


def _without(key: str | None, body: bytes) -> bytes:
    return body.replace(key.encode(), HIDDEN.encode()) if key else body


def headers_back(raw: RawReply) -> Headers:
    """The vendor's headers as they go back to the client."""
    kept_back = HOP | _OF_ITS_SITE
    return tuple((k.lower(), v) for k, v in raw.headers.items() if k.lower() not in kept_back)


def _in_one_piece(raw: RawReply) -> bool:
    """Whether a server that was asked for a stream answers without one."""
    return raw.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def _after(ended: list[Event], rest: AsyncIterator[list[Event]], raw: RawReply) -> AsyncIterator[list[Event]]:
    """`rest`, unless the piece that committed the stream also ended it."""
    if ended:
        yield ended
        await raw.rest()
        return
    async for events in rest:
        yield events


async def _singly(events: AsyncIterator[Event], said: Assembly) -> AsyncIterator[list[Event]]:
    try:
        async for event in events:
            if not isinstance(event, Done):
                said.add([event])
            yield [event]
    finally:
        aclose: Any = getattr(events, "aclose", None)
        if aclose is not None:
            await aclose()


def _finished(events: list[Event]) -> Reply:
    """The reply of a stream that ended before it said anything."""
    last = events[-1] if events else None
    if isinstance(last, Done) and last.reply.stop is not StopReason.TRUNCATED:
        return last.reply
    raise ProviderError(Failure(Outcome.BAD_CONTENT, "the stream ended without its terminal event", code="cut_off"))


def _so_far(events: list[Event]) -> Reply:
    last = events[-1] if events else None
    return last.reply if isinstance(last, Done) else Reply((), "", StopReason.TRUNCATED)
