"""What the books cost: a caller's CPU for a record, a reservation's wait, rows a second, a month's report over many rows.

Run: python -m bench.ledger [--rows 10000000] [--report] [--file /somewhere/big.db]
The reports are measured over a million rows unless told otherwise: ten million take a quarter of an hour to make on an
idle core, and 15 GB while they are made (8 GB afterwards).
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from unittest.mock import patch

from bench.figures import HEADER, Figure, whole
from hroute.ledger import change, costs, holdout, periods
from hroute.ledger.journal import ATTEMPT, REQUEST
from hroute.ledger.ledger import Held, Ledger, at
from hroute.ledger.records import AttemptRow, Claim, RequestRow, Started
from hroute.ledger.rollup import ATTEMPT_KEY, ATTEMPT_SUMS, HOUR_KEY, KEY, SUMS, recomputed
from hroute.router.bookkeeping import Books
from hroute.router.client import Client
from hroute.router.recording import Ended
from hroute.schema.load import load_text
from hroute.terms.ids import uuid7
from hroute.terms.usage import Usage

NOW = 1_795_176_000_000
FAR = 10**15
SECONDS = 5.0
POLICY = """\
version: 1
providers: {big: {plugin: sandbox, model: big-1, price: {input: 3, output: 15}}}
routing_rules: [{name: faq, condition: {intent: [faq]}, route_to: big}]
default: {route_to: big}
"""
MONTH = ("2026-10-21", "2026-11-20")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--file", type=Path, help="keep the rows there, or use those that are there")
    options.add_argument("--report", action="store_true", help="only the reports")
    given = options.parse_args()
    rows = given.rows
    with tempfile.TemporaryDirectory() as folder:
        print(HEADER)
        if given.report:
            reporting(given.file or Path(folder) / "d.db", rows)
            return
        recording(at(f"{folder}/a.db"))
        reserving(at(f"{folder}/b.db"))
        sustained(at(f"{folder}/c.db"))
        requests(f"{folder}/e.db")
        reporting(given.file or Path(folder) / "d.db", rows)


def row(number: int = 0) -> RequestRow:
    used = Usage(420, 176)
    return RequestRow(
        id=uuid7(),
        ts=NOW + number,
        outcome="ok",
        policy="0" * 64,
        rule=f"rule{number % 7}",
        routed_to="claude_sonnet",
        provider="claude_sonnet",
        model="claude-sonnet",
        session=f"{number % 5_000:032x}",
        intent="faq",
        score=0.2,
        confidence=0.9,
        latency_ms=1_200.0,
        usage=used,
        cost=3_900_000,
        tries=(AttemptRow("claude_sonnet", "claude-sonnet", "ok", 1_200.0, used, 3_900_000),),
        signals={"intent": ["faq"], "prompt_tokens": 420, "score": 0.2, "confidence": 0.9, "contains_pii": False},
        versions={"tokens": "tokens/1", "score": "score/1"},
    )


def recording(books: Ledger) -> None:
    """CPU of the calling thread alone; the writer's is not the caller's."""
    rounds = []
    for _ in range(9):
        made = [row(n) for n in range(2_000)]
        before = time.thread_time()
        for one in made:
            books.append(one)
        rounds.append((time.thread_time() - before) / len(made) * 1e6)
        books.flush(60)
    print(Figure(tuple(rounds)).line("recording, CPU of the caller", "us", "at most 50"))
    books.close()


def reserving(books: Ledger) -> None:
    claim = Claim("daily", "", 0, FAR, 1_000, FAR, FAR, (1_000_000,))
    rounds = []
    for _ in range(9):
        waits = []
        for _ in range(300):
            started = Started(uuid7(), NOW)
            before = time.perf_counter()
            held = books.reserve(started, [claim])
            waits.append(time.perf_counter() - before)
            assert isinstance(held, Held)
            books.settle(held, 900)
        rounds.append(median(waits) * 1e3)
        books.flush(60)
    print(Figure(tuple(rounds)).line("a reservation, p50 of 300", "ms", "at most 0.3"))
    books.close()


def sustained(books: Ledger) -> None:
    """Rows committed a second while four threads record as fast as the writer keeps up."""
    stop = time.perf_counter() + SECONDS
    counts = [0] * 4

    def work(number: int) -> None:
        while time.perf_counter() < stop:
            if books.state().waiting > 20_000:
                time.sleep(0.001)
                continue
            books.append(row(counts[number]))
            counts[number] += 1

    began = time.perf_counter()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert books.flush(120)
    rate = sum(counts) / (time.perf_counter() - began)
    print(f"  {'requests a second, with sums and follow-ups':<44} {rate:29,.0f}      at least 5,000")
    books.close()


def requests(path: str) -> None:
    """The same for requests as the engine hands them over: their rows are made on the writer's thread."""
    policy, _, _ = load_text(POLICY)
    assert policy is not None
    books = at(path, key_file=f"{path}.key")
    client = Client.from_policy(policy=policy, environ={}, ledger=books)
    kept: list[Ended] = []
    ours = client.engine.books
    assert ours is not None
    with patch.object(Books, "write", lambda _, ended: kept.append(ended)):
        for number in range(50):
            client.complete(f"why is the sky blue and the sea green, number {number}?", session=f"s{number}")
    rounds, rates, busy = [], [], []
    for _ in range(5):
        fresh = [replace(one, asking=replace(one.asking, id=uuid7())) for one in kept * 60]
        began, before, whole_before = time.perf_counter(), time.thread_time(), time.process_time()
        for one in fresh:
            ours.write(one)
        rounds.append((time.thread_time() - before) / len(fresh) * 1e6)
        assert books.flush(120)
        rates.append(len(fresh) / (time.perf_counter() - began))
        busy.append(len(fresh) / (time.process_time() - whole_before))
    print(Figure(tuple(rounds)).line("handing over a request, CPU of the caller", "us", "at most 50"))
    print(f"  {'requests a second, rows made and written':<44} {max(rates):29,.0f}      at least 5,000")
    print(f"  {'the same for a second of one core':<44} {median(busy):29,.0f}")
    books.close()


