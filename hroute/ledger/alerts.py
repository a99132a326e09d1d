"""Telling somebody: alerts wait in the ledger until they are sent, each once among all processes; quiet hours hold them.

An alert is a closed set of keys: names and numbers, never text, never a user or a session. How a webhook is reached is
a parameter, since only one module of hroute makes HTTP clients.
"""

from __future__ import annotations

import hmac
import json
import logging
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from hroute.ledger.store import Store, Transaction
from hroute.terms.ids import uuid7

KEYS: Final = frozenset(
    (
        "kind", "budget", "share", "spent_usd", "limit_usd", "period_start", "period_end", "provider", "rule", "model",
        "metric", "hours", "rate_before", "rate_now", "requests", "cause", "false_alarms",
    )
)  # fmt: skip
"""All that an alert may say."""

METRICS: Final[Mapping[str, str]] = {
    "escalated": "escalations",
    "follow_ups": "follow-ups within two minutes",
    "spoiled": "replies that failed validation",
    "failed": "requests without an answer",
}
CAUSES: Final[Mapping[str, str]] = {
    "traffic": "the traffic changed: the scores are others than before, and equal scores escalate as often as before",
    "model": "the model got worse: at equal scores more replies have bad content",
    "thresholds": "a threshold is off: what grew lies near a threshold of the score",
    "provider": "calls fail more often (outage, slow, capacity), whatever the score; the content is as before",
    "": "the scores do not tell what caused it",
}
"""What has grown, and what its growth looks like, in words."""

TRIES: Final = 4
"""How often an alert is sent before it is given up; the pauses between double."""

TIMEOUT: Final = 5.0
"""Seconds that a webhook or a command may take."""

_DUE: Final = "state IN ('pending', 'sending') AND until <= ?"
_TAKEN: Final = 60_000  # milliseconds for which a sender has an alert before another may take it
_PAUSE: Final = 5_000  # milliseconds before the second try

log: Final = logging.getLogger("hroute.alerts")

Post = Callable[[str, bytes, Mapping[str, str], float], int]
"""POST a body with headers to an address within a time; gives the status. Raises what it likes where that fails."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nobody is disturbed from `start` to `end` ("22:00", "07:00") in `zone`."""

    start: str
    end: str
    zone: str = "UTC"

    def holds(self, now: int) -> bool:
        """Whether it is quiet at an instant (milliseconds since 1970)."""
        clock = datetime.fromtimestamp(now / 1000, ZoneInfo(self.zone)).strftime("%H:%M")
        if self.start <= self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


@dataclass(frozen=True, slots=True)
class Channels:
    """Who is told. `webhook` and `slack` are addresses, `secret` signs what a webhook gets, `command` is a program and its
    arguments."""

    log: bool = True
    webhook: str | None = None
    slack: str | None = None
    secret: bytes | None = None
    command: tuple[str, ...] = ()
    quiet: Quiet | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    id: str
    ts: int
    tries: int
    payload: Mapping[str, Any]
    told: frozenset[str]
    """Names of the channels that have it already."""


def add(transaction: Transaction, payload: Mapping[str, Any], now: int) -> None:
    """Leave an alert to be sent. Raises ValueError for a key that an alert may not have."""
    unknown = set(payload) - KEYS
    if unknown:
        raise ValueError(f"an alert has no key {', '.join(sorted(unknown))}")
    transaction.run(
        "INSERT INTO alert (id, ts, payload, state, owner, until, tries) VALUES (?, ?, ?, 'pending', '', 0, 0)",
        (uuid7(now), now, json.dumps(dict(payload))),
    )


def send(store: Store, channels: Channels, post: Post, owner: str, *, now: int | None = None) -> int:
    """Send what waits, one message for all of it; gives how many alerts were sent. Where a channel fails they wait again
    for it alone, and are given up, loudly, after `TRIES`."""
    instant = int(time.time() * 1000) if now is None else now
    if channels.quiet is not None and channels.quiet.holds(instant):
        return 0
    with store.read() as view:
        if not view.run(f"SELECT 1 FROM alert WHERE {_DUE} LIMIT 1", (instant,)):
            return 0
    with store.write(2.0) as transaction:
        found = _take(transaction, owner, instant)
    if not found:
        return 0
    told, failed = _tell(channels, post, found)
    waiting = [alert for alert in found if not alert.told.issuperset(failed)]
    with store.write(2.0) as transaction:
        for alert in found:
            _end(transaction, alert, told, alert in waiting, instant)
    if waiting:
        given_up = sum(alert.tries + 1 >= TRIES for alert in waiting)
        log.error("alerts could not be sent by %s; %d are given up", ", ".join(failed), given_up)
    return len(found) - len(waiting)


