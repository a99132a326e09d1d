"""The journal: each request once, its sums in the same transaction, and nothing unknown taken for zero."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hroute.ledger import journal, rollup
from hroute.ledger.ledger import Ledger, Settings
from hroute.ledger.periods import Days
from hroute.ledger.records import Document, Entry, Feedback, RequestRow, Said
from hroute.ledger.sqlite import SqliteStore
from hroute.terms.usage import Usage
from tests.ledger.rows import NOON, ask, attempt, claim, ledger, row, started


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = ledger(tmp_path)
    yield made
    made.close()


def sums_agree(books: Ledger) -> bool:
    assert books.flush(10)
    with books.read() as view:
        return rollup.kept(view) == rollup.recomputed(view)


def test_a_request_is_kept_as_it_was(books: Ledger) -> None:
    books.append(row("a", tries=(attempt(outcome="server", cost=0, status=529, code="overloaded"), attempt())))
    assert ask(books, "SELECT rule, provider, cost, input, output, state FROM request") == [
        ("faq", "ollama", 1_000, 100, 20, "done")
    ]
    assert ask(books, "SELECT n, outcome, status, code FROM attempt ORDER BY n") == [
        (0, "server", 529, "overloaded"),
        (1, "ok", None, None),
    ]
    assert json.loads(ask(books, "SELECT signals FROM request")[0][0]) == {"intent": ["faq"], "score": 0.2}


def test_a_set_of_names_is_kept_as_a_sorted_list(books: Ledger) -> None:
    books.append(row("a", signals={"intent": frozenset(("smalltalk", "faq"))}))
    assert json.loads(ask(books, "SELECT signals FROM request")[0][0]) == {"intent": ["faq", "smalltalk"]}


def test_a_request_that_is_written_twice_counts_once(books: Ledger) -> None:
    books.append(row("a"))
    books.append(row("a", cost=5))
    assert books.flush()
    books.append(row("a", cost=7))
    assert ask(books, "SELECT count(*), sum(cost) FROM request") == [(1, 1_000)]
    assert ask(books, "SELECT requests, cost FROM rollup") == [(1, 1_000)]
    assert ask(books, "SELECT attempts FROM rollup_attempt") == [(1,)]


def test_an_unknown_cost_is_null_in_the_row_and_counted_apart_in_the_sums(books: Ledger) -> None:
    books.append(row(cost=None))
    books.append(row(cost=3))
    assert ask(books, "SELECT cost FROM request ORDER BY cost IS NULL") == [(3,), (None,)]
    assert ask(books, "SELECT requests, cost, unpriced FROM rollup") == [(2, 3, 1)]
    assert ask(books, "SELECT attempts, cost, unpriced FROM rollup_attempt") == [(2, 3, 1)]


def test_rows_name_the_extractors_by_the_hash_of_a_document(books: Ledger) -> None:
    books.append(row())
    books.append(row())
    books.append(Document("p1", "policy", "version: 1"))
    books.append(Document("p1", "policy", "version: 1"))
    assert ask(books, "SELECT kind, body FROM document ORDER BY kind") == [
        ("extractors", '{"tokens":"tokens/1"}'),
        ("policy", "version: 1"),
    ]
    assert ask(books, "SELECT count(*) FROM request JOIN document ON hash = versions") == [(2,)]


def test_a_day_begins_in_the_ledgers_time_zone(tmp_path: Path) -> None:
    books = ledger(tmp_path, Settings(zone="Asia/Kolkata"))
    books.append(row(ts=NOON + 6 * 3_600_000 + 1_799_999))  # 18:29:59.999Z
    books.append(row(ts=NOON + 6 * 3_600_000 + 1_800_000))
    assert ask(books, "SELECT day FROM rollup ORDER BY day") == [("2026-11-20",), ("2026-11-21",)]
    books.close()


def test_feedback_of_one_source_is_its_last_word(books: Ledger) -> None:
    books.append(row("a"))
    books.append(Feedback("a", NOON, "good", "me"))
    books.append(Feedback("a", NOON + 1, "bad", "me"))
    books.append(Feedback("a", NOON, "good", "you"))
    assert ask(books, "SELECT source, verdict FROM feedback ORDER BY source") == [("me", "bad"), ("you", "good")]


def test_a_text_is_kept_only_where_it_is_given(books: Ledger) -> None:
    books.append(row("a"))
    books.append(row("b", said=Said("hello", "good day", redacted=False)))
    assert ask(books, "SELECT id, prompt, answer FROM said") == [("b", "hello", "good day")]


# follow-ups


def test_who_asks_again_within_two_minutes_of_the_answer_follows_up(books: Ledger) -> None:
    books.append(row("first", session="s", latency_ms=5_000.0))
    books.append(row("second", session="s", ts=NOON + 125_000, rule="other"))
    assert ask(books, "SELECT id, earlier, seconds FROM follow_up") == [("second", "first", 120.0)]
    assert ask(books, "SELECT rule, follow_ups FROM rollup ORDER BY rule") == [("faq", 1), ("other", 0)]


@pytest.mark.parametrize(
    "later",
    [
        {"ts": NOON + 125_001},  # too late
        {"ts": NOON + 1_000},  # before the answer had come
        {"session": "t"},
        {"session": ""},
        {"user_turn": False},  # a tool's result carries on, nobody asked again
    ],
)
def test_what_is_no_follow_up(books: Ledger, later: dict[str, Any]) -> None:
    books.append(row("first", session="s", latency_ms=5_000.0))
    books.append(row("second", **{"session": "s", "ts": NOON + 60_000, **later}))
    assert ask(books, "SELECT count(*) FROM follow_up") == [(0,)]


def test_a_request_without_a_session_follows_nobody(books: Ledger) -> None:
    books.append(row("first", session=""))
    books.append(row("second", session="", ts=NOON + 60_000))
    assert ask(books, "SELECT count(*) FROM follow_up") == [(0,)]


def test_nobody_follows_up_on_a_refusal(books: Ledger) -> None:
    books.append(row("first", session="s", outcome="refused", provider="", model=""))
    books.append(row("second", session="s", ts=NOON + 60_000))
    assert ask(books, "SELECT count(*) FROM follow_up") == [(0,)]


def test_the_latest_answer_of_the_session_is_followed(books: Ledger) -> None:
    books.append(row("first", session="s"))
    books.append(row("second", session="s", ts=NOON + 30_000))
    books.append(row("third", session="s", ts=NOON + 60_000))
    assert ask(books, "SELECT id, earlier FROM follow_up ORDER BY id") == [("second", "first"), ("third", "second")]


# requests whose process went away


def test_a_started_request_that_never_ended_is_closed_as_unknown_at_its_estimate(tmp_path: Path) -> None:
    now = [NOON / 1000]
    books = ledger(tmp_path)
    books._now = lambda: now[0]
    held = books.reserve(started("a"), [claim(amount=7)])
    assert ask(books, "SELECT state, cost FROM request") == [("started", 0)]
    with books.store().write(1) as transaction:
        assert journal.close_lost(transaction, NOON + 119_000, 10**9) == 0
        assert journal.close_lost(transaction, NOON + 121_000, 10**9) == 1
    assert ask(books, "SELECT state, outcome, cost, estimated FROM request") == [("unknown", "unknown", 7, 1)]
    assert ask(books, "SELECT requests, failed, cost, estimated FROM rollup") == [(1, 1, 7, 1)]
    assert sums_agree(books)

    books.append(row("a", cost=5))  # it had only been slow
    books.settle(held, 5)  # type: ignore[arg-type]
    assert ask(books, "SELECT state, outcome, cost, estimated FROM request") == [("done", "ok", 5, 0)]
    assert ask(books, "SELECT spent, reserved FROM counter") == [(5, 0)]
    assert ask(books, "SELECT sum(requests), sum(failed), sum(cost) FROM rollup") == [(1, 0, 5)]
    assert sums_agree(books)
    books.close()


def test_a_request_that_died_between_its_call_and_its_row_is_closed_with_what_it_cost(books: Ledger) -> None:
    books._now = lambda: NOON / 1000
    held = books.reserve(started("a"), [claim(amount=7)])
    books.settle(held, 3)  # type: ignore[arg-type]
    assert books.flush()
    with books.store().write(1) as transaction:
        assert journal.close_lost(transaction, NOON + 999, 1_000) == 0
        assert journal.close_lost(transaction, NOON + 1_001, 1_000) == 1
    assert ask(books, "SELECT state, cost FROM request") == [("unknown", 3)]
    assert sums_agree(books)


# rollup == sum of rows

outcomes = st.sampled_from(("ok", "refused", "server", "bad_content"))
usages = st.builds(Usage, *[st.integers(0, 10**9)] * 5)
costs = st.one_of(st.none(), st.integers(0, 10**15))
tries = st.builds(attempt, provider=st.sampled_from("xy"), outcome=outcomes, usage=usages, cost=costs)
requests = st.builds(
    row,
    id=st.sampled_from("abcdefghijkl"),
    ts=st.integers(NOON - 200_000_000, NOON + 200_000_000),
    provider=st.sampled_from(("", "x", "y")),
    rule=st.sampled_from(("r", "s")),
    cost_center=st.sampled_from(("", "c")),
    session=st.sampled_from(("", "s")),
    escalation=st.sampled_from(("", "outage", "budget")),
    escalated=st.booleans(),
    mode=st.sampled_from(("enforce", "observe")),
    outcome=outcomes,
    usage=usages,
    cost=costs,
    would_cost=costs,
    tries=st.lists(tries, max_size=3).map(tuple),
)


verdicts = st.builds(
    Feedback, st.sampled_from("abcdz"), st.just(NOON), st.sampled_from(("good", "bad")), st.sampled_from(("", "me"))
)


@given(
    st.lists(st.lists(requests, min_size=1, max_size=6), max_size=4), st.integers(0, 3), st.lists(verdicts, max_size=4)
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_sums_are_the_sums_of_the_rows_whatever_comes_in_whatever_groups(
    groups: list[list[RequestRow]], begun: int, said: list[Feedback]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(f"{folder}/ledger.db")
        with store.write(1) as transaction:
            for id in "abc"[:begun]:
                opened = row(id, outcome="", provider="", model="", cost=0, usage=Usage(), tries=())
                journal.start(transaction, journal.request_values(opened, "2026-11-20", "started"))
        for group in groups:
            entries: list[Entry] = [*group, *said]
            with store.write(1) as transaction:
                journal.write(transaction, journal.prepared(entries, Days("UTC")), NOON)
                journal.close_lost(transaction, NOON + 10, 5)
        with store.read() as view:
            assert rollup.kept(view) == rollup.recomputed(view)
        store.close()


# quantiles


@given(st.lists(st.floats(1, 10**7), min_size=1, max_size=200), st.floats(0.05, 1))
def test_a_quantile_of_buckets_is_within_a_bucket_of_the_values_quantile(values: list[float], share: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[rollup.bucket(value)] = counts.get(rollup.bucket(value), 0) + 1
    found = rollup.quantile(counts, share)
    exact = sorted(values)[max(0, -(-len(values) * share // 1).__int__() - 1)]
    assert found is not None
    assert exact / 1.0801 <= found <= exact * 1.0801


def test_nothing_has_no_quantile() -> None:
    assert rollup.quantile({}, 0.5) is None
