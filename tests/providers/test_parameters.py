"""Every parameter of the installed SDKs is carried or refused by name; a new one fails here first."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from hroute.providers import anthropic, ollama, openai, registry, wires
from hroute.providers.parameters import COMMON, RESERVED, Parameters
from hroute.providers.protocol import Plugin, ProviderError, Target
from hroute.providers.stainless import with_params
from hroute.providers.testing import Leave
from hroute.terms.message import Request, Tool, prompt
from hroute.terms.outcome import Outcome
from hroute.wire.requests import COMMON as SPELLED
from tests.providers.stages import Served

VENDORS: dict[str, str] = {"anthropic": "", "openai": "/v1", "ollama": ""}
TABLES: dict[str, Parameters] = {
    "anthropic": anthropic.PARAMETERS,
    "openai": openai.PARAMETERS,
    "ollama": ollama.PARAMETERS,
}


def signature(vendor: str) -> set[str]:
    """What the SDK's own call takes."""
    sdk: Any = importlib.import_module(vendor)
    call: Callable[..., Any] = {
        "anthropic": lambda: importlib.import_module("anthropic.resources.messages").Messages.create,
        "openai": lambda: importlib.import_module("openai.resources.chat.completions").Completions.create,
        "ollama": lambda: sdk.Client.chat,
    }[vendor]()
    found = set(inspect.signature(call).parameters) - {"self"}
    return found | (set(sdk.Options.model_fields) if vendor == "ollama" else set())


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_parameter_of_an_sdk_is_carried_or_refused_with_its_place(vendor: str) -> None:
    table, found = TABLES[vendor], signature(vendor)
    assert len(found) > 20
    carried = set(table.schema["properties"])
    assert sorted(found - carried - set(table.elsewhere)) == []
    assert sorted(carried & set(table.elsewhere)) == []
    invented = set(table.own) - found
    assert invented <= ({"min_p"} if vendor == "ollama" else set())  # the server knows it longer than its SDK


def test_the_common_names_are_those_that_the_dialects_spell() -> None:
    assert COMMON.keys() - {"max_tokens"} == SPELLED


def test_the_typed_fields_of_a_request_are_not_further_keys_of_a_body() -> None:
    assert {"model", "messages", "stream", "tools"} <= RESERVED


FITS: dict[str, Any] = {"number": 1, "integer": 3, "string": "x", "object": {"a": "b"}, "array": ["x"], "boolean": True}
TOOLS = (Tool("f", "", {"type": "object"}),)
SAID: dict[str, Any] = {
    "tool_choice": "none",
    "parallel_tool_calls": False,
    "num_ctx": 9000,
    "thinking": True,
    "keep_alive": "5m",
    "metadata": {"user_id": "x"},
}


def value_for(name: str, schema: Mapping[str, Any]) -> Any:
    wanted = schema["type"]
    return SAID.get(name, FITS[wanted if isinstance(wanted, str) else wanted[0]])


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_parameter_that_is_carried_arrives_in_the_body(vendor: str) -> None:
    """One call each through the real SDK: with the parameter the body is another one than without it."""
    with Served(vendor, VENDORS[vendor]) as stage:
        plugin = registry.load(vendor)
        bare = body_of(plugin, stage, {})
        for name, schema in TABLES[vendor].schema["properties"].items():
            value = value_for(name, schema)
            body = body_of(plugin, stage, {name: value})
            assert json.dumps(body, sort_keys=True) != json.dumps(bare, sort_keys=True), f"{name} is dropped"
        plugin.close()  # type: ignore[attr-defined]


def body_of(plugin: Plugin, stage: Served, params: Mapping[str, Any]) -> dict[str, Any]:
    target = replace(stage.target(), params=params)
    plugin.send(target, prompt("Hello.", tools=TOOLS), Leave(target.name))
    chats = [call["body"] for call in stage.bodies() if "messages" in call["body"]]
    body: dict[str, Any] = chats[-1]
    return body


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_is_refused_is_refused_by_plugin_name_and_reason_and_nothing_is_sent(vendor: str) -> None:
    table = TABLES[vendor]
    with Served(vendor, VENDORS[vendor]) as stage:
        plugin = registry.load(vendor)
        for name, why in {**table.elsewhere, "no_such_knob": ""}.items():
            said = refused(plugin, stage.target(), {name: "x"})
            assert f"`{name}`" in said, name
            assert vendor in said, name
            assert why in said, name
        assert stage.calls() == 0
        plugin.close()  # type: ignore[attr-defined]


