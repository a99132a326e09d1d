"""What one call did cost, by what the vendor counted; where nobody counted, that is said and not guessed."""

from __future__ import annotations

from datetime import datetime

from hroute.router.attempts import Attempt
from hroute.router.pricing import cost_of, serving
from hroute.schema.policy import Provider
from hroute.terms.outcome import Outcome
from hroute.terms.usage import Usage


def charge(provider: Provider, attempt: Attempt, at: datetime) -> int | None:
    """Nano-dollars of a call made at `at`; None where no price is known, or where tokens went that nobody counted."""
    provider, usage = serving(provider, attempt.model), attempt.usage or Usage()
    if usage == Usage():
        if uncounted(attempt):
            return None if cost_of(provider, Usage(1, 1), seconds=1.0, at=at) != 0 else 0
        if attempt.outcome is not Outcome.OK and provider.usd_per_hour is None:
            return 0
    return cost_of(provider, usage, seconds=attempt.latency_ms / 1000, at=at)


def uncounted(attempt: Attempt) -> bool:
    """Whether the provider has worked and nobody has said how much: a call that was given up, or that broke off."""
    if attempt.usage not in (None, Usage()):
        return False
    begun = attempt.first_token_ms is not None and attempt.outcome is not Outcome.OK
    return begun or attempt.outcome in (Outcome.CANCELLED, Outcome.OK)
