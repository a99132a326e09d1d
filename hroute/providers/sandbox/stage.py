"""A stage of the conformance suite for whoever speaks the wire of Anthropic, OpenAI or Ollama: the sandbox on a loopback port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hroute.providers.protocol import Target
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer

KEY: Final = "sk-ant-test-0123456789abcdef"
"""The key of every target; no failure may show it."""


class Served:
    """The sandbox, served for one test. `provider` is the name of its target, `path` what a base URL ends with (`/v1`)."""

    def __init__(self, provider: str, path: str = "", *, keep_bodies: bool = True) -> None:
        self.provider = provider
        self._path = path
        self.server = SandboxServer(keep_bodies=keep_bodies)
        self._fault: list[dict[str, Any]] = []
        self._answers: list[dict[str, Any]] = []

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()

    def target(self) -> Target:
        url = f"{self.server.url}{self._path}"
        return Target(self.provider, "test-model", url, KEY, connect=2.0, first_token=5.0, idle=5.0, total=10.0)

    def fails(self, fault: str, **details: Any) -> None:
        self._fault = [{"kind": fault, **details}]
        self._replay()

    def says(self, text: str = "", tools: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        calls = [{"name": name, "input": given} for name, given in tools]
        self._answers = [{"text": text} if text else {"tools": calls}]
        self._replay()

    def calls(self) -> int:
        return len(self.bodies())

    def bodies(self) -> list[dict[str, Any]]:
        """What has arrived: path, headers and, where they are kept, bodies."""
        return self.server.calls.as_json()

    def _replay(self) -> None:
        play = self.server.play
        play.script = Script.from_data({"answers": self._answers, "faults": self._fault})
        play.reset()
