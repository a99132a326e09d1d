"""Bodies as real clients send them, and what becomes of a conversation that crosses from one dialect to another."""

from __future__ import annotations

import pytest

from hroute.terms.message import (
    Message,
    Reply,
    Request,
    StopReason,
    Text,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolResult,
    ToolUse,
    ToolUseDelta,
    Unread,
    prompt,
)
from hroute.terms.usage import Usage
from hroute.wire import anthropic, anthropic_stream, ollama, openai_chat, openai_chat_stream, openai_responses
from hroute.wire.fields import Malformed
from hroute.wire.framing import sse

CLAUDE_CODE = {
    "model": "claude-opus-4-8",
    "max_tokens": 64000,
    "stream": True,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: 1"},
        {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": "say hi"}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "SEAL"},
            {"type": "redacted_thinking", "data": "BLOB"},
            {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "a.py"}, "caller": {"type": "direct"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": [
                {"type": "text", "text": "no such file"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            ]},
        ]},
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    ],
    "tools": [
        {"name": "Read", "description": "reads", "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    ],
    "metadata": {"user_id": "{}"},
    "thinking": {"type": "adaptive"},
    "context_management": {"edits": []},
    "output_config": {"effort": "high"},
    "something_new": [1, {"a": None}],
}  # fmt: skip


def test_claude_codes_request_is_read_whole():
    request = anthropic.parse_request(CLAUDE_CODE)
    assert request.system == "x-anthropic-billing-header: 1\n\nYou are Claude Code."
    assert [m.role for m in request.messages] == ["user", "assistant", "user", "system"]
    assert request.messages[1].parts == (
        Thinking("hm", "SEAL", sealed_by="anthropic"),
        Thinking("", "BLOB", True, "anthropic"),
        ToolUse("toolu_1", "Read", {"file_path": "a.py"}),
    )
    assert request.messages[2].parts == (
        ToolResult("toolu_1", "no such file", True),
        Unread("image", "image/png", "aGk="),
    )
    assert [t.hosted for t in request.tools] == ["", "anthropic:web_search_20250305"]
    assert request.params["thinking"] is True
    assert request.params["effort"] == "high"
    assert request.stream
    assert request.max_tokens == 64000


def test_its_own_reasoning_goes_back_sealed_and_a_strangers_does_not():
    request = anthropic.parse_request(CLAUDE_CODE)
    back = anthropic.emit_request(request, "m")["messages"][1]["content"]
    assert back[0] == {"type": "thinking", "thinking": "hm", "signature": "SEAL"}
    assert back[1] == {"type": "redacted_thinking", "data": "BLOB"}
    for body in (
        openai_chat.emit_request(request, "m"),
        openai_responses.emit_request(request, "m"),
        ollama.emit_request(request, "m"),
    ):
        assert "SEAL" not in str(body)
        assert "BLOB" not in str(body)
    foreign = Request((Message("assistant", (Thinking("hm", "SEAL", sealed_by="openai_responses"), Text("so"))),))
    assert "SEAL" not in str(anthropic.emit_request(foreign, "m"))


def test_a_tool_that_only_its_vendor_runs_is_offered_to_nobody_else():
    request = anthropic.parse_request(CLAUDE_CODE)
    assert len(anthropic.emit_request(request, "m")["tools"]) == 2
    for dialect in (openai_chat, openai_responses, ollama):
        assert len(dialect.emit_request(request, "m")["tools"]) == 1


def test_a_system_message_between_the_turns_is_taken_by_every_dialect():
    request = Request((*prompt("hello").messages, Message("system", (Text("Be brief."),))))
    assert anthropic.emit_request(request, "m")["messages"][1] == {
        "role": "user",
        "content": [{"type": "text", "text": "<system-reminder>\nBe brief.\n</system-reminder>"}],
    }
    assert anthropic.emit_request(request, "m", system_turns=True)["messages"][1]["role"] == "system"
    assert openai_chat.emit_request(request, "m")["messages"][1] == {"role": "system", "content": "Be brief."}
    assert ollama.emit_request(request, "m")["messages"][1]["role"] == "system"
    assert openai_responses.emit_request(request, "m")["input"][1]["role"] == "system"


def test_parallel_calls_and_their_results_cross_from_anthropic_to_openai_and_back():
    turns = (
        Message("user", (Text("weather in two cities"),)),
        Message("assistant", (Text("One moment."), ToolUse("a", "w", {"c": 1}), ToolUse("b", "w", {"c": 2}))),
        Message("user", (ToolResult("a", "sun"), ToolResult("b", "rain"))),
    )
    body = openai_chat.emit_request(Request(turns), "m")
    assert [item["role"] for item in body["messages"]] == ["user", "assistant", "tool", "tool"]
    crossed = anthropic.emit_request(openai_chat.parse_request(body), "m")
    assert anthropic.parse_request(crossed).messages == turns


def test_ollama_finds_the_call_that_a_nameless_result_answers():
    body = {
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"function": {"name": "f", "arguments": {"a": 1}}}, {"function": {"name": "g", "arguments": {}}}]},
            {"role": "tool", "content": "of g", "tool_name": "g"},
            {"role": "tool", "content": "of f"},
        ]
    }  # fmt: skip
    messages = ollama.parse_request(body).messages
    assert messages[2].parts == (ToolResult("call_1", "of g"), ToolResult("call_0", "of f"))
    sent = ollama.emit_request(Request(messages), "m")["messages"]
    assert [m.get("tool_name") for m in sent[2:]] == ["g", "f"]


