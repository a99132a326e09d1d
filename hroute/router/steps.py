"""What the ladder says and hears: the steps that a driver does, what comes of them, and what is written down of each call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from hroute.providers.protocol import Permit, Target
from hroute.router.plan import Candidate
from hroute.terms.allowance import Allowance
from hroute.terms.clock import Bell
from hroute.terms.message import Event, Reply, Request
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage

Role = Literal["answer", "agree", "judge", "shadow"]
"""What a call was for: to answer, to confirm an answer, to judge one, or to see what another provider would say."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to one provider. `latency_ms` runs from the call to its end, `first_token_ms` to the first event that
    says something, `load_ms` is the part in which the server loaded the model, `waited_ms` what it waited for its turn
    before; `hurried`: our deadline ended it before the provider had its time. `usage` and `allowances` are what the vendor
    counted and what it says is left, None and nothing where it said nothing. `note` is what a reader should know besides."""

    provider: str
    model: str
    outcome: Outcome
    latency_ms: float
    failure: Failure | None = None
    usage: Usage | None = None
    first_token_ms: float | None = None
    load_ms: float = 0.0
    waited_ms: float = 0.0
    hurried: bool = False
    allowances: tuple[Allowance, ...] = ()
    role: Role = "answer"
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {
            "provider": self.provider,
            "model": self.model,
            "outcome": str(self.outcome),
            "latency_ms": round(self.latency_ms, 3),
            "role": self.role,
        }
        if self.note:
            content["note"] = self.note
        if self.failure is not None:
            content |= {"status": self.failure.status, "code": self.failure.code}
        return content


@dataclass(frozen=True, slots=True)
class Accepted:
    """A reply that passed: `text` is the clean text, `json` the parsed value where JSON was asked for."""

    reply: Reply
    text: str
    json: Any = None


@dataclass(frozen=True, slots=True)
class Doubted:
    """A reply of the right form that is not kept; `again`: the same provider may be asked once more."""

    failure: Failure
    again: bool = True


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that has said something: what was read, and the rest (an Iterator or AsyncIterator of events)."""

    events: tuple[Event, ...]
    rest: Any


@dataclass(frozen=True, slots=True)
class Broken:
    """A stream that broke after it was committed; `reply` holds what had come, its stop is `truncated`."""

    failure: Failure
    reply: Reply


@dataclass(frozen=True, slots=True)
class Call:
    """Send `request` to `target`. Answer with a Reply, a Failure, or for a stream with Opened."""

    candidate: Candidate
    target: Target
    request: Request
    permit: Permit
    stream: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Let `seconds` pass, or less where `bell` rings."""

    seconds: float
    bell: Bell | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Pass the stream of `model` on: from here no other can take over. Answer with its Reply or with Broken."""

    opened: Opened
    model: str


@dataclass(frozen=True, slots=True)
class Move:
    """Told to the observer: `provider` is given up after `tries` calls in `seconds`, `to` is asked next (if any)."""

    provider: str
    failure: Failure
    tries: int
    seconds: float
    to: str | None


@dataclass(frozen=True, slots=True)
class Load:
    """Do what a provider's plugin needs before its first call: an SDK takes a second or two to import, and that is no
    latency of the provider. Answer None, or the Failure."""

    ready: Callable[[], None]


Step = Load | Call | Wait | Commit
Result = Reply | Failure | Opened | Broken | None
End = Accepted | Failure | Broken | None
"""How the ladder ended: None where nobody was asked."""
