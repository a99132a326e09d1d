"""The sandbox in process: what each fault becomes to a program, and that the same calls give the same answers."""

from __future__ import annotations

import asyncio
import json

import pytest

from hroute.errors import UsageError
from hroute.providers.protocol import Plugin, ProviderError, Target
from hroute.providers.sandbox.provider import SandboxPlugin
from hroute.providers.sandbox.script import Script
from hroute.terms.message import (
    Done,
    Event,
    Message,
    Reply,
    Request,
    StopReason,
    Text,
    TextDelta,
    ToolResult,
    ToolUse,
    ToolUseDelta,
    prompt,
)
from hroute.terms.outcome import Outcome


class OnePermit:
    """Good for one call to one provider."""

    def __init__(self, provider: str = "ollama") -> None:
        self.provider = provider
        self.spent = False

    def spend(self, provider: str) -> None:
        if self.spent or provider != self.provider:
            raise PermissionError(provider)
        self.spent = True


class Stage:
    """A sandbox with a clock that only adds up."""

    def __init__(self, data: dict[str, object] | None = None, **target: object) -> None:
        self.slept: list[float] = []
        self.plugin = SandboxPlugin(Script.from_data(data), self.slept.append)
        self.target = target

    def send(self, text: str | Request = "hello", name: str = "ollama", model: str = "m") -> Reply:
        request = prompt(text) if isinstance(text, str) else text
        return self.plugin.send(Target(name, model, **self.target), request, OnePermit(name))

    def fail(self, *args: object, **more: object) -> tuple[Outcome, int | None]:
        with pytest.raises(ProviderError) as caught:
            self.send(*args, **more)
        return caught.value.failure.outcome, caught.value.failure.status

    def watch(self, text: str = "why") -> tuple[list[Event], Outcome | None]:
        """What a stream gave, and what ended it."""
        events: list[Event] = []
        try:
            for event in self.plugin.stream(Target("p", "m", **self.target), prompt(text), OnePermit("p")):
                events.append(event)
        except ProviderError as error:
            return events, error.failure.outcome
        return events, None


def test_the_sandbox_is_a_plugin_that_needs_no_key():
    plugin: Plugin = SandboxPlugin()
    assert not plugin.capabilities.needs_key
    assert plugin.send(Target("any", "m"), prompt("Why is the sky blue?"), OnePermit("any")).text.startswith(
        "[sandbox]"
    )


def test_nothing_is_said_without_a_permit_for_this_provider_and_a_permit_serves_once():
    plugin, permit = SandboxPlugin(), OnePermit("ollama")
    with pytest.raises(PermissionError):
        plugin.stream(Target("claude", "m"), prompt("x"), permit)
    plugin.send(Target("ollama", "m"), prompt("x"), permit)
    with pytest.raises(PermissionError):
        plugin.send(Target("ollama", "m"), prompt("x"), permit)


def test_the_same_script_and_calls_give_the_same_answers_and_spend_no_time():
    data = {"faults": [{"kind": 500, "probability": 0.5}], "seed": 3}

    def run() -> list[object]:
        stage = Stage(data)
        seen: list[object] = []
        for n in range(40):
            try:
                seen.append(stage.send(f"question {n}"))
            except ProviderError as error:
                seen.append(error.failure)
        assert stage.slept == []
        return seen

    first = run()
    assert first == run()
    failed = sum(not isinstance(answer, Reply) for answer in first)
    assert 8 < failed < 32


def test_a_stream_adds_up_to_the_reply_that_ends_it():
    data = {"answers": [{"text": "one two three four five six", "tools": [{"name": "f", "input": {"a": [1, 2]}}]}]}
    stage = Stage(data)
    events = list(stage.plugin.stream(Target("p", "m"), prompt("go"), OnePermit("p")))
    done = events[-1]
    assert isinstance(done, Done)
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == done.reply.text
    assert json.loads("".join(e.json for e in events if isinstance(e, ToolUseDelta))) == {"a": [1, 2]}
    assert done.reply.stop is StopReason.TOOL_USE
    assert done.reply == stage.send("go", name="p") or done.reply.parts[0] == stage.send("go", name="p").parts[0]


def test_async_calls_go_the_same_way():
    async def both() -> tuple[Reply, list[object]]:
        plugin = SandboxPlugin(Script.from_data({"answers": [{"text": "yes"}]}))
        reply = await plugin.asend(Target("p", "m"), prompt("x"), OnePermit("p"))
        return reply, [e async for e in plugin.astream(Target("p", "m"), prompt("x"), OnePermit("p"))]

    reply, events = asyncio.run(both())
    assert reply.text == "yes"
    assert events == [TextDelta("yes"), Done(reply)]


