"""The sandbox as a plugin, in process: scripted answers and faults under any provider's name, without a socket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from hroute.providers.outcomes import failure as vendor_failure
from hroute.providers.outcomes import outcome_of
from hroute.providers.protocol import Capabilities, Permit, ProviderError, Target
from hroute.providers.sandbox.play import Cut, Pause, Play, Rejection, Scene
from hroute.providers.sandbox.script import FaultKind, Script
from hroute.terms.message import Done, Event, Reply, Request
from hroute.terms.outcome import Failure, Outcome

OUTCOMES: Final = {
    FaultKind.BAD_REQUEST: Outcome.CALLER_FAULT,
    FaultKind.TOO_LONG: Outcome.CAPABILITY,
    FaultKind.UNAUTHORIZED: Outcome.CREDENTIAL,
    FaultKind.NO_CREDIT: Outcome.CREDENTIAL,
    FaultKind.FORBIDDEN: Outcome.CREDENTIAL,
    FaultKind.MODEL_GONE: Outcome.CREDENTIAL,
    FaultKind.RATE_LIMIT: Outcome.CAPACITY,
    FaultKind.SERVER_ERROR: Outcome.SERVER,
    FaultKind.UNAVAILABLE: Outcome.SERVER,
    FaultKind.OVERLOADED: Outcome.CAPACITY,
    FaultKind.DOWN: Outcome.TRANSPORT,
}
"""What becomes of a rejected call, as the real vendors' tables map the same answers (SEMANTICS 3.3)."""


class SandboxPlugin:
    """Plays `script` in process. `sleep` takes seconds; only a script that asks for latency makes it wait.

    Faults that are errors are raised as ProviderError; an empty, fenced, broken or declined reply comes back as the
    vendor would send it, for the caller to judge. A wait ends as a timeout where `target` allows no more.
    """

    name = "sandbox"
    capabilities = Capabilities(thinking=True, needs_key=False)

    def __init__(self, script: Script | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self.play = Play(script)
        self._sleep = sleep

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        return _last(list(self.stream(target, request, permit)))

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        permit.spend(target.name)
        return self._stream(target, request)

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        return _last([event async for event in self.astream(target, request, permit)])

    def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]:
        permit.spend(target.name)
        return self._astream(target, request)

    def _stream(self, target: Target, request: Request) -> Iterator[Event]:
        for step in self._steps(target, request):
            if isinstance(step, Pause):
                self._sleep(step.seconds)
            else:
                yield step

    async def _astream(self, target: Target, request: Request) -> AsyncIterator[Event]:
        for step in self._steps(target, request):
            if not isinstance(step, Pause):
                yield step
            elif self._sleep is time.sleep:
                import asyncio

                await asyncio.sleep(step.seconds)
            else:
                self._sleep(step.seconds)

    def _steps(self, target: Target, request: Request) -> Iterator[Pause | Event]:
        window = request.params.get("num_ctx", target.params.get("num_ctx"))
        scene = self.play.call(
            target.name, target.model, request, window=window if isinstance(window, int) and window > 0 else None
        )
        return within(target, scene)


def within(target: Target, scene: Scene) -> Iterator[Pause | Event]:
    """The steps of `scene` as far as `target`'s timeouts let them come. Raises ProviderError where it goes wrong."""
    spent, limit, name = 0.0, target.first_token, "first token"
    for step in scene.steps:
        match step:
            case Pause(seconds):
                allowed = min(limit - (spent if name == "first token" else 0.0), target.total - spent)
                if seconds >= allowed:
                    yield Pause(max(allowed, 0.0), step.why)
                    late = name if spent + allowed < target.total else "end of the reply"
                    raise ProviderError(Failure(Outcome.TIMEOUT, f"no {late} in time"))
                spent += seconds
                yield step
            case Rejection():
                raise ProviderError(failure(step))
            case Cut(clean):
                raise ProviderError(_cut_off(clean))
            case _:
                limit, name = target.idle, "further token"
                yield step


def failure(rejection: Rejection) -> Failure:
    """What a rejected call is to the router."""
    status = rejection.status or None
    if rejection.kind is FaultKind.ERROR:
        codes = (rejection.code,) if rejection.code else ()
        outcome = outcome_of((), status, codes, rejection.message)
        return vendor_failure(outcome, status, codes, _all_headers(rejection))
    return Failure(OUTCOMES[rejection.kind], rejection.message, status, str(rejection.kind), rejection.retry_after)


def _all_headers(rejection: Rejection) -> dict[str, str]:
    wait = {} if rejection.retry_after is None else {"retry-after": f"{rejection.retry_after:g}"}
    return {**wait, **rejection.headers}


def _cut_off(clean: bool) -> Failure:
    if clean:
        return Failure(Outcome.BAD_CONTENT, "[sandbox] the stream ended without its terminal event")
    return Failure(Outcome.TRANSPORT, "[sandbox] the connection was closed in the middle of the reply")


def _last(events: list[Event]) -> Reply:
    last = events[-1]
    assert isinstance(last, Done)
    return last.reply
