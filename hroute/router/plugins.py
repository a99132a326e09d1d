"""The plugins of one process: loaded when they are first needed, made ready once, closed together."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hroute.providers.protocol import Plugin
from hroute.router.plan import Candidate


class Plugins:
    """One instance of each plugin, since it holds the connections. `stand_in` plays them all. Safe between threads."""

    def __init__(self, load: Callable[[str], Plugin], stand_in: Plugin | None = None) -> None:
        self.stand_in = stand_in
        self._load = load
        self._loaded: dict[str, Plugin] = {}
        self._ready: set[str] = set()
        self._lock = threading.Lock()

    def of(self, name: str) -> Plugin:
        """The plugin of that name. Raises UsageError where it cannot be made."""
        if self.stand_in is not None:
            return self.stand_in
        found = self._loaded.get(name)
        if found is None:
            with self._lock:
                found = self._loaded.setdefault(name, self._loaded.get(name) or self._load(name))
        return found

    def unready(self, candidate: Candidate) -> Callable[[], None] | None:
        """What has to be done before the plugin of `candidate` is called for the first time; None: nothing."""
        name = candidate.provider.plugin
        if self.stand_in is not None or name in self._ready:
            return None

        def make_ready() -> None:
            if (warm := getattr(self.of(name), "warm", None)) is not None:
                warm()
            self._ready.add(name)

        return make_ready

    def close(self) -> None:
        """Close every connection."""
        for plugin in self._drop():
            if (close := getattr(plugin, "close", None)) is not None:
                close()

    async def aclose(self) -> None:
        """`close` on an event loop."""
        for plugin in self._drop():
            if (aclose := getattr(plugin, "aclose", None)) is not None:
                await aclose()

    def _drop(self) -> list[Plugin]:
        with self._lock:
            dropped = list(self._loaded.values())
            self._loaded.clear()
        return dropped
