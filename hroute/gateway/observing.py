"""Observing: a request goes where it went before, byte for byte, and only the decision is written down.

Where it went before is the baseline, where that speaks the client's dialect, else the vendor whose dialect it is. The
client's credentials go with it, nothing is retried, and the answer is the upstream's own, errors and breaks included.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hroute.gateway.asked import Asked
from hroute.gateway.doors import DOORS
from hroute.gateway.outgoing import INSTANCE, REQUESTED, passed_on
from hroute.gateway.passing import MATTERS, Frames, Write
from hroute.gateway.upstream import HOP, Seen, Whole
from hroute.providers import registry, wires
from hroute.providers.forward import Forwarder, Headers, RawCall, RawReply
from hroute.providers.protocol import ProviderError, Target
from hroute.providers.stainless import NO_END
from hroute.providers.wires import Wire
from hroute.router.attempts import Broken, Call, Opened, Result
from hroute.router.plan import Candidate
from hroute.router.stream import failure_of
from hroute.schema.policy import Policy, Provider
from hroute.terms import locality
from hroute.terms.message import Done, Reply, StopReason
from hroute.terms.secret import resolve
from hroute.wire.fields import Malformed, VendorFault, loads, mapping

CONNECT, SILENCE, TOTAL = 15.0, 900.0, 3600.0
"""Seconds. A client has its own patience: ours only keeps connections from staying for ever."""


def watching(policy: Policy) -> Policy:
    """`policy` as it only observes: a provider for everything that a client may ask its vendor for is in it."""
    vendors = {door.vendor for door in DOORS.values()}
    known = {p.plugin for p in policy.providers.values() if p.model == REQUESTED}
    added = {f"requested_{v}": Provider(f"requested_{v}", v, REQUESTED, catalogued=True) for v in vendors - known}
    return replace(policy, mode="observe", providers={**policy.providers, **added})


def before(policy: Policy, vendor: str, model: str, environ: Mapping[str, str]) -> Candidate:
    """Where a request to `vendor` for `model` went before, under a policy that `watching` made."""
    base = policy.providers.get(policy.baseline or "")
    address = None
    if base is not None and base.plugin == vendor and base.base_url is not None:
        address = resolve(base.base_url, environ)
    address = address or registry.facts(vendor).default_base_url
    provider = _named(policy, vendor, model)
    target = Target(
        provider.name, model, address, connect=CONNECT, first_token=SILENCE, idle=SILENCE, total=TOTAL
    )  # no key: the client brings its own
    return Candidate(provider, target, locality.classify(address))


def raw_call(asked: RawAsked, target: Target, instance: str) -> RawCall:
    """The client's request as it is, under the address where it went before."""
    path = asked.path
    if asked.vendor == "openai":
        path = path.removeprefix("/v1")  # which stands in the addresses of this dialect
    sent = list(passed_on(asked.headers))
    if target.base_url != registry.facts(asked.vendor).default_base_url:
        passed = asked.headers.get(INSTANCE)
        sent.append((INSTANCE, f"{passed}, {instance}" if passed else instance))
    whole_path = f"{path}?{asked.query}" if asked.query else path
    return RawCall(whole_path, tuple(sent), asked.body, asked.method, stream=True)


@dataclass(frozen=True, slots=True)
class RawAsked:
    """A request of which only its bytes count."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    vendor: str


@dataclass(slots=True)
class PassingBy:
    """Makes the one call of an observed request."""

    asked: Asked
    forwarder: Forwarder
    instance: str
    transparent: bool = True
    seen: Seen = field(default_factory=Seen)
    _open: list[RawReply] = field(default_factory=list)

    async def send(self, call: Call) -> Result:
        """Pass the client's bytes on."""
        asked, door = self.asked, self.asked.door
        bytes_of_it = RawAsked("POST", asked.path, asked.query, asked.headers, asked.raw, door.vendor)
        wire = WIRES[door.dialect]
        try:
            made = raw_call(bytes_of_it, call.target, self.instance)
            raw = await self.forwarder.forward(call.target, made, call.permit)
            self._open.append(raw)
            self.seen = Seen(headers=as_it_is(raw), model=asked.model)
            if raw.status == 200 and asked.request.stream:
                raw.said()
                return Opened((), Copied(raw, wire))
            body = await raw.whole()
        except Exception as error:
            return failure_of(error)
        whole = Whole(raw.status, self.seen.headers, body)
        if raw.status != 200:
            self.seen.rejected = whole
            return wires.rejection(wire, raw.status, raw.headers, Unpacker(raw).feed(body))
        self.seen.whole = whole
        return _reply(wire, Unpacker(raw).feed(body), asked.model)

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


