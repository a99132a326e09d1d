"""Everything that would be sent, as blocks of text, and what scanners said about each, kept by the block's hash.

A block is one part of a message, the system text, a file, a tool call, a tool's schema. A long conversation is scanned
once: its earlier blocks are known by their hash, only the new tail is read again.
"""

from __future__ import annotations

import marshal
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from hroute.router.signals.scanner import Place
from hroute.terms.message import Message, Part, Request, Text, Thinking, ToolResult, ToolUse, Unread
from hroute.terms.pattern import encode

Where = Literal["user", "tool", "context", "system"]


class Block:
    """One text that would be sent: `head`, and the leaves of a JSON `value` below it.

    `schema` is a tool or an answer's form: its `value` is read for secrets, and for personal data without numbers.
    `unread` marks a part that no detector can read (its text is its name or address), `short` one that is read sooner
    than found in a cache. The leaves are written out only when somebody reads them: a conversation brings the same
    twenty tools with every turn.
    """

    __slots__ = ("_digest", "_text", "head", "notes", "schema", "short", "unread", "value", "where")

    def __init__(
        self, where: Where, head: str, value: Any = None, *, schema: bool = False, unread: bool = False
    ) -> None:
        self.where = where
        self.head = head
        self.value = value
        self.schema = schema
        self.unread = unread
        self.short = value is None and len(head) < _SHORT
        self.notes: dict[str, Any] | None = None
        self._text: str | None = head if value is None else None
        self._digest: bytes | None = None

    @property
    def result(self) -> bool:
        """Whether it is what a tool has answered."""
        return self.where == "tool" and self.value is None and not self.schema

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = f"{self.head}\n{leaves(self.value)}" if self.head else leaves(self.value)
        return self._text

    @property
    def digest(self) -> bytes:
        """What tells this block's text from every other. SHA-256, which processors have an instruction for."""
        if self._digest is None:
            data = encode(self.head)
            self._digest = sha256(data if self.value is None else b"%b\0%b" % (data, self._packed())).digest()
        return self._digest

    def _packed(self) -> bytes:
        try:
            return marshal.dumps(self.value, 2)  # version 2 writes the same value in the same bytes
        except ValueError:  # nested too deep, or no plain JSON
            return encode(self.text)


def blocks(request: Request) -> Iterator[Block]:
    """Every block of `request`, in the order of sending; nothing is left out and nothing is cut."""
    if request.system:
        yield Block("system", request.system)
    for tool in request.tools:
        yield Block("tool", f"{tool.name}\n{tool.description}", tool.schema, schema=True)
    if request.json_schema:
        yield Block("system", "", request.json_schema, schema=True)
    for name, text in request.files:
        yield Block("context", name)
        yield Block("context", text)
    for message in request.messages:
        for part in message.parts:
            yield _block(message, part)
    if request.params:
        yield Block("context", "", request.params)


class Sent:
    """The blocks of one request, made when they are first asked for; none where there is no text."""

    __slots__ = ("_blocks", "_request")

    def __init__(self, request: Request | None) -> None:
        self._request = request
        self._blocks: tuple[Block, ...] | None = None

    def blocks(self) -> tuple[Block, ...]:
        if self._blocks is None:
            self._blocks = tuple(blocks(self._request)) if self._request else ()
        return self._blocks


def _block(message: Message, part: Part) -> Block:
    where: Where = "context" if message.context or message.role == "assistant" else "user"
    if message.role == "system":
        where = "system"
    match part:
        case Text(text) | Thinking(text):
            return Block(where, text)
        case ToolUse():
            return Block("tool", part.name, part.input)
        case ToolResult():
            return Block("tool", part.content)
        case Unread():
            address = part.data if part.data[:8].lower().startswith(("http:", "https:", "file:")) else ""
            return Block(where, f"{part.name}\n{address}".strip(), unread=True)


def leaves(value: object) -> str:
    """The texts and numbers in a JSON value, one `key: value` a line, as they are and not as JSON escapes them."""
    lines: list[str] = []
    stack: list[tuple[str, object]] = [("", value)]
    while stack:
        key, node = stack.pop()
        if node is None or isinstance(node, bool):
            lines += [key] if key else []
        elif isinstance(node, (str, int, float)):  # before the abstract classes, which take long to say no
            lines.append(f"{key}: {node}" if key else str(node))
        elif isinstance(node, Mapping):
            lines += [key] if _says_something(key) else []
            stack.extend((str(name), item) for name, item in reversed(list(node.items())))
        elif isinstance(node, Sequence) and not isinstance(node, bytes):
            lines += [key] if not node and _says_something(key) else []
            stack.extend((key, item) for item in reversed(node))
        else:
            lines.append(f"{key}: {node}" if key else str(node))
    return "\n".join(lines)


def _says_something(key: str) -> bool:
    """Whether the name of an object is more than a word of a program: somebody's number or address may stand there."""
    return len(key) > 20 or not (key == "" or key.isidentifier())


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scanner said of one block; None: it failed, which counts as found."""

    places: tuple[Place, ...] | None


class BlockCache:
    """What was found out about blocks, by their hash, the least recently used forgotten first. Holds no text. Thread-safe."""

    def __init__(self, most: int = 8_192) -> None:
        self._most = most
        self._notes: OrderedDict[bytes, dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._notes)

    def scan(self, version: str, block: Block, scanner: Callable[[str], tuple[Place, ...]]) -> Scan:
        """What `scanner` (of that `version`) says about `block`: remembered, or asked now. A failure is not kept."""
        if block.short:
            return scanned(block.head, scanner)
        notes = block.notes or self._of(block)
        known: Scan | None = notes.get(version)
        if known is None:
            known = scanned(block.text, scanner)
            if known.places is not None:
                notes[version] = known
        return known

    def tokens(self, version: str, block: Block, estimate: Callable[[str], int]) -> int:
        """What `estimate` (of that `version`) says about `block`, in the same way."""
        if block.short:
            return estimate(block.head)
        notes = block.notes or self._of(block)
        known: int | None = notes.get(version)
        if known is None:
            known = notes[version] = estimate(block.text)
        return known

    def _of(self, block: Block) -> dict[str, Any]:
        """The notes on `block`; looked up once a request."""
        if block.notes is None:
            digest = block.digest
            with self._lock:
                block.notes = self._notes.setdefault(digest, {})
                self._notes.move_to_end(digest)
                if len(self._notes) > self._most:
                    self._notes.popitem(last=False)
        return block.notes


_SHORT: Final = 200  # scanning so little costs less than hashing and looking it up


def scanned(text: str, scanner: Callable[[str], tuple[Place, ...]]) -> Scan:
    """Asks `scanner`. Whatever it raises is a failure that counts as found; its message may quote the text and is dropped."""
    try:
        return Scan(scanner(text))
    except Exception:
        return Scan(None)