@pytest.mark.parametrize(
    ("kind", "outcome", "status"),
    [
        ("bad_request", Outcome.CALLER_FAULT, 400),
        (400, Outcome.CALLER_FAULT, 400),
        ("too_long", Outcome.CAPABILITY, 400),
        (401, Outcome.CREDENTIAL, 401),
        (402, Outcome.CREDENTIAL, 402),
        (403, Outcome.CREDENTIAL, 403),
        ("model_gone", Outcome.CREDENTIAL, 404),
        ("rate_limit", Outcome.CAPACITY, 429),
        ("server_error", Outcome.SERVER, 500),
        ("unavailable", Outcome.SERVER, 503),
        (529, Outcome.CAPACITY, 529),
        ("down", Outcome.TRANSPORT, None),
    ],
)
def test_an_error_becomes_its_outcome(kind, outcome, status):
    assert Stage({"faults": [{"kind": kind}]}).fail() == (outcome, status)


def test_a_rate_limit_says_when_to_come_back():
    with pytest.raises(ProviderError) as caught:
        Stage({"faults": [{"kind": "rate_limit", "retry_after": "1500ms"}]}).send()
    assert caught.value.failure.retry_after == 1.5


def test_a_fault_strikes_only_where_and_when_its_scope_says():
    data = {"faults": [{"kind": 529, "provider": "claude_*", "model": "big", "after": 1, "first": 2}]}
    stage = Stage(data)

    def struck(name: str, model: str) -> bool:
        try:
            stage.send("x", name=name, model=model)
        except ProviderError:
            return True
        return False

    assert not struck("ollama", "big")
    assert not struck("claude_sonnet", "small")
    assert [struck("claude_sonnet", "big") for _ in range(4)] == [False, True, True, False]


def test_every_kth_call_is_the_kth():
    stage = Stage({"faults": [{"kind": 500, "every": 3}]})
    outcomes = []
    for _ in range(6):
        try:
            stage.send()
            outcomes.append("ok")
        except ProviderError:
            outcomes.append("500")
    assert outcomes == ["ok", "ok", "500"] * 2


def test_a_slow_first_token_is_waited_for_or_becomes_a_timeout():
    data = {"faults": [{"kind": "slow", "for": "8s"}]}
    patient = Stage(data, first_token=10.0)
    patient.send()
    assert patient.slept == [8.0]
    hasty = Stage(data, first_token=3.0)
    assert hasty.fail() == (Outcome.TIMEOUT, None)
    assert hasty.slept == [3.0]


def test_waits_before_the_first_token_add_up():
    data = {"faults": [{"kind": "slow", "for": 2}, {"kind": "load", "for": 2}]}
    assert Stage(data, first_token=3.0).fail() == (Outcome.TIMEOUT, None)
    assert Stage(data, first_token=5.0).send().load_ms == 2000


def test_a_stall_shows_what_came_and_then_times_out():
    stage = Stage({"faults": [{"kind": "stall", "for": "60s"}]}, idle=5.0)
    events, outcome = stage.watch()
    assert events
    assert outcome is Outcome.TIMEOUT
    assert stage.slept == [5.0]


def test_the_total_limit_ends_a_call_that_keeps_every_other():
    data = {"faults": [{"kind": "slow", "for": 4}, {"kind": "stall", "for": 4}]}
    assert Stage(data, first_token=5.0, idle=5.0, total=6.0).fail() == (Outcome.TIMEOUT, None)


def test_a_cut_stream_ends_in_the_middle():
    stage = Stage({"faults": [{"kind": "cut", "at": 0.5}]})
    events, outcome = stage.watch()
    assert events
    assert not any(isinstance(e, Done) for e in events)
    assert outcome is Outcome.TRANSPORT


def test_a_stream_that_ends_properly_without_its_end_is_bad_content():
    assert Stage({"faults": [{"kind": "cut", "clean": True}]}).fail() == (Outcome.BAD_CONTENT, None)


def test_content_faults_come_back_as_the_vendor_would_send_them():
    as_json = {"answers": [{"json": {"label": "complaint", "score": 3}}]}
    assert Stage({"faults": [{"kind": "empty"}]}).send().parts == ()
    fenced = Stage(as_json | {"faults": [{"kind": "fenced_json"}]}).send().text
    assert "```json" in fenced
    assert json.loads(fenced.split("```json")[1].split("```")[0]) == {"label": "complaint", "score": 3}
    broken = Stage(as_json | {"faults": [{"kind": "broken_json"}]}).send().text
    with pytest.raises(ValueError, match=r"."):
        json.loads(broken)
    assert "can't help" in Stage({"faults": [{"kind": "refusal"}]}).send().text
    assert Stage({"faults": [{"kind": "refusal", "declared": True}]}).send().stop is StopReason.REFUSAL


def test_latencies_follow_their_distribution_and_their_seed():
    data = {"faults": [{"kind": "latency", "median": "800ms", "p95": "4s"}], "seed": 1}
    stage, again = Stage(data), Stage(data)
    for _ in range(400):
        stage.send()
        again.send()
    assert stage.slept == again.slept
    drawn = sorted(stage.slept)
    assert 0.65 < drawn[200] < 0.95
    assert 2.5 < drawn[380] < 6.0


def test_given_latencies_come_in_turn():
    stage = Stage({"faults": [{"kind": "latency", "values": [1, "2s"]}]})
    for _ in range(3):
        stage.send()
    assert stage.slept == [1.0, 2.0, 1.0]


