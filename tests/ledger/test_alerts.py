"""Alerts: once among all processes, tried again, silent in quiet hours, and never saying more than they may."""

from __future__ import annotations

import hmac
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hroute.ledger import alerts
from hroute.ledger.alerts import Channels, Quiet
from hroute.ledger.sqlite import SqliteStore
from tests.ledger.rows import NOON

HALF = {"kind": "budget", "budget": "daily", "share": 0.5, "spent_usd": 10.2, "limit_usd": 20.0}


@dataclass
class Postman:
    """Notes what is posted; answers with the statuses that it was given, then 200."""

    statuses: list[int | Exception] = field(default_factory=list)
    posted: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> int:
        assert 0 < timeout <= 10
        self.posted.append((url, body, headers))
        status = self.statuses.pop(0) if self.statuses else 200
        if isinstance(status, Exception):
            raise status
        return status


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(str(tmp_path / "ledger.db"))
    yield made
    made.close()


def add(store: SqliteStore, **changed: object) -> None:
    with store.write(1) as transaction:
        alerts.add(transaction, {**HALF, **changed}, NOON)


def states(store: SqliteStore) -> list[str]:
    with store.read() as view:
        return [state for (state,) in view.run("SELECT state FROM alert ORDER BY ts, id")]


HOOK = Channels(log=False, webhook="https://example.com/hook")


def test_an_alert_is_sent_once_whoever_sends(store: SqliteStore) -> None:
    postman = Postman()
    add(store)
    assert alerts.send(store, HOOK, postman, "one", now=NOON) == 1
    assert alerts.send(store, HOOK, postman, "two", now=NOON) == 0
    ((url, body, _),) = postman.posted
    assert url == "https://example.com/hook"
    assert json.loads(body) == {"alerts": [HALF]}
    assert states(store) == ["sent"]


def test_what_one_process_has_taken_no_other_sends_until_it_may_be_dead(store: SqliteStore) -> None:
    add(store)
    with store.write(1) as transaction:
        assert len(alerts._take(transaction, "one", NOON)) == 1
    postman = Postman()
    assert alerts.send(store, HOOK, postman, "two", now=NOON + 59_000) == 0
    assert alerts.send(store, HOOK, postman, "two", now=NOON + 60_000) == 1


@pytest.mark.parametrize("failure", [500, 302, OSError("https://hooks.example.com/SECRET refused")])
def test_a_channel_that_fails_is_tried_again_and_given_up_loudly(
    store: SqliteStore, failure: int | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    postman = Postman([failure] * 4)
    add(store)
    now = NOON
    for _ in range(10):
        alerts.send(store, HOOK, postman, "one", now=now)
        now += 41_000
    assert len(postman.posted) == 4
    assert states(store) == ["failed"]
    assert "could not be sent by webhook; 1 are given up" in caplog.text
    assert "SECRET" not in caplog.text


def test_a_failure_that_passes_loses_nothing(store: SqliteStore) -> None:
    postman = Postman([503])
    add(store)
    assert alerts.send(store, HOOK, postman, "one", now=NOON) == 0
    assert alerts.send(store, HOOK, postman, "one", now=NOON + 4_999) == 0
    assert alerts.send(store, HOOK, postman, "one", now=NOON + 5_000) == 1
    assert states(store) == ["sent"]


def test_where_one_channel_fails_the_others_are_not_told_again(store: SqliteStore) -> None:
    both = Channels(log=False, webhook="https://example.com/hook", slack="https://example.com/slack")
    postman = Postman([503, 200])
    add(store)
    assert alerts.send(store, both, postman, "one", now=NOON) == 0
    add(store, share=1.0)
    assert alerts.send(store, both, postman, "two", now=NOON + 5_000) == 2
    said = [
        (url.rpartition("/")[2], body.decode().count("reached") or body.decode().count("share"))
        for url, body, _ in postman.posted
    ]
    assert said == [("hook", 1), ("slack", 1), ("hook", 2), ("slack", 1)]
    assert states(store) == ["sent", "sent"]


def test_in_quiet_hours_alerts_wait_and_come_together_afterwards(store: SqliteStore) -> None:
    quiet = Channels(log=False, webhook="https://example.com", quiet=Quiet("22:00", "07:00", "Europe/Berlin"))
    night = int(datetime(2026, 11, 20, 23, 30, tzinfo=UTC).timestamp() * 1000)  # 00:30 in Berlin
    morning = int(datetime(2026, 11, 21, 6, 0, tzinfo=UTC).timestamp() * 1000)
    postman = Postman()
    add(store)
    add(store, share=1.0)
    assert alerts.send(store, quiet, postman, "one", now=night) == 0
    assert alerts.send(store, quiet, postman, "one", now=morning) == 2
    assert len(postman.posted) == 1


@pytest.mark.parametrize(
    ("start", "end", "hour", "quiet"),
    [
        ("22:00", "07:00", 21, False),
        ("22:00", "07:00", 22, True),
        ("22:00", "07:00", 7, False),
        ("12:00", "14:00", 13, True),
    ],
)
def test_quiet_hours_may_pass_midnight(start: str, end: str, hour: int, quiet: bool) -> None:
    at = int(datetime(2026, 11, 20, hour, tzinfo=UTC).timestamp() * 1000)
    assert Quiet(start, end).holds(at) == quiet


def test_slack_gets_a_text_and_a_webhook_a_signature(store: SqliteStore) -> None:
    postman = Postman()
    add(store)
    both = Channels(log=False, webhook="https://a.example", slack="https://b.example", secret=b"key")
    assert alerts.send(store, both, postman, "one", now=NOON) == 1
    (_, body, headers), (_, slack, plain) = postman.posted
    stamp, given = (part.partition("=")[2] for part in headers["x-hroute-signature"].split(","))
    assert given == hmac.new(b"key", stamp.encode() + b"." + body, "sha256").hexdigest()
    assert json.loads(slack) == {"text": "budget daily: 50% reached, $10.20 of $20.00"}
    assert "x-hroute-signature" not in plain


def test_a_command_gets_the_alert_on_its_standard_input(store: SqliteStore, tmp_path: Path) -> None:
    add(store)
    write = f"import sys; open({str(tmp_path / 'told')!r}, 'w').write(sys.stdin.read())"
    told = Channels(log=False, command=(sys.executable, "-c", write))
    assert alerts.send(store, told, Postman(), "one", now=NOON) == 1
    assert json.loads((tmp_path / "told").read_text()) == {"alerts": [HALF]}
    add(store)
    assert alerts.send(store, Channels(log=False, command=("/no/such/program",)), Postman(), "one", now=NOON) == 0


def test_the_log_is_told_once_however_often_a_webhook_is_tried(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    add(store)
    postman = Postman([500])
    for now in (NOON, NOON + 60_000):
        alerts.send(store, Channels(webhook="https://example.com"), postman, "one", now=now)
    assert caplog.text.count("budget daily: 50% reached") == 1


def test_an_alert_has_no_key_that_could_name_a_person(store: SqliteStore) -> None:
    for key in ("user", "session", "tenant", "prompt", "text"):
        with pytest.raises(ValueError, match=key):
            add(store, **{key: "x"})
        assert key not in alerts.KEYS
