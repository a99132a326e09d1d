"""Streams on their way to the client: passed on frame by frame as they came, or told anew in another dialect.

A stream in the client's own dialect is not decoded: only the frames that say how it began and how it ended are read.
Whole frames leave, never a part of one, so that an error can follow at any moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Protocol

from hroute.providers import wires
from hroute.providers.forward import RawReply
from hroute.providers.outcomes import with_allowances
from hroute.providers.protocol import ProviderError
from hroute.providers.stainless import NO_END, Reader
from hroute.providers.wires import Wire
from hroute.router.attempts import Broken
from hroute.router.stream import failure_of, says_something
from hroute.terms.message import Done, Event, Reply, StopReason
from hroute.terms.outcome import Failure
from hroute.wire.errors import Dialect
from hroute.wire.fields import Malformed, VendorFault, loads
from hroute.wire.framing import SseReader

LONGEST: Final = 16 << 20
"""Bytes that one frame may have."""


Write = Callable[[Event], bytes]
"""How an event reads in the client's dialect."""


class Stream(Protocol):
    """A stream that has begun. `reply` is how it ended, once its pieces are read; where it broke, `told` says that the
    client has had the vendor's own error, and `cut` that it is to see the connection break, as we did. `last` are the
    last frames that went out as they came."""

    reply: Reply | Broken
    told: bool
    cut: bool
    last: bytes

    def pieces(self, write: Write) -> AsyncIterator[bytes]: ...


class Passed:
    """A stream in the client's own dialect, as bytes. Whoever has it closes `raw` at the end."""

    def __init__(self, raw: RawReply, wire: Wire) -> None:
        self.raw = raw
        self.reply: Reply | Broken = Broken(NO_END, Reply((), ""))
        self.told = self.cut = False
        self.last = b""
        self._wire = wire
        self._matters = MATTERS[wire.dialect]
        self._reader = wire.reader()
        self._frames = Frames()
        self._held: list[bytes] = []
        self._done: Reply | None = None

    async def opened(self) -> Reply | None:
        """Read up to the commit point. The reply where the stream ended before it said anything, else None.

        Raises ProviderError.
        """
        whole = self._wire.reader()
        try:
            while chunk := await self.raw.chunk():
                frames = self._frames.feed(chunk)
                self._held.append(frames)
                self._look(frames)
                if any(says_something(event) for event in whole.feed(frames)):
                    self.raw.said()
                    return None
                if self._done is not None:
                    break
        except (Malformed, VendorFault) as error:
            raise ProviderError(wires.fault(self._wire, error)) from None
        return self._ended()

    async def pieces(self, write: Write) -> AsyncIterator[bytes]:
        """All frames as they came, each of them whole."""
        yield self._noted(b"".join(self._held))
        try:
            while self._done is None and (chunk := await self.raw.chunk()):
                frames = self._frames.feed(chunk)
                try:
                    self._look(frames)
                except VendorFault as fault:
                    self.told = True
                    yield frames
                    raise ProviderError(wires.fault(self._wire, fault)) from None
                if frames:
                    yield self._noted(frames)
            if self._done is not None:
                yield self._frames.feed(await self.raw.rest())
            elif last := self._last_frame():
                yield last
            self.reply = self._ended()
        except (Malformed, VendorFault) as error:
            self.reply = _broken(wires.fault(self._wire, error))
        except ProviderError as error:
            # once it has said its last word, how the connection ended is nobody's concern
            self.reply = self._done or _broken(error.failure)

    def _last_frame(self) -> bytes:
        """What a server has left out at the very end: the empty line after its last frame, or the frame that says so."""
        left = self._frames.rest.strip()
        frame = left + b"\n\n" if left else b""
        try:
            self._note(self._reader.feed(frame))
        except Malformed:
            frame = b""  # a part of a frame says nothing
        if self._done is not None:
            return frame
        self._ended()
        return frame + _TERMINATORS.get(self._wire.dialect, b"")

    def _noted(self, frames: bytes) -> bytes:
        if self._wire.dialect != "openai_responses" or b'"sequence_number"' in frames:
            self.last = frames
        return frames

    def _look(self, frames: bytes) -> None:
        """Read those of `frames` that say how the stream began or ended. Raises Malformed, VendorFault."""
        if self._done is not None:
            return
        if not _sound(frames):
            raise Malformed("an event of the stream is no object")
        for frame in frames.split(b"\n\n") if self._matters(frames) else ():
            if frame and self._matters(frame):
                self._note(self._reader.feed(frame + b"\n\n"))

    def _note(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Done) and event.reply.stop is not StopReason.TRUNCATED:
                self._done = with_allowances(event.reply, self.raw.headers)

    def _ended(self) -> Reply:
        if self._done is None:
            self._note(self._reader.end())
        if self._done is None:
            raise ProviderError(NO_END)
        return self._done


