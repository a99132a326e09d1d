"""Hours, days, weeks and months in a named time zone, as instants: where a budget begins anew and a day of the ledger ends.

Instants are milliseconds since 1970, UTC. A zone's clock may jump: a day then has 23, 24.5 or 25 hours.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

Per = Literal["hour", "day", "week", "month"]

_HOUR: Final = timedelta(hours=1)


class Period(NamedTuple):
    """From `start` to before `end`."""

    start: int
    end: int

    def __contains__(self, instant: object) -> bool:
        return isinstance(instant, int) and self.start <= instant < self.end


def period(per: Per, zone: str, at: int) -> Period:
    """The period of kind `per` that holds the instant `at`. Raises KeyError (of zoneinfo) for an unknown zone."""
    where = _zone(zone)
    moment = datetime.fromtimestamp(at / 1000, UTC)
    if per == "hour":
        return _hour(where, moment)
    start, end = _DATES[per](moment.astimezone(where).date())
    return Period(_midnight(where, start), _midnight(where, end))


def day_of(zone: str, at: int) -> str:
    """The date of an instant in a zone, as `2026-11-20`."""
    return datetime.fromtimestamp(at / 1000, _zone(zone)).date().isoformat()


def span(zone: str, first: str, last: str) -> Period:
    """From the beginning of day `first` to the end of day `last` (`2026-11-20`) in a zone."""
    where = _zone(zone)
    return Period(_midnight(where, date.fromisoformat(first)), _midnight(where, _day(date.fromisoformat(last))[1]))


class Days:
    """`day_of` for many instants near to each other: works out each day's bounds once."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._known: list[tuple[Period, str]] = []

    def of(self, at: int) -> str:
        for bounds, name in self._known:
            if bounds.start <= at < bounds.end:
                return name
        found = period("day", self.zone, at), day_of(self.zone, at)
        self._known = [found, *self._known[:3]]
        return found[1]


def _hour(where: ZoneInfo, moment: datetime) -> Period:
    """An hour of the wall clock, cut short where the clock jumps within it."""
    offset = _offset(where, moment)
    local = moment + offset
    start = local.replace(minute=0, second=0, microsecond=0) - offset
    end = start + _HOUR
    if _offset(where, start) != offset:
        start = _change(where, start, moment)
    if _offset(where, end - timedelta(microseconds=1)) != offset:
        end = _change(where, moment, end)
    return Period(_ms(start), _ms(end))


def _change(where: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The instant, to the second, between the two at which the zone's offset becomes another than it was `before`."""
    first = _offset(where, before)
    low, high = int(before.timestamp()), int(-(-after.timestamp() // 1))
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(where, datetime.fromtimestamp(middle, UTC)) == first:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _offset(where: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(where).utcoffset() or timedelta()


def _midnight(where: ZoneInfo, day: date) -> int:
    """The first instant of a date: where midnight comes twice the earlier one, where it is skipped the jump."""
    return _ms(datetime(day.year, day.month, day.day, tzinfo=where).astimezone(UTC))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _day(day: date) -> tuple[date, date]:
    return day, day + timedelta(days=1)


def _week(day: date) -> tuple[date, date]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def _month(day: date) -> tuple[date, date]:
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


_DATES: Final[dict[str, Callable[[date], tuple[date, date]]]] = {"day": _day, "week": _week, "month": _month}


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
