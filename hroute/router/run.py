"""One request on its way, and what is read from it: its signals, its size, its parameters as a provider is to get them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hroute.errors import UsageError
from hroute.router.attempts import End, Log, Result, Step
from hroute.router.decision import Decision
from hroute.router.egress import Guard
from hroute.router.limits import Size
from hroute.router.plan import Plan, Skipped
from hroute.router.signals.extract import Extraction
from hroute.router.validate import Demand
from hroute.terms.message import Request
from hroute.terms.signal import Value, coerce

if TYPE_CHECKING:
    from hroute.router.bookkeeping import Account
    from hroute.router.shadow import Shadow


@dataclass(frozen=True, slots=True)
class Run:
    """One request on its way: decided and planned; `steps` is the ladder to be driven. `account` is where it is written
    down, if books are kept. `given` are the signals that came with it; `queue`: it is kept where nobody answers; `shadow`
    is sent besides, once it is answered."""

    id: str
    request: Request
    decision: Decision
    extraction: Extraction
    guard: Guard
    plan: Plan
    demand: Demand
    steps: Generator[Step, Result, End]
    log: Log
    streams: bool
    account: Account | None = None
    given: Mapping[str, Value] = field(default_factory=dict)
    queue: bool = False
    shadow: Shadow | None = None

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return (*self.plan.skipped, *self.log.skipped)

    def found(self) -> str:
        """Kinds and places of what the detectors found, three at most: `pii: us_ssn at characters 10-21`."""
        shown = [f"{f.kind} at characters {f.start}-{f.end}" for f in self.extraction.findings]
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
        return f"pii: {', '.join(shown[:3])}{more}" if shown else ""


def coerced(signals: Mapping[str, Any]) -> dict[str, Value]:
    """Signals as a caller writes them, as values of the table; None is "not given". Raises UsageError."""
    if "message" in signals:
        raise UsageError("`message` is the prompt itself and is not given as a signal")
    return {name: coerce(name, value) for name, value in signals.items() if value is not None}


def size(extraction: Extraction) -> Size:
    """The tokens of a call, as estimated; only asked where a limit counts them."""
    prompt, expected = extraction.ask("prompt_tokens"), extraction.ask("expected_tokens")
    known = prompt if isinstance(prompt, int) else 0
    return Size(known, max(0, expected - known) if isinstance(expected, int) else 0)
