"""One request of the ledger decided again, from the signals that were recorded: under the policy of its day, and of today."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from hroute.errors import HrouteError
from hroute.ledger import report
from hroute.ledger.export import canonical
from hroute.ledger.store import Transaction
from hroute.replay.redecide import Redecider
from hroute.replay.rows import Row, row_from
from hroute.router import reference
from hroute.router.decision import Decision, Step
from hroute.router.pricing import cost_of
from hroute.schema.condition import OneOf, tests
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.signal import Value
from hroute.terms.usage import Usage

_HASHED = ("user", "session")
"""Signals that a row keeps as hashes only."""

Hashed = Callable[[str], str]
"""The ledger's hash of a name."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a policy does with a recorded request. One decision, or several where the row does not tell which.

    `unknown` names what the row lacks and the rule depends on; `by_session`: which arm of a rollout, a holdout or a split
    the session falls into is not known, since its name was not kept. `cost` is in nano-dollars, None unknown.
    """

    policy: Policy
    decisions: tuple[Decision, ...]
    steps: tuple[Step, ...]
    unknown: tuple[str, ...]
    by_session: bool
    cost: int | None

    @property
    def decision(self) -> Decision | None:
        """The decision, where there is only one."""
        return self.decisions[0] if len(self.decisions) == 1 else None


@dataclass(frozen=True, slots=True)
class Recalled:
    """A recorded request. `then` is None where the policy of its day cannot be had, and `why_not` says why."""

    row: Mapping[str, Any]
    then: Judged | None
    now: Judged
    why_not: str = ""

    @property
    def same_policy(self) -> bool:
        return bool(self.row["policy"] == self.now.policy.hash)

    @property
    def differs(self) -> tuple[str, ...]:
        """What today's policy would do otherwise than was done: of rule, route_to and fallback, and `unknown`."""
        now = self.now.decision
        if now is None:
            return ("unknown",)
        then = None if self.then is None else self.then.decision
        before: dict[str, Any] = {"rule": self.row["rule"], "route_to": self.row["routed_to"] or None}
        after: dict[str, Any] = {"rule": now.rule.name, "route_to": now.route_to}
        if self.now.by_session:
            del before["route_to"]
        elif then is not None:
            before["fallback"], after["fallback"] = then.fallback, now.fallback
        return tuple(name for name, value in before.items() if after[name] != value)


def recall(transaction: Transaction, id: str, today: Policy, hashed: Hashed | None = None) -> Recalled | None:
    """The request of that whole id under both policies; None where there is none. `hashed` finds the names that a policy
    mentions among those that the row keeps as hashes."""
    row = report.whole(transaction, id)
    if row is None:
        return None
    then, why_not = _of_the_day(transaction, row, today)
    return Recalled(row, None if then is None else _judge(then, row, hashed), _judge(today, row, hashed), why_not)


def _of_the_day(transaction: Transaction, row: Mapping[str, Any], today: Policy) -> tuple[Policy | None, str]:
    """The policy by which a request was decided, as the ledger keeps it, or why it cannot be had."""
    if row["policy"] == today.hash:
        return today, ""
    body = report.document(transaction, row["policy"]) if row["policy"] else None
    if body is None:
        return None, "the ledger does not hold it"
    try:
        policy, findings, _ = load_text(body, f"policy {row['policy'][:7]}")
    except HrouteError as error:
        return None, error.message
    if policy is None or any(found.level.value == "error" for found in findings):
        return None, "this hroute does not understand it"
    return policy, ""


def _judge(policy: Policy, row: Mapping[str, Any], hashed: Hashed | None) -> Judged:
    recorded = row_from({**canonical(row), "session": None}, 0)
    named, hidden = _names(policy, row, hashed)
    recorded = _with(recorded, named)
    redecider = Redecider(policy)
    verdict = redecider.decide(recorded)
    unknown = tuple(dict.fromkeys((*verdict.unknown, *hidden)))
    decision = verdict.decisions[0]
    by_session = bool(row["session_key"]) and "session" not in named and _varies(decision)
    steps = tuple(reference.steps(policy, reference.asker(policy, verdict.signals)))
    told = (
        len(verdict.decisions) == 1
        and (steps[-1].rule.name if steps and steps[-1].match else "default") == decision.rule.name
    )
    cost = None
    if decision.route_to is not None and len(verdict.decisions) == 1 and not by_session:
        at = datetime.fromtimestamp(row["ts"] / 1000, UTC)
        cost = cost_of(policy.providers[decision.route_to], _usage(row), seconds=row["latency_ms"] / 1000, at=at)
    return Judged(policy, verdict.decisions, steps if told else (), unknown, by_session, cost)


def _names(policy: Policy, row: Mapping[str, Any], hashed: Hashed | None) -> tuple[dict[str, Value], list[str]]:
    """Names that the policy mentions and the row bears as hashes; and the signals of which that cannot be told."""
    found: dict[str, Value] = {}
    hidden = []
    for signal in _HASHED:
        kept = row[f"{signal}_key"]
        mentioned = {
            name
            for rule in policy.rules
            for test in tests(rule.condition)
            if test.feature == signal and isinstance(test.want, OneOf)
            for name in test.want.values
            if isinstance(name, str)
        }
        if not kept or not mentioned:
            continue
        if hashed is None:
            hidden.append(signal)
        else:
            found[signal] = next((name for name in mentioned if hashed(name) == kept), "someone else")
    return found, hidden


def _with(row: Row, named: Mapping[str, Value]) -> Row:
    return replace(row, signals={**row.signals, **named}) if named else row


def _varies(decision: Decision) -> bool:
    rule = decision.rule
    return rule.rollout < 1 or rule.holdout > 0 or bool(rule.route is not None and rule.route.split)


def _usage(row: Mapping[str, Any]) -> Usage:
    return Usage(
        row["input"], row["output"], row["cache_read"], row["cache_write"], row["reasoning"], row["cache_write_1h"]
    )
