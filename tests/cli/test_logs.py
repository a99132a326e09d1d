"""`logs`: followed, shown, and exported with no more text than was kept and asked for."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from hroute.ledger.ledger import Ledger
from hroute.ledger.records import Feedback, Said
from hroute.terms.ids import uuid7
from tests.cli.books import books, month, now
from tests.cli.conftest import Cli
from tests.ledger.rows import row

__all__ = ["books", "month", "now"]


def test_following_shows_what_comes_and_nothing_older(
    month: list[str], books: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = iter(range(4))
    fresh = uuid7()

    def pause(_: float) -> None:
        turn = next(rounds)
        if turn == 0:
            books.append(row(fresh, ts=int(time.time() * 1000) - 500, latency_ms=500.0))
            assert books.flush()
        elif turn == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("hroute.cli.logs.time.sleep", pause)
    ran = cli("logs", "-f", "-n", "2", "--json")
    assert ran.code == 130
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == [*month[-2:], fresh]


def test_text_is_exported_only_where_it_was_kept_and_asked_for(
    books: Ledger, cli: Cli, tmp_path: Path, now: int
) -> None:
    told = json.dumps({"system": "be kind", "messages": [{"role": "user", "text": "are you open?"}]})
    books.append(row("kept", ts=now - 2, cost=0, said=Said(told, "yes", redacted=True)))
    books.append(row("not", ts=now - 1, cost=0))
    books.append(Feedback("kept", now, "bad"))
    assert books.flush()
    plain, text, labels = (tmp_path / name for name in ("plain.jsonl", "text.jsonl", "labels.jsonl"))
    assert cli("logs", "export", str(plain)).code == 0
    assert "open" not in plain.read_text()
    assert cli("logs", "export", str(text), "--text").code == 0
    kept, other = (json.loads(line) for line in text.read_text().splitlines())
    assert (kept["messages"], kept["system"], kept["answer"]) == (
        [{"role": "user", "content": "are you open?"}],
        "be kind",
        "yes",
    )
    assert "messages" not in other
    shown = cli("logs", "show", "kept").out
    assert "system: be kind" in shown
    assert "user: are you open?" in shown
    assert "answer: yes" in shown
    assert cli("logs", "export", str(labels), "--labels").code == 0
    assert [json.loads(line) for line in labels.read_text().splitlines()] == [
        {"id": "kept", "prompt": "are you open?", "cheap": 0, "dear": 1}
    ]
    assert os.stat(text).st_mode & 0o777 == 0o600
    ran = cli("dry-run", str(text), "--json")
    assert json.loads(ran.out)["requests"] == 2, ran.err
    assert cli("logs", "export", str(tmp_path / "labels.csv"), "--labels").code == 2


def test_an_export_ends_where_it_is_told(month: list[str], cli: Cli, tmp_path: Path, now: int) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime(now / 1000 - 3 * 86_400))
    assert cli("logs", "export", "-", "--since", day, "--until", day).out.count("\n") == 2


def test_a_request_is_shown_attempt_by_attempt(month: list[str], cli: Cli) -> None:
    shown = cli("logs", "show", month[4]).out
    assert "attempts" in shown
    assert "home / s: bad_content, 0.2 s, $0.0000" in shown
    assert "big / m: ok" in shown
