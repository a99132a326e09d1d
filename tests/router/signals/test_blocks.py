"""Everything that would be sent is a block, and a block that was scanned once is not scanned again."""

from __future__ import annotations

import threading

from hroute.router.signals.blocks import Block, BlockCache, blocks, leaves
from hroute.router.signals.scanner import Place
from hroute.terms.message import Message, Request, Text, Thinking, Tool, ToolResult, ToolUse, Unread

WHOLE = Request(
    messages=(
        Message("system", (Text("in-message system"),)),
        Message("user", (Text("first turn"), Unread("image", data="https://x/a.png", name="a.png"))),
        Message("assistant", (Thinking("thoughts"), ToolUse("1", "ls", {"path": "/home", "deep": [{"n": 7}]}))),
        Message("user", (ToolResult("1", "result"), Text("second turn"))),
        Message("user", (Text("document"),), context=True),
    ),
    system="system",
    files=(("name.txt", "file text"),),
    tools=(Tool("ls", "lists", {"type": "object", "default": "x"}),),
    json_schema={"title": "answer"},
    params={"user": "u-1"},
)


def test_everything_that_would_be_sent_is_a_block() -> None:
    assert [(b.where, b.text) for b in blocks(WHOLE) if not b.schema] == [
        ("system", "system"),
        ("context", "name.txt"),
        ("context", "file text"),
        ("system", "in-message system"),
        ("user", "first turn"),
        ("user", "a.png\nhttps://x/a.png"),
        ("context", "thoughts"),
        ("tool", "ls\npath: /home\nn: 7"),
        ("tool", "result"),
        ("user", "second turn"),
        ("context", "document"),
        ("context", "user: u-1"),
    ]


def test_tool_and_answer_schemas_are_marked_as_such() -> None:
    assert [b.text for b in blocks(WHOLE) if b.schema] == ["ls\nlists\ntype: object\ndefault: x", "title: answer"]


def test_parts_that_nobody_can_read_are_marked() -> None:
    assert [b.where for b in blocks(WHOLE) if b.unread] == ["user"]


def test_leaves_of_a_deep_value_are_found_without_recursion() -> None:
    value: object = "bottom"
    for _ in range(50_000):
        value = [value]
    assert leaves({"a": value}) == "a: bottom"


def block(text: str, value: object = None) -> Block:
    return Block("user", text, value)


class Counting:
    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, text: str) -> tuple[Place, ...]:
        self.read.append(text)
        return (Place("email", 0, 1),)


def test_a_block_is_scanned_once() -> None:
    cache, scanner = BlockCache(), Counting()
    first = cache.scan("v1", block("x" * 500), scanner)
    assert cache.scan("v1", block("x" * 500), scanner) == first
    assert len(scanner.read) == 1


def test_the_tokens_of_a_block_are_counted_once_and_as_without_a_cache() -> None:
    read: list[str] = []

    def estimate(text: str) -> int:
        read.append(text)
        return len(text)

    cache, schema = BlockCache(), {"type": "object"}
    for _ in range(3):
        assert cache.tokens("t1", block("x" * 500), estimate) == 500
        assert cache.tokens("t1", block("ls", schema), estimate) == len(block("ls", schema).text)
    assert len(read) == 2


def test_a_tool_is_known_by_its_value_and_read_once() -> None:
    cache, scanner = BlockCache(), Counting()
    for schema in (
        {"type": "object", "n": [1, 2.5, False, True]},
        {"type": "object", "n": [1, 2.5, False, True]},
        {"type": "object", "n": [1]},
    ):
        cache.scan("v1", block("ls", schema), scanner)
    assert scanner.read == ["ls\ntype: object\nn: 1\nn: 2.5\nn\nn", "ls\ntype: object\nn: 1"]


def test_values_that_cannot_be_packed_have_a_digest_too() -> None:
    deep: object = "bottom"
    for _ in range(5_000):
        deep = [deep]
    assert block("", deep).digest == block("", deep).digest
    assert (
        len({block("a", {"b": 1}).digest, block("a", {"b": 2}).digest, block("a").digest, block("", {"a": 1}).digest})
        == 4
    )


def test_another_scanner_reads_it_again() -> None:
    cache, scanner = BlockCache(), Counting()
    cache.scan("v1", block("x" * 500), scanner)
    cache.scan("v2", block("x" * 500), scanner)
    assert len(scanner.read) == 2


def test_the_cache_is_bounded_and_forgets_the_oldest() -> None:
    cache, scanner = BlockCache(most=2), Counting()
    for letter in "abca":
        cache.scan("v1", block(letter * 500), scanner)
    assert len(cache) == 2
    assert len(scanner.read) == 4


def test_a_failure_is_not_remembered() -> None:
    def failing(text: str) -> tuple[Place, ...]:
        raise RuntimeError(text)

    cache, scanner = BlockCache(), Counting()
    assert cache.scan("v1", block("x" * 500), failing).places is None
    assert cache.scan("v1", block("x" * 500), scanner).places == (Place("email", 0, 1),)


def test_the_cache_keeps_no_text() -> None:
    cache = BlockCache()
    cache.scan("v1", block("a canary " * 60), Counting())
    assert "canary" not in repr(cache.__dict__)


def test_threads_may_share_a_cache() -> None:
    cache, scanner = BlockCache(most=8), Counting()
    threads = [
        threading.Thread(target=lambda n=n: [cache.scan("v", block(str(n + i) * 300), scanner) for i in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 8
