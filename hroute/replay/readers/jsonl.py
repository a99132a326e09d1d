"""JSON Lines: one object a line, streamed, with every bad line counted and none fatal."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from hroute.errors import UsageError
from hroute.replay.rows import BadLine, NotARow, Row, row_from

LONGEST: Final = 16 * 1024 * 1024
"""Bytes of the longest line that is read; a longer one is a bad line and is skipped without being held."""

DEEPEST: Final = 100
"""Arrays and objects inside one another, as in a policy."""

STDIN: Final = "-"
_BOM: Final = b"\xef\xbb\xbf"
_CHUNK: Final = 1024 * 1024


class Log:
    """The rows of one or several files in order, `-` for standard input; names that end in `.gz` are unpacked.

    `size` is what there is to read in bytes (None: not known), `position` how far an iteration has come. Iterating
    yields a Row or a BadLine for every line that is not blank, and holds one line at a time.
    """

    format = "JSONL"

    def __init__(
        self, paths: Sequence[str | Path], columns: Mapping[str, str] | None = None, *, stdin: BinaryIO | None = None
    ) -> None:
        self.paths = [str(path) for path in paths]
        self.columns = columns
        self.stdin = stdin
        self.position = 0
        self._done = 0
        self._raw: BinaryIO | None = None
        self.size = self._measure()

    def __iter__(self) -> Iterator[Row | BadLine]:
        for path, stream in self.streams():
            for row in rows(stream, path, self.columns):
                self.reached()
                yield row

    def streams(self) -> Iterator[tuple[str, BinaryIO]]:
        """Each file with its bytes, unpacked, one open at a time."""
        self._done, self._raw = 0, None
        for path in self.paths:
            raw = self._open(path)
            packed = path.endswith(".gz")
            with nullcontext(raw) if path == STDIN else raw:
                self._raw = raw if path != STDIN and raw.seekable() else None
                yield path, gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[misc]
                self.reached()
            self._done, self._raw = self.position, None

    def reached(self) -> None:
        """Note how far the file that is open has been read."""
        if self._raw is not None:
            self.position = self._done + self._raw.tell()

    def _measure(self) -> int | None:
        """The sum of the files' sizes. Raises UsageError for a file that is not there."""
        total = 0
        for path in self.paths:
            if path == STDIN:
                return None
            try:
                status = Path(path).stat()
            except (OSError, ValueError):
                raise UsageError(
                    f"there is no log at {path}", help="give a JSONL file, or - for standard input"
                ) from None
            if not Path(path).is_file():
                return None
            total += status.st_size
        return total

    def _open(self, path: str) -> BinaryIO:
        if path == STDIN:
            return self.stdin if self.stdin is not None else sys.stdin.buffer
        try:
            return open(path, "rb", buffering=_CHUNK)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def rows(stream: BinaryIO, name: str, columns: Mapping[str, str] | None = None) -> Iterator[Row | BadLine]:
    """The rows of one open stream; `name` is what bad lines are reported under."""
    for entry in objects(stream, name):
        if isinstance(entry, BadLine):
            yield entry
            continue
        number, found = entry
        try:
            yield row_from(found, number, columns)
        except NotARow as error:
            yield BadLine(name, number, str(error))


def objects(stream: BinaryIO, name: str) -> Iterator[tuple[int, dict[str, Any]] | BadLine]:
    """The JSON object of each line that is not blank, with the line's number."""
    for number, line in _lines(stream):
        if isinstance(line, str):
            yield BadLine(name, number, line)
            continue
        if number == 1 and line.startswith(_BOM):
            line = line[3:]
        if not line.strip():
            continue
        try:
            yield number, _object(line)
        except NotARow as error:
            yield BadLine(name, number, str(error))


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | str]]:
    """Each line with its number; a reason in place of a line that cannot be held, and of the rest of a torn file."""
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(LONGEST + 1)
            if not line:
                return
            if len(line) > LONGEST and not line.endswith(b"\n"):
                _skip(stream)
                yield number, f"longer than {LONGEST // 1024 // 1024} MiB"
                continue
        except (EOFError, zlib.error, OSError):
            yield number, "the file breaks off here: what follows cannot be read"
            return
        yield number, line


def _skip(stream: BinaryIO) -> None:
    """On to the end of the line."""
    while (piece := stream.readline(_CHUNK)) and not piece.endswith(b"\n"):
        pass


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise NotARow(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise NotARow(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise NotARow("nested too deep") from None
    except ValueError as error:
        raise NotARow(str(error) if isinstance(error, NotARow) else "not JSON: a number with too many digits") from None
    if not isinstance(value, dict):
        raise NotARow("not a JSON object")
    if line.count(b"{") + line.count(b"[") > DEEPEST and _deeper_than(DEEPEST, value):
        raise NotARow("nested too deep")
    return value


def _deeper_than(depth: int, value: Any) -> bool:
    """Whether arrays and objects nest deeper, without recursing into them."""
    level: list[Any] = [value]
    while level and depth >= 0:
        depth -= 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    return bool(level)


def _no_constant(name: str) -> NoReturn:
    raise NotARow(f"not JSON: {name} is no number")
