"""One row in canonical keys: what is read, from where, and what is never taken for something else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hroute.errors import UsageError
from hroute.replay.rows import NotARow, Row, parse_map, row_from
from hroute.terms.message import Text, ToolResult, ToolUse, Unread


def row(**data: Any) -> Row:
    return row_from(data, 7)


@pytest.mark.parametrize(
    "ts",
    [
        "2026-10-01T12:00:00Z",
        "2026-10-01T14:00:00+02:00",
        "2026-10-01 12:00:00",
        1790856000,
        1790856000.0,
        1790856000000,
    ],
)
def test_times_are_read_as_iso_or_unix_seconds_or_milliseconds(ts: Any) -> None:
    assert row(ts=ts).ts == datetime(2026, 10, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("ts", ["yesterday", True, None, [], 1e30, "1e400", float("nan")])
def test_a_time_that_is_none_is_not_guessed(ts: Any) -> None:
    assert row(ts=ts).ts is None


def test_a_row_without_an_id_goes_by_its_line() -> None:
    assert row().id == "7"
    assert row(id=12).id == "12"


def test_signals_are_read_by_name_and_from_signals_which_win() -> None:
    found = row(
        task_type="code", batch_size="500", session="s", signals={"task_type": "qa", "score": 0.25, "intent": ["faq"]}
    )
    assert found.signals == {
        "task_type": "qa", "batch_size": 500, "session": "s", "score": 0.25, "intent": frozenset({"faq"}),
    }  # fmt: skip


def test_an_answer_to_a_text_test_is_a_signal_too() -> None:
    assert row(signals={"message~1f2e3d4c": True}).signals == {"message~1f2e3d4c": True}


def test_a_recorded_null_says_nothing() -> None:
    assert row(task_type=None, signals={"score": None}).signals == {}


def test_a_value_that_its_signal_cannot_hold_is_named_and_not_used() -> None:
    found = row(task_type="coding", signals={"score": 7, "language": "de"})
    assert found.signals == {"language": "de"}
    assert found.misfits == ("task_type", "score")


def test_token_counts_are_read_by_their_own_names() -> None:
    found = row(input_tokens=420, output_tokens="176", cache_read_tokens=5.0, cache_write_tokens=6)
    assert (found.input_tokens, found.output_tokens, found.cache_read_tokens, found.cache_write_tokens) == (
        420,
        176,
        5,
        6,
    )


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"input_tokens": 10, "output_tokens": 2}, (10, 2, 0, 0, 0)),
        ({"input": 10, "output": 2, "cache_read": 3, "cache_write": 4, "reasoning": 5}, (10, 2, 3, 4, 5)),
        ({"input_tokens": 10, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4}, (10, None, 3, 4, 0)),
        (
            {"prompt_tokens": 10, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4},
             "completion_tokens_details": {"reasoning_tokens": 7}},
            (6, 2, 4, 0, 7),
        ),
    ],
)  # fmt: skip
def test_usage_of_either_dialect_is_split_into_classes(usage: Any, counts: tuple[int | None, ...]) -> None:
    found = row(usage=usage)
    classes = (
        found.input_tokens,
        found.output_tokens,
        found.cache_read_tokens,
        found.cache_write_tokens,
        found.reasoning_tokens,
    )
    assert classes == counts


@pytest.mark.parametrize("count", [-1, 1.5, True, "many", [], 1e400])
def test_a_count_that_is_none_is_not_known(count: Any) -> None:
    assert row(input_tokens=count).input_tokens is None


def test_money_becomes_nano_dollars() -> None:
    assert row(cost_usd=0.0039).cost == 3_900_000
    assert row(cost_usd="x").cost is None


def test_a_prompt_is_the_users_turn_and_system_stands_before_it() -> None:
    request = row(prompt="Hello", system="Be kind.", max_tokens=50).request
    assert request is not None
    assert (request.last_user_text, request.system, request.max_tokens) == ("Hello", "Be kind.", 50)


def test_no_prompt_is_no_request_and_an_empty_one_is() -> None:
    assert row(input_tokens=5).request is None
    assert row(prompt="").request is not None


def test_messages_of_the_anthropic_dialect() -> None:
    request = row(
        system=[{"type": "text", "text": "Be kind."}],
        tools=[{"name": "look", "description": "d", "input_schema": {"type": "object"}}],
        messages=[
            {"role": "user", "content": "Where?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "look", "input": {"at": "x"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "here"}]},
                {"type": "image", "source": {}},
                {"type": "something_new", "payload": "?"},
            ]},
        ],
    ).request  # fmt: skip
    assert request is not None
    assert request.system == "Be kind."
    assert request.tools[0].name == "look"
    assert [m.parts for m in request.messages] == [
        (Text("Where?"),),
        (ToolUse("1", "look", {"at": "x"}),),
        (ToolResult("1", "here"), Unread("image"), Unread("document")),
    ]


def test_messages_of_the_openai_dialect() -> None:
    request = row(
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Where?"}, {"type": "image_url", "image_url": {}}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "here"},
        ]
    ).request
    assert request is not None
    assert request.system == "Be kind."
    assert [m.parts for m in request.messages] == [
        (Text("Where?"), Unread("image")),
        (ToolUse("1", "look", {"arguments": "{}"}),),
        (ToolResult("1", "here"),),
    ]


def test_an_image_in_a_tools_result_is_not_lost() -> None:
    content = [{"type": "text", "text": "here"}, {"type": "image", "source": {}}]
    anthropic = row(
        messages=[{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": content}]}]
    )
    openai = row(messages=[{"role": "tool", "tool_call_id": "1", "content": content}])
    for found in (anthropic, openai):
        assert found.request is not None
        assert found.request.messages[0].parts == (ToolResult("1", "here"), Unread("image"))


def test_parts_of_no_shape_at_all_are_parts_that_nobody_can_read() -> None:
    request = row(messages=[{"role": "user", "content": [{"type": []}, {"type": {}}, 7, None, {}]}]).request
    assert request is not None
    assert request.messages[0].parts == (Unread("document"),) * 5


def test_a_list_of_tools_is_no_count_of_tools() -> None:
    found = row(prompt="x", tools=[{"name": "look"}])
    assert (found.signals, found.misfits) == ({}, ())
    assert row(tools=3).signals == {"tools": 3}


@pytest.mark.parametrize(
    "data",
    [{"prompt": 7}, {"messages": "x", "prompt": 7, "ts": 1} | {"messages": {}}, {"messages": [7]}, {"messages": [{"role": "nobody"}]},
     {"messages": [{"role": "user", "content": 7}]}],
)  # fmt: skip
def test_what_is_no_conversation_is_no_row_and_its_text_is_not_quoted(data: dict[str, Any]) -> None:
    with pytest.raises(NotARow) as raised:
        row_from(data, 1)
    assert "nobody" not in str(raised.value)


def test_a_lone_surrogate_does_not_reach_the_detectors() -> None:
    request = row(prompt="a\ud800b").request
    assert request is not None
    assert request.last_user_text == "a?b"


def test_foreign_columns_are_mapped_also_inside_objects() -> None:
    columns = parse_map("ts=TIMESTAMP, input_tokens=usage.in ,task_type=kind")
    found = row_from({"TIMESTAMP": 0, "usage": {"in": 9}, "kind": "qa"}, 1, columns)
    assert (found.ts, found.input_tokens, found.signals) == (datetime(1970, 1, 1, tzinfo=UTC), 9, {"task_type": "qa"})


@pytest.mark.parametrize("text", ["ts", "ts=", "=x", "when=TIMESTAMP"])
def test_a_mapping_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_map(text)
