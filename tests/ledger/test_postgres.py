"""The same ledger in PostgreSQL. HROUTE_TEST_POSTGRES names a database in which schemas may be made; else this is skipped."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from hroute.ledger import bill, change, costs, holdout, journal, periods, reconcile, report, rollup
from hroute.ledger.budgets import Denied
from hroute.ledger.ledger import Held, Ledger, at
from hroute.ledger.postgres import PostgresStore
from hroute.ledger.records import Document, Feedback
from hroute.ledger.store import StoreError, Trouble
from hroute.ledger.vendor_exports import Export, Line
from hroute.terms.usage import Usage
from tests.ledger.rows import DOLLAR, NOON, ask, attempt, claim, row, started
from tests.ledger.rows import ledger as file_ledger
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
    assert books.answers("faq", "ollama", "llama3.1:8b").answers == 201


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


def test_reports_are_the_same_from_either_database(books: Ledger, tmp_path: Path) -> None:
    """Costs along every axis, holdouts, an export and alarms, over the same rows in a server and in a file."""
    beside = file_ledger(tmp_path)
    for made in (books, beside):
        fill(made)
    assert told(books) == told(beside)
    beside.close()


def fill(books: Ledger) -> None:
    hour = 3_600_000
    for since, every in ((NOON - 9 * 24 * hour, 50), (NOON - 6 * hour, 4)):
        for n in range(200):
            up = n % every == 0
            tries = (attempt(outcome="bad_content"), attempt()) if up else (attempt(),)
            books.append(
                row(
                    f"{since}-{n:03}", ts=since + n * 1_000, escalated=up, escalation="bad_content" if up else "",
                    tries=tries, score=n % 20 / 25, session=f"s{n % 90}", variant="holdout" if n % 90 < 40 else "",
                    cost=None if n == 3 else n, tenant=f"t{n % 3}", mode="observe" if n == 5 else "enforce",
                )
            )  # fmt: skip
    books.append(Feedback(f"{NOON - 6 * hour}-000", NOON, "bad", note="no"))
    assert books.flush(30)


def told(books: Ledger) -> dict[str, object]:
    export = Export("anthropic", "", (Line("2026-11-20", "llama3.1:8b", 1, None, 5),), 0, (), ())
    with books.read() as view:
        days = ("2026-11-01", "2026-11-30")
        return {
            "costs": [costs.costs(view, axis, *days) for axis in costs.AXES],
            "pairs": costs.costs(view, ("session", "hour"), *days, most=5),
            "would": costs.would(view, *days),
            "month": bill.month(view, NOON, "UTC"),
            "holdout": holdout.compare(view, periods.span("UTC", *days)),
            "alarms": change.alarms(view, NOON, thresholds=(0.35,)),
            "utc": reconcile.reconcile(view, export, "UTC"),
            "rows": reconcile.reconcile(view, export, "Asia/Kolkata"),
            "logs": [row["id"] for row in report.logs(view, most=5, ended=NOON - 10**9)],
            "refused": report.logs(view, where={"outcome": "refused"}),
            "pages": [row.get("feedback") for page in report.pages(view, beside=True) for row in page],
        }


def test_a_look_is_taken_once_an_hour_in_a_server_too(books: Ledger) -> None:
    fill(books)
    with books.store().write(5) as transaction:
        transaction.run("DELETE FROM done")
        transaction.run("DELETE FROM alarm")
        looked = change.look(transaction, NOON)
        assert [alarm.metric for alarm in change.tell(transaction, looked, NOON)] == ["escalated"]
        assert change.tell(transaction, looked, NOON) == []