def test_a_text_document_is_context_and_a_sealed_one_is_unread():
    content = [
        {"type": "tool_result", "tool_use_id": "t", "content": "done"},
        {
            "type": "document",
            "title": "a.txt",
            "source": {"type": "text", "media_type": "text/plain", "data": "my card"},
        },
        {
            "type": "document",
            "title": "b.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="},
        },
        {"type": "text", "text": "what is it?"},
    ]
    messages = anthropic.parse_request({"messages": [{"role": "user", "content": content}]}).messages
    assert messages[0].parts == (ToolResult("t", "done"),)
    assert messages[1].context
    assert "my card" in messages[1].text
    assert messages[2].parts == (Unread("document", "application/pdf", "QQ==", "b.pdf"), Text("what is it?"))


def test_a_part_of_an_unknown_kind_stays_readable_for_the_detectors():
    unknown = {"type": "search_result", "title": "4111 1111 1111 1111"}
    for dialect, body in (
        (anthropic, {"messages": [{"role": "user", "content": [unknown]}]}),
        (openai_chat, {"messages": [{"role": "user", "content": [unknown]}]}),
        (openai_responses, {"input": [unknown]}),
        (openai_responses, {"input": [{"role": "user", "content": [unknown]}]}),
    ):
        assert "4111 1111 1111 1111" in dialect.parse_request(body).messages[0].text


def test_files_stand_in_front_of_the_turns_in_every_dialect():
    request = prompt("review it", files=(("big.py", "x = 1"),))
    for dialect, key in (
        (anthropic, "messages"),
        (openai_chat, "messages"),
        (openai_responses, "input"),
        (ollama, "messages"),
    ):
        turns = dialect.emit_request(request, "m")[key]
        assert "big.py" in str(turns[0])
        assert "x = 1" in str(turns[0])
        assert "review it" in str(turns[1])


def test_codex_sends_namespaces_custom_calls_and_sealed_reasoning():
    body = {
        "model": "m",
        "instructions": "You are Codex.",
        "stream": True,
        "store": False,
        "tools": [
            {"type": "function", "name": "shell", "parameters": {"type": "object"}, "strict": False},
            {"type": "namespace", "name": "mcp", "tools": []},
            {"type": "web_search"},
        ],
        "reasoning": {"effort": "medium"},
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "say hi"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "SEAL"},
            {"type": "custom_tool_call", "call_id": "1", "name": "apply_patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "1", "output": "ok"},
            {"type": "function_call", "call_id": "2", "name": "shell", "arguments": '{"cmd": "ls"'},
            {"type": "function_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "a.py"}]},
        ],
    }
    request = openai_responses.parse_request(body)
    assert [m.role for m in request.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert request.messages[2].parts == (
        Thinking("hm", "SEAL", sealed_by="openai_responses"),
        ToolUse("1", "apply_patch", {"input": "*** Begin"}),
    )
    assert request.messages[4].parts == (ToolUse("2", "shell", {}, '{"cmd": "ls"'),)
    assert [t.name for t in request.tools] == ["shell", "mcp", "web_search"]
    assert request.params["effort"] == "medium"


def test_a_message_of_a_role_that_does_not_exist_is_named_by_its_place():
    for dialect in (anthropic, openai_chat, ollama):
        with pytest.raises(Malformed, match=r"^messages\[1\]\.role"):
            dialect.parse_request(
                {"messages": [{"role": "user", "content": "x"}, {"role": "narrator", "content": "x"}]}
            )


def test_the_five_classes_of_tokens_are_told_apart():
    read = anthropic.usage_of(
        {
            "input_tokens": 3,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 30},
        }
    )
    assert read == Usage(3, 20, 100, 20, 30)
    chat = {"prompt_tokens": 123, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20}, "completion_tokens_details": {"reasoning_tokens": 30}}  # fmt: skip
    assert openai_chat.usage_of(chat) == read
    deepseek = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_cache_hit_tokens": 8,
        "prompt_cache_miss_tokens": 2,
    }
    assert openai_chat.usage_of(deepseek) == Usage(2, 5, 8)
    assert openai_chat.usage_of({"prompt_tokens": None, "completion_tokens": True}) == Usage()


