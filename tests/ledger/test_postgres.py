"""The same ledger in PostgreSQL. HROUTE_TEST_POSTGRES names a database in which schemas may be made; else this is skipped."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from hroute.ledger import journal, rollup
from hroute.ledger.budgets import Denied
from hroute.ledger.ledger import Held, Ledger, at
from hroute.ledger.postgres import PostgresStore
from hroute.ledger.records import Document, Feedback
from hroute.ledger.store import StoreError, Trouble
from hroute.terms.usage import Usage
from tests.ledger.rows import DOLLAR, NOON, ask, attempt, claim, row, started
from tests.ledger.spender import by_threads

SERVER = os.environ.get("HROUTE_TEST_POSTGRES", "")

pytestmark = pytest.mark.skipif(not SERVER, reason="HROUTE_TEST_POSTGRES names no server")


@pytest.fixture
def url() -> Iterator[str]:
    psycopg = pytest.importorskip("psycopg")
    schema = f"test_{uuid4().hex}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    yield f"{SERVER}{'&' if '?' in SERVER else '?'}options=-csearch_path%3D{schema}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def books(url: str) -> Iterator[Ledger]:
    made = at(url)
    yield made
    made.close()


def test_rows_and_their_sums_are_written_once(books: Ledger) -> None:
    for n in range(300):
        books.append(row(f"{n % 200:03}", cost=None if n % 7 == 0 else n, session=f"s{n % 9}", ts=NOON + n * 4_000))
    books.append(row("two", tries=(attempt(outcome="bad_content"), attempt(usage=Usage(5, 6, 7, 8, 9, 3)))))
    books.append(Document("p1", "policy", "version: 1"))
    books.append(Feedback("two", NOON, "good", "me"))
    assert ask(books, "SELECT count(*) FROM request") == [(201,)]
    assert ask(books, "SELECT count(*) FROM follow_up")[0][0] > 0
    with books.read() as view:
        assert rollup.kept(view) == rollup.recomputed(view)
    assert books.answers("faq", "ollama", "llama3.1:8b").answers == 186


def test_a_budget_holds_among_threads_and_gateways(url: str) -> None:
    gateways = [at(url) for _ in range(3)]
    tallies = []
    threads = [threading.Thread(target=lambda b=b: tallies.append(by_threads(b, 8, 12))) for b in gateways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(b.flush(30) for b in gateways)
    spent, reserved = ask(gateways[0], "SELECT spent, reserved FROM counter")[0]
    assert (spent, reserved) == (sum(t.spent for t in tallies), 0)
    assert sum(t.denied for t in tallies) > 0
    assert spent <= DOLLAR + sum(t.excess for t in tallies)
    assert ask(gateways[0], "SELECT count(*) FROM alert")[0][0] in (1, 2)
    for b in gateways:
        b.close()


def test_the_dead_are_closed(books: Ledger) -> None:
    held = books.reserve(started("a"), [claim(7)])
    assert isinstance(held, Held)
    with books.store().write(5) as transaction:
        assert journal.close_lost(transaction, NOON * 2, 0) == 1
    assert ask(books, "SELECT state, cost FROM request") == [("unknown", 7)]
    books.append(row("a", cost=5))
    books.settle(held, 5)
    assert ask(books, "SELECT spent, reserved FROM counter") == [(5, 0)]
    with books.read() as view:
        assert rollup.kept(view) == rollup.recomputed(view)
    assert isinstance(books.reserve(started(), [claim(DOLLAR)]), Denied)


def test_a_row_that_does_not_fit_is_not_the_servers_fault(books: Ledger) -> None:
    for id in ("a", "\ud800", "nul\0", "b"):
        books.append(row(id))
    assert ask(books, "SELECT id FROM request ORDER BY id") == [("a",), ("b",)]
    assert books.state().lost == 2


def test_a_connection_that_broke_is_made_anew(books: Ledger) -> None:
    books.append(row("a"))
    assert books.flush()
    store = books.store()
    assert isinstance(store, PostgresStore)
    with store.write(5) as transaction:
        pid = transaction.run("SELECT pg_backend_pid()")[0][0]
    with store.read() as view:
        view.run("SELECT pg_terminate_backend(?)", (pid,))
    books.append(row("b"))
    for _ in range(20):
        if books.flush(1):
            break
    assert ask(books, "SELECT count(*) FROM request") == [(2,)]


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as raised:
        PostgresStore("postgresql://me:hunter2@127.0.0.1:1/none")
    assert raised.value.trouble is Trouble.UNREACHABLE
    assert "hunter2" not in str(raised.value)
