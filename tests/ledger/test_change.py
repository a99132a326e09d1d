"""Alarms: a change is seen and told once, no change is not, false alarms are as rare as stated, and causes are told apart."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hroute.ledger import alerts, change
from hroute.ledger.change import Alarm, Mix
from hroute.ledger.health import Counted
from hroute.ledger.ledger import Ledger
from hroute.ledger.rollup import HOUR, HOUR_KEY, SUMS
from hroute.ledger.sqlite import SqliteStore
from tests.ledger.rows import NOON, attempt, ledger, row

HOURS = 3_600_000
NOW = NOON + 6 * HOURS
LONG_AGO = NOON - 9 * 24 * HOURS


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = ledger(tmp_path)
    made._now = lambda: LONG_AGO / 1000  # its own thread looks long before anything happened
    yield made
    made.close()


def happened(
    books: Ledger, since: int, scores: list[float], escalates: Callable[[float], str], rule: str = "faq"
) -> None:
    """A request of each score within six hours; `escalates` names the reason, "" where the first answer is good."""
    for number, score in enumerate(scores):
        why = escalates(score)
        tries = (attempt(outcome="bad_content" if why == "bad_content" else "server"),) if why else ()
        books.append(
            row(
                ts=since + number * 6 * HOURS // len(scores),
                rule=rule, score=score, escalation=why, escalated=bool(why), tries=(*tries, attempt()),
            )
        )  # fmt: skip


def alarms(books: Ledger, now: int = NOW) -> list[Alarm]:
    assert books.flush(20)
    with books.read() as view:
        return change.alarms(view, now, thresholds=(0.35,))


def every(number: int, why: str) -> Callable[[float], str]:
    """Each so many-th request escalates."""
    count = iter(range(10**9))
    return lambda _: why if next(count) % number == 0 else ""


EASY = [0.02, 0.07, 0.12, 0.17, 0.22] * 100


def test_a_rate_that_has_grown_is_told_with_both_sides(books: Ledger) -> None:
    happened(books, LONG_AGO, EASY, every(50, "bad_content"))
    happened(books, NOON, EASY, every(5, "bad_content"))
    (told,) = alarms(books)
    assert (told.rule, told.metric, told.hours) == ("faq", "escalated", 24)
    assert (told.before, told.now) == (Counted(10, 500), Counted(100, 500))
    assert told.chance < 1e-9
    assert told.text().startswith(
        "rule faq: escalations 2.0% -> 20.0% of 500 in the last 24 hours; the model got worse"
    )


@pytest.mark.parametrize(("before", "now"), [(10, 10), (10, 9), (5, 50)])
def test_what_has_not_grown_is_no_alarm(books: Ledger, before: int, now: int) -> None:
    happened(books, LONG_AGO, EASY, every(before, "bad_content"))
    happened(books, NOON, EASY, every(now, "bad_content"))
    assert alarms(books) == []


def test_an_hour_that_is_not_over_says_nothing_yet(books: Ledger) -> None:
    happened(books, LONG_AGO, EASY, every(50, "outage"))
    happened(books, NOON, EASY, every(5, "outage"))
    assert alarms(books, NOON + HOURS - 1) == []


def test_follow_ups_and_requests_without_an_answer_are_watched_too(books: Ledger) -> None:
    for since, lost in ((LONG_AGO, 100), (NOON, 4)):
        for number in range(200):
            failed = number % lost == 0
            books.append(
                row(
                    ts=since + number * 1_000, outcome="server" if failed else "ok", provider="" if failed else "ollama"
                )
            )
            if since == NOON and number % 3 == 0:
                for turn in (0, 1):
                    books.append(row(ts=NOON + 10**6 + number * 1_000 + turn * 500, session=f"s{number}"))
    assert sorted(alarm.metric for alarm in alarms(books)) == ["failed", "follow_ups"]


def test_what_no_rule_shows_alone_is_told_of_all_together(books: Ledger) -> None:
    happened(books, LONG_AGO, EASY, every(10**6, ""), "never")
    happened(books, LONG_AGO, EASY[:50], every(2, "outage"), "often")
    happened(books, NOON, EASY[:50], every(10**6, ""), "never")
    happened(books, NOON, EASY, every(2, "outage"), "often")
    (found,) = alarms(books)
    assert (found.rule, found.metric, found.cause) == ("", "escalated", "traffic")
    assert found.text().startswith("all rules together: escalations")


# what it looks like


def hard_fail(score: float) -> str:
    return "bad_content" if score > 0.5 else ""


def near_fails(count: Iterator[int] = iter(range(10**9))) -> Callable[[float], str]:
    return lambda score: "bad_content" if 0.3 <= score <= 0.4 and next(count) % 2 == 0 else ""


def cause(books: Ledger) -> str:
    return next(alarm.cause for alarm in alarms(books) if alarm.metric == "escalated")


def test_harder_requests_are_the_traffics(books: Ledger) -> None:
    happened(books, LONG_AGO, [0.1] * 460 + [0.8] * 40, hard_fail)
    happened(books, NOON, [0.1] * 250 + [0.8] * 250, hard_fail)
    assert cause(books) == "traffic"


def test_requests_of_a_kind_never_seen_before_are_the_traffics(books: Ledger) -> None:
    happened(books, LONG_AGO, [0.1, 0.2] * 250, every(50, "bad_content"))
    happened(books, NOON, [0.1, 0.2] * 150 + [0.9] * 200, hard_fail)
    assert cause(books) == "traffic"


def test_more_bad_content_at_equal_scores_is_the_models(books: Ledger) -> None:
    spread = [n / 100 for n in range(100)] * 5
    happened(books, LONG_AGO, spread, every(50, "bad_content"))
    happened(books, NOON, spread, every(6, "bad_content"))
    assert cause(books) == "model"


def test_a_model_that_got_worse_is_no_threshold_even_where_most_scores_lie_near_one(books: Ledger) -> None:
    spread = [0.32, 0.33, 0.36, 0.1] * 125
    happened(books, LONG_AGO, spread, every(50, "bad_content"))
    happened(books, NOON, spread, every(5, "bad_content"))
    assert cause(books) == "model"


def test_growth_among_scores_near_a_threshold_is_the_thresholds(books: Ledger) -> None:
    happened(books, LONG_AGO, [0.1] * 450 + [0.34] * 50, near_fails())
    happened(books, NOON, [0.1] * 250 + [0.34] * 250, near_fails())
    assert cause(books) == "thresholds"


def test_as_many_near_the_threshold_that_now_fail_there_alone_are_the_thresholds(books: Ledger) -> None:
    happened(books, LONG_AGO, [0.1, 0.2, 0.34, 0.36] * 125, every(10**6, ""))
    happened(books, NOON, [0.1, 0.2, 0.34, 0.36] * 125, near_fails())
    assert cause(books) == "thresholds"


def test_calls_that_fail_at_equal_scores_are_the_providers(books: Ledger) -> None:
    happened(books, LONG_AGO, EASY, every(50, "outage"))
    happened(books, NOON, EASY, every(5, "outage"))
    assert cause(books) == "provider"


@pytest.mark.parametrize(("why", "told"), [("outage", "provider"), ("bad_content", "")])
def test_without_scores_only_calls_that_fail_are_told_from_replies_that_do(books: Ledger, why: str, told: str) -> None:
    for since, count in ((LONG_AGO, 50), (NOON, 4)):
        for n in range(300):
            up = n % count == 0
            tries = (
                (attempt(outcome="bad_content" if why == "bad_content" else "server"), attempt())
                if up
                else (attempt(),)
            )
            books.append(row(ts=since + n * 1_000, score=None, escalated=up, escalation=why if up else "", tries=tries))
    assert cause(books) == told


def test_without_recorded_scores_no_cause_is_told() -> None:
    assert change.cause_of({}, {}, (0.35,)) == ""
    same = {("faq", 2): Mix(100, 10, 10)}
    assert change.cause_of(same, same, ()) == ""


@pytest.mark.parametrize("thresholds", [(0.35,), (0.35, 0.7)])
@pytest.mark.parametrize("seed", range(15))
def test_the_three_causes_are_told_apart_in_simulated_traffic(seed: int, thresholds: tuple[float, ...]) -> None:
    """Scores drawn from Beta distributions, escalations by a rate that rises with the score, as in ordinary traffic."""
    chance = random.Random(seed)

    def traffic(a: float, b: float, rate: Callable[[float], float], number: int = 3_000) -> dict[tuple[str, int], Mix]:
        found: dict[tuple[str, int], Mix] = {}
        for _ in range(number):
            score = chance.betavariate(a, b)
            up = chance.random() < rate(score)
            at = ("faq", min(19, int(score * 20)))
            found[at] = found.get(at, Mix()) + Mix(1, up, up)
        return found

    def usual(score: float) -> float:
        return 0.02 + 0.25 * score

    before = traffic(2, 6, usual)
    assert change.cause_of(before, traffic(5, 3, usual), thresholds) == "traffic"
    assert change.cause_of(before, traffic(2, 6, lambda s: usual(s) + 0.1), thresholds) == "model"
    off = traffic(2, 6, lambda s: usual(s) + (0.4 if 0.3 <= s < 0.4 else 0.0))
    assert change.cause_of(before, off, thresholds) == "thresholds"


# how often it is wrong


def looks(folder: Path, number: int, false_alarms: float) -> int:
    """In how many of so many looks at unchanged rates there is an alarm: eight rules, every rate its own, few requests and
    many."""
    chance = random.Random(11)
    rates = [chance.uniform(0.005, 0.3) for _ in range(8)]
    sizes = [chance.choice((40, 150, 400)) for _ in range(8)]
    store = SqliteStore(str(folder / "ledger.db"))
    columns = (*HOUR_KEY, *SUMS)
    insert = f"INSERT INTO rollup_hour ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    alarmed = 0
    for _ in range(number):
        with store.write(1) as transaction:
            transaction.run("DELETE FROM rollup_hour")
            for rule, (rate, size) in enumerate(zip(rates, sizes, strict=True)):
                for age in (5, 60, 400, 750):  # one hour of each stretch
                    hits = [sum(chance.random() < rate for _ in range(size)) for _ in range(3)]
                    sums = (
                        dict.fromkeys(SUMS, 0)
                        | {"requests": size}
                        | dict(zip(("escalated", "spoiled", "follow_ups"), hits, strict=True))
                    )
                    key = (NOW // HOUR - age, "p", f"r{rule}", "enforce")
                    transaction.run(insert, (*key, *(sums[name] for name in SUMS)))
        with store.read() as view:
            alarmed += bool(change.alarms(view, NOW, false_alarms=false_alarms))
    store.close()
    return alarmed


def test_false_alarms_are_no_more_frequent_than_stated(tmp_path: Path) -> None:
    """At a level of one look in five, so that few looks suffice to count them: at most 40 in 200, and not none."""
    assert 0 < looks(tmp_path, 200, 8_766 / 5) <= 40


def test_at_the_stated_level_nothing_is_ever_seen_in_few_looks(tmp_path: Path) -> None:
    assert looks(tmp_path, 100, change.FALSE_ALARMS_A_YEAR) == 0


@pytest.mark.slow
def test_hour_after_hour_over_months_false_alarms_are_no_more_frequent_than_stated(tmp_path: Path) -> None:
    """One stream of four rules, looked at 3,000 hours in a row at a level of one look in fifty: at most 60 are alarmed,
    although the looks share most of their requests."""
    chance = random.Random(23)
    store = SqliteStore(str(tmp_path / "ledger.db"))
    columns = (*HOUR_KEY, *SUMS)
    insert = f"INSERT INTO rollup_hour ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    end, looked = NOW // HOUR, 3_000
    with store.write(1) as transaction:
        for hour in range(end - looked - 840, end):
            for rule, rate in enumerate((0.01, 0.05, 0.1, 0.2)):
                size = chance.randint(5, 30)
                hits = {name: sum(chance.random() < rate for _ in range(size)) for name in change.METRICS}
                sums = dict.fromkeys(SUMS, 0) | {"requests": size} | hits | {"failed": 0}
                transaction.run(insert, (hour, "p", f"r{rule}", "enforce", *(sums[name] for name in SUMS)))
    with store.read() as view:
        alarmed = sum(
            bool(change.alarms(view, hour * HOUR, false_alarms=8_766 / 50)) for hour in range(end - looked, end)
        )
    store.close()
    assert alarmed <= 60


# told once


def test_an_alarm_is_told_once_whoever_looks_and_again_only_after_it_was_over(books: Ledger) -> None:
    happened(books, LONG_AGO, EASY, every(50, "bad_content"))
    happened(books, NOON, EASY, every(5, "bad_content"))
    assert books.flush(20)
    first = NOW + 2 * HOURS

    def look(now: int) -> list[str]:
        with books.store().write(1) as transaction:
            return [alarm.metric for alarm in change.tell(transaction, change.look(transaction, now), now)]

    assert look(first) == ["escalated"]
    assert look(first + 1) == []  # another process in the same hour
    with books.store().write(1) as transaction:
        transaction.run("DELETE FROM alarm")
    assert look(first + 2) == []  # it does not even look
    assert look(first + HOURS) == ["escalated"]
    with books.store().write(1) as transaction:
        transaction.run("DELETE FROM alert WHERE ts > ?", (first,))
    assert look(first + 2 * HOURS) == []  # as bad as before
    assert look(first + 40 * 24 * HOURS) == []  # long over
    with books.read() as view:
        assert view.run("SELECT count(*) FROM alarm") == [(0,)]
        (payload,) = [json.loads(body) for (body,) in view.run("SELECT payload FROM alert ORDER BY ts, id")]
    assert payload["metric"] == "escalated"
    assert set(payload) <= alerts.KEYS
    happened(books, first + 40 * 24 * HOURS, EASY, every(50, "bad_content"))
    happened(books, first + 45 * 24 * HOURS, EASY, every(5, "bad_content"))
    assert books.flush(20)
    assert "escalated" in look(first + 46 * 24 * HOURS)


def test_the_ledgers_own_thread_looks(tmp_path: Path) -> None:
    books = ledger(tmp_path)
    books._now = lambda: (NOW + 2 * HOURS) / 1000
    happened(books, LONG_AGO, EASY, every(50, "outage"))
    happened(books, NOON, EASY, every(5, "outage"))
    assert books.flush(20)
    with books.store().write(1) as transaction:
        transaction.run("DELETE FROM done")
    books._tend()
    with books.read() as view:
        ((body,),) = view.run("SELECT payload FROM alert")
    books.close()
    assert (json.loads(body)["rule"], json.loads(body)["cause"]) == ("faq", "provider")
