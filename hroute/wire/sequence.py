"""Events of a reply <-> blocks in strict order: what the stream machines of all dialects share.

Vendors differ in how pieces may mix: OpenAI numbers tool calls and may send their fragments in any order, Anthropic
closes one block before it opens the next. `Blocks` turns any order of events into the strict one; `Assembly` adds
events up to the reply that they describe.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from hroute.terms.message import (
    Done,
    Event,
    Part,
    Reply,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolUse,
    ToolUseDelta,
)
from hroute.terms.usage import Usage
from hroute.wire.fields import dumps, tool_input

Kind = Literal["text", "thinking", "tool"]


@dataclass(slots=True)
class Block:
    """One part of a reply that is being written; `index` counts blocks, `pieces` is what was written so far."""

    index: int
    kind: Kind
    id: str = ""
    name: str = ""
    signature: str = ""
    redacted: bool = False
    sealed_by: str = ""
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def part(self) -> Part:
        if self.kind == "text":
            return Text(self.text)
        if self.kind == "thinking":
            return Thinking(self.text, self.signature or None, self.redacted, self.sealed_by)
        given, broken = tool_input(self.text)
        return ToolUse(self.id, self.name, given, broken)


@dataclass(frozen=True, slots=True)
class Opened:
    block: Block


@dataclass(frozen=True, slots=True)
class Grown:
    block: Block
    piece: str


@dataclass(frozen=True, slots=True)
class Closed:
    block: Block


Change = Opened | Grown | Closed


@dataclass(slots=True)
class _Call:
    """A tool call whose fragments arrive; `waiting` are those that its block has not got yet."""

    id: str = ""
    name: str = ""
    waiting: list[str] = field(default_factory=list)
    block: Block | None = None


@dataclass(slots=True)
class Blocks:
    """Events in, changes of strictly sequential blocks out. A tool call that starts while another is incomplete waits."""

    open: Block | None = None
    count: int = 0
    calls: dict[int, _Call] = field(default_factory=dict)

    def feed(self, event: Event) -> list[Change]:
        match event:
            case TextDelta(text):
                return [*self._into("text"), *self._grow(text)]
            case ThinkingDelta():
                return list(self._think(event))
            case ToolUseDelta():
                return list(self._call(event))
            case Done(reply):
                before = [] if self.count or not reply.parts else self._whole(reply)
                return [*before, *self._finish()]

    def _think(self, event: ThinkingDelta) -> Iterator[Change]:
        if event.redacted or (self.open is not None and self.open.redacted):
            yield from self._close()
        yield from self._into("thinking", redacted=event.redacted)
        yield from self._grow(event.text)
        if event.signature and self.open is not None:
            self.open.signature, self.open.sealed_by = event.signature, event.sealed_by
            yield from self._close()

    def _call(self, event: ToolUseDelta) -> Iterator[Change]:
        call = self.calls.setdefault(event.index, _Call())
        call.id, call.name = call.id or event.id, call.name or event.name
        call.waiting.append(event.json)
        busy = self.open is not None and self.open.kind == "tool" and self.open is not call.block
        if not busy or (self.open is not None and _complete(self.open.text)):
            yield from self._send(call)

    def _send(self, call: _Call) -> Iterator[Change]:
        if not call.name:
            return
        if call.block is None:
            yield from self._into("tool", call.id, call.name)
            call.block = self.open
        if call.block is self.open:
            yield from self._grow("".join(call.waiting))
            call.waiting.clear()

    def _into(self, kind: Kind, id: str = "", name: str = "", *, redacted: bool = False) -> Iterator[Change]:
        if self.open is not None and (self.open.kind != kind or kind == "tool"):
            yield from self._close()
        if self.open is None:
            self.open = Block(self.count, kind, id, name, redacted=redacted)
            self.count += 1
            yield Opened(self.open)

    def _grow(self, piece: str) -> Iterator[Change]:
        if piece and self.open is not None:
            self.open.pieces.append(piece)
            yield Grown(self.open, piece)

    def _close(self) -> Iterator[Change]:
        if self.open is not None:
            closed, self.open = self.open, None
            yield Closed(closed)

    def _finish(self) -> Iterator[Change]:
        yield from self._close()
        for index in sorted(self.calls):
            call = self.calls[index]
            if call.block is None and call.name:
                yield from self._send(call)
                yield from self._close()

    def _whole(self, reply: Reply) -> list[Change]:
        return [change for event in pieces(reply) for change in self.feed(event)]


@dataclass(slots=True)
class Assembly:
    """Adds events up. `reply` is what was said so far."""

    model: str = ""
    blocks: Blocks = field(default_factory=Blocks)
    closed: list[Block] = field(default_factory=list)

    def add(self, events: list[Event]) -> list[Event]:
        """Takes note of `events` and hands them back."""
        for event in events:
            self.closed += [c.block for c in self.blocks.feed(event) if isinstance(c, Closed)]
        return events

    def reply(self, stop: StopReason, usage: Usage, load_ms: float = 0.0) -> Reply:
        last = Done(Reply((), self.model))
        self.closed += [c.block for c in self.blocks.feed(last) if isinstance(c, Closed)]
        return Reply(tuple(block.part() for block in self.closed), self.model, stop, usage, load_ms)


def pieces(reply: Reply) -> Iterator[Event]:
    """A reply that came in one piece, as events without the last one."""
    calls = 0
    for part in reply.parts:
        match part:
            case Text(text) if text:
                yield TextDelta(text)
            case Thinking(text, signature, redacted, sealed_by):
                yield ThinkingDelta(text, signature or "", redacted, sealed_by)
            case ToolUse(id, name, given, broken):
                yield ToolUseDelta(calls, id, name, broken or dumps(given))
                calls += 1


def _complete(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
