"""Two drivers of the ladder: they do what it says, wait where it says, and hand back what came of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from dataclasses import dataclass

from hroute.errors import HrouteError
from hroute.providers.protocol import Plugin
from hroute.router.attempts import Broken, Call, Commit, End, Load, Result, Step, Wait
from hroute.router.stream import aopen_stream, apass_on, failure_of, open_stream, pass_on
from hroute.terms.clock import Clock
from hroute.terms.message import Event, Reply, Request
from hroute.terms.outcome import Failure, Outcome

Steps = Generator[Step, Result, End]
Send = Callable[[Call], Result]
ASend = Callable[[Call], Awaitable[Result]]
Plugins = Callable[[Call], Plugin]


@dataclass(slots=True)
class Ending:
    """Where the asynchronous stream driver leaves how the ladder ended (an async generator returns nothing)."""

    end: End = None


def sender(plugins: Plugins) -> Send:
    """How a Call is made synchronously. Whatever a plugin raises becomes a failure, save for a misused permit."""

    def send(call: Call) -> Result:
        plugin = plugins(call)
        try:
            if call.stream:
                return open_stream(plugin.stream(call.target, call.request, call.permit), _offered(call.request))
            return replied(plugin.send(call.target, call.request, call.permit))
        except Exception as error:
            return failure_of(error)

    return send


def asender(plugins: Plugins) -> ASend:
    """`sender` on an event loop."""

    async def send(call: Call) -> Result:
        plugin = plugins(call)
        try:
            if call.stream:
                return await aopen_stream(
                    plugin.astream(call.target, call.request, call.permit), _offered(call.request)
                )
            return replied(await plugin.asend(call.target, call.request, call.permit))
        except Exception as error:
            return failure_of(error)

    return send


def replied(result: object) -> Result:
    """What a plugin gave back, where it is a reply; else its defect is a failure like any other."""
    if isinstance(result, Reply):
        return result
    return Failure(Outcome.SERVER, f"the plugin gave back {type(result).__name__} and no reply", code="plugin")


def _offered(request: Request) -> frozenset[str]:
    return frozenset(tool.name for tool in request.tools)


def loaded(ready: Callable[[], None]) -> Failure | None:
    """Make a plugin ready, or say why it cannot be: its package is missing, say."""
    try:
        ready()
    except Exception as error:
        told = error.message if isinstance(error, HrouteError) else f"its plugin failed with {type(error).__name__}"
        return Failure(Outcome.CAPABILITY, told, code="plugin")
    return None


async def aloaded(ready: Callable[[], None]) -> Failure | None:
    """`loaded` in a thread: the other tasks of the loop go on while an SDK is imported."""
    from asyncio import to_thread

    return await to_thread(loaded, ready)


def drive(steps: Steps, send: Send, clock: Clock) -> End:
    """Run the ladder to its end."""
    driver = drive_stream(steps, send, clock)
    while True:
        try:
            next(driver)
        except StopIteration as stop:
            end: End = stop.value
            return end


async def adrive(steps: Steps, send: ASend, clock: Clock) -> End:
    """`drive` on an event loop."""
    ending = Ending()
    async for _ in adrive_stream(steps, send, clock, ending):
        pass
    return ending.end


def drive_stream(steps: Steps, send: Send, clock: Clock) -> Generator[Event, None, End]:
    """Run the ladder, yielding the events of the stream that commits (if one does). What is raised here, also the
    closing of this generator, is told to the ladder, so that it writes the attempt down."""
    result: Result = None
    try:
        step = next(steps)
        while True:
            try:
                match step:
                    case Load(ready):
                        result = loaded(ready)
                    case Wait(seconds, bell):
                        clock.sleep(seconds, bell)
                        result = None
                    case Call():
                        result = send(step)
                    case Commit(opened, model):
                        result = yield from pass_on(opened, model)
            except BaseException as error:
                steps.throw(error)
                raise
            step = steps.send(result)
    except StopIteration as stop:
        end: End = stop.value
        return end


async def adrive_stream(steps: Steps, send: ASend, clock: Clock, ending: Ending) -> AsyncGenerator[Event, None]:
    """`drive_stream` on an event loop; the end is left in `ending`."""
    result: Result = None
    try:
        step = next(steps)
        while True:
            try:
                match step:
                    case Load(ready):
                        result = await aloaded(ready)
                    case Wait(seconds, bell):
                        await clock.asleep(seconds, bell)
                        result = None
                    case Call():
                        result = await send(step)
                    case Commit(opened, model):
                        ended: list[Reply | Broken] = []
                        async with aclosing(apass_on(opened, model, ended)) as events:
                            async for event in events:
                                yield event
                        result = ended[0]
            except BaseException as error:
                steps.throw(error)
                raise
            step = steps.send(result)
    except StopIteration as stop:
        ending.end = stop.value
