"""What a vendor says is left of its rate limits: the headers of an answer as data (pure; nothing is kept here).

Two families are read: `anthropic-ratelimit-KIND-{limit,remaining,reset}` with a date for the reset
(https://docs.claude.com/en/api/rate-limits), and `x-ratelimit-{limit,remaining,reset}-KIND` of OpenAI and of those who
speak its wire, with a duration (`6m0s`, `20ms`), seconds or an epoch (https://platform.openai.com/docs/guides/rate-limits).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_MEASURES: Final = ("limit", "remaining", "reset")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH: Final = 1e9
"""A reset above this is a moment, in seconds or milliseconds since 1970, and no duration."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit of a vendor: `kind` is what is counted (`requests`, `tokens`, `input-tokens`, `output-tokens`), `seconds`
    the time until it is whole again; None where the vendor does not say."""

    kind: str
    remaining: int
    limit: int | None = None
    seconds: float | None = None


def read(headers: Mapping[str, str], now: float) -> tuple[Allowance, ...]:
    """What `headers` (names in any case) say is left. `now` is the time of day in seconds since 1970; the server's own
    clock, where it sends its `date`, is preferred, since resets are told in it. What cannot be read is left out."""
    said = dict(_measured((name.lower(), value) for name, value in headers.items()))
    kinds = dict.fromkeys(kind for kind, _ in said)
    if kinds:
        now = _date(headers.get("date") or headers.get("Date") or "") or now
    found = []
    for kind in kinds:
        remaining, limit = _whole(said.get((kind, "remaining"))), _whole(said.get((kind, "limit")))
        if remaining is not None:
            found.append(Allowance(kind, remaining, limit, _seconds(said.get((kind, "reset"), ""), now)))
    return tuple(found)


def _measured(headers: Iterable[tuple[str, str]]) -> list[tuple[tuple[str, str], str]]:
    """((kind, measure), value) of every header of the two families."""
    found = []
    for name, value in headers:
        family, rest = name.partition("ratelimit-")[::2]
        if family == "anthropic-":
            kind, _, measure = rest.rpartition("-")
        elif family == "x-":
            measure, _, kind = rest.partition("-")
        else:
            continue
        if measure in _MEASURES and _counted(kind or "requests"):
            found.append(((kind or "requests", measure), value.strip()))
    return found


def _counted(kind: str) -> bool:
    """Whether calls and tokens are counted there. Anthropic's `priority-` is no limit: beyond it the standard tier serves."""
    words = kind.split("-")
    return words[0] != "priority" and ("requests" in words or "tokens" in words)


def _whole(written: str | None) -> int | None:
    try:
        value = float(written) if written else None
    except ValueError:
        return None
    return int(value) if value is not None and 0 <= value < 1e15 else None


def _seconds(written: str, now: float) -> float | None:
    """A reset in seconds from `now`: a date, an epoch, a number of seconds, or a duration such as `1m30.5s`."""
    try:
        number = float(written)
    except ValueError:
        moment = _date(written)
        return max(0.0, moment - now) if moment is not None else _duration(written)
    if not 0 <= number < 1e15:
        return None
    if number > _EPOCH:
        return max(0.0, (number / 1000 if number > _EPOCH * 1000 else number) - now)
    return number


def _duration(written: str) -> float | None:
    total, digits, rest = 0.0, "", written.lower()
    while rest:
        if rest[0] in "0123456789.":
            digits, rest = digits + rest[0], rest[1:]
            continue
        unit = next((u for u in _UNITS if rest.startswith(u)), None)
        if unit is None or not digits or digits.count(".") > 1 or digits == ".":
            return None
        total, digits, rest = total + float(digits) * _UNITS[unit], "", rest[len(unit) :]
    return total if written and not digits else None


def _date(written: str) -> float | None:
    """RFC 3339, or the date of an HTTP header, in seconds since 1970."""
    if not written:
        return None
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            moment = parsedate_to_datetime(written)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        return None
