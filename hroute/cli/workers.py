"""Several gateways on one socket, and the process that watches over them: who falls is started again, all end together.

Each worker is a whole gateway with connections, breakers and limits of its own. What they share lies in files: the
policy, the clients' keys, the ledger with its budgets, and what was counted.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hroute.cli import exits, streams
from hroute.cli.serving import About, Serving

_TICK: Final = 0.2
"""Seconds between two looks at the workers."""
_PAUSES: Final = (0.5, 2.0, 10.0, 30.0)
"""Seconds before a worker is started again that fell soon after its start."""
_SOON: Final = 30.0
_STARTING: Final = 60.0
"""Seconds that all workers together may take until they serve."""
_GRACE: Final = 5.0


def watch(serving: Serving, announce: Callable[[About], None]) -> int:
    """Start the workers of `serving`, keep them alive, pass signals on; the exit code."""
    counts = tempfile.mkdtemp(prefix="hroute-workers-")
    reading, writing = os.pipe()
    lifeline, _ = os.pipe()  # ends when this process does, however that comes
    team = _Team(replace(serving, ready=writing, lifeline=lifeline, counts=counts))
    try:
        for number in range(1, serving.workers + 1):
            team.start(number)
        about = team.serves(reading)
        if about is None:
            return team.end(_GRACE) or exits.FAILED
        announce(about)
        team.keep()
        return team.end(about.drain + _GRACE)
    finally:
        team.end(0.0)
        shutil.rmtree(counts, ignore_errors=True)


class _Team:
    """The workers by number. Signals that come meanwhile are passed on to all."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._started: dict[int, float] = {}
        self._falls: dict[int, int] = {}
        self._due: dict[int, float] = {}
        self._ending = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        signal.signal(signal.SIGHUP, lambda *_: self._all(signal.SIGHUP))

    def start(self, number: int) -> None:
        serving = replace(self._serving, worker=number)
        kept = (serving.fd, serving.ready, serving.lifeline)
        self._workers[number] = subprocess.Popen(serving.command(), pass_fds=kept)
        self._started[number] = time.monotonic()

    def serves(self, pipe: int) -> About | None:
        """Wait until every worker serves: what they say of it; None where one ends instead, or somebody says stop."""
        said, until = b"", time.monotonic() + _STARTING
        while not self._ending and time.monotonic() < until:
            if any(worker.poll() is not None for worker in self._workers.values()):
                return None
            if select.select([pipe], [], [], _TICK)[0]:
                said += os.read(pipe, 1 << 16)
            if said.count(b"\n") >= len(self._workers):
                return About(**json.loads(said.splitlines()[0]))
        return None

    def keep(self) -> None:
        """Start again who falls, until somebody says stop."""
        while not self._ending:
            time.sleep(_TICK)
            for number, worker in self._workers.items():
                if number not in self._due and worker.poll() is not None:
                    self._fallen(number, worker.returncode)
            for number in [n for n, at in self._due.items() if at <= time.monotonic() and not self._ending]:
                del self._due[number]
                self.start(number)

    def end(self, seconds: float) -> int:
        """Have all workers finish, and wait for them so long; the first code that is none of success."""
        self._stop()
        until = time.monotonic() + seconds
        for worker in self._workers.values():
            try:
                worker.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        return next((worker.returncode for worker in self._workers.values() if worker.returncode > 0), exits.DONE)

    def _fallen(self, number: int, code: int) -> None:
        soon = time.monotonic() - self._started[number] < _SOON
        falls = self._falls[number] = self._falls.get(number, 0) + 1 if soon else 0
        pause = _PAUSES[min(falls, len(_PAUSES)) - 1] if falls else 0.0
        self._due[number] = time.monotonic() + pause
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        streams.talk(f"worker {number} {how}; it is started again")

    def _stop(self) -> None:
        if not self._ending:
            self._ending = True
            self._all(signal.SIGTERM)

    def _all(self, number: int) -> None:
        for worker in list(self._workers.values()):
            if worker.poll() is None:
                worker.send_signal(number)