def test_stop_reasons_have_one_meaning():
    for name, stop in (("max_tokens", StopReason.LENGTH), ("refusal", StopReason.REFUSAL), ("new_one", StopReason.END)):
        assert anthropic.parse_reply({"content": [], "stop_reason": name}).stop is stop
    refused = {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]}
    assert openai_chat.parse_reply(refused) == Reply((Text("no"),), "", StopReason.REFUSAL)
    partial = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []}
    assert openai_responses.parse_reply(partial).stop is StopReason.LENGTH


def test_the_cost_of_a_stream_is_known_from_its_last_count():
    reader = anthropic_stream.Reader()
    start = {
        "type": "message_start",
        "message": {"model": "claude", "usage": {"input_tokens": 25, "cache_read_input_tokens": 7, "output_tokens": 1}},
    }
    reader.frame(start)
    reader.frame({"type": "ping"})
    reader.frame({"type": "something_new"})
    reader.frame(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 15, "cache_read_input_tokens": None},
        }
    )
    assert reader.frame({"type": "message_stop"})[0].reply == Reply((), "claude", StopReason.END, Usage(25, 15, 7))


def test_a_seal_that_ends_a_thought_survives_the_stream():
    writer, reader = anthropic_stream.Writer("m"), anthropic_stream.Reader()
    events = [ThinkingDelta("hm"), ThinkingDelta("", "SEAL", sealed_by="anthropic"), ThinkingDelta("", "BLOB", True, "anthropic"), ToolUseDelta(0, "t", "f", "{}")]  # fmt: skip
    for event in events:
        assert reader.feed(writer.write(event)) in ([event], [ToolUseDelta(0, "t", "f"), ToolUseDelta(0, json="{}")])
    reply = reader.end()[0].reply
    assert reply.parts == (
        Thinking("hm", "SEAL", sealed_by="anthropic"),
        Thinking("", "BLOB", True, "anthropic"),
        ToolUse("t", "f", {}),
    )


def test_fragments_that_come_mixed_are_put_in_order():
    def chunk(*calls: dict[str, object]) -> bytes:
        import json

        return sse(json.dumps({"model": "m", "choices": [{"index": 0, "delta": {"tool_calls": list(calls)}}]}))

    reader, writer = openai_chat_stream.Reader(), anthropic_stream.Writer("m")
    events = [
        *reader.feed(chunk({"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}})),
        *reader.feed(chunk({"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"y": 2'}})),
        *reader.feed(
            chunk({"index": 0, "function": {"arguments": ": 1}"}}, {"index": 1, "function": {"arguments": "}"}})
        ),
        *reader.feed(sse('{"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}') + sse("[DONE]")),
    ]
    expected = (ToolUse("a", "f", {"x": 1}), ToolUse("b", "g", {"y": 2}))
    assert events[-1].reply.parts == expected
    crossed = anthropic_stream.Reader()
    assert crossed.feed(b"".join(map(writer.write, events)))[-1].reply.parts == expected


def test_a_call_whose_input_was_cut_off_keeps_what_was_written():
    reader = anthropic_stream.Reader()
    reader.frame(
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        }
    )
    reader.frame(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a": '}}
    )
    assert reader.end()[0].reply.parts == (ToolUse("t", "f", {}, '{"a": '),)


def test_compatible_servers_get_the_limit_by_the_name_they_know():
    request = Request(prompt("x").messages, max_tokens=9)
    assert openai_chat.emit_request(request, "m")["max_completion_tokens"] == 9
    assert openai_chat.emit_request(request, "m", limit_key="max_tokens")["max_tokens"] == 9
    assert anthropic.emit_request(prompt("x"), "m")["max_tokens"] == 4096


def test_a_tool_is_anything_that_can_be_chosen():
    request = Request(
        prompt("x").messages, tools=(Tool("f", "", {}),), params={"tool_choice": "tool:f", "parallel_tool_calls": False}
    )
    assert anthropic.emit_request(request, "m")["tool_choice"] == {
        "type": "tool",
        "name": "f",
        "disable_parallel_tool_use": True,
    }
    assert openai_chat.emit_request(request, "m")["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert openai_responses.emit_request(request, "m")["tool_choice"] == {"type": "function", "name": "f"}
    assert anthropic.parse_request(anthropic.emit_request(request, "m")).params == dict(request.params)
