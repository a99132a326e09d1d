"""A context window on every call: large enough, in few sizes, and what does not fit is not sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hroute.providers.ollama import BUCKETS, OllamaPlugin, context_for
from hroute.providers.protocol import ProviderError
from hroute.providers.testing import Leave, request
from hroute.terms.message import Message, Request, Text, Unread
from hroute.terms.outcome import Outcome
from tests.providers.stages import Served


@pytest.fixture
def stage() -> Iterator[Served]:
    with Served("ollama") as made:
        yield made


@pytest.fixture
def plugin() -> Iterator[OllamaPlugin]:
    made = OllamaPlugin()
    yield made
    made.close()


def words(count: int, **more: Any) -> Request:
    return request("word " * count, **more)


def sent(stage: Served) -> dict[str, Any]:
    body: dict[str, Any] = stage.bodies()[-1]["body"]
    return body


def test_every_call_bears_a_window_also_the_shortest(stage: Served, plugin: OllamaPlugin) -> None:
    plugin.send(stage.target(), request("hi", max_tokens=50), Leave("ollama"))
    assert sent(stage)["options"]["num_ctx"] == 2048
    list(plugin.stream(stage.target(), request("hi", max_tokens=50), Leave("ollama")))
    assert sent(stage)["options"]["num_ctx"] == 2048


def test_3500_tokens_of_context_do_not_end_up_in_a_default_of_2048(stage: Served, plugin: OllamaPlugin) -> None:
    long = Request(
        (Message("user", (Text("What does the file say?"),)),), files=(("notes.txt", "word " * 3500),), max_tokens=300
    )
    reply = plugin.send(stage.target(), long, Leave("ollama"))
    window = sent(stage)["options"]["num_ctx"]
    assert window in BUCKETS
    assert window >= 3500 + 300
    assert reply.usage.input >= 3500 * 0.9, "the server saw all of it"


def test_windows_come_in_few_sizes() -> None:
    sizes = {context_for(words(n, max_tokens=200), 131072)[0] for n in range(10, 20000, 500)}
    assert sizes <= set(BUCKETS)
    assert len(sizes) <= 6


def test_a_longer_prompt_never_gets_a_smaller_window() -> None:
    sizes = [context_for(words(n, max_tokens=200), 131072)[0] for n in range(10, 20000, 100)]
    assert sizes == sorted(sizes)


def test_what_does_not_fit_is_a_lack_and_is_not_sent(stage: Served, plugin: OllamaPlugin) -> None:
    small = replace(stage.target(), context_window=4096)
    with pytest.raises(ProviderError) as caught:
        plugin.send(small, words(9000), Leave("ollama"))
    assert caught.value.failure.outcome is Outcome.CAPABILITY
    assert stage.calls() == 0


def test_the_window_is_never_larger_than_the_models() -> None:
    assert context_for(words(1500, max_tokens=4096), 6000)[0] == 6000


def test_a_generous_output_limit_shrinks_to_what_is_left() -> None:
    window, output = context_for(words(1000, max_tokens=100_000), 8192)
    assert window == 8192
    assert output is not None
    assert 256 <= output < 8192 - 1000


def test_an_image_takes_room() -> None:
    seen = Request((Message("user", (Text("look"), Unread("image", "image/png", "aGk="))),), max_tokens=1000)
    assert context_for(seen, None)[0] > context_for(request("look", max_tokens=1000), None)[0]


def test_a_window_that_the_policy_prescribes_is_sent_as_it_is(stage: Served, plugin: OllamaPlugin) -> None:
    fixed = replace(stage.target(), params={"num_ctx": 6000})
    plugin.send(fixed, request("hi", max_tokens=50), Leave("ollama"))
    assert sent(stage)["options"]["num_ctx"] == 6000
    with pytest.raises(ProviderError) as caught:
        plugin.send(fixed, words(9000, max_tokens=300), Leave("ollama"))
    assert caught.value.failure.outcome is Outcome.CAPABILITY


def test_a_prompt_that_the_server_cut_is_no_answer(
    stage: Served, plugin: OllamaPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says how much it saw: a window that the prompt alone fills was too small after all."""
    monkeypatch.setattr("hroute.providers.ollama._estimate", lambda _: 100.0)
    fixed = replace(stage.target(), params={"num_ctx": 500})
    ways: list[Callable[[], Any]] = [
        lambda: plugin.send(fixed, words(3000, max_tokens=100), Leave("ollama")),
        lambda: list(plugin.stream(fixed, words(3000, max_tokens=100), Leave("ollama"))),
    ]
    for way in ways:
        with pytest.raises(ProviderError) as caught:
            way()
        assert caught.value.failure.outcome is Outcome.CAPABILITY


def test_the_time_to_load_the_model_is_told_apart(stage: Served, plugin: OllamaPlugin) -> None:
    stage.fails("load", **{"for": 0.2})
    assert plugin.send(stage.target(), request(), Leave("ollama")).load_ms >= 100


def test_keep_alive_is_passed_on(stage: Served, plugin: OllamaPlugin) -> None:
    plugin.send(replace(stage.target(), params={"keep_alive": "10m"}), request(), Leave("ollama"))
    assert sent(stage)["keep_alive"] == "10m"
