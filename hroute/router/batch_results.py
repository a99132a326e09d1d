"""The results of a batch: a file that grows by one whole line a result, survives any death, and ends in the asked order.

While a batch runs, results are appended as they come, so that a kill costs nothing that was paid for. At the end the file
is put in the order of the input, and what a retry has replaced is left out: written beside it and renamed over it.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from hroute.errors import UsageError
from hroute.wire.fields import dumps

_HEAD: Final = b'{"id":'
"""How every line of ours begins: by it the torn half of one is known."""
_CHUNK: Final = 1 << 20


class Results:
    """The results file of a batch whose lines are called `names`, alone among all processes until `close`.

    A torn last line is mended at once. Raises UsageError where the file cannot be written, another batch writes to it,
    or it holds anything but results of this batch: nothing of it is touched then.
    """

    def __init__(self, path: str, names: Mapping[str, int]) -> None:
        self.path = path
        self._real = os.path.realpath(path)
        self._names = names
        self._places: dict[str, tuple[int, int]] = {}
        self._answered: set[str] = set()
        self._surplus = False
        try:
            self._file = _locked(self._real)
        except OSError as error:
            raise UsageError(f"`{path}` cannot be written: {error.strerror}") from None
        try:
            self._size = self._read()
        except BaseException:
            os.close(self._file)
            raise

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The results, each name's last one."""
        for offset, length in self._places.values():
            row: dict[str, Any] = json.loads(os.pread(self._file, length, offset))
            yield row

    def answered(self, name: str) -> bool:
        """Whether the line of that name has an answer."""
        return name in self._answered

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one result, whole or not at all. Raises OSError."""
        line = (dumps(row) + "\n").encode()
        try:
            _write_all(self._file, line)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._note(row, self._size, len(line))
        self._size += len(line)

    def settle(self, order: Iterable[str] | None) -> None:
        """Leave one line a name, in the order of `order` (None: as they came). Raises OSError; the file is then as it was."""
        names = [n for n in order if n in self._places] if order is not None else list(self._places)
        wanted = [self._places[n] for n in names]
        if not self._surplus and all(a < b for a, b in pairwise(wanted)):
            os.fsync(self._file)
            return
        part = f"{self._real}.part"
        if os.path.lexists(part):
            os.unlink(part)
        copy = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(copy, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._copy(wanted, copy)
            os.fchmod(copy, stat.S_IMODE(os.fstat(self._file).st_mode))
            os.fsync(copy)
            os.replace(part, self._real)
        except BaseException:
            os.close(copy)
            os.unlink(part)
            raise
        os.close(self._file)
        self._file, self._surplus = copy, False
        self._renumber(names)

    def close(self) -> None:
        os.close(self._file)

    def _copy(self, places: Iterable[tuple[int, int]], to: int) -> None:
        held: list[bytes] = []
        size = 0
        for offset, length in places:
            held.append(os.pread(self._file, length, offset))
            size += length
            if size > _CHUNK:
                _write_all(to, b"".join(held))
                held, size = [], 0
        _write_all(to, b"".join(held))

    def _renumber(self, names: Iterable[str]) -> None:
        offset, places = 0, {}
        for name in names:
            length = self._places[name][1]
            places[name] = (offset, length)
            offset += length
        self._places, self._size = places, offset

    def _read(self) -> int:
        """Take stock of what is there; the size of the file once a torn last line is mended."""
        offset = 0
        with os.fdopen(os.dup(self._file), "rb") as stream:
            for number, line in enumerate(stream, 1):
                row, whole = _row(line), line.endswith(b"\n")
                if row is None and not whole and _ours(line):
                    break
                if row is None or row["id"] not in self._names:
                    what = "is no result of a batch" if row is None else "belongs to another batch"
                    raise UsageError(
                        f"`{self.path}`: line {number} {what}; nothing was changed", help="choose another file by -o"
                    )
                self._note(row, offset, len(line) + (not whole))
                offset += len(line) + (not whole)
                if not whole:
                    _write_all(self._file, b"\n")  # all but its end was written
                    break
        os.ftruncate(self._file, offset)
        return offset

    def _note(self, row: Mapping[str, Any], offset: int, length: int) -> None:
        name = row["id"]
        self._surplus |= name in self._places
        self._places.pop(name, None)  # the last one counts, and stands where it came
        self._places[name] = (offset, length)
        (self._answered.add if row.get("outcome") == "ok" else self._answered.discard)(name)


def _locked(path: str) -> int:
    """The file, opened to append, and locked; the one that bears the name, should it be renamed meanwhile."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(
                    f"`{path}` is no file", help="results are kept in a file, so that a batch can be resumed"
                )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"another batch is writing to `{path}`") from None
            if os.path.samestat(found, os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("id"), str) and "outcome" in row else None


def _ours(line: bytes) -> bool:
    """Whether a line without an end is the beginning of one of ours."""
    return line[: len(_HEAD)] == _HEAD[: len(line)]


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
