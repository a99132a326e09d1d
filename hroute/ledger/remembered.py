"""What this process knows of its budgets, to go by while the store fails: better than no budget, and never a refusal of
what the store would have admitted long ago."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from hroute.ledger.budgets import Denied, fits
from hroute.ledger.records import Claim

_Key = tuple[str, str, int]


class Remembered:
    """Counters as the store last said them, with what this process has spent and reserved since. Thread-safe."""

    def __init__(self) -> None:
        self._counters: dict[_Key, list[int]] = {}
        self._lock = threading.Lock()

    def note(self, claims: Sequence[Claim], seen: Sequence[tuple[int, int]]) -> None:
        """The store reserved `claims`; `seen` is what its counters said before."""
        with self._lock:
            if len(self._counters) > 1_000:
                self._counters.clear()
            for claim, (spent, reserved) in zip(claims, seen, strict=True):
                self._counters[_key(claim)] = [spent, reserved + claim.amount]

    def unknown(self, claims: Sequence[Claim]) -> list[Claim]:
        """The claims on counters of which this process knows nothing yet."""
        with self._lock:
            return [claim for claim in claims if _key(claim) not in self._counters]

    def learn(self, claim: Claim, spent: int, reserved: int) -> None:
        """What a counter says that can be read, although it cannot be written."""
        with self._lock:
            self._counters.setdefault(_key(claim), [spent, reserved])

    def reserve(self, claims: Sequence[Claim]) -> Denied | None:
        """Reserve in memory, every claim or none."""
        with self._lock:
            for claim in claims:
                spent, reserved = self._counters.get(_key(claim), (0, 0))
                if not fits(claim, spent, reserved):
                    return Denied(claim, spent, reserved)
            for claim in claims:
                self._counters.setdefault(_key(claim), [0, 0])[1] += claim.amount
        return None

    def settle(self, claims: Sequence[Claim], actual: int | None) -> None:
        """A reservation ended, wherever it was made."""
        with self._lock:
            for claim in claims:
                counter = self._counters.get(_key(claim))
                if counter is not None:
                    counter[0] += claim.amount if actual is None else actual
                    counter[1] = max(0, counter[1] - claim.amount)


def _key(claim: Claim) -> _Key:
    return claim.budget, claim.scope, claim.start
