"""When a spent plan is whole again, read from what the clients say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hroute.providers.programs.resets import seconds_until

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0


@pytest.mark.parametrize(
    ("message", "hours"),
    [
        ("You've hit your session limit · resets 3:30pm (UTC)", 1.5),
        ("You've hit your session limit · resets 5pm (Europe/Kyiv)", 1.0),
        ("You've hit your session limit · resets 12:30am (UTC)", 10.5),
        ("You've hit your session limit · resets 1pm (UTC)", 23.0),
        ("You've hit your weekly limit · resets Nov 24, 3pm (UTC)", 97.0),
        ("You've hit your weekly limit · resets Nov 24 at 3pm (UTC)", 97.0),
        ("You've hit your weekly limit · resets Jan 2, 2027, 2pm (UTC)", 43 * 24.0),
        ("You've hit your weekly limit · resets Jan 2, 2pm (UTC)", 43 * 24.0),
        ("You've hit your usage limit. Try again at 3:05 PM.", 1 + 5 / 60),
        ("You've hit your usage limit. Upgrade, or try again at Nov 21st, 2026 2:00 PM.", 24.0),
        ("You've hit your usage limit. Try again at Dec 2nd, 2026 12:00 AM.", 11 * 24 + 10),
        (f"Claude AI usage limit reached|{int(NOW) + 7200}", 2.0),
    ],
)
def test_the_time_in_a_message_is_a_wait_from_now(message: str, hours: float) -> None:
    assert seconds_until(message, NOW) == pytest.approx(hours * HOUR)


@pytest.mark.parametrize(
    "message",
    [
        "", "resets ", "resets soon", "try again at ", "try again later", "resets 25:99pm (UTC)", "resets Feb 31, 3pm (UTC)", "resets 3",
        "resets am", "a|b", "|", "|99999999999999999", "resets ²pm", "resets 3:pm:pm", "resets 3pm (Nowhere/../etc)", "resets 3pm (",
    ],
)  # fmt: skip
def test_what_is_no_time_is_no_wait_or_a_bounded_one(message: str) -> None:
    found = seconds_until(message, NOW)
    assert found is None or 0 <= found <= 24 * HOUR


def test_a_time_that_has_passed_is_no_wait() -> None:
    assert seconds_until("limit reached|1700000000", NOW) == 0.0