def reporting(path: Path, rows: int) -> None:
    """A month of rows, made by the database itself; their sums are worked out from them. A file that is there already is
    measured as it is."""
    made = path.exists()
    books = at(str(path))
    if not made:
        books.append(row())
        assert books.flush()
        fill(books, rows)
    with books.read() as view:
        sums = view.run("SELECT count(*) FROM rollup")[0][0]
        figure = whole(lambda: costs.costs(view, "intent", *MONTH))
        found = costs.costs(view, "provider", *MONTH)
    size = (books.store().size() or 0) / 1e9
    assert found.total.requests == rows + 1
    print(f"  a month of {rows:,} rows, {sums:,} sums, {size:.1f} GB")
    print(figure.line("a month's costs", "ms", "under 2,000"))
    with books.read() as view:
        for axis in costs.AXES:
            report(f"costs by {axis}", lambda by=axis: costs.costs(view, by, *MONTH, most=30))  # type: ignore[misc]
        report("all rules beside their holdouts", lambda: holdout.compare(view, periods.span("UTC", *MONTH)))
        report("alarms, once an hour", lambda: change.alarms(view, NOW + 6 * 3_600_000))
    books.close()


def report(name: str, ask: Callable[[], object]) -> None:
    before = time.process_time()
    ask()
    print(f"  {name:<44} {(time.process_time() - before) * 1000:>29,.0f} ms CPU, once")


def fill(books: Ledger, rows: int) -> None:
    """Copies of the one row that there is, over thirty days, providers, rules, centers, intents and sessions, so mixed
    that nearly every combination of them has a sum on every day."""
    at = f"{NOW} - (n.n % 2591999) * 1000"
    mixed = "((n.n * 2654435761) % 4294967296)"
    changed = {
        "id": f"printf('%012x-7000-8000-%012x', {at}, n.n)",
        "ts": at,
        "day": f"date(({at}) / 1000, 'unixepoch')",
        "provider": f"'p' || ({mixed} % 6)",
        "rule": f"'rule' || ({mixed} / 7 % 12)",
        "cost_center": f"'c' || ({mixed} / 91 % 5)",
        "intent": f"'i' || ({mixed} / 523 % 9)",
        "purpose": f"CASE WHEN {mixed} / 4999 % 5 = 0 THEN 'title' ELSE 'turn' END",
        "task_type": f"CASE WHEN {mixed} / 7919 % 4 = 0 THEN 'code' ELSE 'qa' END",
        "variant": f"CASE WHEN {mixed} / 15013 % 20 = 0 THEN 'holdout' ELSE '' END",
        "session_key": f"printf('%032x', {mixed} / 3 % {max(1, rows // 12)})",
    }
    tried = {**changed, "request": changed["id"]}
    with books.store().write(10) as transaction:
        for start in range(1, rows + 1, 500_000):
            numbers = f"WITH RECURSIVE n(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM n WHERE n < {min(start + 499_999, rows)})"
            for table, columns, values in (("request", REQUEST, changed), ("attempt", ATTEMPT, tried)):
                picked = ", ".join(values.get(name, f"t.{name}") for name in columns)
                source = f"(SELECT * FROM {table} LIMIT 1) t"
                transaction.run(
                    f"INSERT INTO {table} ({', '.join(columns)}) {numbers} SELECT {picked} FROM n, {source}"
                )
        sums = recomputed(transaction)
        for table, columns in (
            ("rollup", (*KEY, *SUMS)),
            ("rollup_hour", (*HOUR_KEY, *SUMS)),
            ("rollup_attempt", (*ATTEMPT_KEY, *ATTEMPT_SUMS)),
        ):
            transaction.run(f"DELETE FROM {table}")
            holders = ", ".join("?" * len(columns))
            transaction.each(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({holders})", sums[table])


if __name__ == "__main__":
    main()
