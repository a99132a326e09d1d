"""A stream falls back before its first word, is never spliced after it, and its missing end is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hroute.router import egress
from hroute.router.attempts import Accepted, Broken, End, Log, Terms, attempts
from hroute.router.drive import Ending, adrive_stream, asender, drive_stream, sender
from hroute.router.egress import Guard
from hroute.router.validate import demand, judge
from hroute.terms.message import (
    Done,
    Event,
    Reply,
    StopReason,
    Text,
    TextDelta,
    ThinkingDelta,
    Tool,
    ToolUse,
    ToolUseDelta,
)
from hroute.terms.outcome import Outcome
from tests.router.stage import FakePlugin, ask, failing, policy, provider, rule, said
from tests.router.test_attempts import planned

AB = policy([provider("a"), provider("b")], rule(["a", "b"]))
CUT: list[Any] = [TextDelta("one "), TextDelta("two"), failing(Outcome.TRANSPORT)]


def terms(fake: FakePlugin, log: Log) -> Any:
    guard = Guard(AB, lambda _: False)
    asked = replace(ask(), tools=tuple(Tool(name, "", {}) for name in ("search", "go", "stop")))
    wanted = demand(None, asked)
    return attempts(
        planned(AB, guard),
        Terms(
            request_for=lambda _: asked,
            permit=lambda c: egress.permit(guard, c.provider, c.where),
            judge=lambda reply: judge(reply, wanted),
            deadline=60,
            clock=fake.clock,
            rng=lambda: 0.5,
            stream=True,
        ),
        log,
    )


def play(fake: FakePlugin, how: str) -> tuple[list[Event], End, Log]:
    log = Log()
    events: list[Event] = []
    if how == "sync":
        driver = drive_stream(terms(fake, log), sender(lambda _: fake), fake.clock)
        while True:
            try:
                events.append(next(driver))
            except StopIteration as stop:
                return events, stop.value, log
    ending = Ending()

    async def main() -> None:
        async for event in adrive_stream(terms(fake, log), asender(lambda _: fake), fake.clock, ending):
            events.append(event)

    asyncio.run(main())
    return events, ending.end, log


both = pytest.mark.parametrize("how", ["sync", "async"])


def words(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, TextDelta))


@both
def test_events_are_passed_on_and_the_reply_is_whole(how: str) -> None:
    events, end, log = play(FakePlugin({"a": [said("so it is")]}), how)
    assert words(events).strip() == "so it is"
    assert isinstance(end, Accepted)
    assert end.reply.text == "so it is"
    assert log.attempts[0].first_token_ms is not None


@both
def test_before_the_first_word_a_failure_falls_back_silently(how: str) -> None:
    silent = [ThinkingDelta(""), TextDelta(""), failing(Outcome.SERVER)]
    fake = FakePlugin({"a": [silent, failing(Outcome.SERVER)]}, otherwise=said("from b"))
    events, end, _ = play(fake, how)
    assert fake.called == ["a", "a", "b"]
    assert words(events).strip() == "from b"
    assert isinstance(end, Accepted)


@both
def test_after_the_first_word_nothing_is_spliced(how: str) -> None:
    fake = FakePlugin({"a": [CUT]})
    events, end, log = play(fake, how)
    assert fake.called == ["a"]
    assert words(events) == "one two"
    assert isinstance(end, Broken)
    assert end.reply.stop is StopReason.TRUNCATED
    assert end.reply.text == "one two"
    assert [a.outcome for a in log.attempts] == [Outcome.TRANSPORT]


@both
def test_an_end_without_the_terminal_event_is_a_failure(how: str) -> None:
    _, end, _ = play(FakePlugin({"a": [[TextDelta("half a sen")]]}), how)
    assert isinstance(end, Broken)
    fake = FakePlugin({"a": [[], []]}, otherwise=said("b"))
    assert isinstance(play(fake, how)[1], Accepted)
    assert fake.called == ["a", "a", "b"]


@both
def test_an_empty_reply_falls_back_as_bad_content(how: str) -> None:
    fake = FakePlugin({"a": [[Done(said(""))], [Done(said(""))]]}, otherwise=said("b"))
    _, _, log = play(fake, how)
    assert [a.outcome for a in log.attempts] == [Outcome.BAD_CONTENT, Outcome.BAD_CONTENT, Outcome.OK]


@both
def test_a_stream_that_begins_with_a_tool_that_was_not_offered_is_not_committed(how: str) -> None:
    fake = FakePlugin({"a": [[ToolUseDelta(0, "t0", "format_disk", "{}"), Done(said())]] * 2})
    events, end, log = play(fake, how)
    assert isinstance(end, Accepted)
    assert [a.outcome for a in log.attempts] == [Outcome.BAD_CONTENT, Outcome.BAD_CONTENT, Outcome.OK]
    assert not any(isinstance(event, ToolUseDelta) for event in events)
    assert fake.closed == ["a", "a", "b"]


@both
def test_thinking_and_tool_calls_commit_as_words_do(how: str) -> None:
    for first in (ThinkingDelta("hm"), ToolUseDelta(0, "t1", "search")):
        fake = FakePlugin({"a": [[first, failing(Outcome.SERVER)]]})
        assert isinstance(play(fake, how)[1], Broken)
        assert fake.called == ["a"]


@both
def test_a_half_written_tool_call_is_marked_as_broken(how: str) -> None:
    whole = [ToolUseDelta(0, "t0", "go", '{"x":'), ToolUseDelta(0, json=" 1}"), ToolUseDelta(1, "t1", "stop", '{"y"')]
    _, end, _ = play(FakePlugin({"a": [[*whole, failing(Outcome.TRANSPORT)]]}), how)
    assert isinstance(end, Broken)
    calls = [p for p in end.reply.parts if isinstance(p, ToolUse)]
    assert [(c.id, c.name, dict(c.input), bool(c.broken)) for c in calls] == [
        ("t0", "go", {"x": 1}, False),
        ("t1", "stop", {}, True),
    ]


@both
def test_a_plugin_that_breaks_in_mid_stream_is_told_like_any_break(how: str) -> None:
    _, end, _ = play(FakePlugin({"a": [[TextDelta("x"), ValueError("prompt text")]]}), how)
    assert isinstance(end, Broken)
    assert "prompt" not in end.failure.message


def test_closing_the_stream_hangs_up_and_is_written_down() -> None:
    fake, log = FakePlugin({"a": [[TextDelta("x"), TextDelta("y"), Done(Reply((Text("xy"),), "m"))]]}), Log()
    driver = drive_stream(terms(fake, log), sender(lambda _: fake), fake.clock)
    next(driver)
    assert fake.closed == []
    driver.close()
    assert fake.closed == ["a"]
    assert [a.outcome for a in log.attempts] == [Outcome.CANCELLED]


def test_closing_an_asynchronous_stream_hangs_up_too() -> None:
    fake, log = FakePlugin({"a": [[TextDelta("x"), TextDelta("y"), Done(Reply((Text("xy"),), "m"))]]}), Log()

    async def main() -> None:
        driver = adrive_stream(terms(fake, log), asender(lambda _: fake), fake.clock, Ending())
        await anext(driver)
        await driver.aclose()

    asyncio.run(main())
    assert fake.closed == ["a"]
    assert [a.outcome for a in log.attempts] == [Outcome.CANCELLED]
