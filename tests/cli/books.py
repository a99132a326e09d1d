"""A month of books for tests of the commands that report from them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hroute.ledger.ledger import Ledger, at
from hroute.terms.ids import uuid7
from tests.cli.conftest import Cli
from tests.ledger.rows import attempt, row

DAY = 86_400_000
CENT = 10_000_000


@pytest.fixture
def now() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Iterator[Ledger]:
    path = str(tmp_path / "books.db")
    monkeypatch.setenv("HROUTE_LEDGER", path)
    made = at(path, key_file=f"{path}.key")
    yield made
    made.close()


@pytest.fixture
def month(books: Ledger, now: int) -> list[str]:
    """Twenty days: faq at home for nothing, complaints in the cloud at a cent each, one of them after a bad reply."""
    ids = []
    for number in range(40):
        ids.append(uuid7())
        complaint = number % 4 == 0
        spoiled = number == 4
        served = attempt(provider="big" if complaint else "home", model="m", cost=CENT if complaint else 0)
        tries = (attempt(provider="home", model="s", outcome="bad_content", cost=0), served) if spoiled else (served,)
        books.append(
            row(
                ids[-1], ts=now - 20 * DAY + number * DAY // 2, rule="complaints" if complaint else "faq",
                intent="complaint" if complaint else "faq", provider="big" if complaint else "home", model="m",
                cost=CENT if complaint else 0, tries=tries, escalated=spoiled, escalation="bad_content" if spoiled else "",
                session=f"{number % 5:032x}", latency_ms=900.0, task_type="qa", user_turn=False,
            )
        )  # fmt: skip
    assert books.flush(10)
    return ids


def report(cli: Cli, *arguments: str) -> dict[str, Any]:
    ran = cli("costs", *arguments, "--json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found
