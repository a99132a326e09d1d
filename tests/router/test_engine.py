"""The engine: what it has ready before a call, and what it makes of one."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from hroute.errors import UsageError
from hroute.providers import registry
from hroute.providers.protocol import Plugin
from hroute.router.client import AsyncClient, Client
from hroute.schema.policy import Retry
from tests.router.stage import KEYED, FakePlugin, policy, provider, rule

AB = policy([provider("a"), provider("b", plugin="other")], rule(["a", "b"]))


class Slow(FakePlugin):
    """A plugin that takes two seconds to import what it needs, once."""

    warmed = 0

    def warm(self) -> None:
        self.warmed += 1
        self.clock.advance(2.0)


def test_what_a_plugin_imports_is_imported_once_and_before_the_clock_starts() -> None:
    slow = Slow()
    client = Client.from_policy(policy=AB, environ=KEYED, load=lambda _: slow, facts=lambda _: slow.capabilities, clock=slow.clock)  # fmt: skip
    first, second = client.complete("hi"), client.complete("hi")
    assert [first.attempts[0].latency_ms, second.attempts[0].latency_ms] == pytest.approx([100, 100])
    assert slow.warmed == 1


def test_other_tasks_go_on_while_a_plugin_imports_what_it_needs() -> None:
    import threading

    seen: list[bool] = []

    class Thoughtful(FakePlugin):
        def warm(self) -> None:
            seen.append(threading.current_thread() is threading.main_thread())

    fake = Thoughtful()
    client = AsyncClient.from_policy(policy=AB, environ=KEYED, load=lambda _: fake, facts=lambda _: fake.capabilities, clock=fake.clock)  # fmt: skip
    asyncio.run(client.complete("hi"))
    assert seen == [False]


def test_a_plugin_whose_package_is_missing_takes_nobody_down() -> None:
    fake = FakePlugin()

    def load(name: str) -> Plugin:
        if name == "fake":
            raise UsageError("plugin `fake` needs the Python package `x`, which is not installed")
        return fake

    alone = policy([provider("a", retry=Retry(1))], rule(["a"]))
    parts = {"load": load, "facts": lambda _: fake.capabilities, "clock": fake.clock}
    answer = Client.from_policy(policy=AB, environ=KEYED, **parts).complete("hi")
    assert answer.actual_provider == "b"
    with pytest.raises(Exception, match="every provider") as caught:
        Client.from_policy(policy=alone, environ=KEYED, **parts).complete("hi")
    assert "package `x`" in "".join(caught.value.details)  # type: ignore[attr-defined]


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "ollama"])
def test_an_sdk_is_there_once_its_plugin_is_warm_and_not_before(vendor: str) -> None:
    code = f"""
import sys
from hroute.providers import registry
plugin = registry.load({vendor!r})
assert {vendor!r} not in sys.modules
plugin.warm()
assert {vendor!r} in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_vendor_s_plugin_can_be_warmed() -> None:
    assert all(callable(getattr(registry.load(name), "warm", None)) for name in ("anthropic", "openai", "ollama"))
