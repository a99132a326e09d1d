"""When a spent plan is whole again: the time in a client's own message, as seconds from now."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

_MARKS: Final = ("resets ", "try again at ")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def seconds_until(message: str, now: float | None = None) -> float | None:
    """Seconds until the time in `message`; None where it names none.

    `...limit reached|1763000000`, `... · resets 3:30pm (Europe/Kyiv)`, `... resets Nov 24, 3pm (UTC)`,
    `... Try again at Nov 24th, 2026 3:05 PM.` A time without a zone is UTC: that is what the clients run in.
    """
    here = time.time() if now is None else now
    epoch = message.rpartition("|")[2].strip()
    if "|" in message and epoch.isdecimal() and len(epoch) <= 11:
        return max(0.0, int(epoch) - here)
    lowered = message.lower()
    mark = next((m for m in _MARKS if m in lowered), None)
    if mark is None:
        return None
    said = lowered.partition(mark)[2].replace(",", " ").replace(".", " ")
    try:
        at = _moment(said.partition("(")[0].split()[:6], datetime.fromtimestamp(here, _zone(message)))
    except ValueError:
        return None
    return None if at is None else max(0.0, at.timestamp() - here)


def _zone(message: str) -> tzinfo:
    _, bracket, rest = message.rpartition("(")
    name = rest.partition(")")[0] if bracket else ""
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, KeyError, OSError):  # a KeyError where there is no such zone
        return UTC


def _moment(words: list[str], now: datetime) -> datetime | None:
    """The next moment after `now` that `words` name, the date left out or not. Raises ValueError where it is none."""
    month = day = year = None
    for at, word in enumerate(words):
        half = word[-2:] if word[-2:] in ("am", "pm") else words[at + 1] if at + 1 < len(words) else ""
        if word[:3] in _MONTHS and month is None:
            month = _MONTHS.index(word[:3]) + 1
        elif word.isdecimal() and len(word) == 4:
            year = int(word)
        elif half in ("am", "pm") and word[0].isdecimal():
            return _next(now, year, month, day, _clock(word.removesuffix(half), half))
        elif word.rstrip("stndrh").isdecimal():
            day = int(word.rstrip("stndrh"))
    return None


def _clock(word: str, half: str) -> tuple[int, int]:
    hour, _, minute = word.partition(":")
    return int(hour) % 12 + (12 if half == "pm" else 0), int(minute or 0)


def _next(now: datetime, year: int | None, month: int | None, day: int | None, clock: tuple[int, int]) -> datetime:
    hour, minute = clock
    at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if month is None or day is None:
        return at if at > now else at + timedelta(days=1)
    at = at.replace(month=month, day=day, year=year or now.year)
    return at if year or at > now - timedelta(days=1) else at.replace(year=now.year + 1)
