"""Slots, buckets and the vendor's own word: who gets in, who waits and for how long, and which limit it was."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.router.attempts import Wait
from hroute.router.limits import LONGEST, Bucket, Limiter, Shortage, Size, Taken
from hroute.schema.policy import Limits
from hroute.terms.allowance import Allowance
from hroute.terms.clock import Bell, SystemClock, VirtualClock

Entering = Generator[Wait, Any, Taken | Shortage]


def limiter(start: float = 0.0, **limits: Any) -> tuple[Limiter, VirtualClock]:
    clock = VirtualClock(start)
    return Limiter(Limits(**limits), clock), clock


def enter(made: Limiter, size: Size | None = None, patience: float = 0.0) -> Taken | Shortage:
    """Enter alone: every wait passes on the virtual clock."""
    entering = made.enter(size or Size(), lambda: patience)
    try:
        while True:
            wait = next(entering)
            made.clock.sleep(wait.seconds, wait.bell)
    except StopIteration as stop:
        found: Taken | Shortage = stop.value
        return found


def let_in(made: Limiter, size: Size | None = None, patience: float = 0.0) -> Taken:
    found = enter(made, size, patience)
    assert isinstance(found, Taken), found
    return found


def kept_out(made: Limiter, size: Size | None = None, patience: float = 0.0) -> Shortage:
    found = enter(made, size, patience)
    assert isinstance(found, Shortage), found
    return found


def test_without_limits_everybody_gets_in() -> None:
    made, clock = limiter()
    for _ in range(1000):
        let_in(made, Size(10_000, 10_000))
    assert clock.waits == []


def test_slots_are_counted_and_given_back() -> None:
    made, _ = limiter(concurrency=2)
    first, _second = let_in(made), let_in(made)
    assert kept_out(made).limit == "concurrency"
    made.leave(first)
    made.leave(first)
    assert made.under_way == 1, "a slot was given back twice"
    let_in(made)
    assert kept_out(made).detail == "limits.concurrency is reached: 2 calls at a time"


def test_who_waits_in_vain_has_waited_no_longer_than_allowed() -> None:
    made, clock = limiter(concurrency=1)
    let_in(made)
    assert kept_out(made, patience=3.0).limit == "concurrency"
    assert clock.waits == [3.0]
    assert made.waiting == 0


def test_patience_is_only_asked_for_where_there_is_no_room() -> None:
    made, _ = limiter(concurrency=1)
    entering = made.enter(Size(), lambda: pytest.fail("asked"))
    with pytest.raises(StopIteration):
        next(entering)


def step(entering: Entering) -> Wait | Taken | Shortage:
    """To the next wait or to the end."""
    try:
        return next(entering)
    except StopIteration as stop:
        found: Taken | Shortage = stop.value
        return found


def test_first_come_first_served_and_a_slot_that_is_free_wakes_the_first_in_the_line() -> None:
    made, _ = limiter(concurrency=1)
    holder = let_in(made)
    line = [made.enter(Size(), lambda: 60.0) for _ in range(3)]
    waits = [step(entering) for entering in line]
    bells = [wait.bell for wait in waits if isinstance(wait, Wait)]
    assert [bell is not None and bell.rung for bell in bells] == [False] * 3
    made.leave(holder)
    assert [bell is not None and bell.rung for bell in bells] == [True, False, False]
    assert kept_out(made).limit == "line", "a newcomer pushed in before the line"
    assert isinstance(step(line[1]), Wait), "the second was served before the first"
    assert isinstance(step(line[0]), Taken)
    assert isinstance(step(line[2]), Wait)


def test_who_leaves_the_line_wakes_the_one_behind() -> None:
    made, _ = limiter(concurrency=1)
    holder = let_in(made)
    first, second = made.enter(Size(), lambda: 60.0), made.enter(Size(), lambda: 60.0)
    step(first)
    behind = step(second)
    made.leave(holder)
    first.close()  # its caller has gone away
    assert isinstance(behind, Wait)
    assert behind.bell is not None
    assert behind.bell.rung
    assert isinstance(step(second), Taken)


def test_requests_a_minute_are_a_bucket_that_fills_evenly() -> None:
    made, clock = limiter(requests_per_minute=60)
    for _ in range(60):
        made.leave(let_in(made))
    found = kept_out(made)
    assert (found.limit, found.seconds) == ("requests_per_minute", 1.0)
    made.leave(let_in(made, patience=5.0))
    assert clock.now() == 1.0
    clock.advance(3600)
    assert sum(isinstance(enter(made), Taken) for _ in range(100)) == 60


def test_nobody_waits_where_it_is_known_that_the_wait_is_too_long() -> None:
    made, clock = limiter(requests_per_minute=1)
    let_in(made)
    assert kept_out(made, patience=59.0).limit == "requests_per_minute"
    assert clock.waits == []


def test_tokens_are_taken_by_estimate_and_settled_by_what_was_used() -> None:
    made, clock = limiter(tokens_per_minute=6000)
    taken = let_in(made, Size(4000, 2000))
    assert kept_out(made, Size(1, 0)).limit == "tokens_per_minute"
    made.leave(taken, used=3000)
    made.leave(let_in(made, Size(3000, 0)), used=9000)
    assert kept_out(made, Size(6000, 0), patience=60.0).seconds == pytest.approx(120.0), "more was used than estimated"
    clock.advance(120)
    let_in(made, Size(6000, 0))


def test_a_call_larger_than_the_bucket_waits_for_a_full_one() -> None:
    made, _ = limiter(tokens_per_minute=1000)
    let_in(made, Size(5000, 0))
    assert kept_out(made, Size(1, 0)).seconds == pytest.approx(240.06)


def test_a_call_that_was_never_made_costs_nothing() -> None:
    made, _ = limiter(requests_per_minute=1, tokens_per_minute=100, concurrency=1)
    made.heed([Allowance("requests", 1, 10, 30.0)])
    taken = let_in(made, Size(100, 0))
    made.undo(taken)
    made.undo(taken)
    let_in(made, Size(100, 0))


def test_what_the_vendor_says_is_left_is_respected_until_its_reset() -> None:
    made, clock = limiter()
    made.heed([Allowance("requests", 2, 50, 12.0), Allowance("input-tokens", 1000, 20_000, 30.0)])
    made.leave(let_in(made, Size(400, 50)))
    made.leave(let_in(made, Size(400, 50)))
    found = kept_out(made, Size(400, 50))
    assert (found.limit, found.seconds) == ("vendor requests", 12.0)
    clock.advance(12)
    assert kept_out(made, Size(400, 50)).limit == "vendor input-tokens"
    let_in(made, Size(200, 9000))
    clock.advance(18)
    let_in(made, Size(400, 50))


def test_a_newer_word_of_the_vendor_replaces_the_older() -> None:
    made, _ = limiter()
    made.heed([Allowance("requests", 0, 50, 60.0)])
    kept_out(made)
    made.heed([Allowance("requests", 3, 50, 60.0)])
    let_in(made)


def test_a_limit_without_a_reset_keeps_nobody_out() -> None:
    made, _ = limiter()
    made.heed([Allowance("requests", 0, 50, None)])
    let_in(made)


def test_a_call_larger_than_the_vendors_whole_limit_is_not_kept_out_for_ever() -> None:
    made, _ = limiter()
    made.heed([Allowance("tokens", 1000, 1000, 60.0)])
    let_in(made, Size(5000, 0))


def test_retry_after_keeps_everybody_out_for_as_long_and_never_less() -> None:
    made, clock = limiter()
    made.heed((), retry_after=20.0)
    made.heed((), retry_after=1.0)
    found = kept_out(made)
    assert (found.limit, found.seconds) == ("retry_after", 20.0)
    let_in(made, patience=30.0)
    assert clock.now() == 20.0


def test_no_word_of_a_vendor_is_believed_for_ever() -> None:
    made, clock = limiter()
    made.heed([Allowance("requests", 0, 1, 1e12)], retry_after=1e12)
    clock.advance(LONGEST + 1)
    let_in(made)


def test_limits_may_change_while_calls_are_under_way() -> None:
    made, _ = limiter(concurrency=1)
    let_in(made)
    made.adjust(Limits(concurrency=2, requests_per_minute=1))
    let_in(made)
    assert kept_out(made).limit == "concurrency"
    assert made.under_way == 2


@settings(max_examples=300, deadline=None)
@given(
    per_minute=st.integers(1, 600),
    calls=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 300)), min_size=1, max_size=60),
)
def test_a_bucket_gives_no_more_than_a_minutes_worth_and_what_has_flowed_in_since(
    per_minute: int, calls: list[tuple[float, int]]
) -> None:
    now = given_out = 0.0
    bucket = Bucket(per_minute, now)
    for gap, amount in calls:
        now += gap
        now += bucket.seconds(amount, now)
        assert bucket.seconds(amount, now) == pytest.approx(0, abs=1e-4)
        bucket.take(amount)
        given_out += amount
        too_large = max(0, amount - per_minute)
        assert given_out <= per_minute + per_minute * now / 60 + too_large + 1e-3


@settings(max_examples=200, deadline=None)
@given(
    slots=st.integers(1, 3),
    script=st.lists(
        st.tuples(st.sampled_from(["enter", "step", "leave", "close", "pass"]), st.integers(0, 9)), max_size=80
    ),
)
def test_no_slot_is_ever_lost_or_given_twice(slots: int, script: list[tuple[str, int]]) -> None:
    made, clock = limiter(concurrency=slots)
    waiting: list[Entering] = []
    inside: list[Taken] = []
    for what, which in script:
        if what == "enter":
            waiting.append(made.enter(Size(), lambda: 5.0))
        elif what == "step" and waiting:
            entering = waiting[which % len(waiting)]
            found = step(entering)
            if not isinstance(found, Wait):
                waiting.remove(entering)
            if isinstance(found, Taken):
                inside.append(found)
        elif what == "leave" and inside:
            made.leave(inside.pop(which % len(inside)))
        elif what == "close" and waiting:
            waiting.pop(which % len(waiting)).close()
        elif what == "pass":
            clock.advance(which)
        assert made.under_way == len(inside) <= slots
    for entering in waiting:
        entering.close()
    for taken in inside:
        made.leave(taken)
    assert (made.under_way, made.waiting) == (0, 0)
    for _ in range(slots):
        let_in(made)


def test_threads_share_the_slots_and_all_are_served() -> None:
    made = Limiter(Limits(concurrency=3), SystemClock())
    lock, most, inside = threading.Lock(), 0, 0

    def work(_: int) -> bool:
        nonlocal most, inside
        entering = made.enter(Size(), lambda: 60.0)
        while isinstance(found := step(entering), Wait):
            made.clock.sleep(found.seconds, found.bell)
        assert isinstance(found, Taken)
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.001)
        with lock:
            inside -= 1
        made.leave(found)
        return True

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(work, range(200)))
    assert most == 3
    assert (made.under_way, made.waiting) == (0, 0)


def test_tasks_share_the_slots_in_order_and_one_that_is_cancelled_leaves_the_line() -> None:
    made = Limiter(Limits(concurrency=1), SystemClock())
    served: list[int] = []

    async def work(n: int) -> None:
        entering = made.enter(Size(), lambda: 60.0)
        try:
            while isinstance(found := step(entering), Wait):
                await made.clock.asleep(found.seconds, found.bell)
        except asyncio.CancelledError:
            entering.close()
            raise
        assert isinstance(found, Taken)
        served.append(n)
        await asyncio.sleep(0)
        made.leave(found)

    async def main() -> None:
        tasks = [asyncio.create_task(work(n)) for n in range(50)]
        await asyncio.sleep(0)
        for task in tasks[10:20]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert served == [*range(10), *range(20, 50)]
    assert (made.under_way, made.waiting) == (0, 0)


def test_a_bell_wakes_a_sleeper_in_a_thread_and_on_a_loop() -> None:
    bell, clock = Bell(), SystemClock()
    threading.Timer(0.01, bell.ring).start()
    clock.sleep(60, bell)
    assert bell.rung
    clock.sleep(60, bell)

    async def main() -> None:
        late = Bell()
        threading.Timer(0.01, late.ring).start()
        await clock.asleep(60, late)
        assert late.rung
        await clock.asleep(0.001, Bell())

    asyncio.run(main())
