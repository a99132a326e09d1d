"""A batch: every line of a file asked once, so many at a time, each with one result, however often it is killed.

The size of the batch is the signal `batch_size`, and `priority` is `batch` unless somebody says otherwise, so that rules may
send many requests where one would not go.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from hroute.errors import NoCredential, Refused, RequestError, UsageError
from hroute.router.answer import Answer
from hroute.router.batch_lines import Asked, Lines, Unusable
from hroute.router.batch_results import Results
from hroute.router.bounded import GRACE, Stop, work_through
from hroute.router.client import AsyncClient
from hroute.router.pricing import bill
from hroute.schema.policy import Policy
from hroute.terms import money
from hroute.terms.signal import Value
from hroute.terms.usage import Usage

CONCURRENCY: Final = 8
INVALID: Final = "invalid"
"""The outcome of a line that could not be asked."""
INTERNAL: Final = "internal"
"""The outcome of a line that a defect of ours spoiled."""
_MOST_DEFECTS: Final = 20
"""Such lines in a row after which the fault is not in the lines, and the batch ends."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a batch is asked. `signals` hold for every line that says nothing else; `options` are those of `complete` for
    lines without their own: `system`, `max_tokens`, `json_schema`."""

    concurrency: int = CONCURRENCY
    retry_failed: bool = False
    unordered: bool = False
    signals: Mapping[str, Value] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    grace: float = GRACE


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands in the results file. `cost` is in nano-dollars and counts the `priced` lines; `asked` is this run's."""

    lines: int
    asked: int
    outcomes: Mapping[str, int]
    providers: Mapping[str, int]
    escalated: int
    usage: Usage
    cost: int
    unpriced: int

    @property
    def results(self) -> int:
        return sum(self.outcomes.values())

    @property
    def answered(self) -> int:
        return self.outcomes.get("ok", 0)

    @property
    def failed(self) -> int:
        return self.results - self.answered

    def as_json(self) -> dict[str, Any]:
        """`cost_usd` is null where one price is not known; `cost_usd_known` counts the others."""
        return {
            "lines": self.lines,
            "results": self.results,
            "answered": self.answered,
            "failed": self.failed,
            "asked": self.asked,
            "escalated": self.escalated,
            "outcomes": dict(self.outcomes),
            "providers": dict(self.providers),
            "usage": self.usage.as_json(),
            "cost_usd": None if self.unpriced else money.to_json(self.cost),
            "cost_usd_known": money.to_json(self.cost),
            "unpriced": self.unpriced,
        }


async def run(
    client: AsyncClient,
    lines: Lines,
    results: Results,
    terms: Terms,
    stop: Stop,
    observe: Callable[[int], None] = lambda done: None,
) -> Summary:
    """Ask every line that has no result yet (or only a failure, with `retry_failed`), and say what there is then.

    `observe` is told how many lines have a result. A stop ends it in good order, with what there is. Raises OSError where
    the results cannot be written; what was written stands.
    """
    asked = defects = 0

    async def ask(name: str) -> None:
        nonlocal asked, defects
        row = await _row(client, lines, name, terms)
        defects = defects + 1 if row["outcome"] == INTERNAL else 0
        if defects > _MOST_DEFECTS:
            raise RuntimeError(row["error"]["message"])
        results.add(row)
        asked += 1
        observe(len(results))

    try:
        await work_through(_open(lines, results, terms), ask, terms.concurrency, stop, terms.grace)
    finally:
        results.settle(None if terms.unordered else lines.names())
    return summary(results, len(lines), asked)


