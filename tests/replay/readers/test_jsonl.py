"""JSON Lines: streamed, bounded, and no line is fatal."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.errors import UsageError
from hroute.replay.readers import jsonl
from hroute.replay.rows import BadLine, Row

SECRET = "sk-live-0123456789"


def read(data: bytes) -> list[Row | BadLine]:
    return list(jsonl.rows(io.BytesIO(data), "log.jsonl"))


def ids(found: list[Row | BadLine]) -> list[str]:
    return [item.id for item in found if isinstance(item, Row)]


def test_lines_are_rows_and_blank_lines_are_nothing() -> None:
    assert ids(read(b'{"id":"a"}\n\n  \r\n{"id":"b"}\r\n{"id":"c"}')) == ["a", "b", "c"]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert ids(read(b'\xef\xbb\xbf{"id":"a"}\n')) == ["a"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": ' + SECRET.encode(), "not JSON"),
        (b'"%s"' % SECRET.encode(), "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b'{"id": "\xff"}', "not UTF-8 at byte 9"),
        (b'{"score": NaN}', "not JSON: NaN is no number"),
        (b'{"n": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"messages": [{"role": "user", "content": ' + b"[" * 300 + b"]" * 300 + b"}]}", "nested too deep"),
        (b'{"prompt": {"x": 1}}', "`prompt` is neither a text nor a list of messages"),
        (b'{"id": "a"}\x00', "not JSON"),
    ],
)
def test_a_bad_line_is_reported_with_place_and_reason_and_the_rest_goes_on(line: bytes, reason: str) -> None:
    first, bad, last = read(b'{"id":"a"}\n' + line + b'\n{"id":"b"}\n')
    assert isinstance(first, Row)
    assert isinstance(last, Row)
    assert isinstance(bad, BadLine)
    assert (bad.file, bad.number) == ("log.jsonl", 2)
    assert reason in bad.reason
    assert SECRET not in bad.reason


def test_as_deep_as_a_conversation_needs_is_not_too_deep() -> None:
    assert ids(read(b'{"id":"a","x":' + b"[" * 100 + b"]" * 100 + b"}")) == ["a"]
    assert ids(read(b'{"id":"a","x":[' + b"[]," * 500 + b"[]]}")) == ["a"]
    assert ids(read(b'{"id":"a","x":' + b"[" * 101 + b"]" * 101 + b"}")) == []


def test_an_endless_line_is_a_bad_line_and_is_never_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "LONGEST", 1000)
    longest = b'{"id":"%s"}' % (b"x" * 990)
    found = read(b'{"id":"a"}\n' + b"y" * 5_000_000 + b'\n{"id":"b"}\n' + longest + b"\n" + b"z" * 1001)
    assert [type(item) for item in found] == [Row, BadLine, Row, Row, BadLine]
    assert ids(found)[:2] == ["a", "b"]


class Endless(io.RawIOBase):
    """A stream that gives the letter x, `left` times."""

    def __init__(self, left: int) -> None:
        self.left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self.left)
        buffer[:count] = b"x" * count
        self.left -= count
        return count


def test_memory_stays_flat_over_a_line_without_an_end() -> None:
    tracemalloc.start()
    found = list(jsonl.rows(io.BufferedReader(Endless(120_000_000)), "log.jsonl"))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(item) for item in found] == [BadLine]
    assert peak < 3 * jsonl.LONGEST


def test_several_files_are_one_log_and_gz_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id":"a"}\n')
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"id":"b"}\n'))
    log = jsonl.Log([tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"])
    assert ids(list(log)) == ["a", "b"]
    assert log.position == log.size


def test_a_torn_archive_gives_what_it_holds_and_one_bad_line(tmp_path: Path) -> None:
    lines = b"".join(b'{"id":"%d","prompt":"%x"}\n' % (n, n * 7919) for n in range(5000))
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(lines)[:-2000])
    found = list(jsonl.Log([torn]))
    assert isinstance(found[-1], BadLine)
    assert len(found) > 10
    assert all(isinstance(item, Row) for item in found[:-1])


def test_standard_input_is_a_log() -> None:
    log = jsonl.Log(["-"], stdin=io.BytesIO(b'{"id":"a"}\n'))
    assert log.size is None
    assert ids(list(log)) == ["a"]


def test_a_file_that_is_not_there_is_a_usage_error_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no log at"):
        jsonl.Log([tmp_path / "none.jsonl"])


def test_columns_are_mapped(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    log.write_text(json.dumps({"request": "a"}) + "\n")
    assert ids(list(jsonl.Log([log], {"id": "request"}))) == ["a"]


def test_rows_come_one_by_one() -> None:
    def lines() -> Iterator[bytes]:
        yield b'{"id":"a"}\n'
        raise AssertionError("read ahead")

    class OneByOne:
        def __init__(self) -> None:
            self.lines = lines()

        def readline(self, limit: int) -> bytes:
            return next(self.lines)

    first = next(iter(jsonl.rows(OneByOne(), "log")))  # type: ignore[arg-type]
    assert isinstance(first, Row)
