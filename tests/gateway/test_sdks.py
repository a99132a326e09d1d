"""The vendors' own SDKs, unchanged, pointed at the gateway by their base URL."""

from __future__ import annotations

import json
from collections.abc import Iterator

import anthropic
import openai
import pytest

from hroute.providers.sandbox.server import SandboxServer
from tests.gateway.house import House, before_sandbox
from tests.gateway.test_doors import SCRIPT, WEATHER

targets = pytest.mark.parametrize("target", ["claude", "gpt", "llama"])


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[House, SandboxServer]]:
    with before_sandbox(SCRIPT) as found:
        yield found


def anthropics(house: House, target: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=house.url, api_key="dummy", default_headers={"x-hroute-cost-center": target})


def openais(house: House, target: str) -> openai.OpenAI:
    headers = {"x-hroute-cost-center": target}
    return openai.OpenAI(base_url=f"{house.url}/v1", api_key="dummy", default_headers=headers)


@targets
def test_anthropics_sdk_says_hi_and_streams(stage: tuple[House, SandboxServer], target: str) -> None:
    client = anthropics(stage[0], target)
    asked = {"model": "claude-x", "max_tokens": 300, "messages": [{"role": "user", "content": "say hi"}]}
    one = client.messages.create(**asked)  # type: ignore[call-overload]
    assert one.content[0].text.startswith("A fixed answer")
    with client.messages.stream(**asked) as stream:  # type: ignore[arg-type]
        assert "".join(stream.text_stream) == one.content[0].text
        last = stream.get_final_message()
    assert (last.stop_reason, last.usage.output_tokens) == (one.stop_reason, one.usage.output_tokens)


@targets
def test_anthropics_sdk_goes_round_a_tool_loop(stage: tuple[House, SandboxServer], target: str) -> None:
    client = anthropics(stage[0], target)
    tools = [{"name": n, "description": n, "input_schema": WEATHER} for n in ("get_weather", "get_time")]
    turns: list[dict[str, object]] = [{"role": "user", "content": "the weather, please"}]
    with client.messages.stream(model="claude-x", max_tokens=300, tools=tools, messages=turns) as stream:  # type: ignore[arg-type]
        said = stream.get_final_message()
    calls = [block for block in said.content if block.type == "tool_use"]
    assert said.stop_reason == "tool_use"
    assert [(call.name, call.input) for call in calls] == [("get_weather", {"city": "Kyiv"}), ("get_time", {})]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "fine"} for call in calls]
    turns += [{"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in said.content]}, {"role": "user", "content": results}]  # fmt: skip
    turns.append({"role": "user", "content": "and now?"})
    again = client.messages.create(model="claude-x", max_tokens=300, tools=tools, messages=turns)  # type: ignore[arg-type]
    assert again.stop_reason == "end_turn"


@targets
def test_openais_sdk_chats_and_streams(stage: tuple[House, SandboxServer], target: str) -> None:
    client = openais(stage[0], target)
    asked = [{"role": "user", "content": "say hi"}]
    one = client.chat.completions.create(model="gpt-x", messages=asked)  # type: ignore[arg-type]
    text = one.choices[0].message.content
    assert text
    chunks = list(
        client.chat.completions.create(
            model="gpt-x", messages=asked, stream=True, stream_options={"include_usage": True}
        )
    )  # type: ignore[call-overload]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert chunks[-1].usage.completion_tokens == one.usage.completion_tokens  # type: ignore[union-attr]


@targets
def test_openais_sdk_goes_round_a_tool_loop(stage: tuple[House, SandboxServer], target: str) -> None:
    client = openais(stage[0], target)
    tools = [{"type": "function", "function": {"name": n, "parameters": WEATHER}} for n in ("get_weather", "get_time")]
    turns: list[dict[str, object]] = [{"role": "user", "content": "the weather, please"}]
    said = client.chat.completions.create(model="gpt-x", messages=turns, tools=tools).choices[0]  # type: ignore[arg-type]
    calls = said.message.tool_calls or []
    assert said.finish_reason == "tool_calls"
    assert [(c.function.name, json.loads(c.function.arguments)) for c in calls] == [("get_weather", {"city": "Kyiv"}), ("get_time", {})]  # type: ignore[union-attr]  # fmt: skip
    turns.append(said.message.model_dump(exclude_none=True))
    turns += [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in calls]
    turns.append({"role": "user", "content": "and now?"})
    again = client.chat.completions.create(model="gpt-x", messages=turns, tools=tools)  # type: ignore[arg-type]
    assert again.choices[0].finish_reason == "stop"


@targets
def test_openais_sdk_has_responses(stage: tuple[House, SandboxServer], target: str) -> None:
    client = openais(stage[0], target)
    one = client.responses.create(model="gpt-x", input="say hi")
    assert one.output_text.startswith("A fixed answer")
    with client.responses.stream(model="gpt-x", input="say hi") as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == one.output_text
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


def test_a_refusal_is_the_sdks_own_error_and_is_not_asked_again(stage: tuple[House, SandboxServer]) -> None:
    house, _ = stage
    asked = [{"role": "user", "content": "hi"}]
    counted = 'status="403"} '
    before = _count(house, counted)
    with pytest.raises(anthropic.PermissionDeniedError, match="closed"):
        anthropics(house, "refused").messages.create(model="m", max_tokens=9, messages=asked)  # type: ignore[arg-type]
    with pytest.raises(openai.PermissionDeniedError, match="closed"):
        openais(house, "refused").chat.completions.create(model="m", messages=asked)  # type: ignore[arg-type]
    assert _count(house, counted) - before == 2


def test_everybody_down_is_asked_for_once_by_each_sdk() -> None:
    asked = [{"role": "user", "content": "hi"}]
    with before_sandbox({"faults": [{"kind": "down"}]}) as (house, _):
        with pytest.raises(anthropic.InternalServerError):
            anthropics(house, "alone").messages.create(model="m", max_tokens=9, messages=asked)  # type: ignore[arg-type]
        with pytest.raises(openai.InternalServerError):
            openais(house, "alone").chat.completions.create(model="m", messages=asked)  # type: ignore[arg-type]
        assert _count(house, 'status="502"} ') == 2


def test_a_broken_stream_ends_in_the_sdks_own_error() -> None:
    asked = [{"role": "user", "content": "hi"}]
    with before_sandbox({"faults": [{"kind": "cut"}]}) as (house, _):
        with (
            pytest.raises(anthropic.APIError, match="broke off"),
            anthropics(house, "alone").messages.stream(model="m", max_tokens=99, messages=asked) as stream,  # type: ignore[arg-type]
        ):
            stream.get_final_message()
        with pytest.raises(openai.APIError, match="broke off"):
            list(openais(house, "alone").chat.completions.create(model="m", messages=asked, stream=True))  # type: ignore[call-overload]


def test_models_and_tokens_by_the_sdks(stage: tuple[House, SandboxServer]) -> None:
    house, _ = stage
    assert "hroute/auto" in [model.id for model in anthropics(house, "claude").models.list()]
    assert "hroute/auto" in [model.id for model in openais(house, "gpt").models.list()]
    asked = [{"role": "user", "content": "hi there"}]
    counted = anthropics(house, "claude").messages.count_tokens(model="m", messages=asked)  # type: ignore[arg-type]
    assert counted.input_tokens > 0


def _count(house: House, status: str) -> float:
    lines = [line for line in house.get("/metrics").text.splitlines() if line.startswith("hroute_requests_total")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if status in line)
