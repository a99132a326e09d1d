"""What was spent: money where it went, nothing unknown as zero, along any axis, and the same from sums as from rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.ledger import bill, costs, retention
from hroute.ledger.costs import Costs
from hroute.ledger.ledger import Ledger, Settings
from hroute.ledger.records import Feedback
from tests.ledger.rows import NOON, attempt, ledger, row

DAY = 86_400_000
HOUR = 3_600_000


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = ledger(tmp_path)
    yield made
    made.close()


def found(
    books: Ledger, *by: str, since: str = "2026-11-20", until: str = "2026-11-20", most: int | None = None
) -> Costs:
    assert books.flush()
    with books.read() as view:
        return costs.costs(view, by, since, until, zone=books.settings.zone, most=most)


def test_costs_are_the_sums_of_their_days_and_no_others(books: Ledger) -> None:
    books.append(row(cost=5, ts=NOON - DAY))
    books.append(row(cost=7))
    books.append(row(cost=11, rule="other", escalation="outage", escalated=True))
    books.append(row(cost=13, ts=NOON + DAY))
    told = found(books, "rule")
    assert [(r.name, r.requests, r.cost, r.escalated) for r in told.rows] == [("other", 1, 11, 1), ("faq", 1, 7, 0)]
    assert (told.total.requests, told.total.cost) == (2, 18)
    assert [r.name for r in found(books, "day", since="2026-11-01", until="2026-11-30").rows] == [
        "2026-11-19", "2026-11-20", "2026-11-21",
    ]  # fmt: skip


def test_an_unknown_price_makes_its_group_and_the_total_unknown_and_no_other_group(books: Ledger) -> None:
    books.append(row(cost=5))
    books.append(row(cost=7, rule="other"))
    books.append(row(cost=None, rule="other"))
    told = found(books, "rule")
    assert {r.name: (r.cost, r.known, r.unpriced) for r in told.rows} == {"other": (None, 7, 1), "faq": (5, 5, 0)}
    assert told.total.cost is None


@pytest.mark.parametrize("by", [("provider",), ("provider", "model"), ("day", "provider")])
def test_by_provider_money_is_where_it_was_spent(books: Ledger, by: tuple[str, ...]) -> None:
    spoiled = attempt(provider="first", model="m", outcome="bad_content", cost=30)
    served = attempt(provider="second", model="n", cost=100)
    books.append(row(provider="second", model="n", tries=(spoiled, served), cost=130))
    told = found(books, *by)
    at = by.index("provider")
    spent = {r.names[at]: (r.requests, r.cost, r.calls, r.call_failures) for r in told.rows}
    assert spent == {"second": (1, 100, 1, 0), "first": (0, 30, 1, 1)}
    assert told.total.cost == 130


def test_by_rule_and_provider_a_requests_money_stands_where_its_answer_came_from(books: Ledger) -> None:
    tries = (attempt(provider="first", outcome="server", cost=30), attempt(provider="second", cost=100))
    books.append(row(provider="second", tries=tries, cost=130))
    assert [(r.names, r.cost) for r in found(books, "rule", "provider").rows] == [(("faq", "second"), 130)]


def test_rehearsals_are_counted_only_where_there_is_nothing_else(books: Ledger) -> None:
    books.append(row(cost=5, mode="sandbox"))
    assert found(books, "provider").rehearsed
    books.append(row(cost=7, latency_ms=100.0))
    told = found(books, "provider")
    assert (told.rehearsed, told.total.cost, [r.cost for r in told.rows]) == (False, 7, [7])


def test_a_rehearsal_teaches_no_latency(books: Ledger) -> None:
    for _ in range(50):
        books.append(row(mode="sandbox", latency_ms=1.0))
    books.append(row(latency_ms=1_000.0))
    assert found(books, "provider").rows[0].p50 == pytest.approx(1_000, rel=0.08)


def test_latency_is_told_by_provider_and_by_rule_and_errors_by_provider(books: Ledger) -> None:
    for n in range(100):
        books.append(row(latency_ms=100.0 if n < 90 else 5_000.0, rule="faq" if n % 2 else "other"))
    books.append(row(outcome="server", provider="", tries=(attempt(outcome="server", cost=0),)))
    one = next(r for r in found(books, "provider").rows if r.name == "ollama")
    assert (one.calls, one.call_failures) == (101, 1)
    assert one.p50 == pytest.approx(100, rel=0.08)
    assert one.p95 == pytest.approx(5_000, rel=0.08)
    rules = {r.name: r for r in found(books, "rule").rows}
    assert rules["other"].p50 == pytest.approx(100, rel=0.08)
    assert rules["faq"].failed == 1


EVERY = tuple(axis for axis in costs.AXES if axis != "session")


@pytest.mark.parametrize("axis", EVERY)
def test_every_axis_has_the_same_requests_and_the_same_money(books: Ledger, axis: str) -> None:
    books.append(
        row(cost=5, task_type="code", purpose="title", tenant="t", client="c", variant="holdout", ts=NOON - HOUR)
    )
    books.append(row("a", cost=7, intent="prices", outcome="server", escalation="budget"))
    books.append(row("b", cost=None, provider="other", rule="r", escalated=True, escalation="outage", session="s"))
    books.append(row("c", session="s", ts=NOON + 1_000, tries=(*[attempt(outcome="bad_content")] * 2, attempt())))
    books.append(Feedback("b", NOON, "bad"))
    told = found(books, axis)
    for count in ("requests", "escalated", "diverted", "failed", "spoiled", "follow_ups", "good", "bad"):
        assert sum(getattr(r, count) for r in told.rows) == getattr(told.total, count), count
    if axis not in ("provider", "model"):  # there money is where it was spent, calls without an answer included
        assert sum(r.known for r in told.rows) == told.total.known
        assert sum(r.unpriced for r in told.rows) == told.total.unpriced
    assert (told.total.follow_ups, told.total.spoiled, told.total.bad) == (1, 1, 1)
    assert told.read == (costs.source((axis,)) == "request")


def test_kinds_of_requests_are_told_apart(books: Ledger) -> None:
    books.append(row(task_type="code"))
    books.append(row(purpose="title"))
    books.append(row(purpose="title"))
    assert {r.name: r.requests for r in found(books, "task_type").rows} == {"code": 1, "": 2}
    assert {r.name: r.requests for r in found(books, "purpose").rows} == {"turn": 1, "title": 2}
    assert {r.names: r.requests for r in found(books, "purpose", "task_type").rows} == {
        ("turn", "code"): 1, ("title", ""): 2,
    }  # fmt: skip


def test_sessions_are_the_dearest_first_and_what_has_none_is_said(books: Ledger) -> None:
    for n in range(6):
        books.append(row(session=f"s{n % 3}", cost=n, ts=NOON + n * 300_000))
    books.append(row(cost=100))
    told = found(books, "session", most=2)
    assert [(r.name, r.requests, r.cost) for r in told.rows] == [("s2", 2, 7), ("s1", 2, 5)]
    assert (told.groups, told.placed, told.total.requests, told.read) == (3, 6, 7, True)


def test_what_was_dropped_is_missing_where_rows_are_read_and_nowhere_else(books: Ledger) -> None:
    books.append(row(tenant="t", ts=NOON - 5 * HOUR))
    books.append(row(tenant="t"))
    assert books.flush()
    with books.store().write(1) as transaction:
        assert retention.prune(transaction, NOON - HOUR) == 1
    told = found(books, "tenant")
    assert (told.placed, told.total.requests) == (1, 2)
    assert found(books, "rule").rows[0].requests == 2


def test_an_hour_is_told_in_the_ledgers_zone_and_the_one_that_comes_twice_twice(tmp_path: Path) -> None:
    books = ledger(tmp_path, Settings(zone="Europe/Berlin"))
    change = 1_792_890_000_000  # 2026-10-25T01:00Z: 03:00 becomes 02:00
    for at in (change - HOUR, change, change + HOUR):
        books.append(row(ts=at))
    told = found(books, "hour", since="2026-10-25", until="2026-10-25")
    assert [r.name for r in told.rows] == [
        "2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00", "2026-10-25 03:00+01:00",
    ]  # fmt: skip
    assert found(books, "hour", since="2026-10-26", until="2026-10-26").rows == ()
    assert next(r.names for r in found(books, "hour", "intent", since="2026-10-25", until="2026-10-25").rows) == (
        "2026-10-25 02:00+02:00", "faq",
    )  # fmt: skip
    books.close()


@pytest.mark.parametrize(
    ("axes", "table"),
    [
        (("intent",), "rollup"),
        (("rule", "provider", "day", "task_type", "purpose"), "rollup"),
        (("hour", "rule"), "rollup_hour"),
        (("hour", "intent"), "request"),
        (("session",), "request"),
    ],
)
def test_what_sums_can_answer_they_answer(axes: tuple[str, ...], table: str) -> None:
    assert costs.source(axes) == table


@pytest.mark.parametrize("axes", [(), ("weather",), ("rule", "1=1; DROP TABLE request")])
def test_an_axis_that_nobody_knows_is_an_error(axes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="cannot be told"):
        costs.source(axes)


# what an observed policy would have cost


def test_would_compares_only_what_was_observed(books: Ledger) -> None:
    books.append(row(cost=1_000))
    books.append(row(mode="observe", cost=100, would_cost=10, routed_to="home", provider="big"))
    books.append(row(mode="observe", cost=50, would_cost=0, routed_to="", provider="big", rule="closed"))
    books.append(row(mode="observe", cost=70, would_cost=None, routed_to="x", provider="big", rule="dear"))
    assert books.flush()
    with books.read() as view:
        told = {
            w.names[0]: (w.requests, w.cost, w.would_cost, w.refused)
            for w in costs.would(view, "2026-11-20", "2026-11-20")
        }
    assert told == {"faq": (1, 100, 10, 0), "closed": (1, 50, 0, 1), "dear": (1, 70, None, 0)}


# a month's bill


def month(books: Ledger, now: int = NOON) -> bill.Month | None:
    assert books.flush()
    with books.read() as view:
        return bill.month(view, now, "UTC")


def test_a_months_bill_says_on_how_many_days_it_rests(books: Ledger) -> None:
    assert month(books) is None
    books.append(row(ts=NOON - 3 * DAY, cost=6 * 10**9))
    books.append(row(cost=3 * 10**9, mode="sandbox"))
    told = month(books)
    assert told is not None
    assert (told.cost, told.days, told.expected, told.small) == (6 * 10**9, 3.0, 60 * 10**9, False)
    later = month(books, NOON + 7 * DAY)
    assert later is not None
    assert (later.days, later.expected, later.small) == (10.0, 18 * 10**9, True)


def test_some_hours_say_nothing_of_a_month_and_neither_do_unknown_prices(books: Ledger) -> None:
    books.append(row(cost=1))
    young = month(books, NOON + 6 * HOUR)
    assert young is not None
    assert (young.expected, young.small) == (None, False)
    books.append(row(cost=None))
    unknown = month(books, NOON + 10 * DAY)
    assert unknown is not None
    assert (unknown.cost, unknown.expected, unknown.small) == (None, None, False)


def test_what_is_older_than_a_month_is_not_in_it(books: Ledger) -> None:
    books.append(row(ts=NOON - 60 * DAY, cost=10**12))
    books.append(row(cost=10**9))
    told = month(books)
    assert told is not None
    assert (told.cost, told.small) == (10**9, True)
    assert 29 <= told.days <= 30
