"""What counts as the answer that was asked for, and what a program gets of it."""

from __future__ import annotations

from typing import Any

import pytest

from hroute.router.attempts import Accepted
from hroute.router.json_in_text import readings
from hroute.router.validate import choose, demand, judge, refuses
from hroute.schema.policy import Validate
from hroute.terms.message import Message, Reply, Request, StopReason, Text, Tool, ToolUse
from hroute.terms.outcome import Failure, Outcome
from tests.router.stage import ask, said

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}},
    "additionalProperties": False,
}


def judged(reply: Reply | str, rules: Validate | None = None, request: Request | None = None) -> Accepted | Failure:
    return judge(said(reply) if isinstance(reply, str) else reply, demand(rules, request or ask()))


def accepted(*given: Any) -> Accepted:
    found = judged(*given)
    assert isinstance(found, Accepted), found
    return found


def rejected(*given: Any) -> str | None:
    found = judged(*given)
    assert isinstance(found, Failure), found
    assert found.outcome is Outcome.BAD_CONTENT
    return found.code


JSON = Validate(format="json")


def test_plain_text_passes_as_it_is() -> None:
    assert accepted(" as it is\n").text == " as it is\n"
    assert accepted("{}").json is None


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_reply_is_bad_content_even_where_nothing_is_asked(text: str) -> None:
    assert rejected(text) == "empty"


def test_a_reply_that_was_cut_off_is_bad_content() -> None:
    assert rejected(said("half", stop=StopReason.TRUNCATED)) == "cut_off"
    assert rejected(said('{"a": [1, 2', stop=StopReason.LENGTH), Validate(format="json", schema=SCHEMA)) in ("schema", "not_json")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("  [1, 2]\n", [1, 2]),
        ("42", 42),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('```\n{"a": 1}\n```', {"a": 1}),
        ('Sure!\n```JSON\n{"a": {"b": "`"}}\n```\nHope that helps [1].', {"a": {"b": "`"}}),
        ('Here it is: {"a": [1, {"b": 2}]} as you wished.', {"a": [1, {"b": 2}]}),
        ('As source [1] says, {"answer": "yes"}', {"answer": "yes"}),
        ('```json\n{"a": 1}', {"a": 1}),
        ('{"a": "}"} trailing', {"a": "}"}),
        ("The result is [1].", [1]),
        ("These: [1, 2] are left over.", [1, 2]),
    ],
)
def test_json_is_found_bare_fenced_and_embedded(text: str, value: object) -> None:
    assert accepted(text, JSON).json == value


@pytest.mark.parametrize("text", ["{'a': 1, }", '{"a": 1,}', '{a: 1}', 'Here: {a: 1} it is', '{// one\n "a": 1}', '{“a”: 1}'])  # fmt: skip
def test_broken_json_is_repaired_where_the_package_is_there(text: str) -> None:
    pytest.importorskip("json_repair")
    found = accepted(text, JSON)
    assert found.json == {"a": 1}
    assert found.text == '{"a": 1}'


@pytest.mark.parametrize("text", ['{"label": "posi', '{"a": [1, 2', '```json\n{"label": "posi\n```'])
def test_json_that_was_cut_off_is_never_closed_for_the_model(text: str) -> None:
    assert rejected(text, JSON) == "not_json"


@pytest.mark.parametrize(
    "text",
    [
        "I cannot do that.", "no json here", "NaN", "{", "see above]", "[see above", "Use the [menu] to order.", "The shop {see map} is open.",
        "Write {name} here.", "It's [OK].", "[Menu](http://example.com) is here.", "f(x) = {x | x > 0} is the set.",
        "We open at nine [1] and close at six [2], every day.", "An object is written {} in JSON.",
    ],
)  # fmt: skip
def test_prose_is_not_json(text: str) -> None:
    assert rejected(text, JSON) == "not_json"


def test_the_clean_text_is_the_json_without_its_wrapping() -> None:
    assert accepted('Sure:\n```json\n{"a": 1}\n```', JSON).text == '{"a": 1}'


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "{ " * 200_000, "```" * 30_000, "9" * 100_000])
def test_a_hostile_reply_costs_little(text: str) -> None:
    assert isinstance(judged(text, JSON), (Accepted, Failure))


def test_a_schema_chooses_the_reading_that_fits_it() -> None:
    rules = Validate(schema=SCHEMA)
    assert accepted('{"name": "Ada"}', rules).json == {"name": "Ada"}
    assert accepted('first {"nom": "x", "y": "a longer one"} then {"name": "Ada"}', rules).json == {"name": "Ada"}
    assert rejected('{"name": 3}', rules) == "schema"


