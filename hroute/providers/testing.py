"""A conformance suite for any plugin: what the router relies on, as checks that a test parametrizes over.

    from hroute.providers import testing

    @pytest.mark.parametrize("check", testing.CHECKS, ids=testing.name_of)
    def test_my_plugin_conforms(check):
        with my_stage() as stage:
            check(MyPlugin(), stage)

A `Stage` puts a server (or an engine) behind the plugin and makes it fail on demand; `hroute.providers.sandbox.stage.Served`
is one for the wires of Anthropic, OpenAI and Ollama (docs/plugins.md has a whole example). Every check works in both worlds: it runs the synchronous and the asynchronous way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from hroute.providers.calling import (
    STREAMS,
    WAYS,
    Way,
    hang_up,
    one_asend,
    one_astream,
    one_send,
    one_stream,
    run,
    ways_of,
)
from hroute.providers.calling import Leave as Leave
from hroute.providers.protocol import Capabilities, Plugin, ProviderError, Target
from hroute.terms.message import Done, Event, Message, Reply, Request, Text, TextDelta, Tool, ToolResult, ToolUse
from hroute.terms.outcome import Failure, Outcome

CANARY: Final = "canary-7f3a"
"""Stands in every prompt of the suite; it must never show in a failure."""


class Stage(Protocol):
    """What a test author provides: a target that the plugin can call, and control over what happens there."""

    def target(self) -> Target:
        """Where the plugin is to send; its `api_key` must never show in a failure."""

    def fails(self, fault: str, **details: Any) -> None:
        """From now on calls end with `fault`, as scripts of the sandbox name it (`rate_limit`, `down`, `cut`, ...)."""

    def says(self, text: str = "", tools: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        """From now on the model answers this."""

    def calls(self) -> int:
        """How many requests have arrived."""


Check = Callable[[Plugin, Stage], None]

FAULTS: Final[dict[str, Outcome]] = {
    "bad_request": Outcome.CALLER_FAULT,
    "too_long": Outcome.CAPABILITY,
    "unauthorized": Outcome.CREDENTIAL,
    "no_credit": Outcome.CREDENTIAL,
    "forbidden": Outcome.CREDENTIAL,
    "model_gone": Outcome.CREDENTIAL,
    "rate_limit": Outcome.CAPACITY,
    "overloaded": Outcome.CAPACITY,
    "server_error": Outcome.SERVER,
    "unavailable": Outcome.SERVER,
    "down": Outcome.TRANSPORT,
}
"""What a plugin makes of the errors that every vendor has (SEMANTICS 3.3)."""


def request(text: str = f"Say hello, {CANARY}.", **more: Any) -> Request:
    return Request((Message("user", (Text(text),)),), **{"max_tokens": 200, **more})


def check_it_says_what_it_is(plugin: Plugin, stage: Stage) -> None:
    assert plugin.name, "a plugin has a name"
    assert isinstance(plugin.capabilities, Capabilities), "a plugin says what it can carry"
    options = plugin.capabilities.options
    assert options is None or options.get("additionalProperties") is False, "options are described by a closed schema"


def check_a_reply_is_whole(plugin: Plugin, stage: Stage) -> None:
    stage.says("Hello from here.")
    for reply in (_send(plugin, stage), _asend(plugin, stage)):
        assert "Hello from here." in reply.text, "the text of the reply"
        assert reply.model, "the model that served"
        assert reply.usage.output > 0, "output tokens are counted"
        assert reply.usage.input > 0, "input tokens are counted"


def check_a_stream_adds_up_to_its_reply(plugin: Plugin, stage: Stage) -> None:
    if not plugin.capabilities.stream:
        return
    stage.says("One two three four five six seven eight.")
    for events in (_stream(plugin, stage), _astream(plugin, stage)):
        last = events[-1]
        assert isinstance(last, Done), "a stream ends with Done"
        pieces = [event.text for event in events if isinstance(event, TextDelta)]
        assert "".join(pieces) == last.reply.text, "the pieces are the reply"
        assert "seven eight" in last.reply.text
        assert last.reply.usage.output > 0


def check_nothing_is_sent_without_a_permit(plugin: Plugin, stage: Stage) -> None:
    target = stage.target()
    before = stage.calls()
    for call in WAYS:
        denied = Leave(target.name, denied=True)
        try:
            call(plugin, target, request(), denied)
        except PermissionError:
            pass
        except ProviderError as error:
            raise AssertionError("a refused permit must not be turned into a failure of the provider") from error
        else:
            raise AssertionError("sent without a permit")
        assert denied.spent == 1, "the permit is spent before anything else happens"
    assert stage.calls() == before, "a byte left without a permit"


def check_a_permit_is_spent_exactly_once(plugin: Plugin, stage: Stage) -> None:
    target = stage.target()
    for call in WAYS:
        leave = Leave(target.name)
        call(plugin, target, request(), leave)
        assert leave.spent == 1


def check_every_error_has_its_outcome(plugin: Plugin, stage: Stage) -> None:
    for fault, outcome in FAULTS.items():
        stage.fails(fault)
        for failure in _failures(plugin, stage):
            assert failure.outcome is outcome, f"{fault} became {failure.outcome}, not {outcome}"


def check_a_failure_quotes_nothing(plugin: Plugin, stage: Stage) -> None:
    key = stage.target().api_key
    for fault in (*FAULTS, "cut"):
        stage.fails(fault)
        for failure in _failures(plugin, stage, also_ok=True):
            shown = f"{failure!r} {failure.message}"
            assert CANARY not in shown, f"{fault} quotes the prompt"
            assert not key or key not in shown, f"{fault} shows the key"


def check_retry_after_is_read(plugin: Plugin, stage: Stage) -> None:
    stage.fails("rate_limit", retry_after=7)
    for failure in _failures(plugin, stage):
        assert failure.retry_after is not None, "how long the vendor asks to wait is told"
        assert 5 <= failure.retry_after <= 7, "seconds, as the vendor asked"


def check_a_late_first_token_is_a_timeout(plugin: Plugin, stage: Stage) -> None:
    stage.fails("slow", **{"for": 5})
    impatient = replace(stage.target(), first_token=0.3, total=0.6)
    for failure in _failures(plugin, stage, impatient):
        assert failure.outcome is Outcome.TIMEOUT


def check_an_asynchronous_call_leaves_the_loop_free(plugin: Plugin, stage: Stage) -> None:
    stage.fails("slow", **{"for": 1})
    target = stage.target()

    async def main() -> tuple[float, float]:
        from asyncio import create_task, gather, get_running_loop, sleep

        now = get_running_loop().time
        started = last = now()
        longest = 0.0
        call = create_task(plugin.asend(target, request(), Leave(target.name)))
        while not call.done():
            await sleep(0.01)
            longest, last = max(longest, now() - last), now()
        await gather(call, return_exceptions=True)
        await hang_up(plugin)
        return longest, last - started

    longest, whole = run(main())
    assert whole < 0.5 or longest < 0.7 * whole, "no other task of the event loop runs while it waits"


def check_a_cancelled_call_ends(plugin: Plugin, stage: Stage) -> None:
    stage.fails("slow", **{"for": 60})
    target = replace(stage.target(), first_token=60.0, idle=60.0, total=60.0)

    async def main() -> bool:
        from asyncio import create_task, sleep, wait

        call = create_task(plugin.asend(target, request(), Leave(target.name)))
        await sleep(0.2)
        was_waiting = call.cancel()
        await wait((call,), timeout=20.0)
        await hang_up(plugin)
        return call.cancelled() or not was_waiting

    assert run(main()), "a cancellation is passed on at once, not made a failure of the provider"


def check_a_stall_in_mid_stream_is_a_timeout(plugin: Plugin, stage: Stage) -> None:
    if not plugin.capabilities.stream:
        return
    stage.says("One two three four five six seven eight nine ten eleven twelve.")
    stage.fails("stall", **{"for": 5, "at": 0.5})
    impatient = replace(stage.target(), idle=0.3, first_token=2.0)
    for failure in _failures(plugin, stage, impatient, ways=STREAMS):
        assert failure.outcome is Outcome.TIMEOUT


def check_a_cut_stream_is_a_failure(plugin: Plugin, stage: Stage) -> None:
    if not plugin.capabilities.stream:
        return
    stage.says("One two three four five six seven eight nine ten eleven twelve.")
    for clean in (False, True):
        stage.fails("cut", clean=clean, at=0.6)
        for failure in _failures(plugin, stage, ways=STREAMS):
            assert failure.outcome in (Outcome.TRANSPORT, Outcome.BAD_CONTENT)


def check_a_tool_call_comes_back(plugin: Plugin, stage: Stage) -> None:
    if not plugin.capabilities.tools:
        return
    stage.says(tools=[("get_weather", {"city": "Kyiv"})])
    offered = Tool(
        "get_weather", "The weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}}
    )
    for reply in _replies(plugin, stage, request(tools=(offered,))):
        calls = [part for part in reply.parts if isinstance(part, ToolUse)]
        assert [(c.name, dict(c.input), c.broken) for c in calls] == [("get_weather", {"city": "Kyiv"}, "")]
        assert calls[0].id, "a call has an id"


def check_a_tool_result_is_taken(plugin: Plugin, stage: Stage) -> None:
    if not plugin.capabilities.tools:
        return
    stage.says("It is warm.")
    offered = Tool("get_weather", "", {"type": "object"})
    turns = (
        Message("user", (Text("Weather?"),)),
        Message("assistant", (ToolUse("call_1", "get_weather", {"city": "Kyiv"}),)),
        Message("user", (ToolResult("call_1", "21 degrees"),)),
    )
    for reply in _replies(plugin, stage, Request(turns, tools=(offered,), max_tokens=100)):
        assert "It is warm." in reply.text


def check_an_unknown_parameter_is_refused_by_name(plugin: Plugin, stage: Stage) -> None:
    before = stage.calls()
    for failure in _failures(plugin, stage, sent=request(params={"no_such_knob": 1})):
        assert failure.outcome is Outcome.CAPABILITY
        assert "no_such_knob" in failure.message
        assert plugin.name in failure.message
    assert stage.calls() == before


CHECKS: Final[tuple[Check, ...]] = tuple(value for key, value in list(globals().items()) if key.startswith("check_"))
"""Every check, in the order above."""


def name_of(check: Check) -> str:
    """A check's name for a test report."""
    return check.__name__.removeprefix("check_")


