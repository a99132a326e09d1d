"""The latency breaker: a p95 over a window, apart from errors; it puts last and never refuses."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.router.latency import MOST, LatencyBreaker, Window
from hroute.schema import policy
from hroute.terms.clock import VirtualClock

SPIKE = policy.LatencyBreaker(p95=8.0, samples=20, within=120.0, open_for=60.0)


class Stage:
    def __init__(self, given: policy.LatencyBreaker = SPIKE, probes: int = 1) -> None:
        self.clock = VirtualClock(1000.0)
        self.heard: list[tuple[str, str]] = []
        self.breaker = LatencyBreaker(given, probes, self.clock, lambda: 0.0, lambda *change: self.heard.append(change))

    def answer(self, *latencies: float | None) -> None:
        for seconds in latencies:
            self.breaker.leave(self.breaker.enter(), seconds)


def test_it_needs_enough_samples_before_it_judges() -> None:
    stage = Stage()
    stage.answer(*[60.0] * 19)
    assert not stage.breaker.postpones()
    stage.answer(60.0)
    assert stage.breaker.postpones()
    assert stage.breaker.state == "open"


def test_one_slow_answer_in_twenty_is_within_the_95_percent_and_two_are_not() -> None:
    stage = Stage()
    stage.answer(*[1.0] * 19, 60.0)
    assert stage.breaker.p95 == 1.0
    assert not stage.breaker.postpones()
    stage.answer(60.0)
    assert stage.breaker.p95 == 60.0
    assert stage.breaker.postpones()


def test_what_failed_has_no_latency() -> None:
    stage = Stage()
    stage.answer(*[None] * 100)
    assert stage.breaker.p95 is None
    assert not stage.breaker.postpones()


def test_old_answers_are_forgotten() -> None:
    stage = Stage()
    stage.answer(*[60.0] * 19)
    stage.clock.advance(120.1)
    assert stage.breaker.p95 is None
    stage.answer(60.0)
    assert not stage.breaker.postpones()


def test_after_its_time_one_call_finds_the_provider_at_its_old_place_and_closes_it() -> None:
    stage = Stage()
    stage.answer(*[9.0] * 20)
    stage.clock.advance(59.9)
    assert stage.breaker.postpones()
    stage.clock.advance(0.1)
    assert stage.breaker.state == "half-open"
    assert not stage.breaker.postpones()
    probe = stage.breaker.enter()
    assert stage.breaker.postpones(), "everybody came back before the probe had answered"
    stage.breaker.leave(probe, 2.0)
    assert stage.breaker.state == "closed"
    assert not stage.breaker.postpones()
    assert stage.breaker.p95 is None, "the slow time is still held against it"
    assert stage.heard == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]


def test_a_probe_that_is_slow_opens_it_for_longer() -> None:
    stage = Stage()
    stage.answer(*[9.0] * 20)
    first = stage.breaker.until
    stage.clock.advance(60)
    stage.answer(8.1)
    assert stage.breaker.until - stage.clock.now() == 120
    assert stage.breaker.until > first


def test_a_probe_that_fails_says_nothing_about_speed() -> None:
    stage = Stage()
    stage.answer(*[9.0] * 20)
    stage.clock.advance(60)
    stage.answer(None)
    assert stage.breaker.state == "half-open"
    assert not stage.breaker.postpones()


def test_what_began_in_the_slow_time_does_not_judge_the_time_after() -> None:
    stage = Stage()
    queued = stage.breaker.enter()
    stage.answer(*[9.0] * 20)
    stage.clock.advance(60)
    stage.breaker.leave(queued, 70.0)
    assert stage.breaker.state == "half-open"


def test_all_probes_must_be_in_time() -> None:
    stage = Stage(probes=2)
    stage.answer(*[9.0] * 20)
    stage.clock.advance(60)
    stage.answer(1.0)
    assert stage.breaker.state == "half-open"
    stage.answer(1.0)
    assert stage.breaker.state == "closed"


def test_requests_that_have_nowhere_else_to_go_are_still_measured_while_it_is_open() -> None:
    stage = Stage()
    stage.answer(*[9.0] * 20)
    stage.answer(*[1.0] * 50)
    assert stage.breaker.state == "open", "it is open for its whole time"
    assert stage.breaker.p95 == 9.0


def test_other_settings_are_taken_over_with_what_is_known() -> None:
    stage = Stage()
    stage.answer(*[5.0] * 20)
    stage.breaker.adjust(policy.LatencyBreaker(p95=4.0), 1)
    stage.answer(5.0)
    assert stage.breaker.postpones()


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 100, allow_nan=False)), max_size=80), st.floats(0.1, 60))
def test_the_window_says_what_a_plain_list_would_say(answers: list[tuple[float, float]], within: float) -> None:
    window, now, kept = Window(within), 0.0, list[tuple[float, float]]()
    for gap, seconds in answers:
        now += gap
        window.add(now, seconds)
        kept = [(at, s) for at, s in [*kept, (now, seconds)] if at >= now - within]
        ordered = sorted(s for _, s in kept)
        assert window.p95() == ordered[math.ceil(0.95 * len(ordered)) - 1]
        assert len(window) == len(kept)


def test_the_window_holds_a_thousand_samples_and_no_more() -> None:
    window = Window(1e9)
    for n in range(3 * MOST):
        window.add(float(n), float(n))
    assert len(window) == MOST
    assert window.p95() == 2 * MOST + 0.95 * MOST - 1


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 90), st.one_of(st.none(), st.floats(0, 20))), max_size=80),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_its_end_never_comes_nearer(answers: list[tuple[float, float | None]], samples: int, probes: int) -> None:
    stage = Stage(policy.LatencyBreaker(8.0, samples, 120.0, 60.0), probes)
    until = stage.breaker.until
    for gap, seconds in answers:
        stage.clock.advance(gap)
        stage.answer(seconds)
        assert stage.breaker.until >= until
        until = stage.breaker.until
        assert stage.breaker.postpones() or stage.breaker.state != "open"
