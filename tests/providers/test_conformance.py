"""Every plugin does what the router relies on: the vendors' own SDKs over real sockets, and the sandbox in process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from hroute.providers import registry, testing
from hroute.providers.protocol import Plugin, Target
from hroute.providers.sandbox.provider import SandboxPlugin
from hroute.providers.sandbox.script import Script
from tests.providers.stages import Served

PATHS = {"anthropic": "", "openai": "/v1", "ollama": ""}


@pytest.mark.parametrize("check", testing.CHECKS, ids=testing.name_of)
@pytest.mark.parametrize("plugin", PATHS)
def test_a_vendors_sdk_conforms(plugin: str, check: Callable[[Plugin, Any], None]) -> None:
    with Served(plugin, PATHS[plugin]) as stage:
        made = registry.load(plugin)
        try:
            check(made, stage)
        finally:
            made.close()  # type: ignore[attr-defined]


class InProcess:
    """The sandbox plugin is its own stage."""

    def __init__(self) -> None:
        self.plugin = SandboxPlugin(sleep=lambda _: None)
        self._answers: list[dict[str, Any]] = []
        self._faults: list[dict[str, Any]] = []
        self._count = 0

    def target(self) -> Target:
        return replace(Target("sandbox", "test-model", api_key="sk-sandbox-0123456789"), first_token=5.0)

    def fails(self, fault: str, **details: Any) -> None:
        self._faults = [{"kind": fault, **details}]
        self._replay()

    def says(self, text: str = "", tools: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        self._answers = [{"text": text} if text else {"tools": [{"name": n, "input": i} for n, i in tools]}]
        self._replay()

    def calls(self) -> int:
        return 0

    def _replay(self) -> None:
        self.plugin.play.script = Script.from_data({"answers": self._answers, "faults": self._faults})
        self.plugin.play.reset()


NOT_IN_PROCESS = {
    "check_an_unknown_parameter_is_refused_by_name"
}  # the sandbox stands in for every plugin: it takes all


@pytest.mark.parametrize("check", [c for c in testing.CHECKS if c.__name__ not in NOT_IN_PROCESS], ids=testing.name_of)
def test_the_sandbox_conforms(check: Callable[[Plugin, Any], None]) -> None:
    stage = InProcess()
    check(stage.plugin, stage)


def test_the_suite_notices_a_plugin_that_sends_without_a_permit() -> None:
    class Careless(SandboxPlugin):
        def send(self, target: Target, request: Any, permit: Any) -> Any:
            return super().send(target, request, testing.Leave(target.name))

    with pytest.raises(AssertionError, match="without a permit"):
        testing.check_nothing_is_sent_without_a_permit(Careless(), InProcess())