def _send(plugin: Plugin, stage: Stage) -> Reply:
    return one_send(plugin, stage.target(), request(), Leave(stage.target().name))


def _asend(plugin: Plugin, stage: Stage) -> Reply:
    return one_asend(plugin, stage.target(), request(), Leave(stage.target().name))


def _stream(plugin: Plugin, stage: Stage) -> list[Event]:
    return one_stream(plugin, stage.target(), request(), Leave(stage.target().name))


def _astream(plugin: Plugin, stage: Stage) -> list[Event]:
    return one_astream(plugin, stage.target(), request(), Leave(stage.target().name))


def _replies(plugin: Plugin, stage: Stage, sent: Request) -> list[Reply]:
    found = [way(plugin, stage.target(), sent, Leave(stage.target().name)) for way in ways_of(plugin)]
    return [item if isinstance(item, Reply) else item[-1].reply for item in found]


def _failures(
    plugin: Plugin,
    stage: Stage,
    target: Target | None = None,
    *,
    sent: Request | None = None,
    ways: Sequence[Way] | None = None,
    also_ok: bool = False,
) -> list[Failure]:
    """How each way of calling fails. A way that does not is an error, unless `also_ok`."""
    failures = []
    at = target or stage.target()
    for way in ways or ways_of(plugin):
        raised: ProviderError | None = None
        try:
            way(plugin, at, sent or request(), Leave(at.name))
        except ProviderError as error:
            raised = error
        if raised is None:
            assert also_ok, f"{way.__name__.removeprefix('_one_way_')} did not fail"
            continue
        assert raised.__cause__ is None, "the vendor's own error, which may quote the prompt, hangs on the failure"
        failures.append(raised.failure)
    return failures
