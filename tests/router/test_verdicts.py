"""`reply.rate()`: what a program says of an answer stands beside its row, and holds nothing that must not be kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.errors import UsageError
from hroute.ledger import report
from hroute.ledger.ledger import Ledger, at
from hroute.router import verdicts
from hroute.router.client import AsyncClient, Client
from tests.router.stage import KEYED, FakePlugin, policy, provider, rule, said

POLICY = policy([provider("first")], rule(["first"]))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = at(str(tmp_path / "ledger.db"), key_file=str(tmp_path / "key"))
    yield made
    made.close()


def client(books: Ledger | bool) -> Client:
    plugin = FakePlugin({"first": [said("hello")] * 9})
    return Client.from_policy(
        policy=POLICY, environ=KEYED, ledger=books, load=lambda _: plugin, facts=lambda _: plugin.capabilities
    )


def feedback(books: Ledger, id: str) -> list[tuple[str, str]]:
    assert books.flush()
    with books.read() as view:
        found = report.whole(view, id)
    assert found is not None
    return [(one["verdict"], one["note"]) for one in found["feedback"]]


def test_an_answer_is_rated_and_the_last_word_counts(books: Ledger) -> None:
    answer = client(books).complete("hello")
    answer.rate("good")
    assert feedback(books, answer.id) == [("good", "")]
    answer.rate("bad", note="it made that up")
    assert feedback(books, answer.id) == [("bad", "it made that up")]


def test_a_stream_and_an_event_loop_have_answers_to_rate_too(books: Ledger) -> None:
    stream = client(books).stream("hello")
    list(stream)
    stream.answer.rate("bad")
    assert feedback(books, stream.answer.id) == [("bad", "")]

    async def work() -> str:
        answer = await AsyncClient(client(books).engine).complete("hello")
        answer.rate("good")
        return answer.id

    assert feedback(books, asyncio.run(work())) == [("good", "")]


@pytest.mark.parametrize(
    ("word", "note"),
    [
        ("fine", ""),
        ("bad", "my card is 4111 1111 1111 1111"),
        ("bad", "mail me: jane.doe@example.org"),
        ("good", "key " + "sk-ant-" + "api03-" + "aB3xQ9zT" * 8),
        ("good", "x" * 1_001),
    ],
)
def test_no_verdict_and_no_note_with_personal_data_is_kept(books: Ledger, word: str, note: str) -> None:
    answer = client(books).complete("hello")
    with pytest.raises(UsageError) as error:
        answer.rate(word, note)  # type: ignore[arg-type]
    assert "4111" not in str(error.value)
    assert feedback(books, answer.id) == []


def test_without_a_ledger_nothing_can_be_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no ledger"):
        client(False).complete("hello").rate("good")


def test_a_note_is_one_that_every_database_takes() -> None:
    assert verdicts.verdict("a", "good", "half \ud83d and a \0").note == "half ? and a "