class Told:
    """A stream of another dialect, or of a plugin without a wire of its own, written anew.

    `first` are the events up to the commit point, `rest` what follows, those of one piece of the wire together; `partial`
    gives what was said so far.
    """

    def __init__(self, first: list[Event], rest: AsyncIterator[list[Event]], partial: Callable[[], Reply]) -> None:
        self.reply: Reply | Broken = Broken(NO_END, Reply((), ""))
        self.told = self.cut = False
        self.last = b""
        self._first = first
        self._rest = rest
        self._partial = partial

    async def pieces(self, write: Write) -> AsyncIterator[bytes]:
        """What `write` makes of the events, the last one among them; how it ended is in `reply` afterwards."""
        yield b"".join(map(write, self._first))
        try:
            async for events in self._rest:
                ended = events[-1] if events and isinstance(events[-1], Done) else None
                if ended is not None and ended.reply.stop is StopReason.TRUNCATED:
                    yield b"".join(map(write, events[:-1]))
                    break
                if piece := b"".join(map(write, events)):
                    yield piece
                if ended is not None:
                    self.reply = ended.reply
            if isinstance(self.reply, Broken):
                self.reply = Broken(NO_END, self._partial())
        except Exception as error:
            if isinstance(self.reply, Broken):
                self.reply = Broken(failure_of(error), self._partial())


async def events_of(raw: RawReply, wire: Wire, reader: Reader) -> AsyncIterator[list[Event]]:
    """What `reader` makes of a stream, piece by piece. Raises ProviderError where it breaks."""
    try:
        while chunk := await raw.chunk():
            if events := reader.feed(chunk):
                yield _credited(events, raw)
                if isinstance(events[-1], Done):
                    await raw.rest()
                    return
        yield _credited(reader.end(), raw)
    except (Malformed, VendorFault) as error:
        raise ProviderError(wires.fault(wire, error)) from None


def _credited(events: list[Event], raw: RawReply) -> list[Event]:
    last = events[-1] if events else None
    return [*events[:-1], Done(with_allowances(last.reply, raw.headers))] if isinstance(last, Done) else events


class Frames:
    """Whole frames of server-sent events out of chunks cut anywhere."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """What is whole now, the bytes as they came. Raises Malformed where one frame is too long."""
        data = self.rest + chunk if self.rest else chunk
        end = max(_after_last(data, mark) for mark in (_MARKS if b"\r" in data else _MARKS[:1]))
        self.rest = data[end:]
        if len(self.rest) > LONGEST:
            raise Malformed("a frame of the stream is too long")
        return data[:end]


def _sound(frames: bytes) -> bool:
    """Whether every frame holds an object, the mark of the end, or nothing: what a client could not read must not pass.
    A frame that ends like one is believed; the others are read."""
    if frames.count(b"\n\n") == frames.count(b"}\n\n") + frames.count(b"[DONE]\n\n"):
        return True
    return all(_readable(event.data) for event in SseReader().feed(frames))


def _readable(data: str) -> bool:
    try:
        return data.strip() in ("", "[DONE]") or isinstance(loads(data), Mapping)
    except Malformed:
        return False


_TERMINATORS: Final[Mapping[Dialect, bytes]] = dict.fromkeys(("openai_chat", "openai_completions"), b"data: [DONE]\n\n")
_MARKS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
"""Line ends of an empty line, which ends a frame."""


def _after_last(data: bytes, mark: bytes) -> int:
    at = data.rfind(mark)
    return 0 if at < 0 else at + len(mark)


def _broken(failure: Failure) -> Broken:
    return Broken(failure, Reply((), "", StopReason.TRUNCATED))


def _anthropic(frames: bytes) -> bool:
    plain = frames.replace(b'": "', b'":"')
    return b'"type":"message_' in plain or b'"type":"error"' in plain


def _chat(frames: bytes) -> bool:
    """Null fields stand in every chunk of some servers: only a value matters."""
    plain = frames.replace(b'": ', b'":')
    return b'"usage":{' in plain or b'"finish_reason":"' in plain or b"[DONE]" in plain or b'"error":' in plain


def _responses(frames: bytes) -> bool:
    plain = frames.replace(b'": "', b'":"')
    return any(b'"type":"' + kind in plain for kind in (b"response.c", b"response.incomplete", b"response.failed", b"error"))  # fmt: skip


MATTERS: Final[Mapping[Dialect, Callable[[bytes], bool]]] = {
    "anthropic": _anthropic,
    "openai_chat": _chat,
    "openai_completions": _chat,
    "openai_responses": _responses,
}
"""Whether frames may hold how a stream begins or ends; what is only talk need not be read."""