def text(payload: Mapping[str, Any]) -> str:
    """One line for a person."""
    if payload.get("kind") == "budget":
        return (
            f"budget {payload['budget']}: {payload['share']:.0%} reached, "
            f"${payload['spent_usd']:.2f} of ${payload['limit_usd']:.2f}"
        )
    if payload.get("kind") == "change":
        return _change(payload)
    return ", ".join(f"{key} {value}" for key, value in payload.items())


def _change(payload: Mapping[str, Any]) -> str:
    metric = payload["metric"]
    span = "24 hours" if payload["hours"] <= 24 else f"{payload['hours'] // 24} days"
    told = (
        f"{'rule ' + payload['rule'] if payload['rule'] else 'all rules together'}: {METRICS.get(metric, metric)} "
        f"{payload['rate_before']:.1%} -> {payload['rate_now']:.1%} of {payload['requests']:,} in the last {span}"
    )
    return f"{told}; {CAUSES.get(payload['cause'], '')}" if metric == "escalated" else told


def signature(secret: bytes, body: bytes, now: int) -> str:
    """What a receiver checks: `t=SECONDS,v1=HMAC-SHA256 of "SECONDS.BODY"`."""
    stamp = str(now // 1000)
    return f"t={stamp},v1={hmac.new(secret, stamp.encode() + b'.' + body, 'sha256').hexdigest()}"


def _take(transaction: Transaction, owner: str, now: int) -> list[Alert]:
    """What is due, for this sender alone: also what another took and never told of."""
    rows = transaction.run(
        f"SELECT id, ts, tries, payload, told FROM alert WHERE {_DUE} ORDER BY ts, id LIMIT 100",
        (now,),
    )
    for id, *_ in rows:
        transaction.run(
            "UPDATE alert SET state = 'sending', owner = ?, until = ? WHERE id = ?", (owner, now + _TAKEN, id)
        )
    return [Alert(id, ts, tries, json.loads(payload), frozenset(told.split())) for id, ts, tries, payload, told in rows]


def _end(transaction: Transaction, alert: Alert, told: Sequence[str], waits: bool, now: int) -> None:
    state = "sent" if not waits else "failed" if alert.tries + 1 >= TRIES else "pending"
    until = now + _PAUSE * 2**alert.tries if state == "pending" else 0
    transaction.run(
        "UPDATE alert SET state = ?, tries = ?, until = ?, told = ? WHERE id = ?",
        (state, alert.tries + 1, until, " ".join(sorted(alert.told.union(told))), alert.id),
    )


def _tell(channels: Channels, post: Post, alerts: Sequence[Alert]) -> tuple[list[str], list[str]]:
    """Every channel once, of what it was not told before; gives the names of those that were told and of those that
    failed. The log was told at the first try."""
    if channels.log:
        for alert in alerts:
            if alert.tries == 0:
                log.warning("%s", text(alert.payload))
    told: list[str] = []
    failed: list[str] = []
    for name, tell in _tellers(channels, post):
        new = [alert.payload for alert in alerts if name not in alert.told]
        (told if not new or tell(new) else failed).append(name)
    return told, failed


def _tellers(channels: Channels, post: Post) -> Iterator[tuple[str, Callable[[Sequence[Mapping[str, Any]]], bool]]]:
    """The channels by name, each as what tells it of payloads and says whether that went well."""
    webhook, slack, command = channels.webhook, channels.slack, channels.command
    if webhook:
        yield "webhook", lambda payloads: _post(post, webhook, _body(payloads), channels.secret)
    if slack:
        yield "slack", lambda payloads: _post(post, slack, _lines(payloads), None)
    if command:
        yield "command", lambda payloads: _run(command, _body(payloads))


def _body(payloads: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"alerts": [dict(payload) for payload in payloads]}).encode()


def _lines(payloads: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"text": "\n".join(text(payload) for payload in payloads)}).encode()


def _post(post: Post, url: str, body: bytes, secret: bytes | None) -> bool:
    headers = {"content-type": "application/json"}
    if secret is not None:
        headers["x-hroute-signature"] = signature(secret, body, int(time.time() * 1000))
    try:
        return 200 <= post(url, body, headers, TIMEOUT) < 300
    except Exception:  # an address may hold a secret: what it says is not repeated
        return False


def _run(command: Sequence[str], body: bytes) -> bool:
    try:
        return (
            subprocess.run(list(command), input=body, timeout=TIMEOUT, capture_output=True, check=False).returncode == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False
