"""Clients of an event loop: their connections can be used on it alone, and are forgotten once it has ended."""

from __future__ import annotations

from typing import Any


class PerLoop:
    """The clients of each event loop that called, by what tells them apart. Safe between loops in several threads."""

    def __init__(self) -> None:
        self._of: dict[Any, dict[object, Any]] = {}

    def mine(self) -> dict[object, Any]:
        """Those of the running loop. A program that runs one loop after another (`asyncio.run`) comes here with each:
        what the earlier ones left open goes now, since a connection keeps its loop alive and is kept by it."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        found = self._of.get(loop)
        if found is None:
            for ended in [other for other in list(self._of) if other.is_closed()]:
                self._of.pop(ended, None)
            found = self._of.setdefault(loop, {})
        return found

    def take(self) -> list[Any]:
        """Those of the running loop, to be closed."""
        from asyncio import get_running_loop

        return list(self._of.pop(get_running_loop(), {}).values())
