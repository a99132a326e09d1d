"""What the gateway counts, for Prometheus. Labels are names of the policy and closed sets: nothing that a client writes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from hroute.gateway.together import Sums
from hroute.ledger.writer import State
from hroute.router.answer import Answer
from hroute.router.attempts import Attempt
from hroute.router.engine import Run

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


class Metrics:
    """The counters of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry}
        self.under_way = Gauge("hroute_requests_under_way", "Requests that are being answered", **made)
        self._requests = Counter("hroute_requests", "Requests", ("door", "rule", "provider", "status"), **made)
        self._attempts = Counter("hroute_attempts", "Calls to providers", ("provider", "outcome"), **made)
        self._moved = Counter("hroute_escalations", "Answers from elsewhere than decided", ("rule", "reason"), **made)
        self._seconds = Histogram(
            "hroute_request_seconds", "Time of an answer", ("provider",), buckets=_SECONDS, **made
        )
        self._first = Histogram("hroute_first_token_seconds", "Time to the first words of a stream", ("provider",), buckets=_SECONDS, **made)  # fmt: skip
        self._tokens = Counter("hroute_tokens", "Tokens", ("provider", "kind"), **made)
        self._dollars = Counter("hroute_cost_usd", "Known cost in US dollars", ("provider",), **made)
        self._reloads = Counter("hroute_policy_reloads", "Changes of the policy's file", ("result",), **made)
        self._policy = Info("hroute_policy", "The policy in force", **made)
        self._child = lru_cache(4096)(_labelled)
        self._sums: Sums | None = None

    def share(self, folder: str, worker: int) -> None:
        """From now on count together with the other workers that share `folder`."""
        self._sums = Sums(self.registry, Path(folder), worker)

    def lay_down(self) -> None:
        """Let the other workers, where there are any, know what was counted."""
        if self._sums is not None:
            with suppress(OSError):  # a full disk must stop nobody
                self._sums.lay_down()

    def ended(self, door: str, run: Run, status: int, seconds: float, answer: Answer | None) -> None:
        """A request has ended with `status`; its attempts stand in `run`."""
        rule = run.decision.rule.name
        served = answer.actual_provider if answer else ""
        self._child(self._requests, (door, rule, served, str(status))).inc()
        for attempt in run.log.attempts:
            self._attempt(attempt)
        if answer is None:
            return
        self._child(self._seconds, (served,)).observe(seconds)
        if answer.escalation is not None:
            self._child(self._moved, (rule, str(answer.escalation))).inc()
        if answer.cost_usd is not None:
            self._child(self._dollars, (served,)).inc(answer.cost_usd)

    def refused(self, door: str, status: int) -> None:
        """A request was turned away before anybody was asked."""
        self._child(self._requests, (door, "", "", str(status))).inc()

    def policy(self, hash: str, result: str = "") -> None:
        """The policy in force is `hash`; `result` of a reload, where there was one."""
        self._policy.info({"hash": hash})
        if result:
            self._child(self._reloads, (result,)).inc()

    def ledger(self, state: Callable[[], State | None]) -> None:
        """Show how writing into the ledger goes, asked whenever the page is."""
        shown: tuple[tuple[str, str, Callable[[State], float]], ...] = (
            ("hroute_ledger_trouble", "Whether the ledger cannot be written", lambda s: s.trouble is not None),
            ("hroute_ledger_waiting", "Entries that wait in memory to be written", lambda s: s.waiting),
            ("hroute_ledger_lost", "Entries that will never be written", lambda s: s.lost),
        )
        for name, says, value in shown:
            gauge = Gauge(name, says, registry=self.registry)
            gauge.set_function(partial(_of_ledger, state, value))

    def page(self) -> bytes:
        """The text that Prometheus reads: of all workers together."""
        return generate_latest(self.registry if self._sums is None else self._sums)

    def _attempt(self, attempt: Attempt) -> None:
        self._child(self._attempts, (attempt.provider, str(attempt.outcome))).inc()
        if attempt.first_token_ms is not None:
            self._child(self._first, (attempt.provider,)).observe(attempt.first_token_ms / 1000)
        if attempt.usage is not None:
            for kind, count in attempt.usage.as_json().items():
                if count:
                    self._child(self._tokens, (attempt.provider, kind)).inc(count)


def _of_ledger(state: Callable[[], State | None], value: Callable[[State], float]) -> float:
    found = state()
    return 0.0 if found is None else float(value(found))


def _labelled(metric: Any, values: tuple[str, ...]) -> Any:
    """A child of a metric; to look one up costs more than to count."""
    return metric.labels(*values)
