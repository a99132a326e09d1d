"""What the ledger keeps of a request and of each of its calls: plain fields, no text, no decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hroute.terms.usage import Usage

State = Literal["started", "done", "unknown"]
"""`started`: reserved, not yet ended. `unknown`: its process went away before it said how the request ended."""


def nothing() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One call to one provider. `cost` is in nano-dollars, None where no price is known.

    `kind` says what the call was for: "try", or one that produced no answer of its own ("judge", "agree", "shadow",
    "count"). `estimated` marks a cost that the vendor's own counts did not give. `terms` is the provider's label of
    that name (an API bill, a subscription). `asked` is the model as the policy names it, where the vendor names another.
    """

    provider: str
    model: str
    outcome: str
    latency_ms: float
    usage: Usage = Usage()
    cost: int | None = 0
    ttft_ms: float | None = None
    status: int | None = None
    code: str | None = None
    estimated: bool = False
    kind: str = "try"
    terms: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request. `ts` is its arrival in milliseconds since 1970, UTC; money is nano-dollars, None unknown.

    `outcome` is "ok", "refused", or the outcome of the last attempt; `error` the HR code where there was no answer.
    `provider` and `model` are who served ("" where nobody did), `routed_to` whom the decision named. `escalation` is
    the reason why they differ; `escalated` says that it is one of those that count against a route's health.
    `session`, `user` and `prompt` are keyed hashes; `prompt` is empty for a tainted request. `user_turn` is false where
    the client only carries on (a tool's result, a title): such a request is nobody's follow-up. `tries` are the
    attempts; `signals`, `versions` and `around` are JSON values: signals as the rules saw them, extractors with their
    versions, and what breakers and budgets said. `would_cost` is the price of the policy's own choice where the policy
    only observes; `mode` is "enforce", "observe" or "sandbox" (a rehearsal that cost nobody anything). `said` is the text, only where it was asked for.
    """

    id: str
    ts: int
    outcome: str
    policy: str = ""
    rule: str = ""
    variant: str = ""
    mode: str = "enforce"
    routed_to: str = ""
    provider: str = ""
    model: str = ""
    escalation: str = ""
    escalated: bool = False
    error: str = ""
    cost_center: str = ""
    tenant: str = ""
    client: str = ""
    user: str = ""
    session: str = ""
    prompt: str = ""
    intent: str = ""
    purpose: str = "turn"
    task_type: str = ""
    user_turn: bool = True
    stream: bool = False
    tainted: bool = False
    score: float | None = None
    confidence: float | None = None
    latency_ms: float = 0.0
    ttft_ms: float | None = None
    usage: Usage = Usage()
    cost: int | None = 0
    would_cost: int | None = None
    estimated: bool = False
    prices: str = ""
    tries: tuple[AttemptRow, ...] = ()
    signals: Mapping[str, Any] = field(default_factory=nothing)
    versions: Mapping[str, str] = field(default_factory=nothing)
    around: Mapping[str, Any] = field(default_factory=nothing)
    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """The text of an untainted request and of its answer, kept by consent (`log_text`)."""

    prompt: str
    answer: str
    redacted: bool


@dataclass(frozen=True, slots=True)
class Document:
    """A text that many rows refer to by its hash: a policy in its resolved form, the extractors' versions."""

    hash: str
    kind: str
    body: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What one budget has to say about one call: `amount` is to be reserved, `cap` is what may not be exceeded.

    `scope` tells counters of one budget apart; `start` and `end` bound the period in milliseconds since 1970. `cap` and
    `limit` are nano-dollars; a `cap` of None means that the call passes whatever was spent. `shares` are the thresholds
    of the budget in millionths of its limit, at which somebody is told.
    """

    budget: str
    scope: str
    start: int
    end: int
    amount: int
    limit: int
    cap: int | None
    shares: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """What is written of a request before its first byte leaves, where a budget applies."""

    id: str
    ts: int
    policy: str = ""
    rule: str = ""
    routed_to: str = ""
    cost_center: str = ""
    intent: str = ""
    mode: str = "enforce"


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a lease: `actual` nano-dollars were spent, None where nobody can say (the estimate then stands).

    Without a lease in the store (it was given while the store failed) the claims are charged directly.
    """

    lease: str
    actual: int | None
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody thought of an answer. Of one `source` the last verdict counts; `note` is in their words."""

    request: str
    ts: int
    verdict: Literal["good", "bad"]
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Aside:
    """What was asked beside a request and ended after it. `note` joins what the request's `around` holds, under `name`;
    `attempt` is the call, None where there was none; `said` is its text, only where it was asked for."""

    request: str
    name: str
    note: Mapping[str, Any]
    attempt: AttemptRow | None = None
    said: Said | None = None


Entry = RequestRow | Settlement | Document | Feedback | Aside
"""What the writer takes."""
