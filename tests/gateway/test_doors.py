"""Every door, over the same dialect and over translated ones, in one piece and as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from hroute.providers.sandbox.server import SandboxServer
from hroute.terms.message import Done, Reply, Text, ToolUse
from hroute.wire.grammar import violations
from tests.gateway.house import BODIES, CHATS, DIALECTS, House, before_sandbox
from tests.wire.messages import CODECS, STREAMS

SCRIPT = {
    "answers": [
        {"message": ["weather"], "text": "Let me look.", "tools": [{"name": "get_weather", "input": {"city": "Kyiv"}}, {"name": "get_time", "input": {}}]},
        {"message": ["think"], "thinking": "Let me think.", "text": "I thought about it."},
        {"text": "A fixed answer, in several words, so that there are pieces."},
    ]
}  # fmt: skip
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = {
    "/v1/messages": [{"name": n, "description": n, "input_schema": WEATHER} for n in ("get_weather", "get_time")],
    "/v1/chat/completions": [{"type": "function", "function": {"name": n, "parameters": WEATHER}} for n in ("get_weather", "get_time")],
    "/v1/responses": [{"type": "function", "name": n, "parameters": WEATHER} for n in ("get_weather", "get_time")],
}  # fmt: skip

doors = pytest.mark.parametrize("path", BODIES)
chats = pytest.mark.parametrize("path", CHATS)
targets = pytest.mark.parametrize("target", ["claude", "gpt", "chat_only", "llama"])


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[House, SandboxServer]]:
    with before_sandbox(SCRIPT) as found:
        yield found


def whole(path: str, raw: bytes) -> Reply:
    return CODECS[DIALECTS[path]].parse_reply(json.loads(raw))


def streamed(path: str, raw: bytes) -> Reply:
    assert violations(DIALECTS[path], raw) == []
    reader = STREAMS[DIALECTS[path]].Reader()
    last = [*reader.feed(raw), *reader.end()][-1]
    assert isinstance(last, Done)
    return last.reply


@doors
@targets
def test_a_whole_answer_and_a_stream_say_the_same(stage: tuple[House, SandboxServer], path: str, target: str) -> None:
    house, _ = stage
    one = house.post(path, BODIES[path](), x_hroute_cost_center=target)
    two = house.post(path, BODIES[path](stream=True), x_hroute_cost_center=target)
    assert (one.status_code, two.status_code) == (200, 200)
    assert whole(path, one.content).text == "A fixed answer, in several words, so that there are pieces."
    assert streamed(path, two.content).parts == whole(path, one.content).parts
    assert two.headers["content-type"].startswith("text/event-stream")
    for answer in (one, two):
        assert answer.headers["x-hroute-routed-to"] == target
        assert answer.headers["x-hroute-rule"] == f"to_{target.partition('_')[0]}"
        assert answer.headers["x-hroute-policy"] == house.gateway.engine.policy.hash
        assert len(answer.headers["x-hroute-id"]) == 36
        assert answer.headers["x-hroute-model"].endswith("-x")


@chats
@targets
def test_calls_of_tools_come_through_whole(stage: tuple[House, SandboxServer], path: str, target: str) -> None:
    house, _ = stage
    body = BODIES[path]("what is the weather", tools=TOOLS[path])
    one = whole(path, house.post(path, body, x_hroute_cost_center=target).content)
    two = streamed(path, house.post(path, {**body, "stream": True}, x_hroute_cost_center=target).content)
    for reply in (one, two):
        calls = [part for part in reply.parts if isinstance(part, ToolUse)]
        assert [(c.name, dict(c.input)) for c in calls] == [("get_weather", {"city": "Kyiv"}), ("get_time", {})]
        assert len({c.id for c in calls}) == 2
        assert all(c.id for c in calls)
        assert reply.stop == "tool_use"
        assert Text("Let me look.") in reply.parts


@doors
@targets
def test_usage_is_carried(stage: tuple[House, SandboxServer], path: str, target: str) -> None:
    house, _ = stage
    more = {"stream_options": {"include_usage": True}} if "completions" in path else {}
    one = whole(path, house.post(path, BODIES[path](), x_hroute_cost_center=target).content)
    two = streamed(path, house.post(path, BODIES[path](stream=True, **more), x_hroute_cost_center=target).content)
    assert one.usage.output == two.usage.output > 0
    assert one.usage.input == two.usage.input > 0


@targets
def test_thinking_reads_as_thinking_where_the_dialect_has_it(stage: tuple[House, SandboxServer], target: str) -> None:
    house, _ = stage
    reply = streamed("/v1/messages", house.post("/v1/messages", BODIES["/v1/messages"]("think", stream=True), x_hroute_cost_center=target).content)  # fmt: skip
    assert [type(part).__name__ for part in reply.parts] == ["Thinking", "Text"]
    assert reply.parts[0].text == "Let me think."  # type: ignore[union-attr]


def test_a_tool_loop_goes_round_over_every_pair(stage: tuple[House, SandboxServer]) -> None:
    house, sandbox = stage
    loops = {
        "/v1/messages": [
            {"role": "user", "content": "look at Kyiv"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Kyiv"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "12 degrees"}]},
        ],
        "/v1/chat/completions": [
            {"role": "user", "content": "look at Kyiv"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Kyiv"}'}}]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "12 degrees"},
        ],
        "/v1/responses": [
            {"type": "message", "role": "user", "content": "look at Kyiv"},
            {"type": "function_call", "call_id": "toolu_1", "name": "get_weather", "arguments": '{"city":"Kyiv"}'},
            {"type": "function_call_output", "call_id": "toolu_1", "output": "12 degrees"},
        ],
    }  # fmt: skip
    for path, turns in loops.items():
        for target in ("claude", "gpt", "chat_only", "llama"):
            key = "input" if path == "/v1/responses" else "messages"
            body = {**BODIES[path](), key: turns, "tools": TOOLS[path]}
            answer = house.post(path, body, x_hroute_cost_center=target)
            assert answer.status_code == 200, (path, target, answer.text)
            told = json.dumps(sandbox.calls.as_json()[-1]["body"])
            assert "12 degrees" in told, (path, target)
            assert "Kyiv" in told, (path, target)


@doors
def test_errors_read_as_the_vendors_own(stage: tuple[House, SandboxServer], path: str) -> None:
    house, _ = stage
    for body, status in ((b"{", 400), (b"[]", 400), (b'{"model": 3}', 400), ({"model": "x"}, 400)):
        answer = house.post(path, body)
        assert answer.status_code == status
        error = answer.json()["error"]
        assert error["message"].startswith("hroute: ")
        assert ("type" in answer.json()) is (path == "/v1/messages")
    refused = house.post(path, BODIES[path](), x_hroute_cost_center="refused")
    assert refused.status_code == 403
    assert "This account is closed." in refused.json()["error"]["message"]
    assert refused.headers["x-should-retry"] == "false"


def test_tokens_are_counted_here_and_nothing_is_sent(stage: tuple[House, SandboxServer]) -> None:
    house, sandbox = stage
    before = len(sandbox.calls.as_json())
    short = house.post("/v1/messages/count_tokens", BODIES["/v1/messages"]("hello")).json()["input_tokens"]
    long = house.post("/v1/messages/count_tokens", BODIES["/v1/messages"]("hello there " * 100)).json()["input_tokens"]
    assert 0 < short < long
    assert len(sandbox.calls.as_json()) == before


def test_the_pages_that_ask_no_model(stage: tuple[House, SandboxServer]) -> None:
    house, _ = stage
    assert house.client.head(house.url + "/").status_code == 200
    assert house.get("/healthz").json() == {"status": "ok"}
    assert house.get("/readyz").json()["ready"] is True
    listed = [row["id"] for row in house.get("/v1/models").json()["data"]]
    assert listed[0] == "hroute/auto"
    assert {"hroute/to_llama", "hroute/claude"} <= set(listed)
    assert house.get("/v1/models/hroute/claude").json()["id"] == "hroute/claude"
    assert house.get("/v1/models/nobody").status_code == 404
    assert house.get("/v1/nothing").status_code == 404
    assert house.get("/v1/messages").json()["error"]["type"]
    house.post("/v1/messages", BODIES["/v1/messages"]())
    counted = house.get("/metrics").text
    assert 'hroute_requests_total{door="anthropic",provider="claude",rule="default",status="200"}' in counted


def test_signals_come_by_header_and_by_metadata(stage: tuple[House, SandboxServer]) -> None:
    house, sandbox = stage
    by_header = house.post("/v1/messages", BODIES["/v1/messages"](), x_hroute_signal="cost_center=llama, batch_size=5")
    assert by_header.headers["x-hroute-routed-to"] == "llama"
    metadata = {"hroute_cost_center": "gpt", "project": "mine"}
    by_metadata = house.post("/v1/chat/completions", BODIES["/v1/chat/completions"](metadata=metadata, store=True))
    assert by_metadata.headers["x-hroute-routed-to"] == "gpt"
    assert sandbox.calls.as_json()[-1]["body"]["metadata"] == {"project": "mine"}
    wrong = house.post("/v1/messages", BODIES["/v1/messages"](), x_hroute_signal="batch_size=many")
    assert wrong.status_code == 400
    assert "batch_size" in wrong.json()["error"]["message"]
    unknown = house.post("/v1/messages", BODIES["/v1/messages"](), x_hroute_signal="nonsense=1")
    assert unknown.status_code == 400


def test_what_the_other_dialect_has_no_place_for_is_named(stage: tuple[House, SandboxServer]) -> None:
    house, _ = stage
    body = BODIES["/v1/messages"](top_k=5, thinking={"type": "adaptive"}, context_management={"edits": []}, metadata={"user_id": "u"})  # fmt: skip
    answer = house.post("/v1/messages", body, x_hroute_cost_center="gpt")
    assert answer.status_code == 200
    assert set(answer.headers["x-hroute-dropped"].split(", ")) == {"thinking", "metadata", "top_k", "context_management"}  # fmt: skip


def test_tools_that_only_their_vendor_runs_are_left_out_elsewhere_and_named(stage: tuple[House, SandboxServer]) -> None:
    house, sandbox = stage
    tools = [*TOOLS["/v1/responses"], {"type": "web_search"}, {"type": "namespace", "name": "mcp", "tools": []}]
    answer = house.post("/v1/responses", BODIES["/v1/responses"](tools=tools), x_hroute_cost_center="claude")
    assert answer.headers["x-hroute-routed-to"] == "claude"
    assert "x-hroute-provider" not in answer.headers
    assert set(answer.headers["x-hroute-dropped"].split(", ")) == {"tools.web_search", "tools.mcp"}
    assert [tool["name"] for tool in sandbox.calls.as_json()[-1]["body"]["tools"]] == ["get_weather", "get_time"]
    alone = house.post("/v1/responses", BODIES["/v1/responses"](tools=tools[2:3]), x_hroute_cost_center="claude")
    assert alone.headers["x-hroute-provider"] == "gpt"


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "background", "prompt"])
def test_what_a_vendor_keeps_is_asked_of_nobody_else(stage: tuple[House, SandboxServer], name: str) -> None:
    house, sandbox = stage
    body = BODIES["/v1/responses"](**{name: "resp_1"})
    kept = house.post("/v1/responses", body, x_hroute_cost_center="claude")
    assert kept.headers["x-hroute-model"] == "gpt-x"
    assert sandbox.calls.as_json()[-1]["body"][name] == "resp_1"
    refused = house.post("/v1/responses", body, x_hroute_cost_center="alone")
    assert refused.status_code == 400
    assert name in refused.json()["error"]["message"]
