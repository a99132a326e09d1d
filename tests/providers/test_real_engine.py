"""The plugins `openai` and `anthropic` against a real llama.cpp on a loopback address: noise for words, a real wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hroute.providers import registry
from hroute.providers.protocol import Plugin, ProviderError, Target
from hroute.providers.testing import CANARY, Leave
from hroute.terms.message import Done, Message, Reply, Request, StopReason, Text, TextDelta, Tool, Unread, prompt
from hroute.terms.outcome import Failure, Outcome
from tests.gateway.engine import WHOLE, llama

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama(tmp_path_factory.mktemp("engine"), context=512, template=WHOLE) as found:
        yield found


@pytest.fixture(params=["openai", "anthropic"])
def target(request: pytest.FixtureRequest, url: str) -> Target:
    path = "/v1" if request.param == "openai" else ""
    return Target(request.param, "tiny", url + path, "none", total=60.0, first_token=60.0)


@pytest.fixture
def plugin(target: Target) -> Iterator[Plugin]:
    made = registry.load(target.name)
    yield made
    made.close()  # type: ignore[attr-defined]


def ask(plugin: Plugin, target: Target, sent: Request) -> Reply:
    return plugin.send(target, sent, Leave(target.name))


def fails(plugin: Plugin, target: Target, sent: Request) -> Failure:
    with pytest.raises(ProviderError) as caught:
        ask(plugin, target, sent)
    assert CANARY not in f"{caught.value.failure!r}"
    return caught.value.failure


def made_to(plugin: Plugin, target: Target, words: str) -> Target:
    """`target`, whose model can say nothing else."""
    if target.name == "anthropic":
        pytest.skip("llama.cpp reads no grammar on /v1/messages")
    return replace(target, params={"extra_body": {"grammar": f'root ::= "{words}"'}})


def said(**more: Any) -> Request:
    return prompt("Say.", **{"max_tokens": 20, **more})


def test_a_further_key_of_the_body_reaches_the_server_and_its_usage_is_counted(plugin: Plugin, target: Target) -> None:
    reply = ask(plugin, made_to(plugin, target, "never"), said())
    assert reply.text == "never"
    assert reply.stop is StopReason.END
    assert reply.usage.input + reply.usage.cache_read > 4
    assert reply.usage.output >= 5


def test_a_stream_says_the_same_both_ways(plugin: Plugin, target: Target) -> None:
    made = made_to(plugin, target, "never")
    events = list(plugin.stream(made, said(), Leave(target.name)))

    async def main() -> list[Any]:
        found = [event async for event in plugin.astream(made, said(), Leave(target.name))]
        await plugin.aclose()  # type: ignore[attr-defined]
        return found

    for heard in (events, asyncio.run(main())):
        assert "".join(event.text for event in heard if isinstance(event, TextDelta)) == "never"
        assert isinstance(heard[-1], Done)
        assert heard[-1].reply.usage.output >= 5


def test_the_limit_and_a_stop_sequence_are_kept_to(plugin: Plugin, target: Target) -> None:
    long = made_to(plugin, target, "one two three four five six")
    cut = ask(plugin, long, said(max_tokens=5))
    assert (cut.text, cut.stop) == ("one t", StopReason.LENGTH)
    assert ask(plugin, replace(long, params={**long.params, "stop": " three"}), said(max_tokens=40)).text == "one two"


def test_a_prompt_that_does_not_fit_is_a_capability_and_is_told_as_such(plugin: Plugin, target: Target) -> None:
    failed = fails(plugin, target, prompt(f"{CANARY} " * 200, max_tokens=5))
    assert failed.outcome is Outcome.CAPABILITY
    assert failed.code in ("context", "exceed_context_size_error")


def test_an_image_for_a_model_without_eyes_is_a_capability(plugin: Plugin, target: Target) -> None:
    parts = (Text("What is it?"), Unread("image", "image/png", PIXEL))
    assert fails(plugin, target, Request((Message("user", parts),), max_tokens=5)).outcome is Outcome.CAPABILITY


SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


def test_noise_adds_up_and_is_counted_on_either_wire(plugin: Plugin, target: Target) -> None:
    *pieces, last = list(plugin.stream(target, said(max_tokens=12), Leave(target.name)))
    assert isinstance(last, Done)
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == last.reply.text
    assert last.reply.usage.output == 12
    assert last.reply.stop is StopReason.LENGTH


def test_an_answer_is_held_to_a_schema(plugin: Plugin, target: Target) -> None:
    if target.name == "anthropic":
        pytest.skip("llama.cpp does not read `output_config` of /v1/messages")
    reply = ask(plugin, target, said(response_format="json_schema", json_schema=SCHEMA, max_tokens=60))
    assert json.loads(reply.text)["ok"] in (True, False)


def test_the_certainty_of_an_answer_is_read(plugin: Plugin, target: Target) -> None:
    if target.name == "anthropic":
        pytest.skip("the wire reports none")
    reply = ask(plugin, target, said(params={"logprobs": True}))
    assert reply.certainty is not None
    assert 0 < reply.certainty <= 1


def test_tools_that_are_offered_break_nothing(plugin: Plugin, target: Target) -> None:
    offered = Tool("look", "Looks.", {"type": "object", "properties": {"at": {"type": "string"}}})
    reply = ask(plugin, target, said(tools=(offered,), params={"tool_choice": "none"}))
    assert reply.usage.output > 0


def test_the_server_is_asked_for_its_model(plugin: Plugin, target: Target, url: str) -> None:
    probe = plugin.probe(target, Leave(target.name))  # type: ignore[attr-defined]
    assert probe.failure is None
    assert probe.ms > 0
