"""What a process that has just begun knows of its providers: what the ledger saw in the last minutes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hroute.ledger import ledger
from hroute.ledger.records import AttemptRow, RequestRow
from hroute.router.health import Health
from hroute.router.limits import Size
from hroute.router.memory import past, remind
from hroute.schema.policy import Breaker, LatencyBreaker, Limits
from hroute.terms.outcome import Outcome
from hroute.terms.usage import Usage
from tests.router.stage import policy, provider, rule

WATCHED = Breaker(failures=3, latency=LatencyBreaker(p95=1.0, samples=2))
A, B = provider("a", breaker=WATCHED), provider("b", breaker=WATCHED)
POLICY = policy([A, B], rule(["a", "b"]))


def wrote(where: Path, *calls: tuple[float, AttemptRow]) -> dict[str, str]:
    """An environment with a ledger that holds these calls, each so many seconds ago."""
    book = ledger.at(str(where / "ledger.db"))
    for n, (ago, row) in enumerate(calls):
        ts = int((time.time() - ago) * 1000 - row.latency_ms)
        book.append(RequestRow(f"r{n}", ts, row.outcome, latency_ms=row.latency_ms, tries=(row,)))
    book.close()
    return {"HROUTE_LEDGER": str(where / "ledger.db")}


def call(name: str, outcome: str, latency_ms: float = 100.0, **more: Any) -> AttemptRow:
    return AttemptRow(name, f"{name}-1", outcome, latency_ms, **more)


def test_breakers_begin_as_the_last_minutes_would_have_left_them(tmp_path: Path) -> None:
    down = [(n + 5.0, call("a", "server", status=503)) for n in range(3)]
    slow = [(n + 5.0, call("b", "ok", 9000.0)) for n in range(2)]
    health = Health()
    remind(health, POLICY, wrote(tmp_path, *down, *slow))
    refused = health.refuses(A)
    assert refused is not None
    assert "errors breaker is open" in refused.detail
    assert "(503)" in refused.detail
    assert (health.refuses(B), health.postpones(B)) == (None, True)


def test_a_stream_is_as_fast_as_its_first_words_here_too(tmp_path: Path) -> None:
    environ = wrote(tmp_path, *[(5.0, call("b", "ok", 9000.0, ttft_ms=200.0))] * 2)
    health = Health()
    remind(health, POLICY, environ)
    assert not health.postpones(B)


def test_what_is_older_than_some_minutes_says_nothing(tmp_path: Path) -> None:
    environ = wrote(tmp_path, *[(700.0, call("a", "server"))] * 5)
    assert past(POLICY, environ) == []


def test_a_key_that_was_rejected_is_tried_again_by_the_next_process(tmp_path: Path) -> None:
    environ = wrote(tmp_path, (5.0, call("a", "credential", status=401)))
    assert [one.outcome for one in past(POLICY, environ) or ()] == [Outcome.CREDENTIAL]
    health = Health()
    remind(health, POLICY, environ)
    assert health.refuses(A) is None


@pytest.mark.parametrize("there", ["nothing", "no ledger", "garbage"])
def test_without_a_ledger_that_can_be_read_nothing_is_known_and_nothing_is_made(tmp_path: Path, there: str) -> None:
    file = tmp_path / "ledger.db"
    if there == "garbage":
        file.write_bytes(b"not a database" * 1000)
    environ = {"HROUTE_LEDGER": "" if there == "no ledger" else str(file)}
    assert past(POLICY, environ) is None
    health = Health()
    remind(health, POLICY, environ)
    assert health.refuses(A) is None
    assert file.exists() == (there == "garbage")


def test_what_a_minute_has_left_of_a_limit_is_known_to_the_next_process(tmp_path: Path) -> None:
    limited = provider("a", limits=Limits(requests_per_minute=10, tokens_per_minute=1_000))
    written = policy([limited, B], rule(["a", "b"]))
    calls = [(n + 1.0, call("a", "ok", usage=Usage(input=20, output=5, cache_read=900))) for n in range(9)]
    health = Health()
    remind(health, written, wrote(tmp_path, *calls))
    limiter = health.of(limited).limiter
    assert limiter.shortage(Size(1)) is None
    assert limiter.shortage(Size(1_000)).limit == "tokens_per_minute"  # type: ignore[union-attr]
    limiter.remember(0)
    limiter.remember(0)
    assert limiter.shortage(Size(1)).limit == "requests_per_minute"  # type: ignore[union-attr]


def test_what_was_taken_beyond_a_limit_is_waited_for_no_longer_than_one_call(tmp_path: Path) -> None:
    limited = provider("a", limits=Limits(requests_per_minute=60))
    health = Health()
    remind(health, policy([limited], rule(["a"])), wrote(tmp_path, *[(1.0, call("a", "ok"))] * 500))
    short = health.of(limited).limiter.shortage(Size())
    assert short is None or (short.seconds is not None and short.seconds <= 1.0)


def test_a_rehearsal_says_nothing_of_real_providers(tmp_path: Path) -> None:
    book = ledger.at(str(tmp_path / "ledger.db"))
    now = int(time.time() * 1000)
    for n in range(5):
        tried = (call("a", "server", status=503),)
        book.append(RequestRow(f"r{n}", now - 5_000, "server", mode="sandbox", tries=tried))
    book.close()
    assert past(POLICY, {"HROUTE_LEDGER": str(tmp_path / "ledger.db")}) == []
