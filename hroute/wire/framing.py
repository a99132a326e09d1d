"""Frames on the wire: server-sent events and lines of JSON, written, and read from chunks cut anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hroute.wire.fields import Malformed, dumps, loads

LIMIT: Final = 16 << 20
"""Bytes that one frame may have; more is a fault of the sender, not something to hold in memory."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event: its name ("" where none was given) and its data."""

    event: str
    data: str


def sse(data: str, event: str = "") -> bytes:
    """One server-sent event. A line end inside `data` starts a new data line, as the standard wants it."""
    lines = [f"event: {event}"] if event else []
    lines += [f"data: {line}" for line in _lines(data)]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


def ndjson(value: object) -> bytes:
    """One line of JSON."""
    return (dumps(value) + "\n").encode()


class SseReader:
    """Server-sent events from a stream of chunks (WHATWG HTML, 9.2); an event that never ends is dropped."""

    def __init__(self) -> None:
        self._lines = _LineReader(carriage_returns=True)
        self._event = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that `chunk` completes. Raises Malformed where one exceeds LIMIT."""
        found = []
        for line in self._lines.feed(chunk):
            if line:
                self._take(line)
            elif self._data:
                found.append(ServerEvent(self._event, "\n".join(self._data)))
            if not line:
                self._event, self._data, self._size = "", [], 0
        return found

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._size += len(value)
            if self._size > LIMIT:
                raise Malformed("an event of the stream is too large")
            self._data.append(value)


class NdjsonReader:
    """Lines of JSON from a stream of chunks; `end` reads a last line that has no line end."""

    def __init__(self) -> None:
        self._lines = _LineReader(carriage_returns=False)

    def feed(self, chunk: bytes) -> list[Mapping[str, Any]]:
        """The objects that `chunk` completes. Raises Malformed where a line is not a JSON object."""
        return [_object(line) for line in self._lines.feed(chunk) if line.strip()]

    def end(self) -> list[Mapping[str, Any]]:
        """What is left. A line that was cut off is no object: it is dropped."""
        try:
            return [_object(line) for line in self._lines.feed(b"\n") if line.strip()]
        except Malformed:
            return []


class _LineReader:
    """Whole lines from chunks. With `carriage_returns` CR, LF and CRLF end a line, else LF alone."""

    def __init__(self, *, carriage_returns: bool) -> None:
        self._returns = carriage_returns
        self._rest: list[bytes] = []
        self._size = 0
        self._after_return = False
        self._first = True

    def feed(self, chunk: bytes) -> list[str]:
        if self._returns:
            if self._after_return and chunk:
                chunk = chunk.removeprefix(b"\n")
                self._after_return = False
            self._after_return = self._after_return or chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = chunk.split(b"\n")
        lines = []
        for piece in whole:
            lines.append(self._text(b"".join([*self._rest, piece])))
            self._rest, self._size = [], 0
        self._rest.append(rest)
        self._size += len(rest)
        if self._size > LIMIT:
            raise Malformed("a line of the stream is too long")
        return lines

    def _text(self, line: bytes) -> str:
        text = line.decode("utf-8", "replace")
        if self._first:
            self._first = False
            text = text.removeprefix("\ufeff")
        return text


def _lines(data: str) -> list[str]:
    return data.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _object(line: str) -> Mapping[str, Any]:
    value = loads(line)
    if not isinstance(value, Mapping):
        raise Malformed("a line of the stream is not a JSON object")
    return value
