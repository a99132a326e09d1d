"""Claude Code's transcripts are read as the calls that it made: each once, with its conversation and its vendor's counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hroute.replay.dry_run import run
from hroute.replay.readers.claude_code import Transcripts
from hroute.replay.readers.detect import opened
from hroute.replay.readers.jsonl import Log
from hroute.replay.rows import BadLine, Row
from hroute.schema.load import load_text

SESSION = "040d33ee-04f0-45b1-80a9-cfc943239d9a"
USAGE = {"input_tokens": 4, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 100, "output_tokens": 7, "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40}}  # fmt: skip


def line(type: str, message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    about = {"sessionId": SESSION, "timestamp": "2026-11-20T19:31:02.627Z", "isSidechain": False, "uuid": "u"}
    return {"type": type, **about, **({"message": message} if message else {}), **more}


def said(text: str, **more: Any) -> dict[str, Any]:
    return line("user", {"role": "user", "content": text}, **more)


def answer(id: str, *content: dict[str, Any], output: int = 7, model: str = "claude-opus-4-8", **more: Any) -> dict[str, Any]:  # fmt: skip
    message = {"id": id, "role": "assistant", "model": model, "content": list(content), "usage": {**USAGE, "output_tokens": output}}  # fmt: skip
    return line("assistant", message, requestId=f"req_{id}", **more)


TEXT = {"type": "text", "text": "I look."}
CALL = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
RESULT = line("user", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "note.txt"}]})  # fmt: skip
PLAIN = [
    line("queue-operation", operation="enqueue"),
    {"type": "summary", "summary": "x", "leafUuid": "u"},
    said("go look"),
    line("attachment", attachment={"type": "skill_listing"}),
    answer("m1", TEXT, output=3),
    answer("m1", CALL, output=24),
    RESULT,
    answer("m2", {"type": "text", "text": "Fine."}),
    line("last-prompt", lastPrompt="go look"),
]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def rows(*lines: dict[str, Any] | str, name: str = f"{SESSION}.jsonl") -> list[Row | BadLine]:
        text = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
        (tmp_path / name).write_text(text)
        return list(Transcripts([tmp_path / name]))

    return rows


def test_an_answer_of_several_lines_is_one_call_with_its_largest_counts(read: Any) -> None:
    first, second = read(*PLAIN)
    assert (first.id, second.id) == ("m1", "m2")
    assert first.output_tokens == 24
    assert (first.input_tokens, first.cache_read_tokens, first.cache_write_tokens, first.cache_write_1h_tokens) == (4, 900, 100, 40)  # fmt: skip
    assert first.model == "claude-opus-4-8"
    assert first.signals["prompt_tokens"] == 1_004
    assert first.signals["session"] == SESSION


def test_a_call_brings_the_conversation_before_it(read: Any) -> None:
    first, second = read(*PLAIN)
    assert [m.role for m in first.request.messages] == ["user"]
    assert [m.role for m in second.request.messages] == ["user", "assistant", "user"]
    assert [type(part).__name__ for part in second.request.messages[1].parts] == ["Text", "ToolUse"]
    assert second.request.last_user_text == "go look"


def test_a_session_that_was_taken_up_again_is_counted_once(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(x) + "\n" for x in PLAIN))
    assert len(list(opened([str(tmp_path)]))) == 2


def test_a_subagent_is_a_conversation_of_its_own_in_its_own_file_or_among_the_others(read: Any, tmp_path: Path) -> None:
    side = {"isSidechain": True, "agentId": "a1"}
    task, found = said("find it", **side, parentUuid=None), answer("s1", TEXT, **side)
    among = read(said("go look"), answer("m1", CALL), task, found, RESULT, answer("m2", TEXT))
    assert [(row.id, row.signals["purpose"], len(row.request.messages)) for row in among] == [
        ("m1", "turn", 1),
        ("m2", "turn", 3),
        ("s1", "subagent", 1),
    ]
    (own,) = read(task, found, name="agent-a1.jsonl")
    assert own.signals["purpose"] == "subagent"


def test_after_a_compaction_only_the_summary_stands_before_a_call(read: Any) -> None:
    *_, last = read(*PLAIN, said("what was said so far", isCompactSummary=True), answer("m3", TEXT))
    assert [m.text for m in last.request.messages] == ["what was said so far"]


def test_what_claude_code_wrote_itself_is_no_call(read: Any) -> None:
    wrote = answer("m1", {"type": "text", "text": "API Error"}, model="<synthetic>", isApiErrorMessage=True)
    assert read(said("go"), wrote) == []


def test_bad_lines_are_counted_and_the_rest_is_read(read: Any) -> None:
    found = read(*PLAIN[:6], "{broken", *PLAIN[6:])
    assert [type(x).__name__ for x in found].count("BadLine") == 1
    assert len(found) == 3


@pytest.mark.parametrize(
    "odd",
    [
        line("user", {"role": "user", "content": None}),
        line("user", {"role": "user", "content": 5}),
        line("assistant", {"role": "assistant"}),
        line("assistant", {"id": "x", "role": "assistant", "content": [5, None], "usage": "none", "model": 7}),
        {"type": "user", "sessionId": SESSION, "message": "text"},
        {"type": "assistant", "message": {}},
    ],
)
def test_odd_lines_break_nothing(odd: dict[str, Any], read: Any) -> None:
    assert [row.id for row in read(said("go"), odd, *PLAIN[2:]) if row.model] == ["m1", "m2"]


def test_the_format_is_found_by_what_the_first_line_says(tmp_path: Path) -> None:
    transcript, plain, empty = (tmp_path / name for name in ("t.jsonl", "p.jsonl", "e.jsonl"))
    transcript.write_text("\n" + json.dumps(PLAIN[0]) + "\n")
    plain.write_text('{"prompt": "hi", "type": "user"}\n')
    empty.write_text("")
    assert type(opened([str(transcript)])) is Transcripts
    assert type(opened([str(plain)])) is Log
    assert type(opened([str(empty)])) is Log
    assert type(opened(["-"])) is Log
    assert type(opened([str(transcript)], {"prompt": "content"})) is Log


HOLDING = """
providers:
  home: {plugin: ollama, model: m, base_url: "http://127.0.0.1:1", local: true}
  away: {plugin: anthropic, model: claude-opus-4-8}
routing_rules:
  - {name: kept, condition: {message: {any_of: ["keep this local"]}}, route_to: home, fallback: null, hold: session}
default: {route_to: away, fallback: home}
"""


def test_a_rule_that_holds_its_session_holds_what_comes_after(read: Any) -> None:
    policy, _, _ = load_text(HOLDING)
    assert policy is not None
    rows = read(said("keep this local"), answer("m1", TEXT), said("go on"), answer("m2", TEXT))
    assert [(r.rule, r.requests) for r in run(policy, rows).routes] == [("kept", 2)]
    other = read(said("go on"), answer("m3", TEXT, sessionId="another"))
    assert [(r.rule, r.requests) for r in run(policy, [*rows, *other]).routes] == [("kept", 2), ("default", 1)]
