"""What the ledger tells of earlier requests to who asks before a call: read only, nothing created, no socket opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hroute.errors import LedgerError, UsageError
from hroute.router.switching import Warm
from hroute.schema.policy import Policy

if TYPE_CHECKING:
    from hroute.ledger.lengths import Lengths
    from hroute.ledger.store import Store

_PATIENCE: Final = 0.3  # seconds to wait for a file that somebody keeps locked
_LAST: Final = (
    "SELECT provider, ts + latency_ms, cache_read + cache_write FROM request WHERE session_key = ? AND ts < ? "
    "AND state = 'done' AND outcome = 'ok' AND provider <> '' ORDER BY ts DESC LIMIT 1"
)


class Experience:
    """The ledger of a policy as far as it lies in a file. Whatever of it cannot be read is nothing."""

    def __init__(self, policy: Policy, environ: Mapping[str, str]) -> None:
        from hroute.ledger import place

        self._environ = environ
        self._store: Store | None = None
        self._broken = False
        try:
            where = place.find(policy.ledger, environ, beside=os.path.dirname(policy.path))
        except UsageError:
            where = None
        self._where = where if where is not None and not place.is_url(where) and os.path.exists(where) else None

    def answers(self, rule: str, provider: str, model: str) -> Lengths | None:
        """How long the answers of a provider's model by a rule were; None without a ledger that could tell. Reads one row."""
        store = self._open()
        if store is None:
            return None
        from hroute.ledger import lengths

        try:
            with store.read() as transaction:
                return lengths.of(transaction, rule, provider, model)
        except LedgerError:
            return None

    def warm(self, session: str, now: int) -> Warm | None:
        """Who answered last in a session before `now` (milliseconds since 1970), and what that provider had cached."""
        from hroute.ledger import place
        from hroute.router.recording import keyed

        if self._where is None:
            return None
        file = place.key_file(self._where, self._environ)
        try:
            if file is None or not os.path.exists(file):
                return None
            return self.warm_in(keyed(place.read_key(file), session), now)
        except OSError:
            return None

    def warm_in(self, session_key: str, now: int) -> Warm | None:
        """The same for a session as the ledger names it."""
        store = self._open() if session_key else None
        try:
            if store is None:
                return None
            with store.read() as transaction:
                for provider, ended, tokens in transaction.run(_LAST, (session_key, now)):
                    return Warm(provider, tokens, max(0.0, (now - ended) / 1000))
        except LedgerError:
            pass
        return None

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _open(self) -> Store | None:
        if self._store is None and self._where is not None and not self._broken:
            from hroute.ledger.sqlite import SqliteStore

            try:
                self._store = SqliteStore(self._where, read_only=True, patience=_PATIENCE)
            except LedgerError:
                self._broken = True
        return self._store