def test_a_model_is_loaded_once_and_again_when_its_window_changes():
    stage = Stage({"faults": [{"kind": "load", "for": "5s"}]})
    loads = [stage.send(prompt("x", params={"num_ctx": n})).load_ms for n in (4096, 4096, 8192)]
    assert loads == [5000, 0, 5000]
    assert stage.slept == [5.0, 5.0]


def test_a_prompt_that_does_not_fit_is_cut_without_a_word():
    data = {
        "answers": [{"prompt": "the code is 4711", "text": "4711"}],
        "faults": [{"kind": "context", "tokens": 500}],
    }
    fits = prompt("What is it? " * 10, files=(("a.txt", "the code is 4711"),))
    long = prompt("What is it? " * 400, files=(("a.txt", "the code is 4711"),))
    stage = Stage(data)
    assert stage.send(fits).text == "4711"
    lost = stage.send(long)
    assert "4711" not in lost.text
    assert lost.usage.input <= 500
    assert stage.send(Request(long.messages, files=long.files, params={"num_ctx": 8192})).text == "4711"


def test_a_schema_is_answered_by_an_instance_of_it():
    import jsonschema

    schema = {
        "type": "object",
        "properties": {
            "label": {"enum": ["praise", "complaint"]},
            "amount": {"type": "number", "minimum": 3},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2},
            "when": {"type": "string", "format": "date"},
        },
        "required": ["label", "amount", "tags"],
        "$defs": {"tag": {"type": "string", "minLength": 3, "maxLength": 5}},
    }
    request = prompt("Is this a complaint?", response_format="json_schema", json_schema=schema)
    answer = json.loads(Stage().send(request).text)
    jsonschema.validate(answer, schema)
    assert answer["label"] == "complaint"


def test_a_recursive_schema_ends():
    schema = {"type": "object", "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}}
    assert json.loads(Stage().send(prompt("x", response_format="json_schema", json_schema=schema)).text)["name"]


def test_scripted_answers_are_chosen_in_order_and_given_in_turn():
    stage = Stage(
        {
            "answers": [
                {
                    "message": {"any_of": ["opening hours"], "unless": ["holiday"]},
                    "provider": "ollama",
                    "texts": ["9", "10"],
                },
                {"text": "else"},
            ]
        }
    )
    assert [stage.send("Your opening hours?").text for _ in range(3)] == ["9", "10", "9"]
    assert stage.send("Your opening hours on a holiday?").text == "else"
    assert stage.send("Your opening hours?", name="claude").text == "else"


def test_max_tokens_shortens_the_answer_and_says_so():
    reply = Stage({"answers": [{"text": "word " * 100}]}).send(prompt("x", max_tokens=5))
    assert reply.stop is StopReason.LENGTH
    assert len(reply.text) == 20


def test_the_default_answer_quotes_nothing_of_the_prompt():
    reply = Stage().send("canary-5150 please")
    assert "canary" not in reply.text


def test_after_a_tool_result_the_default_answer_ends_the_loop():
    turns = (
        Message("user", (Text("check it"),)),
        Message("assistant", (ToolUse("1", "f", {}),)),
        Message("user", (ToolResult("1", "ok"),)),
    )
    assert Stage().send(Request(turns)).stop is StopReason.END


@pytest.mark.parametrize(
    ("data", "where", "help"),
    [
        ({"fautls": []}, "script", "did you mean `faults`?"),
        ({"faults": [{"kind": "overloded"}]}, "faults[0].kind", "did you mean `overloaded`?"),
        ({"faults": [{"kind": 418}]}, "faults[0].kind", "known here"),
        ({"faults": [{"kind": 500, "for": 3}]}, "faults[0]", ""),
        ({"faults": [{"kind": "slow", "for": "long"}]}, "faults[0].for", "8s"),
        ({"faults": [{"kind": "slow", "for": True}]}, "faults[0].for", "8s"),
        ({"faults": [{"kind": 500, "every": 0}]}, "faults[0].every", ""),
        ({"faults": [{"kind": 500, "probability": 2}]}, "faults[0].probability", ""),
        ({"faults": [{"kind": "latency"}]}, "faults[0]", ""),
        ({"faults": "all"}, "faults", ""),
        ({"answers": [{"message": "x"}]}, "answers[0]", "`text`"),
        ({"answers": [{"message": {"matches": ["("]}, "text": "x"}]}, "answers[0].message.matches", "RE2"),
        ({"answers": [{"text": 5}]}, "answers[0].text", "quote it"),
        ([1], "script", ""),
    ],
)
def test_a_mistake_in_a_script_is_named_with_its_place(data, where, help):
    with pytest.raises(UsageError) as caught:
        Script.from_data(data)
    assert caught.value.message.startswith(where)
    assert help in (caught.value.help or "")


def test_a_reset_forgets_what_was_counted_and_added():
    stage = Stage({"faults": [{"kind": 500, "first": 1}]})
    assert stage.fail()[1] == 500
    stage.plugin.play.add(Script.from_data({"faults": [{"kind": 401}]}).faults)
    assert stage.fail()[1] == 401
    stage.plugin.play.reset()
    assert stage.fail()[1] == 500
    assert stage.send().text
