"""What the ledger tells of single requests: by id, in order, in full, and as a log that others read."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.errors import UsageError
from hroute.ledger import costs, export, report, retention
from hroute.ledger.ledger import Ledger
from hroute.ledger.records import Feedback
from tests.ledger.rows import NOON, ask, ledger, row

DAY = 86_400_000


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = ledger(tmp_path)
    yield made
    made.close()


def test_an_id_is_found_by_a_unique_end_of_it(books: Ledger) -> None:
    first, second = "01a1fa33-25d7-7f30-bead-80ef2f2bd64d", "01a1fa33-2722-71e8-b106-d1f0d2fdb1f0"
    for id in (first, second, "mine"):
        books.append(row(id))
    assert books.flush()
    with books.read() as view:
        assert report.named(view, "2f2bd64d") == report.named(view, "01A1FA33-25d7") == [first]
        assert report.named(view, "01a1fa33") == [first, second]
        assert report.named(view, "mine") == ["mine"]
        assert report.named(view, "ffff") == report.named(view, "%") == report.named(view, "") == []


def test_one_request_is_told_with_all_that_hangs_on_it(books: Ledger) -> None:
    books.append(row("a", session="s"))
    books.append(row("b", session="s", ts=NOON + 10_000))
    books.append(Feedback("a", NOON, "bad"))
    assert books.flush()
    with books.read() as view:
        a, b = report.whole(view, "a"), report.whole(view, "b")
        assert report.whole(view, "c") is None
    assert a is not None
    assert b is not None
    assert (a["followed_by"], b["follows"], a["feedback"][0]["verdict"]) == (["b"], "a", "bad")
    assert a["versions"] == {"tokens": "tokens/1"}


def test_every_request_comes_once_and_in_order_however_many_arrive_at_once(books: Ledger) -> None:
    for n in range(2_500):
        books.append(row(f"{n:05}", ts=NOON + n // 900))
    assert books.flush()
    with books.read() as view:
        ids = [one["id"] for page in report.pages(view) for one in page]
    assert ids == [f"{n:05}" for n in range(2_500)]


def test_an_export_is_a_log_that_a_dry_run_reads(books: Ledger) -> None:
    from hroute.replay.rows import row_from

    books.append(row("a", session="s", cost=1_234))
    books.append(row("b", cost=None, ts=NOON + 1))
    assert books.flush()
    out = io.StringIO()
    with books.read() as view:
        assert export.to_jsonl(report.pages(view), out) == 2
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["ts"], first["cost_usd"], second["cost_usd"]) == ("2026-11-20T12:00:00.000Z", 1.234e-06, None)
    read = row_from(first, 1)
    assert (read.id, read.cost, read.input_tokens, read.output_tokens) == ("a", 1_234, 100, 20)
    assert read.signals["intent"] == frozenset(("faq",))
    assert read.misfits == ()


def test_a_spreadsheet_takes_no_cell_for_a_formula(books: Ledger) -> None:
    books.append(row("a", cost_center="=HYPERLINK(1)"))
    assert books.flush()
    out = io.StringIO()
    with books.read() as view:
        export.to_csv(report.pages(view), out)
    (found,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert found["cost_center"] == "'=HYPERLINK(1)"
    assert json.loads(found["signals"])["intent"] == ["faq"]


@pytest.mark.parametrize("package", ["pyarrow", "duckdb"])
def test_parquet_by_either_package_has_every_row(
    books: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    pytest.importorskip(package)
    monkeypatch.setitem(sys.modules, {"pyarrow": "duckdb", "duckdb": "pyarrow"}[package], None)
    books.append(row("a", cost=1_234))
    books.append(row("b", cost=None, ts=NOON + 1))
    assert books.flush()
    path = tmp_path / "it's.parquet"
    with books.read() as view:
        assert export.to_parquet(report.pages(view), str(path)) == 2
    assert path.read_bytes()[:4] == path.read_bytes()[-4:] == b"PAR1"
    assert path.stat().st_mode & 0o077 == 0


def test_parquet_without_a_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError, match="pyarrow or duckdb") as error:
        export.to_parquet([], str(tmp_path / "x.parquet"))
    assert "--extra replay" in (error.value.help or "")
    assert not (tmp_path / "x.parquet").exists()


def test_old_rows_go_and_their_sums_stay(books: Ledger) -> None:
    for n in range(10):
        books.append(row(ts=NOON - n * DAY, cost=1))
    assert books.flush()
    with books.store().write(1) as transaction:
        assert retention.prune(transaction, NOON - 5 * DAY) == 4
    assert ask(books, "SELECT count(*) FROM request") == [(6,)]
    assert ask(books, "SELECT count(*) FROM attempt") == [(6,)]
    with books.read() as view:
        assert costs.costs(view, "provider", "2026-11-01", "2026-11-20").total.cost == 10