WIRES: Final[Mapping[str, Wire]] = {
    door.dialect: wire
    for door in DOORS.values()
    if (wire := wires.wire_of(door.vendor, Target("", ""), door.dialect)) is not None
}
"""How each vendor speaks in the dialect of its own door."""


class Copied:
    """A stream that is passed on in the pieces in which it came; a copy is looked at for how it ended."""

    def __init__(self, raw: RawReply, wire: Wire) -> None:
        self.reply: Reply | Broken = Broken(NO_END, Reply((), ""))
        self.told = self.cut = False
        self.last = b""
        self._raw = raw
        self._unpacker = Unpacker(raw)
        self._frames = Frames()
        self._matters = MATTERS[wire.dialect]
        self._reader = wire.reader()
        self._wire = wire
        self._done: Reply | None = None

    async def pieces(self, write: Write) -> AsyncIterator[bytes]:
        """All bytes as they came."""
        try:
            while chunk := await self._raw.chunk():
                yield chunk
                self._look(chunk)
            self.reply = self._ended()
        except ProviderError as error:
            self.cut = True
            self.reply = self._done or Broken(error.failure, Reply((), "", StopReason.TRUNCATED))

    def _look(self, chunk: bytes) -> None:
        """What cannot be read is passed on all the same."""
        try:
            frames = self._frames.feed(self._unpacker.feed(chunk))
            for frame in frames.split(b"\n\n") if self._matters(frames) else ():
                for event in self._reader.feed(frame + b"\n\n") if self._matters(frame) else ():
                    self._done = event.reply if isinstance(event, Done) else self._done
        except (Malformed, VendorFault):
            return

    def _ended(self) -> Reply | Broken:
        last = self._reader.end()[-1:] if self._done is None else []
        if last and isinstance(last[0], Done) and last[0].reply.stop is not StopReason.TRUNCATED:
            self._done = last[0].reply
        if self._done is None and self._unpacker.readable:
            self.told = True
            return Broken(NO_END, Reply((), "", StopReason.TRUNCATED))
        return self._done or Reply((), "")


class Unpacker:
    """The text of an answer that may be packed; nothing where it is packed in a way that cannot be read here."""

    def __init__(self, raw: RawReply) -> None:
        coding = raw.headers.get("content-encoding", "identity").strip().lower()
        self.readable = coding in ("identity", "", "gzip", "deflate")
        self._inflate: Any = zlib.decompressobj(zlib.MAX_WBITS | 32) if coding in ("gzip", "deflate") else None

    def feed(self, data: bytes) -> bytes:
        if self._inflate is None:
            return data if self.readable else b""
        try:
            unpacked: bytes = self._inflate.decompress(data)
        except zlib.error:
            self.readable = False
            return b""
        return unpacked


def as_it_is(raw: RawReply) -> Headers:
    """All headers of an answer that do not belong to its connection."""
    return tuple((name.lower(), value) for name, value in raw.headers.items() if name.lower() not in HOP)


def _reply(wire: Wire, body: bytes, model: str) -> Reply:
    """What can be read of an answer; it is passed on in any case."""
    try:
        return wire.parse(mapping(loads(body), "body"))
    except (Malformed, VendorFault):
        return Reply((), model)


def _named(policy: Policy, vendor: str, model: str) -> Provider:
    """The provider of the policy that is this model, so that its price is known; else the one that is any."""
    mine = [p for p in policy.providers.values() if p.plugin == vendor and not p.local]
    exactly = next((p for p in mine if p.model == model), None)
    return exactly or next(p for p in mine if p.model == REQUESTED)