def test_a_failure_quotes_nothing_of_the_reply() -> None:
    found = judged('{"name": 3, "card 4111111111111111": "secret"}', Validate(schema=SCHEMA))
    assert isinstance(found, Failure)
    assert "4111" not in found.message
    assert "secret" not in found.message


def test_a_request_that_asks_for_json_is_judged_without_a_rule() -> None:
    request = Request((Message("user", (Text("x"),)),), response_format="json")
    assert rejected("prose", None, request) == "not_json"
    assert accepted('{"a": 1}', None, request).json == {"a": 1}


@pytest.mark.parametrize("text", ["positive", "Positive.", ' "POSITIVE" ', "**positive**", "Sentiment: positive", "`positive`\n"])  # fmt: skip
def test_a_choice_is_recognised_through_its_wrapping(text: str) -> None:
    assert accepted(text, Validate(choices=("positive", "negative"))).text == "positive"


@pytest.mark.parametrize("text", ["not positive", "positive or negative", "neutral", "It is positive because"])
def test_what_only_mentions_a_choice_is_none(text: str) -> None:
    assert rejected(text, Validate(choices=("positive", "negative"))) == "choices"
    assert choose(text, ("positive", "negative")) is None


def test_a_pattern_is_searched_for() -> None:
    assert accepted("Ticket ABC-12", Validate(matches=r"[A-Z]+-\d+")).text == "Ticket ABC-12"
    assert rejected("Ticket abc", Validate(matches=r"[A-Z]+-\d+")) == "matches"


@pytest.mark.parametrize(
    "text",
    ["I'm sorry, but I can't help with that.", "I can’t do this", "As an AI model, I ...", "Es tut mir leid, aber das geht nicht.", "Unfortunately, I am unable to open links."],
)  # fmt: skip
def test_a_refusal_is_known_by_its_first_words(text: str) -> None:
    assert rejected(text, Validate(not_refusal=True)) == "refusal"
    assert accepted(text).text == text


@pytest.mark.parametrize("text", ["We open at nine.", "x" * 200 + " he said: I can't help you", "Yes, I can."])
def test_an_answer_is_no_refusal(text: str) -> None:
    assert not refuses(said(text))


def test_a_declared_refusal_needs_no_marker() -> None:
    assert refuses(said("Hm.", stop=StopReason.REFUSAL))


def call(name: str, **more: Any) -> Reply:
    return Reply((ToolUse("t", name, {}, **more),), "m", StopReason.TOOL_USE)


def test_a_call_of_an_offered_tool_is_an_answer_without_words() -> None:
    request = Request((), tools=(Tool("search", "", {}),))
    accepted(call("search"), JSON, request)
    assert rejected(call("delete"), None, request) == "unknown_tool"
    assert rejected(call("search", broken='{"q": '), None, request) == "tool_input"
    assert rejected(call("search")) == "unknown_tool"


def test_only_a_route_that_judges_the_whole_holds_a_stream_back() -> None:
    assert not demand(None, ask()).holds_back
    assert not demand(Validate(attempts=2), ask()).holds_back
    assert demand(Validate(not_refusal=True), ask()).holds_back
    assert demand(JSON, ask()).holds_back


def test_readings_are_lazy() -> None:
    assert next(iter(readings('{"a": 1}'))).value == {"a": 1}


def test_a_model_that_says_it_does_not_know_is_no_answer_where_refusals_are_none() -> None:
    assert rejected("I'm not sure, but it may be nine.", Validate(not_refusal=True)) == "unsure"
    assert accepted("I'm not sure, but it may be nine.").text


def test_the_answer_inside_json_is_what_choices_and_markers_speak_of() -> None:
    rules = Validate(format="json", choices=("refund", "delivery"), not_refusal=True)
    assert accepted('{"reasoning": "...", "label": "Refund"}', rules).json == {"reasoning": "...", "label": "Refund"}
    assert rejected('{"reasoning": "...", "label": "praise"}', rules) == "choices"
    assert rejected('{"answer": "I cannot tell you that."}', rules) == "refusal"


@pytest.mark.parametrize("text", ['{"a": "half \\ud83d"}', "half \ud83d of it"])
def test_half_an_emoji_in_a_reply_is_nothing_to_stumble_over(text: str) -> None:
    assert accepted(text, Validate(not_refusal=True, matches="half")).text
    assert accepted('{"a": "\\d \ud83d"}', JSON).json
    assert rejected(text, Validate(choices=("a",))) == "choices"


def test_a_line_break_inside_a_json_string_is_forgiven() -> None:
    assert accepted('{"a": "one\ntwo"}', JSON).json == {"a": "one\ntwo"}
    assert accepted('{"a": "\\(x\\)"}', JSON).json == {"a": "\\(x\\)"}