def summary(results: Results, lines: int, asked: int = 0) -> Summary:
    """What stands in the results file."""
    outcomes, providers = Counter[str](), Counter[str]()
    usage, cost, unpriced, escalated = Usage(), 0, 0, 0
    for row in results:
        outcomes[str(row.get("outcome"))] += 1
        if isinstance(provider := row.get("actual_provider"), str):
            providers[provider] += 1
        counts = row.get("usage")
        usage += _usage(counts if isinstance(counts, dict) else {})
        price = row.get("cost_usd")
        if isinstance(price, (int, float)):
            cost += money.from_usd(price)
        else:
            unpriced += 1
        escalated += row.get("escalation") is not None
    return Summary(
        lines, asked, dict(outcomes.most_common()), dict(providers.most_common()), escalated, usage, cost, unpriced
    )


def _usage(counts: Mapping[str, Any]) -> Usage:
    return Usage(**{f.name: counts[f.name] for f in fields(Usage) if isinstance(counts.get(f.name), int)})


def _open(lines: Lines, results: Results, terms: Terms) -> Iterator[str]:
    """The lines that are still to be asked, in the order of the file."""
    for name in lines.names():
        if name not in results or (terms.retry_failed and not results.answered(name)):
            yield name


async def _row(client: AsyncClient, lines: Lines, name: str, terms: Terms) -> dict[str, Any]:
    """The result of one line: its answer, or why there is none."""
    policy = client.policy
    try:
        asked = lines.read(name)
    except Unusable as error:
        return _unanswered(name, INVALID, {"code": INVALID, "message": str(error)})
    signals = {"batch_size": len(lines), "priority": "batch", **terms.signals, **asked.signals}
    try:
        return _answered(name, await client.complete(asked.request, **_options(asked, terms), **signals))
    except UsageError as error:
        return _unanswered(name, INVALID, {"code": INVALID, "message": error.message})
    except RequestError as error:
        return _failed(name, error, policy)
    except Exception as error:  # a defect that one line brings to light must not stand in the way of the others
        if os.environ.get("HROUTE_DEBUG"):
            raise
        return _unanswered(
            name, INTERNAL, {"code": INTERNAL, "message": f"hroute itself failed: {type(error).__name__}"}
        )


def _options(asked: Asked, terms: Terms) -> dict[str, Any]:
    """The options of the run that the line has no word of its own for."""
    own = {
        "system": asked.request.system,
        "max_tokens": asked.request.max_tokens,
        "json_schema": asked.json_schema or asked.request.json_schema,
    }
    options = {name: own[name] or value for name, value in terms.options.items()}
    return options if asked.json_schema is None else {**options, "json_schema": asked.json_schema}


def _answered(name: str, answer: Answer) -> dict[str, Any]:
    content = answer.as_json()
    request_id = content.pop("id")
    content.pop("skipped", None)
    return {"id": name, **content, "outcome": "ok", "error": None, "request_id": request_id}


def _failed(name: str, error: RequestError, policy: Policy) -> dict[str, Any]:
    usage, cost = bill(policy, error.attempts)
    told = {"code": error.code, "message": error.message, "details": list(error.details)}
    row = _unanswered(name, _outcome(error), told)
    decided = {"rule": error.decision.rule.name, "routed_to": error.decision.route_to} if error.decision else {}
    return {
        **row,
        **decided,
        "attempts": [attempt.as_json() for attempt in error.attempts],
        "usage": usage.as_json(),
        "cost_usd": money.to_json(cost),
        "request_id": error.id,
    }


def _outcome(error: RequestError) -> str:
    """As the ledger names it: `refused`, or how the last call ended."""
    if isinstance(error, Refused):
        return "refused"
    if error.attempts:
        return str(error.attempts[-1].outcome)
    return "credential" if isinstance(error, NoCredential) else "failed"


def _unanswered(name: str, outcome: str, error: Mapping[str, Any]) -> dict[str, Any]:
    """A result without an answer, with the same keys as one with."""
    return {
        "id": name,
        "text": None,
        "json": None,
        "rule": None,
        "routed_to": None,
        "actual_provider": None,
        "actual_model": None,
        "escalation": None,
        "attempts": [],
        "usage": Usage().as_json(),
        "cost_usd": 0.0,
        "outcome": outcome,
        "error": dict(error),
        "request_id": None,
    }
