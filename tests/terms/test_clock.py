"""Waiting on the machine's clock: a bell ends it, and who is cancelled at that very moment is cancelled."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from hroute.terms.clock import Bell, SystemClock

PACKAGE = Path(__file__).parents[2] / "hroute"
FAR = 600.0


def test_a_bell_wakes_a_task_and_a_thread() -> None:
    bell = Bell()
    thread = threading.Thread(target=SystemClock().sleep, args=(FAR, bell))
    thread.start()

    async def main() -> None:
        waiting = asyncio.create_task(SystemClock().asleep(FAR, bell))
        await asyncio.sleep(0)
        bell.ring()
        await waiting

    asyncio.run(main())
    thread.join()


def test_time_that_is_over_is_no_error() -> None:
    asyncio.run(SystemClock().asleep(0.001, Bell()))
    SystemClock().sleep(0.001, Bell())


def test_a_cancellation_that_comes_together_with_the_bell_is_not_lost() -> None:
    """The bell has woken the task, but it has not run yet when it is cancelled."""

    async def main() -> None:
        bell = Bell()
        waiting = asyncio.create_task(SystemClock().asleep(FAR, bell))
        for _ in range(3):
            await asyncio.sleep(0)
        bell.ring()
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_a_cancellation_that_comes_together_with_the_end_of_the_time_is_not_lost() -> None:
    async def main() -> None:
        waiting = asyncio.create_task(SystemClock().asleep(0, Bell()))
        await asyncio.sleep(0)  # it waits; at the next turn of the loop its time is over
        asyncio.get_running_loop().call_soon(waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_nobody_waits_in_the_way_that_loses_cancellations() -> None:
    """`asyncio.wait_for` of Python 3.11 gives the result and forgets the cancellation where both come together."""
    found = [p.name for p in PACKAGE.rglob("*.py") for line in p.read_text().splitlines() if "wait_for(" in line]
    assert found == []
