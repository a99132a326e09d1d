"""One run of a program: text in, bounded output out, and nothing of it left running whatever happens.

One `_Exchange` holds the pipes; a blocking driver and one for an event loop ask it to go on. Neither needs a thread.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CHUNK: Final = 65_536
_TICK: Final = 0.05
"""Seconds between two looks at whether the program has ended: what it started may hold its pipes open."""
_SOON: Final = 0.002
"""The same once it has closed its pipes."""
_TALK: Final = 65_536
"""Bytes of standard error that are kept."""


class TooMuch(Exception):
    """The program wrote more than is read."""


@dataclass(frozen=True, slots=True)
class Start:
    """What to run. `argv[0]` is a path, `env` the whole environment; `seconds` for the whole run, `most` bytes of output.

    `hopeless` is asked of each line of output: whether the program says there that it will go on without an end.
    """

    argv: tuple[str, ...]
    stdin: bytes
    env: Mapping[str, str]
    folder: Path
    seconds: float
    most: int
    hopeless: Callable[[bytes], bool] | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How the program ended: its exit code (negative: the signal that ended it) and what it wrote. `stopped`: we ended
    it, for it would not have done so itself."""

    code: int
    out: bytes
    err: bytes
    stopped: bool = False


def run(start: Start) -> Ended:
    """Run to the end. Raises TimeoutError, TooMuch, OSError; the process group is gone when this returns or raises."""
    until = time.monotonic() + start.seconds
    exchange = _Exchange(start)
    try:
        with selectors.DefaultSelector() as selector:
            for fd in exchange.open:
                selector.register(fd, selectors.EVENT_WRITE if fd == exchange.stdin else selectors.EVENT_READ)
            while not exchange.over():
                selector.select(min(exchange.tick, _left(until)))
                for fd in exchange.step():
                    selector.unregister(fd)
                    exchange.close(fd)
    finally:
        ended = exchange.end()
    return ended


async def arun(start: Start) -> Ended:
    """The same beside an event loop. A call that is cancelled takes the process group with it."""
    from asyncio import Event, get_running_loop, timeout

    until = time.monotonic() + start.seconds
    loop, ready = get_running_loop(), Event()
    exchange = _Exchange(start)
    try:
        for fd in exchange.open:
            watch = loop.add_writer if fd == exchange.stdin else loop.add_reader
            watch(fd, ready.set)
        while not exchange.over():
            wait = min(exchange.tick, _left(until))
            with suppress(TimeoutError):
                async with timeout(wait):  # `wait_for` of Python 3.11 may swallow a cancellation
                    await ready.wait()
            ready.clear()
            for fd in exchange.step():
                _forget(loop, exchange, fd)
                exchange.close(fd)
    finally:
        for fd in exchange.open:
            _forget(loop, exchange, fd)
        ended = exchange.end()
    return ended


class _Exchange:
    """A running program and the bytes under way. `open` are the pipes that are still of use."""

    def __init__(self, start: Start) -> None:
        self._most = start.most
        self._hopeless = start.hopeless
        self._heard = 0  # bytes of output in whose lines nothing hopeless stands
        self._stopped = False
        self._process = subprocess.Popen(
            start.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(start.env),
            cwd=start.folder,
            bufsize=0,
            start_new_session=True,
        )
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._pipes = {pipe.fileno(): pipe for pipe in pipes if pipe is not None}
        self.stdin, self._stdout, self._stderr = self._pipes
        self._unsent = memoryview(start.stdin)
        self._out, self._err = bytearray(), bytearray()
        self.open = set(self._pipes)
        for fd in self.open:
            os.set_blocking(fd, False)

    @property
    def tick(self) -> float:
        """Seconds to wait for the pipes before looking at the program itself."""
        return _TICK if self.open - {self.stdin} else _SOON

    def step(self) -> list[int]:
        """Move the bytes that can be moved. The pipes that are of no more use are for the driver to let go of."""
        done = [fd for fd in self.open if (self._write() if fd == self.stdin else self._read(fd))]
        return done

    def over(self) -> bool:
        """Whether the program has ended, or is not worth waiting for. What it started is ended then, and the rest of its
        output taken."""
        if not self._has_ended():
            self._stopped = self._gives_no_hope()
            return self._stopped
        self._kill()
        for fd in self.open - {self.stdin}:
            self._read(fd)
        return True

    def close(self, fd: int) -> None:
        self.open.discard(fd)
        with suppress(OSError):
            self._pipes[fd].close()

    def end(self) -> Ended:
        """Kill the whole group, close the pipes, and say how it went."""
        self._kill()
        for fd in tuple(self.open):
            self.close(fd)
        return Ended(self._process.wait(), bytes(self._out), bytes(self._err), self._stopped)

    def _write(self) -> bool:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self.stdin, self._unsent[:_CHUNK]) :]
        except BlockingIOError:
            return False
        except OSError:  # the program does not want the rest
            return True
        return True

    def _read(self, fd: int) -> bool:
        kept = self._out if fd == self._stdout else self._err
        while True:
            try:
                chunk = os.read(fd, _CHUNK)
            except BlockingIOError:
                return False
            if not chunk:
                return True
            if fd == self._stderr:
                kept += chunk[: _TALK - len(kept)]
                return False  # an endless talker must not keep the driver
            kept += chunk
            if len(kept) > self._most:
                raise TooMuch

    def _gives_no_hope(self) -> bool:
        end = self._out.rfind(b"\n") + 1
        if self._hopeless is None or end <= self._heard:
            return False
        lines, self._heard = bytes(self._out[self._heard : end]).splitlines(), end
        return any(map(self._hopeless, lines))

    def _has_ended(self) -> bool:
        """Without reaping it where the system can tell: as long as it is not reaped, its group cannot be another's."""
        if self._process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _forget(loop: object, exchange: _Exchange, fd: int) -> None:
    from asyncio import AbstractEventLoop

    assert isinstance(loop, AbstractEventLoop)
    if fd == exchange.stdin:
        loop.remove_writer(fd)
    else:
        loop.remove_reader(fd)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
