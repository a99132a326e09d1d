"""The closed set of outcomes of an attempt, and of the reasons for an answer from elsewhere (DESIGN 7, SEMANTICS 3.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hroute.terms.allowance import Allowance


class Outcome(StrEnum):
    """How one call to one provider ended."""

    OK = "ok"
    CALLER_FAULT = "caller_fault"  # 400, 422: the request itself is wrong; stop
    CAPABILITY = "capability"  # too long, no tools, no images: next provider that has it
    CREDENTIAL = "credential"  # 401, 402, 403, model gone: next provider, no backoff
    CAPACITY = "capacity"  # 429, 529, queue full: honour Retry-After, else next
    SERVER = "server"  # 5xx
    TRANSPORT = "transport"  # DNS, connect, TLS, reset
    TIMEOUT = "timeout"  # connect, first token, idle, total
    BAD_CONTENT = "bad_content"  # empty, cut off, not what was asked for
    CANCELLED = "cancelled"  # the client went away


class Reason(StrEnum):
    """Why the reply came from another provider than the decision named: escalated (the first six) or diverted."""

    BAD_CONTENT = "bad_content"
    OUTAGE = "outage"
    SLOW = "slow"
    CAPACITY = "capacity"
    CAPABILITY = "capability"
    CREDENTIAL = "credential"
    BUDGET = "budget"
    PINNED = "pinned"
    REQUESTED = "requested"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt, without any of the request's text: class, status and vendor code only (SEMANTICS 2.11).

    `retry_after` is in seconds, as the vendor asked; `message` is ours, for a person, and quotes nothing. `allowances`
    are what the vendor says is left of its rate limits.
    """

    outcome: Outcome
    message: str
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None
    allowances: tuple[Allowance, ...] = field(default=(), compare=False)
