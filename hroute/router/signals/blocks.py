"""Everything that would be sent, as blocks of text, and what scanners said about each, kept by the block's hash.

A block is one part of a message, the system text, a file, a tool call, a tool's schema. A long conversation is scanned
once: its earlier blocks are known by their hash, only the new tail is read again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

from hroute.router.signals.scanner import Place
from hroute.terms.message import Message, Part, Request, Text, Thinking, ToolResult, ToolUse, Unread
from hroute.terms.pattern import encode

Where = Literal["user", "tool", "context", "system"]


@dataclass(frozen=True, slots=True)
class Block:
    """One text that would be sent. `schema` is a description of tools or of an answer's form: read for secrets only.

    `unread` marks a part that no detector can read (its `text` is its name or address).
    """

    where: Where
    text: str
    schema: bool = False
    unread: bool = False


def blocks(request: Request) -> Iterator[Block]:
    """Every block of `request`, in the order of sending; nothing is left out and nothing is cut."""
    if request.system:
        yield Block("system", request.system)
    for tool in request.tools:
        yield Block("tool", f"{tool.name}\n{tool.description}\n{leaves(tool.schema)}", schema=True)
    if request.json_schema:
        yield Block("system", leaves(request.json_schema), schema=True)
    for name, text in request.files:
        yield Block("context", name)
        yield Block("context", text)
    for message in request.messages:
        for part in message.parts:
            yield _block(message, part)
    if request.params:
        yield Block("context", leaves(request.params))


def _block(message: Message, part: Part) -> Block:
    where: Where = "context" if message.context or message.role == "assistant" else "user"
    if message.role == "system":
        where = "system"
    match part:
        case Text(text) | Thinking(text):
            return Block(where, text)
        case ToolUse():
            return Block("tool", f"{part.name}\n{leaves(part.input)}")
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
        if isinstance(node, Mapping):
            stack.extend((str(name), item) for name, item in reversed(list(node.items())))
        elif isinstance(node, Sequence) and not isinstance(node, (str, bytes)):
            stack.extend((key, item) for item in reversed(node))
        elif node is not None and not isinstance(node, bool):
            lines.append(f"{key}: {node}" if key else str(node))
        elif key:
            lines.append(key)
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scanner said of one block; None: it failed, which counts as found."""

    places: tuple[Place, ...] | None


class BlockCache:
    """Scans by the hash of scanner and block, the least recently used dropped first. Holds no text. Thread-safe."""

    def __init__(self, most: int = 8_192) -> None:
        self._most = most
        self._scans: OrderedDict[bytes, Scan] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._scans)

    def scan(self, version: str, text: str, scanner: Callable[[str], tuple[Place, ...]]) -> Scan:
        """What `scanner` (of that `version`) says about `text`: remembered, or asked now. A failure is not kept."""
        if len(text) < _SHORT:
            return scanned(text, scanner)
        key = blake2b(encode(text), digest_size=16, person=version_mark(version)).digest()
        with self._lock:
            known = self._scans.get(key)
            if known is not None:
                self._scans.move_to_end(key)
                return known
        scan = scanned(text, scanner)
        if scan.places is not None:
            with self._lock:
                self._scans[key] = scan
                while len(self._scans) > self._most:
                    self._scans.popitem(last=False)
        return scan


_SHORT: Final = 200  # scanning so little costs less than hashing and looking it up


def version_mark(version: str) -> bytes:
    """A version as sixteen bytes that set one scanner's keys apart from another's."""
    return blake2b(version.encode(), digest_size=16).digest()


def scanned(text: str, scanner: Callable[[str], tuple[Place, ...]]) -> Scan:
    """Asks `scanner`. Whatever it raises is a failure that counts as found; its message may quote the text and is dropped."""
    try:
        return Scan(scanner(text))
    except Exception:
        return Scan(None)
