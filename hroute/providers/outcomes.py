"""What a vendor's answer means to the router: the table every HTTP vendor shares, and how a vendor's own rows go before it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hroute.terms import allowance
from hroute.terms.message import Reply
from hroute.terms.outcome import Failure, Outcome

BY_STATUS: Final[Mapping[int, Outcome]] = {
    401: Outcome.CREDENTIAL,
    402: Outcome.CREDENTIAL,
    403: Outcome.CREDENTIAL,
    404: Outcome.CREDENTIAL,
    408: Outcome.TIMEOUT,
    409: Outcome.SERVER,
    410: Outcome.CREDENTIAL,
    413: Outcome.CAPABILITY,
    429: Outcome.CAPACITY,
    499: Outcome.TRANSPORT,
    529: Outcome.CAPACITY,
}
"""Status -> outcome; other 4xx are the caller's fault, all else (3xx too: nobody is followed) is the server's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a vendor's table. All that is given must fit: `status`, `code` (the vendor's type or code, exactly), and
    `words`, one of which stands in the vendor's message (which is read here and kept nowhere)."""

    outcome: Outcome
    status: int | None = None
    code: str | None = None
    words: tuple[str, ...] = ()

    def fits(self, status: int | None, codes: Iterable[str], message: str) -> bool:
        if self.status is not None and self.status != status:
            return False
        if self.code is not None and self.code not in codes:
            return False
        return not self.words or any(word in message for word in self.words)


TOO_LONG: Final = (
    "prompt is too long", "context length", "context_length", "context window", "context size", "maximum context", "too many tokens",
    "exceeds the available context", "input is too long", "exceed context limit",
)  # fmt: skip
"""How vendors and local servers say that a prompt does not fit."""

CONTEXT: Final = frozenset(
    {
        "context",
        "too_long",
        "context_length_exceeded",
        "exceed_context_size_error",
        "string_above_max_length",
        "request_too_large",
    }
)
"""Codes that say that the prompt does not fit; the first is ours, the second the sandbox's."""

NO_CREDIT: Final = ("credit balance", "insufficient balance", "insufficient_quota", "exceeded your current quota", "billing hard limit")  # fmt: skip

LACKS: Final = (
    "does not support tools", "does not support function calling", "tool use is not supported", "tool choice requires", "tools param requires",
    "does not support image", "image input is not supported", "image_url is only supported", "not a multimodal model",
    "does not support thinking", "response_format",
)  # fmt: skip
"""How vendors and local servers (vLLM, llama.cpp, LM Studio) say that a model or a server cannot do what another can."""

TOO_MUCH_OUTPUT: Final = (
    "max_tokens is too large",
    "max_completion_tokens is too large",
    "maximum allowed number of output tokens",
)
"""How vendors say that a model writes less than was allowed: the limit is mostly our own, never the caller's mistake alone."""

COMMON: Final = (
    Row(Outcome.CAPABILITY, 400, words=TOO_LONG),
    Row(Outcome.CAPABILITY, 422, words=TOO_LONG),
    Row(Outcome.CREDENTIAL, 400, words=NO_CREDIT),
    Row(Outcome.CREDENTIAL, 429, words=NO_CREDIT),
    Row(Outcome.CAPABILITY, 400, words=LACKS),
    Row(Outcome.CAPABILITY, 422, words=LACKS),
    Row(Outcome.CAPABILITY, 500, words=LACKS),  # llama.cpp
    Row(Outcome.CAPABILITY, 400, words=TOO_MUCH_OUTPUT),
)  # fmt: skip


def outcome_of(rows: Iterable[Row], status: int | None, codes: tuple[str, ...], message: str) -> Outcome:
    """The outcome of a vendor's error answer: the first row that fits, else by its status."""
    lowered = message.lower()
    for row in (*rows, *COMMON):
        if row.fits(status, codes, lowered):
            return row.outcome
    if status is None:
        return Outcome.SERVER
    return BY_STATUS.get(status) or (Outcome.CALLER_FAULT if 400 <= status < 500 else Outcome.SERVER)


def told(body: object) -> tuple[tuple[str, ...], str]:
    """The vendor's codes, the narrowest first, and its message in the body of an error, in whatever shape it has."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(error, str):
        return (), error
    if not isinstance(error, Mapping):
        return (), ""
    details = error.get("details")
    narrow = (details.get("error_code"),) if isinstance(details, Mapping) else ()
    named = (str(code) for code in (*narrow, error.get("code"), error.get("type")) if code)
    codes = tuple(code for code in named if not code.isdecimal())  # local servers repeat the status there
    message = error.get("message")
    return codes, message if isinstance(message, str) else ""


def rejected(
    rows: Iterable[Row], status: int | None, codes: tuple[str, ...], message: str, headers: Mapping[str, str]
) -> Failure:
    """A vendor's error answer as a failure. One that says in words only that the prompt does not fit gets a code for it."""
    outcome = outcome_of(rows, status, codes, message)
    lowered = message.lower()
    if outcome is Outcome.CAPABILITY and CONTEXT.isdisjoint(codes) and any(words in lowered for words in TOO_LONG):
        codes = ("context", *codes)
    return failure(outcome, status, codes, headers)


def failure(outcome: Outcome, status: int | None, codes: tuple[str, ...], headers: Mapping[str, str]) -> Failure:
    """A failure that tells status and the vendor's code, what is left of its rate limits, and nothing else that it wrote."""
    code = next(
        (c for c in codes if c and len(c) <= 60 and c.replace("_", "").replace("-", "").replace(".", "").isalnum()),
        None,
    )
    said = f"{status} {code}" if status and code else str(status or code or outcome)
    left = allowance.read(headers, time.time())
    return Failure(outcome, said.replace("_", " "), status, code, retry_after(headers), left)


def with_allowances(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """`reply` with what `headers` say is left of the vendor's rate limits."""
    left = allowance.read(headers, time.time())
    return replace(reply, allowances=left) if left else reply


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a vendor asks to wait: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    raw = headers.get("retry-after")
    seconds = _number(raw)
    if seconds is not None or raw is None:
        return seconds
    from email.utils import parsedate_to_datetime

    try:
        at = parsedate_to_datetime(raw).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, at - (time.time() if now is None else now))


def _number(raw: str | None) -> float | None:
    try:
        value = float(raw) if raw is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1e9 else None
