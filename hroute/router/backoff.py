"""How long to wait before the same provider is asked again, or that it is time for the next: one table, no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hroute.schema.policy import Retry
from hroute.terms.clock import Rng
from hroute.terms.outcome import Failure, Outcome

BACKED_OFF: Final = frozenset({Outcome.SERVER, Outcome.TRANSPORT, Outcome.TIMEOUT, Outcome.CAPACITY})
"""Outcomes after which the same provider may do better in a moment."""


@dataclass(frozen=True, slots=True)
class Tries:
    """What one provider has been asked in one request: all `calls`, and those of them that ended `bad_content`."""

    calls: int
    bad: int


def pause(failure: Failure, tries: Tries, retry: Retry, bad_limit: int, rng: Rng) -> float | None:
    """Seconds until the same provider is asked again; None moves on (SEMANTICS 3.1: the first limit reached does).

    Full jitter: uniform in [0, min(max, base * 2^(n-1))), after Brooker, "Exponential Backoff and Jitter" (AWS, 2015).
    What the vendor asks for by Retry-After is honoured up to `retry.max`; beyond that the next provider is sooner.
    """
    if tries.calls >= retry.attempts:
        return None
    if failure.outcome is Outcome.BAD_CONTENT:
        return 0.0 if tries.bad < bad_limit else None
    if failure.outcome not in BACKED_OFF:
        return None
    if failure.retry_after is not None:
        return failure.retry_after if failure.retry_after <= retry.max else None
    return rng() * min(retry.max, retry.base * 2.0 ** min(tries.calls - 1, 30))
