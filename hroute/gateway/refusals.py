"""What a request without an answer is in HTTP: status, headers and a text that says what to do, in the client's dialect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hroute.errors import CallerFault, HrouteError, NoCredential, Refused, RequestError
from hroute.providers.forward import Headers
from hroute.router.plan import Skipped, Why
from hroute.terms.outcome import Failure, Outcome
from hroute.wire.errors import Dialect, error_body

FINAL: Final = (("x-should-retry", "false"),)
"""Both vendors' SDKs heed it: we have asked everybody who may be asked, asking us again at once changes nothing."""
OVER_BUDGET: Final = "HR904"
RETRY_SECONDS: Final = 30
"""What a client is told to wait for a provider that is down, where nobody knows better."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is none. `type` and `code` are those of the dialect; "" and None are its usual ones for the status."""

    status: int
    message: str
    headers: Headers = ()
    type: str = ""
    code: str | None = None

    def body(self, dialect: Dialect) -> dict[str, Any]:
        return error_body(dialect, self.status, self.type, self.message, code=self.code)


def refusal_of(error: HrouteError) -> Refusal:
    """The answer to a request that ended with `error` (SEMANTICS 3.7)."""
    if not isinstance(error, RequestError):
        return Refusal(400, _said(error))
    headers = (*FINAL, *_marks(error))
    last = _last_failure(error)
    wait = (("retry-after", str(round(_wait(last)))),)
    code = error.code
    if code == OVER_BUDGET:
        return Refusal(402, _said(error), headers, code=code)
    if isinstance(error, Refused):
        if error.attempts or _down(error.skipped):
            return Refusal(503, _said(error), (*headers, *wait), code=code)
        return Refusal(403, _said(error), headers, code=code)
    if isinstance(error, NoCredential):
        return Refusal(503, _said(error), headers, code=code)
    if isinstance(error, CallerFault):
        return Refusal(_between(last, 400, 499, 400), _said(error), headers, code=code)
    if last is None and error.skipped and all(s.why is Why.CAPABILITY for s in error.skipped):
        told = (
            "" if any(s.tokens for s in error.skipped) else "nobody who may serve this request can do what it asks for"
        )
        return Refusal(400, _said(error, told), headers, code=code)
    if last is None:
        down = _down(error.skipped)
        return Refusal(503 if down else 403, _said(error), (*headers, *wait) if down else headers, code=code)
    status = _STATUS.get(last.outcome, 502)
    if last.outcome is Outcome.CAPABILITY:
        status = _between(last, 400, 499, 400)
    return Refusal(status, _said(error), (*headers, *wait) if status == 503 else headers, code=code)


_STATUS: Final = {Outcome.TIMEOUT: 504, Outcome.CREDENTIAL: 503, Outcome.CAPACITY: 503, Outcome.TRANSPORT: 502, Outcome.SERVER: 502, Outcome.BAD_CONTENT: 502}  # fmt: skip
"""A vendor's 429 or 529 is a 503 here: Claude Code asks after both for minutes, whatever `x-should-retry` says."""


def _marks(error: RequestError) -> Iterator[tuple[str, str]]:
    """Which request it was, and the rule that decided."""
    if error.id:
        yield "x-hroute-id", error.id
    if error.decision is not None:
        yield "x-hroute-rule", error.decision.rule.name
        yield "x-hroute-policy", error.decision.policy


def _said(error: HrouteError, message: str = "") -> str:
    """One text for a person who sees it in a client: what, where, what next."""
    details = " | ".join(" ".join(line.split()) for line in getattr(error, "details", ()))
    parts = [f"hroute: {message or error.message}", details, error.help or ""]
    return " - ".join(part for part in parts if part)


def _down(skipped: Sequence[Skipped]) -> bool:
    """Whether somebody may serve the request, only not now."""
    return any(s.why in (Why.DOWN, Why.LIMIT) for s in skipped)


def _last_failure(error: RequestError) -> Failure | None:
    failures = [a.failure for a in error.attempts if a.failure is not None]
    return failures[-1] if failures else None


def _wait(last: Failure | None) -> float:
    return max(1.0, last.retry_after) if last and last.retry_after is not None else RETRY_SECONDS


def _between(last: Failure | None, low: int, high: int, otherwise: int) -> int:
    status = last.status if last else None
    return status if status is not None and low <= status <= high else otherwise
