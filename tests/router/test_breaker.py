"""The errors breaker: what opens it, how long, and who is let in afterwards."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.router.breaker import JITTER, LONGEST, RAMP, VERDICTS, Breaker, Pass, Verdict, period
from hroute.schema import policy
from hroute.terms.clock import VirtualClock
from hroute.terms.outcome import Outcome

FIVE = policy.Breaker(failures=5, within=60.0, open_for=30.0, probes=1)


class Stage:
    """A breaker on a clock that stands still; `rng` is the chance that stretches every open time."""

    def __init__(self, given: policy.Breaker = FIVE, rng: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.heard: list[tuple[str, str]] = []
        self.breaker = Breaker(given, self.clock, lambda: rng, lambda before, after: self.heard.append((before, after)))

    def enter(self) -> Pass:
        leave = self.breaker.enter()
        assert leave is not None, f"nobody is let in: {self.breaker.state}"
        return leave

    def call(self, *verdicts: Verdict) -> None:
        for verdict in verdicts:
            self.breaker.hear(self.enter(), verdict)

    def fail(self, times: int = 5) -> None:
        self.call(*[Verdict.FAILED] * times)


def test_every_outcome_has_its_verdict() -> None:
    assert set(VERDICTS) == set(Outcome)
    failed = {outcome for outcome, verdict in VERDICTS.items() if verdict is Verdict.FAILED}
    assert failed == {Outcome.SERVER, Outcome.TRANSPORT, Outcome.TIMEOUT, Outcome.CAPACITY}
    assert [o for o, v in VERDICTS.items() if v is Verdict.REJECTED] == [Outcome.CREDENTIAL]


def test_so_many_failures_within_the_window_open_it() -> None:
    stage = Stage()
    stage.fail(4)
    assert stage.breaker.state == "closed"
    stage.fail(1)
    assert stage.breaker.state == "open"
    assert stage.breaker.enter() is None
    assert stage.breaker.seconds() == 30


def test_failures_that_are_too_far_apart_do_not() -> None:
    stage = Stage()
    for _ in range(20):
        stage.fail(1)
        stage.clock.advance(15.1)
    assert stage.breaker.state == "closed"


def test_what_the_caller_or_our_own_choice_caused_does_not_count() -> None:
    stage = Stage()
    stage.call(
        *[VERDICTS[o] for o in (Outcome.CALLER_FAULT, Outcome.CAPABILITY, Outcome.CANCELLED, Outcome.BAD_CONTENT)] * 9
    )
    assert stage.breaker.state == "closed"


def test_a_credential_that_is_rejected_opens_at_once() -> None:
    stage = Stage()
    stage.call(VERDICTS[Outcome.CREDENTIAL])
    assert stage.breaker.state == "open"


def test_when_the_time_is_over_one_probe_is_let_in_and_nobody_beside_it() -> None:
    stage = Stage()
    stage.fail()
    stage.clock.advance(29.9)
    assert stage.breaker.enter() is None
    stage.clock.advance(0.1)
    assert stage.breaker.state == "half-open"
    stage.enter()
    assert stage.breaker.enter() is None
    assert stage.breaker.seconds() is None


@pytest.mark.parametrize("probes", [1, 3])
def test_probes_that_all_answer_begin_the_ramp_and_its_answers_close_it(probes: int) -> None:
    stage = Stage(policy.Breaker(open_for=30.0, probes=probes))
    stage.fail()
    stage.clock.advance(30)
    stage.call(*[Verdict.ANSWERED] * (probes - 1))
    assert stage.breaker.state == "half-open"
    stage.call(Verdict.ANSWERED)
    assert stage.breaker.state == "ramp"
    stage.call(*[Verdict.ANSWERED] * (RAMP - 1))
    assert stage.breaker.state == "ramp"
    stage.call(Verdict.ANSWERED)
    assert stage.breaker.state == "closed"
    assert stage.heard == [("closed", "open"), ("open", "half-open"), ("half-open", "ramp"), ("ramp", "closed")]


def test_on_the_ramp_each_answer_lets_one_more_in_beside_the_others() -> None:
    stage = Stage()
    stage.fail()
    stage.clock.advance(30)
    stage.call(Verdict.ANSWERED)
    widths = []
    for _ in range(RAMP - 1):
        inside = []
        while (leave := stage.breaker.enter()) is not None:
            inside.append(leave)
        widths.append(len(inside))
        stage.breaker.hear(inside.pop(), Verdict.ANSWERED)
        for leave in inside:
            stage.breaker.hear(leave, Verdict.NOTHING)
    assert widths == list(range(2, RAMP + 1))


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_cap() -> None:
    stage = Stage()
    stage.fail()
    times = []
    for _ in range(7):
        seconds = stage.breaker.seconds()
        assert seconds is not None
        times.append(seconds)
        stage.clock.advance(seconds)
        stage.fail(1)
    assert times == [30, 60, 120, 240, 300, 300, 300]


def test_a_closing_forgets_how_often_it_was_open() -> None:
    stage = Stage()
    stage.fail()
    for _ in range(3):
        stage.clock.advance(stage.breaker.seconds() or 0)
        stage.fail(1)
    stage.clock.advance(stage.breaker.seconds() or 0)
    stage.call(*[Verdict.ANSWERED] * (1 + RAMP))
    assert stage.breaker.state == "closed"
    stage.fail(4)
    assert stage.breaker.state == "closed", "failures from before the opening were counted again"
    stage.fail(1)
    assert stage.breaker.seconds() == 30


def test_a_failure_on_the_ramp_opens_it_again_for_longer() -> None:
    stage = Stage()
    stage.fail()
    stage.clock.advance(30)
    stage.call(Verdict.ANSWERED, Verdict.ANSWERED, Verdict.FAILED)
    assert stage.breaker.seconds() == 60


def test_a_probe_of_which_nothing_is_known_makes_room_for_the_next() -> None:
    stage = Stage()
    stage.fail()
    stage.clock.advance(30)
    stage.call(Verdict.NOTHING)
    assert stage.breaker.state == "half-open"
    stage.call(Verdict.ANSWERED)
    assert stage.breaker.state == "ramp"


def test_calls_that_were_under_way_prolong_the_open_time_and_never_shorten_it() -> None:
    stage = Stage()
    late = [stage.enter() for _ in range(2)]
    stage.fail()
    before = stage.breaker.until
    stage.clock.advance(10)
    stage.breaker.hear(late[0], Verdict.ANSWERED)
    assert stage.breaker.until == before
    stage.breaker.hear(late[1], Verdict.FAILED)
    assert stage.breaker.until == 40


def test_what_began_before_the_opening_says_nothing_once_others_are_let_in() -> None:
    stage = Stage(policy.Breaker(failures=1, open_for=30.0, probes=2))
    late = [stage.enter() for _ in range(4)]
    stage.fail(1)
    stage.clock.advance(30)
    probe = stage.enter()
    stage.breaker.hear(late[0], Verdict.FAILED)
    stage.breaker.hear(late[1], Verdict.ANSWERED)
    assert stage.breaker.state == "half-open"
    stage.breaker.hear(probe, Verdict.ANSWERED)
    stage.call(Verdict.ANSWERED)
    stage.breaker.hear(late[2], Verdict.FAILED)
    assert stage.breaker.state == "ramp"
    stage.call(*[Verdict.ANSWERED] * RAMP)
    stage.breaker.hear(late[3], Verdict.FAILED)
    assert stage.breaker.state == "closed"


def test_a_stream_that_has_begun_to_speak_is_an_answer_and_its_breaking_off_a_failure() -> None:
    stage = Stage()
    stage.fail()
    stage.clock.advance(30)
    stream = stage.enter()
    stage.breaker.hear(stream, Verdict.ANSWERED)
    assert stage.breaker.state == "ramp", "a long stream would keep everybody else out"
    stage.breaker.hear(stream, Verdict.FAILED)
    assert stage.breaker.state == "open"


def test_a_probe_may_be_let_in_early_and_what_it_meets_never_brings_the_end_nearer() -> None:
    stage = Stage()
    for _ in range(3):
        stage.fail(5 if stage.breaker.state == "closed" else 1)
        stage.clock.advance(stage.breaker.seconds() or 0)
    stage.fail(1)
    until = stage.breaker.until
    stage.breaker.probe()
    assert stage.breaker.state == "half-open"
    probe = stage.enter()
    assert stage.breaker.enter() is None
    stage.breaker.hear(probe, Verdict.FAILED)
    assert stage.breaker.state == "open"
    assert stage.breaker.until >= until


def test_a_probe_that_comes_when_the_time_is_over_anyway_is_told_like_any_other() -> None:
    stage = Stage()
    stage.fail()
    stage.clock.advance(30)
    stage.breaker.probe()
    assert stage.heard[-1] == ("open", "half-open")


def test_an_early_probe_of_a_closed_breaker_changes_nothing() -> None:
    stage = Stage()
    stage.breaker.probe()
    assert stage.breaker.state == "closed"


@given(open_for=st.floats(0.001, 1e5), level=st.integers(0, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_an_open_time_grows_to_a_cap_and_is_only_ever_stretched(open_for: float, level: int, chance: float) -> None:
    seconds = period(open_for, level, lambda: chance)
    assert open_for <= seconds <= open_for * LONGEST * (1 + JITTER)
    assert period(open_for, level + 1, lambda: chance) >= seconds


def test_many_processes_do_not_probe_at_the_same_moment() -> None:
    assert period(30, 0, lambda: 0.0) != period(30, 0, lambda: 0.9)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.just(0.0)),
        st.tuples(st.just("hear"), st.floats(0, 1, exclude_max=True)),
        st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 10.0, 61.0, 400.0])),
        st.tuples(st.just("probe"), st.just(0.0)),
    ),
    max_size=60,
)


@settings(max_examples=600, deadline=None)
@given(
    steps=steps,
    verdicts=st.lists(st.sampled_from([*Verdict, Verdict.FAILED, Verdict.FAILED]), min_size=1, max_size=9),
    failures=st.integers(1, 5),
    probes=st.integers(1, 3),
    chance=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5),
)
def test_whatever_happens_in_whatever_order_the_breaker_keeps_its_word(
    steps: list[tuple[str, float]], verdicts: list[Verdict], failures: int, probes: int, chance: list[float]
) -> None:
    clock, drawn = VirtualClock(), iter(chance * 100)
    breaker = Breaker(policy.Breaker(failures, 60.0, 30.0, probes), clock, lambda: next(drawn))
    inside: list[Pass] = []
    until, told = breaker.until, iter(verdicts * 60)
    for step, amount in steps:
        state = breaker.state
        if step == "enter":
            leave = breaker.enter()
            if state == "open":
                assert leave is None, "it let a call in while it was open"
            if state == "closed":
                assert leave is not None
            if leave is not None:
                inside.append(leave)
                era = [one for one in inside if one.era == breaker.era]
                if state == "half-open":
                    assert len(era) <= probes, "more calls than probes in half-open"
        elif step == "hear" and inside:
            breaker.hear(inside.pop(int(amount * len(inside))), next(told))
        elif step == "pass":
            clock.advance(amount)
        elif step == "probe":
            breaker.probe()
        assert breaker.until >= until, "the end of the open time came nearer"
        assert (breaker.state == "open") <= (breaker.until > clock.now())
        until = breaker.until


def half_open(probes: int) -> Breaker:
    stage = Stage(policy.Breaker(failures=1, open_for=30.0, probes=probes))
    stage.fail(1)
    stage.clock.advance(31)
    return stage.breaker


@pytest.mark.parametrize("probes", [1, 3])
def test_of_many_threads_only_the_probes_get_in(probes: int) -> None:
    for _ in range(20):
        enter = half_open(probes).enter
        with ThreadPoolExecutor(16) as pool:
            leaves = [pool.submit(enter) for _ in range(64)]
        assert sum(leave.result() is not None for leave in leaves) == probes


@pytest.mark.parametrize("probes", [1, 3])
def test_of_many_tasks_only_the_probes_get_in(probes: int) -> None:
    breaker = half_open(probes)

    async def enter() -> Pass | None:
        await asyncio.sleep(0)
        return breaker.enter()

    async def main() -> list[Pass | None]:
        return await asyncio.gather(*(enter() for _ in range(200)))

    assert sum(leave is not None for leave in asyncio.run(main())) == probes