def refused(plugin: Plugin, target: Target, params: Mapping[str, Any]) -> str:
    with pytest.raises(ProviderError) as caught:
        plugin.send(replace(target, params=params), prompt("Hello."), Leave(target.name))
    assert caught.value.failure.outcome is Outcome.CAPABILITY
    return caught.value.failure.message


@pytest.mark.parametrize(
    ("vendor", "params"),
    [
        ("openai", {"temperature": "hot"}),
        ("openai", {"seed": 1.5}),
        ("openai", {"seed": True}),
        ("openai", {"tool_choice": "perhaps"}),
        ("openai", {"parallel_tool_calls": "yes"}),
        ("openai", {"extra_body": {"model": "another"}}),
        ("openai", {"extra_body": {"stream": True}}),
        ("anthropic", {"stop": 3}),
        ("anthropic", {"cache_control": "ephemeral"}),
        ("ollama", {"num_gpu": "all"}),
        ("ollama", {"keep_alive": [1]}),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(vendor: str, params: dict[str, Any]) -> None:
    (name,) = params
    said = refused(registry.load(vendor), Target(vendor, "m", "http://127.0.0.1:9", "k"), params)
    assert f"the parameter `{name}` of plugin {vendor} takes " in said


def emitted(vendor: str, params: dict[str, Any], **more: Any) -> dict[str, Any]:
    url = more.pop("base_url", None)
    table = TABLES[vendor]
    target = Target(vendor, "m", url)
    request = Request(prompt("Hello.").messages, params=table.fit(params), **more)
    module: Any = importlib.import_module(f"hroute.providers.{vendor}")
    if vendor == "anthropic":
        body: dict[str, Any] = anthropic.AnthropicPlugin().body(target, request)
        return body
    body = module.body_for(target, request)
    return body


def emitted_by(vendor: str, options: dict[str, Any], **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = openai.body_for(
        Target(vendor, "m", options=options), Request(prompt("Hello.").messages, **more)
    )
    return body


def test_a_raw_wire_carries_what_the_sdk_does() -> None:
    for vendor, table in TABLES.items():
        target = Target(
            vendor, "m", params={name: value_for(name, s) for name, s in table.schema["properties"].items()}
        )
        wire = wires.wire_of(vendor, target, "anthropic" if vendor == "anthropic" else "openai_chat")
        assert wire is not None
        fitted, dropped = wires.fitting(wire, target, prompt("Hello.", tools=TOOLS))
        assert dropped == ()
        assert fitted == with_params(table, target, prompt("Hello.", tools=TOOLS))
        with pytest.raises(ProviderError, match="no_such_knob"):
            wires.fitting(wire, replace(target, params={"no_such_knob": 1}), prompt("Hello."))


def test_of_what_a_client_said_a_raw_wire_carries_only_what_means_the_same_everywhere() -> None:
    """A client's further keys may name a person, or ask for what nobody reads."""
    said = {"temperature": 0.5, "user": "jane", "extra_body": {"n": 9}, "verbosity": "low", "stop": 1.0, "top_p": "x"}
    wire = wires.wire_of("openai", Target("openai", "m"), "openai_chat")
    assert wire is not None
    asked = prompt("Hello.", params=said)
    fitted, dropped = wires.fitting(wire, Target("openai", "m", params={"user": "ours"}), asked, said.keys())
    assert fitted.params == {"user": "ours", "temperature": 0.5}
    assert set(dropped) == said.keys() - {"temperature"}


def test_the_vendor_s_own_spelling_means_the_same() -> None:
    assert emitted("anthropic", {"stop_sequences": ["END"]})["stop_sequences"] == ["END"]
    assert emitted("openai", {"reasoning_effort": "low"}) == emitted("openai", {"effort": "low"})
    assert emitted("ollama", {"think": False})["think"] is False


def test_one_stop_sequence_is_not_its_letters() -> None:
    assert emitted("anthropic", {"stop": "END"})["stop_sequences"] == ["END"]
    assert emitted("openai", {"stop": "END"})["stop"] == ["END"]
    assert emitted("ollama", {"stop": "END"})["options"]["stop"] == ["END"]


def test_a_number_from_the_environment_is_a_number() -> None:
    assert emitted("openai", {"temperature": "0.2", "seed": "7"}).items() >= {"temperature": 0.2, "seed": 7}.items()


def test_thinking_is_said_in_the_vendor_s_form_and_leaves_room_for_the_answer() -> None:
    body = emitted("anthropic", {"thinking": 8000}, max_tokens=1000)
    assert (body["thinking"], body["max_tokens"]) == ({"type": "enabled", "budget_tokens": 8000}, 9000)
    assert emitted("anthropic", {"thinking": 8000}, max_tokens=20_000)["max_tokens"] == 20_000
    assert emitted("anthropic", {"thinking": True})["thinking"] == {"type": "adaptive"}
    assert (
        emitted("anthropic", {"thinking": {"type": "adaptive", "display": "omitted"}})["thinking"]["display"]
        == "omitted"
    )
    assert emitted("ollama", {"thinking": {"type": "disabled"}})["think"] is False
    assert emitted("ollama", {"thinking": 4000, "effort": "high"})["think"] == "high"


def test_a_choice_of_tools_may_be_written_in_any_vendor_s_form() -> None:
    for written in ("tool:f", {"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}):
        given = {"tool_choice": written}
        assert emitted("anthropic", given, tools=TOOLS)["tool_choice"] == {"type": "tool", "name": "f"}
        assert emitted("openai", given, tools=TOOLS)["tool_choice"]["function"] == {"name": "f"}
    assert emitted("anthropic", {"tool_choice": "required"}, tools=TOOLS)["tool_choice"] == {"type": "any"}
    assert emitted("openai", {"tool_choice": "any"}, tools=TOOLS)["tool_choice"] == "required"


@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
def test_what_only_tools_need_is_left_out_where_there_are_none_for_the_vendors_reject_it(vendor: str) -> None:
    target = Target(vendor, "m", params={"tool_choice": "none", "parallel_tool_calls": False})
    assert with_params(TABLES[vendor], target, prompt("Hello.")).params == {}
    assert with_params(TABLES[vendor], target, prompt("Hello.", tools=TOOLS)).params == target.params


def test_further_keys_of_a_body_stand_beside_ours_and_replace_nothing() -> None:
    extra = {"min_p": 0.1, "chat_template_kwargs": {"enable_thinking": False}, "temperature": 2.0}
    body = emitted("openai", {"extra_body": extra, "temperature": 0.5})
    assert body["temperature"] == 0.5
    assert (body["min_p"], body["chat_template_kwargs"]) == (0.1, {"enable_thinking": False})
    assert "extra_body" not in body


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def test_reasoning_models_of_openai_get_the_limit_by_its_new_name_and_others_by_the_old_one() -> None:
    assert "max_completion_tokens" in emitted("openai", {}, max_tokens=9)
    assert "max_completion_tokens" in emitted(
        "openai", {}, max_tokens=9, base_url="https://x.openai.azure.com/openai/v1"
    )
    for url in ("https://api.deepseek.com", "http://127.0.0.1:8000/v1", "http://127.0.0.1:1234/v1"):
        assert "max_tokens" in emitted("openai", {}, max_tokens=9, base_url=url)


def test_a_schema_is_sent_in_the_form_that_the_server_knows_and_else_in_words() -> None:
    wants: dict[str, Any] = {"response_format": "json_schema", "json_schema": SCHEMA}
    body = emitted("openai", {}, **wants)
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert [m["role"] for m in body["messages"]] == ["user"]
    deepseek = emitted("openai", {}, base_url="https://api.deepseek.com", **wants)
    assert deepseek["response_format"] == {"type": "json_object"}
    assert "JSON Schema" in deepseek["messages"][0]["content"]
    assert json.dumps(SCHEMA, separators=(",", ":")) in deepseek["messages"][0]["content"]
    spoken = emitted_by("openai", {"response_format": []}, **wants)
    assert "response_format" not in spoken
    assert "JSON Schema" in spoken["messages"][0]["content"]
    assert emitted("anthropic", {}, **wants)["output_config"]["format"] == {"type": "json_schema", "schema": SCHEMA}
    assert emitted("ollama", {}, **wants)["format"] == SCHEMA


def test_json_without_a_schema_is_asked_for_too() -> None:
    assert emitted("openai", {}, response_format="json")["response_format"] == {"type": "json_object"}
    assert "JSON alone" in emitted("anthropic", {}, response_format="json", system="Be brief.")["system"]
    assert emitted("ollama", {}, response_format="json")["format"] == "json"
