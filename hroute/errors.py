"""Every error that hroute raises on purpose, drawn once.

    HrouteError
    ├── UsageError            the caller asked for something that does not exist            exit 2
    ├── LedgerError           the ledger cannot be read or written; no request fails of it  exit 2
    ├── PolicyError           the policy cannot be loaded; `.diagnostics` says why          exit 3
    ├── Refused               policy or budget refused; nothing left the machine            exit 5
    ├── NoCredential          every provider that could serve lacks or lost its key         exit 4
    └── AllFailed             every permitted provider failed                               exit 6
        └── CallerFault       the vendor rejected the request itself; no fallback helps     exit 6

`Refused`, `NoCredential` and `AllFailed` are what a request can end with (SEMANTICS 3.6); each carries the
decision and the attempts, so that a program can show them. The mapping to exit codes lives in `hroute.cli.exits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class HrouteError(Exception):
    """Base of every error raised on purpose; its text says what, where and what next.

    `code` is the HR code where one exists (`hroute check --explain CODE` documents it).
    """

    code: str | None = None

    def __init__(self, message: str, *, code: str | None = None, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        if code is not None:
            self.code = code


class UsageError(HrouteError):
    """The call itself is wrong: an unknown signal, a value that does not fit, a file that is not there."""


class LedgerError(HrouteError):
    """The ledger cannot be read or written. Raised to whoever asks for its rows; a request goes on without it."""


class PolicyError(HrouteError):
    """The policy cannot be loaded. `diagnostics` holds what `hroute check` would print (schema.Diagnostic)."""

    def __init__(self, message: str, diagnostics: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class RequestError(HrouteError):
    """A request ended without a reply. `decision` is what the policy decided, `attempts` what was tried, `skipped` who
    was not asked and why; `details` are lines for a person, `id` the request's. `queued` is its id in the retry queue,
    where it was kept."""

    queued: str = ""

    def __init__(
        self,
        message: str,
        *,
        decision: Any = None,
        attempts: Sequence[Any] = (),
        skipped: Sequence[Any] = (),
        details: Sequence[str] = (),
        id: str = "",
        code: str | None = None,
        help: str | None = None,
    ) -> None:
        super().__init__(message, code=code, help=help)
        self.decision = decision
        self.attempts = tuple(attempts)
        self.skipped = tuple(skipped)
        self.details = tuple(details)
        self.id = id


class Refused(RequestError):
    """Refused by a rule, a guarantee or a budget; nothing left the machine."""

    code = "HR902"


class NoCredential(RequestError):
    """Every provider that could have served has no credential, or had it rejected."""

    code = "HR901"


class AllFailed(RequestError):
    """Every permitted provider failed."""

    code = "HR903"


class CallerFault(AllFailed):
    """A provider rejected the request itself (400, 422): no other provider was asked."""
