"""Periods: where a budget begins anew, also on the days when the clocks jump."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.ledger.periods import Days, Per, day_of, period

HOUR = 3_600_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana")


def at(utc: str) -> int:
    return int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "noon", "start", "end", "hours"),
    [
        # the clock goes forward
        ("Europe/Berlin", "2026-03-29T10:00", "2026-03-28T23:00", "2026-03-29T22:00", 23),
        ("America/New_York", "2026-03-08T16:00", "2026-03-08T05:00", "2026-03-09T04:00", 23),
        ("Asia/Kolkata", "2026-03-29T06:30", "2026-03-28T18:30", "2026-03-29T18:30", 24),
        ("Australia/Lord_Howe", "2026-10-04T01:00", "2026-10-03T13:30", "2026-10-04T13:00", 23.5),
        # the clock goes back
        ("Europe/Berlin", "2026-10-25T11:00", "2026-10-24T22:00", "2026-10-25T23:00", 25),
        ("America/New_York", "2026-11-01T17:00", "2026-11-01T04:00", "2026-11-02T05:00", 25),
        ("Asia/Kolkata", "2026-10-25T06:30", "2026-10-24T18:30", "2026-10-25T18:30", 24),
        ("Australia/Lord_Howe", "2026-04-05T01:30", "2026-04-04T13:00", "2026-04-05T13:30", 24.5),
    ],
)
def test_a_day_begins_at_the_zones_midnight_when_the_clock_jumps(
    zone: str, noon: str, start: str, end: str, hours: float
) -> None:
    found = period("day", zone, at(noon))
    assert found == (at(start), at(end))
    assert (found.end - found.start) / HOUR == hours
    assert period("day", zone, at(end) - 1) == found
    assert period("day", zone, at(end)).start == at(end)
    assert period("day", zone, at(start) - 1).end == at(start)


@pytest.mark.parametrize(
    ("zone", "within", "start", "end"),
    [
        ("Europe/Berlin", "2026-03-29T00:59", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("America/New_York", "2026-03-08T07:00", "2026-03-01T05:00", "2026-04-01T04:00"),
        ("Asia/Kolkata", "2026-03-15T00:00", "2026-02-28T18:30", "2026-03-31T18:30"),
        ("Australia/Lord_Howe", "2026-10-03T15:30", "2026-09-30T13:30", "2026-10-31T13:00"),
        ("Europe/Berlin", "2026-10-25T00:30", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("America/New_York", "2026-11-01T05:30", "2026-11-01T04:00", "2026-12-01T05:00"),
        ("Asia/Kolkata", "2026-11-30T18:29", "2026-10-31T18:30", "2026-11-30T18:30"),
        ("Australia/Lord_Howe", "2026-04-04T15:00", "2026-03-31T13:00", "2026-04-30T13:30"),
    ],
)
def test_a_month_begins_on_the_zones_first_across_both_changes(zone: str, within: str, start: str, end: str) -> None:
    assert period("month", zone, at(within)) == (at(start), at(end))


def test_a_week_begins_on_monday() -> None:
    assert period("week", "Europe/Berlin", at("2026-10-25T12:00")) == (at("2026-10-18T22:00"), at("2026-10-25T23:00"))


def test_december_is_followed_by_january() -> None:
    assert period("month", "UTC", at("2026-12-31T23:59")) == (at("2026-12-01T00:00"), at("2027-01-01T00:00"))


@pytest.mark.parametrize(
    ("utc", "start", "end"),
    [
        ("2026-04-04T14:40", "2026-04-04T14:00", "2026-04-04T15:00"),  # one o'clock, summer time
        ("2026-04-04T15:10", "2026-04-04T15:00", "2026-04-04T15:30"),  # half past one again: half an hour is left
        ("2026-10-03T15:40", "2026-10-03T15:30", "2026-10-03T16:00"),  # two o'clock begins at half past
    ],
)
def test_an_hour_is_cut_short_where_the_clock_jumps_half_an_hour(utc: str, start: str, end: str) -> None:
    assert period("hour", "Australia/Lord_Howe", at(utc)) == (at(start), at(end))


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    first = period("hour", "Europe/Berlin", at("2026-10-25T00:30"))
    second = period("hour", "Europe/Berlin", at("2026-10-25T01:30"))
    assert (first.end, second.end - second.start) == (second.start, HOUR)


def test_hours_of_a_zone_with_half_an_hour_begin_on_the_half() -> None:
    assert period("hour", "Asia/Kolkata", at("2026-03-15T06:45")) == (at("2026-03-15T06:30"), at("2026-03-15T07:30"))


def test_a_midnight_that_is_skipped_is_the_jump() -> None:
    """Cuba's clocks jump at midnight: the eighth of March 2026 begins at one o'clock."""
    assert period("day", "America/Havana", at("2026-03-08T12:00")) == (at("2026-03-08T05:00"), at("2026-03-09T04:00"))


def test_a_midnight_that_comes_twice_is_the_first() -> None:
    assert period("day", "America/Havana", at("2026-11-01T12:00")) == (at("2026-11-01T04:00"), at("2026-11-02T05:00"))


@given(
    st.integers(at("2024-01-01T00:00"), at("2030-01-01T00:00")),
    st.sampled_from(ZONES),
    st.sampled_from(("hour", "day", "week", "month")),
)
def test_periods_follow_each_other_without_gap_and_overlap(instant: int, zone: str, per: Per) -> None:
    found = period(per, zone, instant)
    assert instant in found
    assert period(per, zone, found.start) == found
    assert period(per, zone, found.end - 1) == found
    assert period(per, zone, found.end).start == found.end


@given(st.lists(st.integers(at("2026-03-25T00:00"), at("2026-04-08T00:00"))), st.sampled_from(ZONES))
def test_days_that_are_remembered_are_the_days_of_the_calendar(instants: list[int], zone: str) -> None:
    days = Days(zone)
    for instant in instants:
        local = datetime.fromtimestamp(instant / 1000, ZoneInfo(zone)).date().isoformat()
        assert days.of(instant) == local == day_of(zone, instant)


def test_an_unknown_zone_is_an_error() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        period("day", "Mars/Olympus", 0)
