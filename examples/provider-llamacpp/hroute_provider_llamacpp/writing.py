"""One answer being written: the engine blocks, so it works in a thread of its own, and its pieces are waited for."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

Work = Callable[[Callable[[str], bool]], None]
"""Calls what it is given with each piece, and stops when that returns True."""

END = object()
"""Comes after the last piece."""


class Writing:
    """`next` and `anext` give the pieces, then END, or raise what the engine raised. `stop` ends the work at its next piece.

    The thread is no daemon: ending a program under a running engine aborts it. So a program waits for the next piece.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._stopped = Event()
        self._pieces: SimpleQueue[Any] = SimpleQueue()
        self._wake: Callable[[], None] = lambda: None
        self._thread = Thread(target=self._run, name="hroute-llamacpp")

    def start(self) -> None:
        self._thread.start()

    def start_beside(self, loop: Any) -> None:
        """The same for `anext` in that event loop."""
        from asyncio import Event as Awaited

        self._ready = ready = Awaited()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(ready.set)
            except RuntimeError:  # the loop has ended; nobody waits
                self._stopped.set()

        self._wake = wake
        self.start()

    def next(self, seconds: float) -> Any:
        """The next piece. Raises TimeoutError, and what the engine raised."""
        try:
            return _or_raise(self._pieces.get(timeout=max(seconds, 0)))
        except Empty:
            raise TimeoutError from None

    async def anext(self, seconds: float) -> Any:
        from asyncio import timeout

        async with timeout(max(seconds, 0)):  # `wait_for` of Python 3.11 may swallow a cancellation
            while self._pieces.empty():
                self._ready.clear()
                if self._pieces.empty():
                    await self._ready.wait()
        return _or_raise(self._pieces.get_nowait())

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        try:
            self._work(self._heard)
        except BaseException as error:
            self._put(error)
        else:
            self._put(END)

    def _heard(self, piece: str) -> bool:
        if not self._stopped.is_set():
            self._put(piece)
        return self._stopped.is_set()

    def _put(self, piece: Any) -> None:
        self._pieces.put(piece)
        self._wake()


def _or_raise(piece: Any) -> Any:
    if isinstance(piece, BaseException):
        raise piece
    return piece
