"""A program's policy follows its file: what is good and passes its own tests is taken, else the last good one stays."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

from hroute.errors import HrouteError, PolicyError
from hroute.router.reload import Reload, Reloader
from hroute.schema.policy import Policy

if TYPE_CHECKING:
    from hroute.router.analysis.cases import Case

T = TypeVar("T")

log: Final = logging.getLogger("hroute.policy")

_POLL: Final = 1.0
"""Seconds between two looks at the file where the system cannot tell of its changes."""
_PATIENCE: Final = 2.0
"""Seconds for which the end of the thread is waited for."""


class Following:
    """Watches the file of `policy` in a thread of its own, from `start` to `stop` (or the end of the process).

    `tell` hears every reload, rejection and disappearance; all are logged too. Raises PolicyError where the file holds no
    policy to begin with.
    """

    def __init__(self, path: str, tell: Callable[[Reload], None] | None = None) -> None:
        self._reloader = Reloader(path, _first_plain())
        self._stop = threading.Event()
        self._tell = tell
        self._end: weakref.finalize[..., object] | None = None

    @property
    def policy(self) -> Policy:
        """The last good one."""
        return self._reloader.current

    def start(self, owner: T, take: Callable[[T, Policy], None]) -> None:
        """Call `take(owner, policy)` at each reload, for as long as `owner` is there."""
        thread = threading.Thread(
            target=_follow,
            args=(self._reloader, self._stop, weakref.ref(owner), take, self._tell),
            name="hroute-policy",
            daemon=True,
        )
        self._end = weakref.finalize(owner, _end, self._stop, thread)
        thread.start()

    def stop(self) -> None:
        if self._end is not None:
            self._end()


def checked(path: str) -> Policy:
    """The policy of a file, checked, and tried with the cases that stand beside it. Raises PolicyError."""
    from hroute.router.analysis.cases import run_case
    from hroute.router.check import load
    from hroute.router.decide import compile

    policy = load(path)
    cases = _cases(f"{os.path.splitext(path)[0]}.test.yaml")
    compiled = compile(policy) if cases else None
    failed = [case.title for case in cases if compiled and not run_case(compiled, case).ok]
    if failed:
        more = f" (+{len(failed) - 1} more)" if len(failed) > 1 else ""
        raise PolicyError(f"its own test fails: {failed[0]}{more}")
    return policy


def _cases(file: str) -> list[Case]:
    from hroute.router.analysis.cases import read_cases
    from hroute.schema.source import read
    from hroute.schema.validate import shape_of_cases

    if not os.path.exists(file):
        return []
    source = read(file)
    return read_cases(source, [*source.findings, *shape_of_cases(source)])


def _first_plain() -> Callable[[str], Policy]:
    """How a policy is loaded: the first one need not pass its tests, it may be what somebody is about to mend."""
    first = True

    def load(path: str) -> Policy:
        nonlocal first
        if first:
            first = False
            from hroute.router import check

            return check.load(path)
        try:
            return checked(path)
        except PolicyError:
            raise
        except (HrouteError, OSError) as error:
            raise PolicyError(str(error)) from None

    return load


def _follow(
    reloader: Reloader,
    stop: threading.Event,
    owner: weakref.ref[T],
    take: Callable[[T, Policy], None],
    tell: Callable[[Reload], None] | None,
) -> None:
    for event in _events(reloader, stop):
        there = owner()
        if there is None:
            return
        if event.kind == "reloaded":
            take(there, reloader.current)
        del there
        log.log(logging.INFO if event.kind == "reloaded" else logging.WARNING, "%s", event)
        if tell is not None:
            try:
                tell(event)
            except Exception:  # whoever is told must not end the watch
                log.exception("on_reload failed")


def _events(reloader: Reloader, stop: threading.Event) -> Iterator[Reload]:
    try:
        yield from reloader.follow(stop)
    except Exception as error:  # no more watches to be had, or no package: the file is looked at instead
        log.warning("the policy's directory cannot be watched (%s): looking at it each second", type(error).__name__)
        while not stop.wait(_POLL):
            if (event := reloader.refresh()) is not None:
                yield event


def _end(stop: threading.Event, thread: threading.Thread) -> None:
    stop.set()
    if thread is not threading.current_thread() and thread.is_alive():
        thread.join(_PATIENCE)
