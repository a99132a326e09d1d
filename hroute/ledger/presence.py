"""A process says that it lives by a file lock, which the system takes away at its death, however it died."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from hroute.terms.ids import uuid7


class Presence:
    """One process among those that work in `folder`. Safe between threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        """The name under which this process is known; from the first time it is asked for, it is present."""
        with self._lock:
            if self._held is None:
                name = f"{os.getpid()}-{uuid7()[-12:]}"
                descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._held = (name, descriptor)
            return self._held[0]

    def lives(self, name: str) -> bool:
        """Whether the process of that name is still there. What a dead one left is cleared away."""
        if self._held is not None and name == self._held[0]:
            return True
        try:
            descriptor = os.open(self._folder / name, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            (self._folder / name).unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)

    def leave(self) -> None:
        """Be gone, as if this process had ended."""
        with self._lock:
            if self._held is not None:
                (self._folder / self._held[0]).unlink(missing_ok=True)
                os.close(self._held[1])
                self._held = None
