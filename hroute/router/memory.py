"""What the ledger remembers of the last minutes, for a process that has met no provider yet: `hroute ask`, `hroute status`."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Final

from hroute.errors import HrouteError
from hroute.ledger import ledger, place, recent
from hroute.router.health import Health, Past
from hroute.schema.policy import Policy
from hroute.terms.outcome import Outcome

MINUTES: Final = 10
"""Older calls say nothing about now: by then every breaker would have let a probe in."""

_PATIENCE: Final = 0.3  # seconds: somebody waits for his answer

_OUTCOMES: Final = {str(outcome): outcome for outcome in Outcome}


def past(policy: Policy, environ: Mapping[str, str], now: float | None = None) -> list[Past] | None:
    """The calls of the last minutes; None where no ledger is kept, or none that can be read. Nothing is created."""
    now = time.time() if now is None else now
    try:
        where = place.find(policy.ledger, environ, beside=os.path.dirname(policy.path))
        if where is None or (not place.is_url(where) and not os.path.exists(where)):
            return None
        store = ledger.open_store(where, read_only=True, patience=_PATIENCE)
        try:
            with store.read() as transaction:
                called = recent.calls(transaction, int((now - MINUTES * 60) * 1000))
        finally:
            store.close()
    except HrouteError:
        return None
    return [_past(call, now) for call in called if call.outcome in _OUTCOMES]


def remind(health: Health, policy: Policy, environ: Mapping[str, str]) -> None:
    """Let `health` begin with what the ledger remembers, rejected keys aside: a person may have set another since."""
    calls = past(policy, environ) or ()
    health.seed(policy.providers.values(), [call for call in calls if call.outcome is not Outcome.CREDENTIAL])


def _past(call: recent.Called, now: float) -> Past:
    told = " ".join(str(part) for part in (call.status, (call.code or "").replace("_", " ")) if part)
    ago, seconds = max(0.0, now - call.ts / 1000), call.latency_ms / 1000
    return Past(call.provider, _OUTCOMES[call.outcome], ago, seconds, told, call.tokens)
