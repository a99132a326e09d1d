"""Text that no parser reads: unknown fields at any depth, odd values and keys that stand twice get past no detector."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.gateway.asked import read
from hroute.gateway.bodies import decode
from hroute.gateway.doors import DOORS
from hroute.router.signals.extract import Extraction
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.wire.fields import Malformed
from hroute.wire.keys import doubled
from tests.gateway.house import BODIES, CHATS, before_sandbox, completion, message, response

CARD = "4111 1111 1111 1111"
POLICY = "providers: {home: {plugin: ollama, model: m, local: true}}\ndefault: {route_to: home}\nguarantees: [{name: g, when: {any: [{contains_pii: true}, {contains_secret: true}]}, only: {local: true}}]\nsignals: {contains_pii: {unread: false}}\n"
BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"

SEEN: dict[str, dict[str, Any]] = {
    "/v1/messages": message(
        system=[{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        stream=True,
        tools=[{"name": "f", "description": "does", "input_schema": {"type": "object", "properties": {"x": {"type": "string"}}}}, {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 2000},
        metadata={"user_id": "u"},
        stop_sequences=["stop"],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BASE64}}, {"type": "document", "title": "notes", "source": {"type": "text", "media_type": "text/plain", "data": "a text"}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": BASE64}, {"type": "redacted_thinking", "data": BASE64}, {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "f", "input": {"x": "y", "deep": {"er": [1]}}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01A09q90qw90lq917835lq9", "is_error": False, "content": [{"type": "text", "text": "done"}, {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}]}]},
            {"role": "system", "content": "between"},
            {"role": "assistant", "content": [{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}]},
            {"role": "user", "content": "go on"},
        ],
    ),
    "/v1/chat/completions": completion(
        stream=True,
        stream_options={"include_usage": True},
        tools=[{"type": "function", "function": {"name": "f", "description": "does", "parameters": {"type": "object"}, "strict": True}}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        stop="stop",
        reasoning_effort="low",
        messages=[
            {"role": "system", "content": "be kind"},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}", "detail": "low"}}, {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}}, {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{BASE64}"}}]},
            {"role": "assistant", "content": None, "refusal": None, "reasoning_content": "hm", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x": "y"}'}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "done"}]},
            {"role": "user", "content": "go on"},
        ],
    ),
    "/v1/responses": response(
        stream=True,
        instructions="be kind",
        tools=[{"type": "function", "name": "f", "description": "does", "parameters": {"type": "object"}, "strict": False}, {"type": "web_search"}],
        tool_choice={"type": "function", "name": "f"},
        reasoning={"effort": "low"},
        text={"format": {"type": "text"}},
        input=[
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "be brief"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": f"data:image/png;base64,{BASE64}", "detail": "low"}, {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{BASE64}"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": BASE64},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"x": "y"}', "status": "completed"},
            {"type": "function_call_output", "call_id": "call_1", "output": "done"},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "g", "input": "free"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "done"}]},
            {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": [{"type": "output_text", "text": "so", "annotations": []}]},
            {"type": "item_reference", "id": "msg_2"},
            {"role": "user", "content": "go on"},
        ],
    ),
}  # fmt: skip
"""A body with every kind of field that a parser knows."""
SCHEMA_KEYS = ("input_schema", "parameters", "schema")
"""Schemas of tools and answers are read for credentials alone (SEMANTICS 2.2)."""


@pytest.fixture(scope="module")
def policy() -> Policy:
    found, findings, _ = load_text(POLICY)
    assert found is not None, findings
    return found


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def at(body: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        body = body[key]
    return body


def planted(whole: dict[str, Any], path: tuple[Any, ...], value: Any) -> Iterator[dict[str, Any]]:
    """`whole` with `value` in place of what stands at `path`, and, where that is an object, as a field of it."""
    body = copy.deepcopy(whole)
    if path:
        at(body, path[:-1])[path[-1]] = value
        yield body
    body = copy.deepcopy(whole)
    node = at(body, path)
    if isinstance(node, dict):
        node["x_unheard_of"] = value
        yield body
        if isinstance(value, str):
            body = copy.deepcopy(whole)
            at(body, path)[value] = None
            yield body
            body = copy.deepcopy(whole)
            at(body, path)[value] = random.Random(str(path)).choice([{"a": 1}, {}, [], [{"b": 2}]])
            yield body
    elif isinstance(node, list):
        node.append(value)
        yield body


def is_seen(policy: Policy, path: str, body: dict[str, Any], schema: bool) -> bool:
    raw = json.dumps(body).encode()
    try:
        asked = read(DOORS[path], raw, {})
    except Malformed:
        return True  # it is refused, and leaves for nowhere
    extraction = Extraction(policy, asked.request, {})
    return extraction.ask("contains_pii") is True or (schema and extraction.ask("contains_secret") is True)


@pytest.mark.parametrize("path", SEEN)
def test_a_body_of_every_known_field_is_clean(policy: Policy, path: str) -> None:
    asked = read(DOORS[path], json.dumps(SEEN[path]).encode(), {})
    extraction = Extraction(policy, asked.request, {})
    assert extraction.ask("contains_pii") is False
    assert extraction.ask("contains_secret") is False


VALUES = [CARD, f"x\n{CARD}", 4111111111111111, {"a": [{"b": CARD}]}, {CARD: {"a": 1}}, [CARD], [[f"a {CARD}"]]]


def of_a_tool(place: tuple[Any, ...]) -> bool:
    """What tools and schemas say of themselves is read for credentials alone (SEMANTICS 2.2)."""
    described = place[:1] == ("tools",) and place[-1:] in (("name",), ("description",))
    return described or place[:2] == ("tools", 1) or any(key in SCHEMA_KEYS for key in place)


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("path", SEEN)
def test_a_card_is_seen_wherever_it_stands(policy: Policy, path: str, value: Any) -> None:
    everywhere = [place for place in places(SEEN[path]) if not of_a_tool(place)]
    bodies = [(place, body) for place in everywhere for body in planted(SEEN[path], place, value)]
    assert len(bodies) > 60
    assert [place for place, body in bodies if not is_seen(policy, path, body, False)] == []


@pytest.mark.parametrize(
    "value", ["sk-ant-api03-" + "Xy7" * 31 + "AA", "x\npassword: hunter2!Q"], ids=["key", "password"]
)
@pytest.mark.parametrize("path", SEEN)
def test_a_credential_in_an_unknown_field_is_seen(policy: Policy, path: str, value: str) -> None:
    for place in places(SEEN[path]):
        if isinstance(at(SEEN[path], place), dict):
            body = copy.deepcopy(SEEN[path])
            at(body, place)["x_unheard_of"] = value
            assert is_seen(policy, path, body, True), place


TWICE = [
    b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"the card","content":"hi"}]}',
    b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content" : "the card" , "content" :"hi"}]}',
    b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi","x":1,"x":2}]}',
    b'{"model":"m","max_tokens":5,"messages":[],"messages":[{"role":"user","content":"hi"}]}',
    b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"the card","c\\u006fntent":"hi"}]}',
    b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi","y":"\\u003a","x\\\\":1,"x\\\\":2}]}',
    b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"\\ud800","x":1,"x":2}]}',
]


@pytest.mark.parametrize("raw", TWICE)
def test_a_key_that_stands_twice_is_refused(raw: bytes) -> None:
    assert doubled(raw)
    with pytest.raises(Malformed, match="twice"):
        decode(raw)


ODD_TEXTS = st.text(st.sampled_from(['"', "\\", ":", " ", "\n", "a", "b", "é", "{", ","]), max_size=6)
TREES = st.recursive(
    st.integers(-(2**63), 2**63) | ODD_TEXTS | st.booleans() | st.none(),
    lambda inside: st.lists(inside, max_size=3) | st.lists(st.tuples(ODD_TEXTS, inside), max_size=4).map(tuple),
    max_leaves=12,
)


def spelled(node: Any, style: random.Random) -> str:
    """A tree as JSON, objects given as tuples of entries, with blanks and escapes as they come."""
    if isinstance(node, tuple):
        blank = style.choice(["", " ", "\n", "  "])
        entries = (f"{spelled(key, style)}{blank}:{blank}{spelled(value, style)}" for key, value in node)
        return "{" + f"{blank},".join(entries) + "}"
    if isinstance(node, list):
        return "[" + ",".join(spelled(item, style) for item in node) + "]"
    text = json.dumps(node, ensure_ascii=style.random() < 0.5)
    return text.replace(":", "\\u003A") if style.random() < 0.2 and isinstance(node, str) else text


@settings(max_examples=600, deadline=None)
@given(entries=st.lists(st.tuples(ODD_TEXTS, TREES), max_size=5).map(tuple), seed=st.integers(0, 2**32))
def test_the_short_way_to_see_doubled_keys_agrees_with_the_long_one(entries: tuple[Any, ...], seed: int) -> None:
    raw = spelled(entries, random.Random(seed)).encode()
    if doubled(raw):
        with pytest.raises(Malformed):
            decode(raw)
    else:
        assert decode(raw) == json.loads(raw)


@pytest.mark.parametrize("path", SEEN)
def test_a_doubled_key_in_the_arguments_of_a_call_hides_nothing(policy: Policy, path: str) -> None:
    if path == "/v1/messages":
        pytest.skip("arguments are JSON here, no text")
    text = json.dumps(SEEN[path]).replace('{\\"x\\": \\"y\\"}', '{\\"x\\": \\"4111 1111 1111 1111\\", \\"x\\": 1}')
    assert "4111" in text
    assert is_seen(policy, path, json.loads(text), False)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize(
    "written", ['{"x": "4111 1111 1111 1111', "4111 1111 1111 1111", '["4111 1111 1111 1111"]', '"4111 1111 1111 1111"']
)
def test_arguments_that_are_no_object_are_read_all_the_same(policy: Policy, path: str, written: str) -> None:
    text = json.dumps(SEEN[path]).replace(json.dumps('{"x": "y"}'), json.dumps(written))
    assert "4111" in text
    assert is_seen(policy, path, json.loads(text), False)


def test_an_id_of_an_unusual_shape_is_read_and_not_said_to_be_lost() -> None:
    body = json.dumps(SEEN["/v1/chat/completions"]).replace("call_1", "Ab3xYz9Qw").encode()
    asked = read(DOORS["/v1/chat/completions"], body, {})
    assert asked.beyond == ("messages.name", "tools.function.strict")
    assert "Ab3xYz9Qw" in str(asked.request.params)


def test_a_doubled_key_is_a_400_and_nothing_leaves() -> None:
    with before_sandbox() as (house, sandbox):
        for path in CHATS:
            answer = house.post(path, json.dumps(BODIES[path]()).replace('"role":', '"role": "user", "role":').encode())
            assert answer.status_code == 400
            assert "twice" in answer.json()["error"]["message"]
        assert sandbox.calls.as_json() == []


def test_a_guarantee_holds_for_a_field_that_nobody_knows() -> None:
    more = "guarantees: [{{name: stays_home, when: {{contains_pii: true}}, only: {{local: true}}}}]".format()
    with before_sandbox(more=more) as (house, sandbox):
        for path in CHATS:
            body = BODIES[path]()
            at(body, ("input" if "input" in body else "messages", 0))["x_note"] = f"the card is {CARD}"
            answer = house.post(path, body, x_hroute_cost_center="alone")
            assert answer.status_code == 403, path
            assert "stays_home" in answer.text
            assert "4111" not in answer.text
        assert sandbox.calls.as_json() == []


@pytest.mark.parametrize(
    "beside",
    [
        {"headers": {"x-note": f"the card {CARD}"}},
        {"query": "note=4111+1111+1111+1111"},
        {"query": "a=b&c=4111%201111%201111%201111"},
    ],
)
def test_what_stands_beside_the_body_is_read_too(policy: Policy, beside: dict[str, Any]) -> None:
    raw = json.dumps(message()).encode()
    usual = {"user-agent": "claude-cli/2.1.197 (external, cli)", "anthropic-beta": "a-2025-01-01,b", "x-app": "cli", "x-claude-code-session-id": "0d3e8f0a-6d3b-4a53-9e1f-2b9f3f6d8c11"}  # fmt: skip
    clean = read(DOORS["/v1/messages"], raw, usual, "beta=true")
    assert "other_fields" not in clean.request.params
    asked = read(DOORS["/v1/messages"], raw, usual | beside.get("headers", {}), beside.get("query", ""))
    assert Extraction(policy, asked.request, {}).ask("contains_pii") is True


def test_unknown_fields_are_named_where_the_other_dialect_has_no_place_for_them() -> None:
    with before_sandbox() as (house, _):
        body = copy.deepcopy(SEEN["/v1/messages"])
        body["messages"] = [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}]  # fmt: skip
        body["tools"][0]["defer_loading"] = False
        far = house.post("/v1/messages", body, x_hroute_cost_center="gpt")
        named = far.headers["x-hroute-dropped"].split(", ")
        assert {"messages.content.cache_control", "system.cache_control", "tools.defer_loading"} <= set(named)
        same = house.post("/v1/messages", body, x_hroute_cost_center="claude")
        assert "x-hroute-dropped" not in same.headers
