"""Frames survive being cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.wire.fields import Malformed
from hroute.wire.framing import LIMIT, NdjsonReader, ServerEvent, SseReader, ndjson, sse

STREAM = (
    "\ufeff: a comment\r\nevent: first\r\ndata: {\"a\": \"ä€😀\"}\r\n\r\n"
    "data: one\rdata:two\r\r"
    "id: 7\nretry: 10\nevent: third\ndata: x: y\n\n"
    "event: without data\n\n"
    "data\n\n"
    "data: never finished"
).encode()  # fmt: skip
EVENTS = [
    ServerEvent("first", '{"a": "ä€😀"}'),
    ServerEvent("", "one\ntwo"),
    ServerEvent("third", "x: y"),
    ServerEvent("", ""),
]


def test_events_are_the_same_wherever_one_cut_falls():
    for cut in range(len(STREAM) + 1):
        reader = SseReader()
        assert reader.feed(STREAM[:cut]) + reader.feed(STREAM[cut:]) == EVENTS


def test_events_are_the_same_byte_by_byte():
    reader = SseReader()
    assert [event for n in range(len(STREAM)) for event in reader.feed(STREAM[n : n + 1])] == EVENTS


@given(st.lists(st.tuples(st.text(), st.sampled_from(["", "delta", "message_stop"])), min_size=1), st.integers(1, 9))
def test_what_is_written_is_read_again(events, step):
    stream = b"".join(sse(data, name) for data, name in events)
    reader = SseReader()
    found = [e for n in range(0, len(stream), step) for e in reader.feed(stream[n : n + step])]
    lines = [data.replace("\r\n", "\n").replace("\r", "\n") for data, _ in events]
    expected = [
        ServerEvent(name, text.encode("utf-8", "replace").decode())
        for text, (_, name) in zip(lines, events, strict=True)
    ]
    assert found == expected


VALUE = st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))


@given(st.lists(VALUE), st.integers(1, 9))
def test_lines_of_json_are_the_same_wherever_they_are_cut(values, step):
    stream = b"".join(ndjson(value) for value in values)
    reader = NdjsonReader()
    assert [v for n in range(0, len(stream), step) for v in reader.feed(stream[n : n + step])] == values
    assert reader.end() == []


def test_a_last_line_without_its_end_is_read_and_a_torn_one_is_dropped():
    whole, torn = NdjsonReader(), NdjsonReader()
    assert whole.feed(b'{"a": 1}') == []
    assert whole.end() == [{"a": 1}]
    torn.feed(b'{"a": ')
    assert torn.end() == []


def test_a_line_that_is_no_object_is_malformed():
    for line in (b"[]\n", b"nonsense\n", b"[" * 100_000 + b"\n"):
        with pytest.raises(Malformed):
            NdjsonReader().feed(line)


def test_a_frame_without_end_is_not_held_for_ever():
    reader, piece = SseReader(), b"x" * (1 << 20)
    with pytest.raises(Malformed):  # noqa: PT012 - the limit falls somewhere in the loop
        for _ in range(LIMIT // len(piece) + 1):
            reader.feed(piece)
