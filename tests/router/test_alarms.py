"""An alarm on its way to somebody: any process that writes looks, one tells, and it says by the policy's thresholds what it is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from hroute.ledger.ledger import at
from hroute.router.bookkeeping import thresholds_of
from hroute.router.client import Client
from hroute.schema.load import load_text
from tests.ledger.rows import attempt, row
from tests.router.stage import KEYED, FakePlugin, policy, provider, rule
from tests.router.test_telling import Mailbox, mailbox

__all__ = ["mailbox"]

HOUR = 3_600_000


def grown(folder: Path) -> None:
    """A log in which one answer in fifty escalated for days, and one in four of late, at scores as before."""
    books = at(str(folder / "l.db"), key_file=str(folder / "l.db.key"))
    full = int(time.time() * 1000) // HOUR * HOUR
    for since, every in ((full - 200 * HOUR, 50), (full - 8 * HOUR, 4)):
        for n in range(300):
            up = n % every == 0
            tries = (attempt(outcome="bad_content"), attempt()) if up else (attempt(),)
            books.append(
                row(
                    ts=since + n * 1_000,
                    escalated=up,
                    escalation="bad_content" if up else "",
                    tries=tries,
                    score=n % 20 / 25,
                )
            )
    assert books.flush(10)
    with books.store().write(1) as transaction:  # this writer may have looked before all of it was there
        transaction.run("DELETE FROM done")
        transaction.run("DELETE FROM alarm")
        transaction.run("DELETE FROM alert")
    books.close()


def ask(folder: Path, told: dict[str, Any]) -> None:
    """A process that asks once, under a policy without any budget, and ends."""
    plugin = FakePlugin()
    written = policy([provider("first")], rule(["first"]), alerts=told)
    with Client.from_policy(
        policy=written,
        environ=KEYED,
        ledger=str(folder / "l.db"),
        load=lambda _: plugin,
        facts=lambda _: plugin.capabilities,
    ) as client:
        client.complete("hello")


def test_whoever_writes_looks_and_the_webhook_is_told_once(tmp_path: Path, mailbox: Mailbox) -> None:
    grown(tmp_path)
    for _ in range(3):
        ask(tmp_path, {"webhook": mailbox.address, "slack": mailbox.address, "log": False})
    bodies = [json.loads(body) for _, body in mailbox.posted]
    (hook,) = [body for body in bodies if "alerts" in body]
    (slack,) = [body for body in bodies if "text" in body]
    (alert,) = hook["alerts"]
    assert (alert["kind"], alert["rule"], alert["metric"], alert["cause"]) == ("change", "faq", "escalated", "model")
    assert alert["rate_before"] == pytest.approx(0.02)
    assert alert["rate_now"] == pytest.approx(0.25)
    assert alert["false_alarms"] == 0.5
    assert slack["text"].startswith(
        "rule faq: escalations 2.0% -> 25.0% of 300 in the last 24 hours; the model got worse"
    )


def test_in_quiet_hours_an_alarm_waits(tmp_path: Path, mailbox: Mailbox) -> None:
    grown(tmp_path)
    always = {"from": "00:00", "to": "23:59"}
    if time.gmtime().tm_hour == 23 and time.gmtime().tm_min >= 58:
        pytest.skip("the one minute that is never quiet")
    ask(tmp_path, {"webhook": mailbox.address, "log": False, "quiet_hours": always})
    assert mailbox.posted == []
    ask(tmp_path, {"webhook": mailbox.address, "log": False})
    assert len(mailbox.posted) == 1


def test_without_any_channel_the_log_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    grown(tmp_path)
    ask(tmp_path, {})
    assert "rule faq: escalations 2.0% -> 25.0%" in caplog.text


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ('{score: "<=0.35"}', (0.35,)),
        ('{any: [{score: ">0.2"}, {not: {score: "0.5..0.6"}}]}', (0.2, 0.5, 0.6)),
        ("{complexity: high}", (0.35, 0.7)),
        ("{task_type: code}", ()),
        ('{score: ">=0"}', ()),
    ],
)
def test_thresholds_are_the_scores_at_which_the_policy_decides_otherwise(rules: str, found: tuple[float, ...]) -> None:
    text = f"version: 1\nrouting_rules:\n  - {{name: a, condition: {rules}, route_to: claude_haiku}}\n"
    loaded, findings, _ = load_text(text)
    assert loaded is not None, findings
    assert thresholds_of(loaded) == found
