"""The vendors' rate-limit headers, as data."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.terms.allowance import Allowance, read

NOW = datetime(2026, 11, 20, 17, 0, 0, tzinfo=UTC).timestamp()


def test_anthropic_tells_dates() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-20T17:00:12Z",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "39000",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-20T18:00:01.5+01:00",
        "anthropic-ratelimit-output-tokens-remaining": "8000",
    }
    assert read(headers, NOW) == (
        Allowance("requests", 0, 50, 12.0),
        Allowance("input-tokens", 39000, 40000, 1.5),
        Allowance("output-tokens", 8000),
    )


def test_openai_tells_durations() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert read(headers, NOW) == (Allowance("requests", 59, 60, 1.0), Allowance("tokens", 149984, 150000, 360.0))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("20ms", 0.02),
        ("1m30.5s", 90.5),
        ("2h3m", 7380.0),
        ("1d", 86400.0),
        ("7", 7.0),
        ("0.5", 0.5),
        (str(int(NOW) + 30), 30.0),
        (str(int(NOW * 1000) + 1500), 1.5),
        ("Fri, 20 Nov 2026 17:00:09 GMT", 9.0),
        ("2026-11-20T16:59:00Z", 0.0),
        ("", None),
        ("soon", None),
        ("1x", None),
        ("-5", None),
        ("nan", None),
        ("5 5", None),
        ("...s", None),
        ("²s", None),
    ],
)
def test_a_reset_is_read_in_every_form_that_is_in_use(written: str, seconds: float | None) -> None:
    (found,) = read({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": written}, NOW)
    assert found.seconds == (None if seconds is None else pytest.approx(seconds))


def test_without_a_kind_requests_are_meant() -> None:
    assert read({"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "9"}, NOW) == (Allowance("requests", 3, None, 9.0),)


def test_the_servers_own_clock_counts_where_it_tells_it() -> None:
    headers = {
        "date": "Fri, 20 Nov 2026 17:10:00 GMT",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-20T17:10:12Z",
    }
    assert read(headers, NOW)[0].seconds == 12.0, "a clock that is ten minutes slow would wait ten minutes more"


def test_a_tier_beyond_which_another_serves_is_no_limit() -> None:
    assert read({"anthropic-ratelimit-priority-input-tokens-remaining": "0"}, NOW) == ()


@pytest.mark.parametrize("written", ["", "many", "-1", "nan", "1e400", "inf"])
def test_what_is_no_number_is_left_out(written: str) -> None:
    assert read({"x-ratelimit-remaining-requests": written, "x-ratelimit-limit-requests": "5"}, NOW) == ()


def test_other_headers_say_nothing() -> None:
    assert read({"content-type": "application/json", "x-request-id": "x-ratelimit-remaining-requests"}, NOW) == ()


families = (
    "anthropic-ratelimit-requests-",
    "x-ratelimit-reset-",
    "x-ratelimit-remaining-",
    "x-ratelimit-",
    "ratelimit-",
)
names = st.builds(
    str.__add__, st.sampled_from(families), st.sampled_from(["reset", "remaining", "tokens", "", "-", "requests"])
)


@given(st.dictionaries(names, st.text(max_size=20)), st.text(max_size=30))
def test_no_header_whatsoever_is_an_error(headers: dict[str, str], date: str) -> None:
    for one in read({**headers, "date": date}, NOW):
        assert one.remaining >= 0
        assert one.seconds is None or one.seconds >= 0
