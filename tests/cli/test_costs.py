"""`costs` over a month of books: what a person sees, what a program gets, and what goes wrong."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from hroute.ledger.ledger import Ledger
from hroute.ledger.sqlite import APPLICATION
from hroute.ledger.store import StoreError, Trouble, statements, steps
from tests.cli.books import CENT, DAY, books, month, now, report
from tests.cli.conftest import Cli
from tests.ledger.rows import attempt, row

__all__ = ["books", "month", "now"]


def test_costs_by_an_axis_are_a_table_with_its_total(month: list[str], cli: Cli) -> None:
    ran = cli("costs", "--by", "intent")
    header, first, second, total = ran.out.splitlines()
    assert header.split("  ")[0] == "intent"
    for column in ("requests", "cost", "per request", "escalated", "follow-up < 2 min", "bad replies"):
        assert column in header
    assert first.split() == ["complaint", "10", "$0.10", "$0.0100", "10.0", "%", "-", "10.0", "%"]
    assert second.split()[:3] == ["faq", "30", "$0.00"]
    assert total.split()[:3] == ["total", "40", "$0.10"]


def test_a_program_gets_every_figure(month: list[str], cli: Cli) -> None:
    found = report(cli, "--by", "provider")
    big = next(r for r in found["rows"] if r["provider"] == "big")
    assert (big["requests"], big["cost_usd"], big["escalated"], big["calls"], big["call_failures"]) == (
        10,
        0.1,
        1,
        10,
        0,
    )
    assert big["p50_ms"] == pytest.approx(900, rel=0.08)
    home = next(r for r in found["rows"] if r["provider"] == "home")
    assert (home["calls"], home["call_failures"]) == (31, 1)
    assert found["total"]["requests"] == 40
    assert found["month"]["small"] is True
    assert found["alarms"] == []


@pytest.mark.parametrize(
    "by",
    ["model", "rule", "cost_center", "cost-center", "task_type", "purpose", "day", "hour", "session", "tenant", "outcome",
     "intent,provider", "rule,day", "session,rule", "hour,rule"],
)  # fmt: skip
def test_every_axis_and_pair_adds_up(month: list[str], cli: Cli, by: str) -> None:
    found = report(cli, "--by", by)
    assert sum(r["requests"] for r in found["rows"]) == found["total"]["requests"] == 40
    assert found["by"] == by.replace("-", "_")
    assert set(found["by"].split(",")) <= set(found["rows"][0])
    assert cli("costs", "--by", by, "--plot").code == 0


def test_what_lies_outside_the_days_is_left_out(month: list[str], cli: Cli, now: int) -> None:
    assert report(cli, "--last", "2d")["total"]["requests"] in (4, 5, 6)
    assert report(cli, "--since", "40d", "--until", "30d")["total"]["requests"] == 0
    day = time.strftime("%Y-%m-%d", time.gmtime(now / 1000 - 3 * 86_400))
    assert report(cli, "--since", day, "--until", day)["total"]["requests"] == 2
    assert report(cli, "--last", "month")["until"][-2:] in ("28", "29", "30", "31")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--by", "weather"), ("--by", ","), ("--since", "never"), ("--since", "2026-13-01"), ("--last", "1d", "--since", "2d"),
        ("--since", "1d", "--until", "9d"), ("--top", "0"), ("--would", "--holdout"), ("--reconcile", "no-such-file.csv"),
        ("--last", "fortnight"), ("--would", "--by", "session"), ("--holdout", "--by", "rule"), ("--holdout", "--plot"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_usage_error(month: list[str], cli: Cli, wrong: tuple[str, ...]) -> None:
    ran = cli("costs", *wrong)
    assert ran.code == 2
    assert "Traceback" not in ran.err
    assert "itself failed" not in ran.err


def test_only_the_dearest_are_shown_and_the_rest_is_said(month: list[str], cli: Cli) -> None:
    ran = cli("costs", "--by", "session", "--top", "2")
    assert len(ran.out.splitlines()) == 4
    assert "3 more, with less cost" in ran.err
    assert len(report(cli, "--by", "session")["rows"]) == 5


def test_a_plot_has_a_bar_for_each_and_a_gap_where_nothing_was(books: Ledger, cli: Cli, now: int) -> None:
    for age in (1, 3):
        books.append(row(ts=now - age * DAY, cost=CENT, tries=(attempt(cost=CENT),)))
    assert books.flush()
    ran = cli("costs", "--by", "day", "--plot")
    drawn = ran.out.split("cost by day\n")[1].splitlines()
    assert len(drawn) == 3
    assert [("█" in line or "#" in line) for line in drawn] == [True, False, True]
    assert cli("costs", "--by", "hour", "--plot").code == 0


def test_a_narrow_terminal_loses_columns_and_says_which(
    month: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in (20, 40, 60, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        ran = cli("costs", "--by", "rule", "--plot")
        assert ran.code == 0
        if columns >= 60:
            assert max(map(len, ran.out.splitlines())) <= columns
    assert "no room" in ran.out


def test_a_small_bill_is_said_to_be_small_and_over_how_many_days(month: list[str], cli: Cli) -> None:
    ran = cli("costs")
    assert "$0.10 in 20" in ran.err
    assert "under $50 a month" in ran.err
    assert "One provider for everything is the better answer" in ran.err


def test_a_large_bill_or_an_unknown_one_is_not_said_to_be_small(books: Ledger, cli: Cli, now: int) -> None:
    books.append(row(ts=now - 2 * DAY, cost=40 * 100 * CENT))
    assert books.flush()
    assert "under $50" not in cli("costs").err  # forty dollars in two days
    books.append(row(ts=now - 20 * DAY, cost=None))
    assert books.flush()
    assert "under $50" not in cli("costs").err


def test_some_hours_are_no_month(books: Ledger, cli: Cli, now: int) -> None:
    books.append(row(ts=now - 3_600_000, cost=1))
    assert books.flush()
    assert "under $50" not in cli("costs").err


def test_a_small_bill_that_routing_keeps_small_is_told_as_that(books: Ledger, cli: Cli, now: int) -> None:
    """The default of the policy is `big`, at 3 and 15 dollars a million tokens."""
    from hroute.terms.usage import Usage

    used = Usage(60_000_000, 0)
    books.append(row(ts=now - 25 * DAY, cost=0, usage=used, tries=(attempt(cost=0, usage=used),)))
    assert books.flush()
    told = cli("costs").err
    assert "under $50 a month" in told
    assert "all of it on big would be about $2" in told


def test_an_alarm_stands_below_the_costs_and_in_the_json(books: Ledger, cli: Cli, now: int) -> None:
    hour = now // 3_600_000 * 3_600_000
    for since, every in ((hour - 9 * DAY, 50), (hour - 8 * 3_600_000, 4)):
        for n in range(300):
            up = n % every == 0
            tries = (attempt(outcome="bad_content"), attempt()) if up else (attempt(),)
            books.append(
                row(
                    ts=since + n * 1_000,
                    escalated=up,
                    escalation="bad_content" if up else "",
                    tries=tries,
                    score=n % 20 / 60,
                )
            )
    assert books.flush(10)
    (alarm,) = report(cli)["alarms"]
    assert (alarm["rule"], alarm["metric"]) == ("faq", "escalated")
    for command in ("costs", "status"):
        assert "alarm: rule faq: escalations 2.0% -> 25.0%" in cli(command).err


# would, holdout, reconcile


def test_would_says_what_was_served_and_what_the_policy_wanted(books: Ledger, cli: Cli, now: int) -> None:
    for n in range(4):
        books.append(
            row(ts=now - n, mode="observe", provider="big", routed_to="home" if n else "", cost=CENT, would_cost=0)
        )
    books.append(row(ts=now, cost=CENT))
    assert books.flush()
    first = cli("costs", "--would").out.splitlines()[0]
    assert first.startswith("4 requests, $0.04 as served; the policy would have cost $0.00. It would have refused 1")
    found = report(cli, "--would")["would"]
    assert (found["requests"], found["cost_usd"], found["would_cost_usd"], found["would_refuse"]) == (4, 0.04, 0.0, 1)
    assert len(cli("logs", "--would-refuse").out.splitlines()) == 1
    by_intent = report(cli, "--would", "--by", "intent,rule")["would"]["rows"]
    assert [(r["intent"], r["rule"], r["requests"]) for r in by_intent] == [("faq", "faq", 4)]


def test_what_was_never_observed_or_held_back_is_said_with_the_way_to_it(month: list[str], cli: Cli) -> None:
    assert "mode: observe" in cli("costs", "--would").err
    assert "holdout: 5%" in cli("costs", "--holdout").err
    assert report(cli, "--holdout")["holdout"] == []


def test_a_holdout_stands_beside_its_rule(books: Ledger, cli: Cli, now: int) -> None:
    for n in range(60):
        books.append(row(ts=now - n * 1_000, cost=0, variant=""))
        books.append(row(ts=now - n * 1_000, cost=CENT + n, variant="holdout"))
    assert books.flush()
    ran = cli("costs", "--holdout")
    assert ran.out.startswith("faq   60 requests in 60 sessions; held out on the baseline 60 in 60")
    assert "cheaper" in ran.out
    assert "saved about $0.60" in ran.out
    (one,) = report(cli, "--holdout")["holdout"]
    assert one["figures"]["cost_usd"]["shown"] is True
    assert one["figures"]["cost_usd"]["high"] < 0
    assert one["figures"]["escalated"]["shown"] is False


def test_too_few_in_a_holdout_are_said_plainly(books: Ledger, cli: Cli, now: int) -> None:
    books.append(row(ts=now, cost=0))
    books.append(row(ts=now, cost=CENT, variant="holdout"))
    assert books.flush()
    assert "too few to compare: 1 session on one side" in cli("costs", "--holdout").out
    assert report(cli, "--holdout")["holdout"][0]["saved_usd"] is None


def test_an_export_is_compared_by_day_and_model(books: Ledger, cli: Cli, tmp_path: Path) -> None:
    noon = 1_795_176_000_000
    one = attempt(provider="big", model="claude-sonnet-4-5", cost=50 * CENT)
    books.append(row(ts=noon, provider="big", model="claude-sonnet-4-5", cost=50 * CENT, tries=(one,)))
    assert books.flush()
    path = tmp_path / "export.csv"
    path.write_text(
        "usage_date_utc,model,token_type,cost_usd,mystery\n"
        "2026-11-20,Claude Sonnet 4.5,output,0.40,x\nnot a day,Claude Sonnet 4.5,output,0.40,x\n"
    )
    ran = cli("costs", "--reconcile", str(path))
    assert ran.code == 0
    assert ran.out.splitlines()[1].split()[:7] == ["2026-11-20", "Claude", "Sonnet", "4.5", "$0.40", "$0.50", "+$0.10"]
    assert "1 line could not be read: line 3" in ran.err
    assert "not known, and not used: mystery" in ran.err
    found = report(cli, "--reconcile", str(path))
    assert (found["bad_lines"], found["unknown_columns"]) == (1, ["mystery"])
    assert found["rows"][0]["difference_usd"] == pytest.approx(0.1)
    assert found["total"]["difference_usd"] == pytest.approx(0.1)
    assert report(cli, "--reconcile", str(path), "--until", "2026-11-19")["rows"] == []
    assert len(report(cli, "--reconcile", str(path), "--since", "2026-11-20")["rows"]) == 1
    path.write_text("a,b\n1,2\n")
    assert cli("costs", "--reconcile", str(path)).code == 2


def test_without_books_there_is_nothing_to_tell_and_nothing_breaks(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HROUTE_LEDGER", str(tmp_path / "none.db"))
    path = tmp_path / "export.csv"
    path.write_text("usage_date_utc,model,cost_usd\n2026-11-20,claude-x,1\n")
    for arguments in ((), ("--plot",), ("--would",), ("--holdout",), ("--reconcile", str(path)), ("--by", "session")):
        assert cli("costs", *arguments).code == 0, arguments
        assert json.loads(cli("costs", *arguments, "--json").out)["schema"] == "hroute.costs/1"
    assert not (tmp_path / "none.db").exists()


def test_a_password_in_the_ledgers_address_is_never_shown() -> None:
    from hroute.cli.ledger import Place

    assert "hunter2" not in Place("postgresql://me:hunter2@db.example/books", "UTC").shown


# a ledger of an older version


def older(path: Path) -> None:
    """A ledger as an earlier version left it, with five requests in its sums."""
    store = sqlite3.connect(path)
    store.execute("CREATE TABLE migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, ts BIGINT NOT NULL)")
    for number in (1, 2, 3):
        for statement in statements(steps()[number].read_text(encoding="utf-8")):
            store.execute(statement)
        store.execute("INSERT INTO migration VALUES (?, ?, 0)", (number, steps()[number].stem))
    store.execute(f"PRAGMA application_id = {APPLICATION}")
    store.execute("PRAGMA user_version = 3")
    day = time.strftime("%Y-%m-%d", time.gmtime())
    values = (day, "p", "m", "r", "", "i", "enforce", 5, *(0 for _ in range(11)), 100, 0, 0, 0, 0)
    store.execute(f"INSERT INTO rollup VALUES ({', '.join('?' * len(values))})", values)
    store.commit()
    store.close()


def test_an_older_ledger_is_brought_up_to_date_and_keeps_its_sums(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(tmp_path / "old.db")
    monkeypatch.setenv("HROUTE_LEDGER", str(tmp_path / "old.db"))
    found = report(cli, "--by", "rule")
    assert [(r["rule"], r["requests"], r["cost_usd"]) for r in found["rows"]] == [("r", 5, 1e-07)]
    assert cli("logs").code == 0


def test_an_older_ledger_that_cannot_be_changed_is_said_to_be_old(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(tmp_path / "old.db")
    monkeypatch.setenv("HROUTE_LEDGER", str(tmp_path / "old.db"))
    monkeypatch.setattr("hroute.ledger.sqlite.migrate", refused)
    ran = cli("costs")
    assert ran.code == 2
    assert "has version 3" in ran.err


def refused(*_: object) -> int:
    raise StoreError(Trouble.READ_ONLY, "it cannot be written: read-only")
