"""A local model is measured: what fits, how fast it reads, whether it calls tools; and nobody else is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from hroute.providers.protocol import Capabilities, Permit, ProviderError, Target
from hroute.router.measuring import Speed, measure
from hroute.schema.load import load_text
from hroute.terms.message import Done, Event, Reply, Request, StopReason, Text, TextDelta, ToolUse
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage

SIZE = 19_000


@dataclass
class Model:
    """A model of so much context that reads so many tokens a second, on a clock of its own."""

    speed: float = 1_000.0
    context: int = 100_000
    tools: bool = True
    down: bool = False
    loading: float = 0.0
    now: float = 0.0
    name: str = "ollama"
    capabilities: Capabilities = field(default_factory=Capabilities)
    prompts: list[int] = field(default_factory=list)

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        permit.spend(target.name)
        tokens = len(request.messages[0].text.split())
        self.prompts.append(tokens)
        if self.down:
            raise ProviderError(Failure(Outcome.TRANSPORT, "connection refused"))
        if tokens > self.context:
            raise ProviderError(Failure(Outcome.CAPABILITY, "too long", code="context"))
        self.now += tokens / self.speed + self.loading
        self.loading = 0.0
        if self.now > target.total:
            raise ProviderError(Failure(Outcome.TIMEOUT, "nothing came in time"))
        yield TextDelta("x")
        self.now += 100  # the rest of an answer is no reading
        calls = bool(request.tools) and self.tools
        part = ToolUse("1", "read_file", {"path": "notes.txt"}) if calls else Text("x")
        yield Done(Reply((part,), "m", StopReason.END, Usage(input=tokens, output=1)))

    def close(self) -> None:
        """Nothing is open."""


def measured(model: Any, entry: str = "local: true", more: str = "") -> Speed:
    url = "" if "base_url" in entry else 'base_url: "http://127.0.0.1:1", '
    policy, findings, _ = load_text(f"providers:\n  p: {{plugin: ollama, model: m, {url}timeout: {{total: 1000s}}, {entry}}}\nrouting_rules: []\ndefault: {{route_to: p, fallback: null}}\n{more}")  # fmt: skip
    assert policy is not None, findings
    return measure(policy, policy.providers["p"], {}, SIZE, lambda name: model, lambda: model.now)


def test_a_good_model_holds_the_prompt_reads_it_in_time_and_calls_a_tool() -> None:
    found = measured(Model(speed=1_000))
    assert (found.problem, found.too_large, found.calls_tools) == ("", False, True)
    assert found.per_second == pytest.approx(1_000)
    assert found.reading(SIZE) == pytest.approx(19)


def test_the_time_to_load_a_model_is_no_time_to_read() -> None:
    assert measured(Model(loading=300)).per_second == pytest.approx(1_000)


def test_a_prompt_that_takes_too_long_is_not_sent_to_find_out_whether_it_fits() -> None:
    model = Model(speed=100)
    found = measured(model)
    assert (found.too_large, found.reading(SIZE)) == (None, pytest.approx(190))
    assert max(model.prompts) < 2_000


def test_a_prompt_that_is_refused_for_its_size_does_not_fit() -> None:
    assert measured(Model(context=4_096)).too_large is True
    assert measured(Model(context=512)) == Speed("p", too_large=True)


def test_a_model_that_talks_instead_of_calling_is_told() -> None:
    assert measured(Model(tools=False)).calls_tools is False


def test_who_is_down_is_said_to_be() -> None:
    assert measured(Model(down=True)).problem == "connection refused"


def test_nobody_in_a_cloud_and_nobody_whom_a_guarantee_forbids_is_asked() -> None:
    model = Model()
    assert measured(model, 'base_url: "https://example.com"').problem == "it is not on this machine or network"
    kept = measured(model, more="guarantees: [{name: none, when: {stream: false}, never: {name: p}}]\n")
    assert kept.problem == "not asked: guarantee none forbids p for this request"
    assert model.prompts == []
