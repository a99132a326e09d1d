"""Budgets: together no more than the limit, whoever asks and whoever dies; each crossing is told once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hroute.ledger import budgets, rollup
from hroute.ledger.budgets import Denied
from hroute.ledger.ledger import Held, Ledger
from hroute.ledger.records import Claim
from tests.ledger.rows import DOLLAR, NOON, ask, claim, ledger, started
from tests.ledger.spender import RESERVED, Tally, by_tasks, by_threads

ROOT = Path(__file__).parents[2]
CENT = DOLLAR // 100


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = ledger(tmp_path)
    made._now = lambda: NOON / 1000
    yield made
    made.close()


def held(books: Ledger, *claims: Claim) -> Held:
    found = books.reserve(started(), claims)
    assert isinstance(found, Held), found
    return found


def counter(books: Ledger, budget: str = "daily") -> tuple[int, int]:
    found: tuple[int, int] = ask(books, "SELECT spent, reserved FROM counter WHERE budget = ?", (budget,))[0]
    return found


def alerts(books: Ledger) -> list[dict[str, Any]]:
    return [json.loads(payload) for (payload,) in ask(books, "SELECT payload FROM alert ORDER BY ts, id")]


# one reservation


def test_what_is_reserved_is_spent_at_what_it_did_cost(books: Ledger) -> None:
    one = held(books, claim(3 * CENT))
    assert counter(books) == (0, 3 * CENT)
    books.settle(one, CENT)
    assert counter(books) == (CENT, 0)


def test_what_nobody_can_price_is_spent_at_the_estimate_and_counted(books: Ledger) -> None:
    books.settle(held(books, claim(3 * CENT)), None)
    assert counter(books) == (3 * CENT, 0)
    assert ask(books, "SELECT unpriced FROM counter") == [(1,)]


def test_a_reservation_may_use_the_last_of_the_limit_and_not_a_nano_dollar_more(books: Ledger) -> None:
    first = held(books, claim(DOLLAR - 1))
    denied = books.reserve(started(), [claim(2)])
    assert isinstance(denied, Denied)
    assert (denied.claim.budget, denied.spent, denied.reserved) == ("daily", 0, DOLLAR - 1)
    held(books, claim(1))
    books.settle(first, 0)
    held(books, claim(2))


def test_a_call_that_costs_nothing_passes_when_everything_is_spent(books: Ledger) -> None:
    books.settle(held(books, claim(DOLLAR)), DOLLAR + CENT)
    assert isinstance(books.reserve(started(), [claim(1)]), Denied)
    assert isinstance(books.reserve(started(), [claim(0, cap=None)]), Held)


def test_all_budgets_must_admit_and_otherwise_none_reserves(books: Ledger) -> None:
    narrow = claim(2 * CENT, budget="bot", limit=CENT, cap=CENT)
    denied = books.reserve(started("x"), [claim(2 * CENT), narrow])
    assert isinstance(denied, Denied)
    assert denied.claim.budget == "bot"
    assert ask(books, "SELECT sum(reserved) FROM counter") in ([(0,)], [(None,)])
    assert ask(books, "SELECT count(*) FROM lease") == [(0,)]
    assert ask(books, "SELECT count(*) FROM request") == [(0,)]


def test_scopes_and_periods_have_their_own_counters(books: Ledger) -> None:
    held(books, claim(DOLLAR))
    assert isinstance(books.reserve(started(), [claim(1)]), Denied)
    held(books, claim(DOLLAR, scope="cost_center=bot"))
    held(books, claim(DOLLAR, start=10**14, end=2 * 10**14))


def test_a_settlement_counts_once(books: Ledger) -> None:
    one = held(books, claim(3 * CENT))
    books.settle(one, CENT)
    books.settle(one, CENT)
    assert books.flush()
    books.settle(one, CENT)
    assert counter(books) == (CENT, 0)


def test_a_changed_limit_holds_at_once(books: Ledger) -> None:
    held(books, claim(90 * CENT))
    assert isinstance(books.reserve(started(), [claim(20 * CENT)]), Denied)
    held(books, claim(20 * CENT, limit=2 * DOLLAR, cap=2 * DOLLAR))
    assert ask(books, "SELECT ceiling FROM counter") == [(2 * DOLLAR,)]


# whoever dies


def test_the_reservations_of_the_dead_are_settled_at_their_estimate_once_they_expire(books: Ledger) -> None:
    one = held(books, claim(60 * CENT))
    late = NOON + 120_001
    books._now = lambda: late / 1000
    assert isinstance(books.reserve(started(), [claim(60 * CENT)]), Denied)
    assert counter(books) == (60 * CENT, 0)
    books.settle(one, 10 * CENT)  # the owner was only asleep
    assert counter(books) == (10 * CENT, 0)


def test_a_living_reservation_is_renewed(books: Ledger) -> None:
    held(books, claim(60 * CENT))
    books._now = lambda: (NOON + 110_000) / 1000
    books._tend()
    books._now = lambda: (NOON + 200_000) / 1000
    assert isinstance(books.reserve(started(), [claim(60 * CENT)]), Denied)
    assert counter(books) == (0, 60 * CENT)


def test_a_dead_owners_reservation_of_two_budgets_is_settled_in_both(books: Ledger) -> None:
    held(books, claim(CENT), claim(CENT, budget="bot"))
    with books.store().write(1) as transaction:
        assert budgets.expire(transaction, NOON + 120_001) == 1
    assert (counter(books), counter(books, "bot")) == ((CENT, 0), (CENT, 0))


# alerts


def test_each_crossing_is_told_once_in_a_period(books: Ledger) -> None:
    for _ in range(12):
        books.settle(held(books, claim(CENT, cap=None)), 10 * CENT)
        assert books.flush()
    told = alerts(books)
    assert [a["share"] for a in told] == [0.5, 1.0]
    assert [a["spent_usd"] for a in told] == [0.5, 1.0]
    books.settle(held(books, claim(CENT, cap=None, start=10**14, end=2 * 10**14)), 60 * CENT)
    assert [a["share"] for a in alerts(books)] == [0.5, 1.0, 0.5]


def test_a_leap_over_two_thresholds_tells_both(books: Ledger) -> None:
    books.settle(held(books, claim(CENT)), 2 * DOLLAR)
    assert [a["share"] for a in alerts(books)] == [0.5, 1.0]


def test_several_processes_tell_a_crossing_once(tmp_path: Path) -> None:
    several = [ledger(tmp_path) for _ in range(4)]
    for books in several * 4:
        books.settle(held(books, claim(CENT, cap=None)), 10 * CENT)
        books.flush()
    assert [a["share"] for a in alerts(several[0])] == [0.5, 1.0]
    for books in several:
        books.close()


def test_an_alert_says_names_and_numbers_and_nothing_else(books: Ledger) -> None:
    books.settle(held(books, claim(CENT, scope="user=alice@example.com")), 60 * CENT)
    (told,) = alerts(books)
    assert set(told) == {"kind", "budget", "share", "spent_usd", "limit_usd", "period_start", "period_end"}
    assert "alice" not in json.dumps(told)


# the bound


def check(books: Ledger, tally: Tally, ceiling: bool = False) -> None:
    spent, reserved = counter(books)
    assert (spent, reserved) == (tally.spent, 0)
    assert tally.denied > 0, "everybody was admitted: the test would show nothing"
    assert tally.admitted > 100
    assert spent <= DOLLAR + (0 if ceiling else tally.excess)
    with books.read() as view:
        assert rollup.kept(view) == rollup.recomputed(view)
        assert view.run("SELECT count(*), sum(cost) FROM request") == [(tally.admitted, tally.spent)]
        assert view.run("SELECT count(*) FROM lease") == [(0,)]
        assert view.run("SELECT count(*) FROM alert") == [(2 if spent >= DOLLAR else 1,)]


@pytest.mark.parametrize("ceiling", [False, True])
def test_64_threads_do_not_spend_more_than_a_dollar(tmp_path: Path, ceiling: bool) -> None:
    books = ledger(tmp_path)
    check(books, by_threads(books, 64, 8, ceiling), ceiling)
    books.close()


@pytest.mark.parametrize("ceiling", [False, True])
def test_64_tasks_do_not_spend_more_than_a_dollar(tmp_path: Path, ceiling: bool) -> None:
    books = ledger(tmp_path)
    check(books, asyncio.run(by_tasks(books, 64, 8, ceiling)), ceiling)
    books.close()


@pytest.mark.parametrize("options", [(), ("ceiling",)])
def test_64_callers_in_4_processes_do_not_spend_more_than_a_dollar(tmp_path: Path, options: tuple[str, ...]) -> None:
    file = str(tmp_path / "ledger.db")
    command = [sys.executable, "-m", "tests.ledger.spender", file, "16", "8"]
    processes = [
        subprocess.Popen([*command, str(seed), *options], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for seed in range(4)
    ]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert all(one.pop("written") for one in found)
    total = Tally(**{key: sum(one[key] for one in found) for key in found[0]})
    books = ledger(tmp_path)
    check(books, total, bool(options))
    books.close()


def test_a_reservation_is_what_the_test_of_the_bound_rests_on() -> None:
    """With reservations ignored the same callers would spend more: the bound is not met by chance."""
    assert 64 * 8 * RESERVED > 2 * DOLLAR


steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 60 * CENT)),
        st.tuples(st.just("settle"), st.one_of(st.none(), st.integers(0, 90 * CENT))),
        st.tuples(st.just("expire"), st.integers(0, 400)),
        st.tuples(st.just("free"), st.just(0)),
    ),
    max_size=30,
)


@given(steps)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_in_whatever_order_the_overspend_is_the_error_of_the_reservations(
    steps: list[tuple[str, Any]],
) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        books = ledger(Path(folder))
        now = [NOON]
        books._now = lambda: now[0] / 1000
        open_: list[tuple[Held, int]] = []
        excess = 0
        for step, amount in steps:
            if step == "reserve":
                found = books.reserve(started(), [claim(amount)])
                if isinstance(found, Held):
                    open_.append((found, amount))
            elif step == "free":
                assert isinstance(books.reserve(started(), [claim(0, cap=None)]), Held)
            elif step == "expire":
                now[0] += amount * 1_000
            elif open_:
                one, reserved = open_.pop(0)
                books.settle(one, amount)
                excess += max(0, (amount or 0) - reserved)
                books.flush()
        if ask(books, "SELECT count(*) FROM counter") == [(1,)]:
            spent, reserved = counter(books)
            assert reserved >= 0
            assert spent + reserved <= DOLLAR + excess
        books.close()


# while the store fails


def test_while_the_file_is_locked_budgets_are_held_by_memory_and_caught_up_afterwards(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    books = ledger(tmp_path)
    first = held(books, claim(50 * CENT))
    books.settle(first, 50 * CENT)
    assert books.flush()
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    second = held(books, claim(40 * CENT))
    assert not second.stored
    assert "keeps it locked" in caplog.text
    assert isinstance(books.reserve(started(), [claim(20 * CENT)]), Denied), "memory knows what was spent"
    books.settle(second, 30 * CENT)
    held(books, claim(20 * CENT))
    other.execute("ROLLBACK")
    other.close()
    assert books.flush(10)
    assert counter(books) == (80 * CENT, 0)
    books.close()


def test_a_store_that_never_opened_still_holds_a_budget_in_this_process(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1_000)
    books = ledger(tmp_path)
    one = held(books, claim(90 * CENT))
    assert isinstance(books.reserve(started(), [claim(20 * CENT)]), Denied)
    books.settle(one, 10 * CENT)
    held(books, claim(20 * CENT))
    assert not books.close(1)


def test_what_is_read_about_budgets_are_those_of_now(books: Ledger) -> None:
    held(books, claim(CENT), replace(claim(CENT), start=0, end=NOON - 1, budget="past"))
    with books.read() as view:
        (found,) = budgets.counters(view, NOON)
    assert (found.budget, found.spent, found.reserved, found.limit) == ("daily", 0, CENT, DOLLAR)
