"""One request from its door to its answer: decided, driven down the ladder, and written in the client's dialect."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from hroute.errors import HrouteError
from hroute.gateway.asked import PREFIX, Asked
from hroute.gateway.doors import Named, Writer
from hroute.gateway.outgoing import written
from hroute.gateway.passing import Passed, Stream
from hroute.gateway.refusals import Refusal, refusal_of
from hroute.gateway.responder import Responder
from hroute.gateway.upstream import Seen, Whole
from hroute.providers.forward import Headers
from hroute.router.answer import Answer
from hroute.router.attempts import Accepted, Broken, Call, Commit, End, Load, Result, Wait
from hroute.router.engine import Engine, Run
from hroute.router.stream import as_events
from hroute.terms.message import Done, Reply, StopReason, Text, ToolUse
from hroute.wire.openai_responses_stream import Writer as ResponsesWriter

SSE = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"), ("x-accel-buffering", "no"))
JSON = (("content-type", "application/json"),)


class Caller(Protocol):
    """Who makes the calls of a request. `transparent`: the client gets what the upstream says and nothing else."""

    seen: Seen
    transparent: bool

    async def send(self, call: Call) -> Result: ...

    def close(self) -> None: ...


class Exchange:
    """`run` on its way: makes its calls, passes its stream on, and ends it with an answer or a refusal."""

    def __init__(self, engine: Engine, run: Run, asked: Asked, upstream: Caller, responder: Responder) -> None:
        self.engine = engine
        self.run = run
        self.asked = asked
        self.upstream = upstream
        self.responder = responder
        self._call: Call | None = None

    async def go(self) -> Answer:
        """Answer the client. Raises the RequestError that the request ended with, after telling the client."""
        try:
            end = await self._drive()
        finally:
            self.upstream.close()
        try:
            answer = self.engine.settle(self.run, end)
        except HrouteError as error:
            if not self.responder.begun:
                await self._refuse(error)
            raise
        if not self.responder.begun and isinstance(end, Accepted):
            await self._answer(end, answer)
        return answer

    async def _drive(self) -> End:
        """Do what the ladder says, as `router.drive` does, with streams that are bytes."""
        steps, result = self.run.steps, None
        try:
            step = next(steps)
            while True:
                try:
                    result = await self._do(step)
                except BaseException as error:
                    steps.throw(error)
                    raise
                step = steps.send(result)
        except StopIteration as stop:
            end: End = stop.value
            return end

    async def _do(self, step: Any) -> Result:
        match step:
            case Call():
                self._call = step
                return await self.upstream.send(step)
            case Commit(opened, model):
                return await self._pass_on(opened.rest, model)
            case Wait(seconds, bell):
                await self.engine.clock.asleep(seconds, bell)
            case Load():
                pass  # the raw wire needs no SDK; a plugin without one is made ready where it is called
        return None

    async def _pass_on(self, stream: Stream, model: str) -> Reply | Broken:
        """The stream to the client, to its end; what breaks it is told in its dialect."""
        writer = self._writer(model)
        back = self.upstream.seen.headers or SSE
        await self.responder.start(200, (*back, *self._marks(model)))
        async for piece in stream.pieces(writer.write):
            await self.responder.piece(piece)
        if isinstance(stream.reply, Broken):
            if stream.cut:
                return stream.reply  # an answer without an end: the server closes the connection
            if not stream.told:
                await self.responder.piece(self._failing(stream, writer, stream.reply))
        await self.responder.end()
        return stream.reply

    def _failing(self, stream: Stream, writer: Writer, broken: Broken) -> bytes:
        """The error that ends a stream which has begun."""
        if isinstance(stream, Passed) and self.asked.door.dialect == "openai_responses":
            writer = ResponsesWriter("", number=_last_number(stream.last))
        provider = self._call.candidate.name if self._call else ""
        said = f"hroute: {provider} broke off in the middle of its answer: {broken.failure.message}"
        return writer.fail(500, "", said)

    async def _answer(self, accepted: Accepted, answer: Answer) -> None:
        """A reply that is whole: as it came where that is what the client asked for, else in its dialect."""
        model = answer.actual_model or self.upstream.seen.model
        last = self.run.log.attempts[-1]
        whole = self.upstream.seen.whole if last.role == "answer" else None  # else it is what a second model has said
        cost = () if answer.cost_usd is None else ((PREFIX + "cost-usd", f"{answer.cost_usd:.9f}"),)
        tries = ((PREFIX + "attempts", str(len(answer.attempts))),)
        if whole is not None and self.upstream.transparent:
            await self.responder.whole(whole.status, (*whole.headers, *self._marks(model)), whole.body)
        elif self.asked.request.stream:
            await self.responder.start(200, (*SSE, *self._marks(model)))
            writer = self._writer(model)
            events = (*as_events(accepted), Done(accepted.reply))
            await self.responder.piece(b"".join(map(writer.write, events)))
            await self.responder.end()
        elif whole is not None and accepted.text == accepted.reply.text:
            headers = (*whole.headers, *self._marks(model), *tries, *cost)
            await self.responder.whole(whole.status, headers, whole.body)
        else:
            body = written(self.asked.door.emit(_cleaned(accepted), self._named(model)))
            await self.responder.whole(200, (*JSON, *self._marks(model), *tries, *cost), body)

    async def _refuse(self, error: HrouteError) -> None:
        """No answer. What a vendor of the client's own dialect has said itself is passed on where it was the last word."""
        refusal = refusal_of(error)
        rejected = self.upstream.seen.rejected
        if self.upstream.transparent:
            await self._relay(rejected, refusal)
            return
        marks = (*self._marks(""), (PREFIX + "attempts", str(len(self.run.log.attempts))))
        if rejected is not None and 400 <= rejected.status < 500 and rejected.status == refusal.status:
            ours = dict((*marks, *refusal.headers))
            back = tuple(h for h in rejected.headers if h[0] not in ours)
            await self.responder.whole(rejected.status, (*back, *ours.items()), rejected.body)
        else:
            await refuse(self.responder, refusal, self.asked, marks)

    async def _relay(self, rejected: Whole | None, refusal: Refusal) -> None:
        """What the upstream has said, else that it cannot be reached; a client may ask again."""
        if rejected is not None:
            await self.responder.whole(rejected.status, (*rejected.headers, *self._marks("")), rejected.body)
        else:
            await refuse(self.responder, replace(refusal, headers=()), self.asked, self._marks(""))

    def _writer(self, model: str) -> Writer:
        return self.asked.door.writer(self._named(model), self.asked.body)

    def _named(self, model: str) -> Named:
        return Named(self.run.id.replace("-", ""), int(time.time()), model)

    def _marks(self, model: str) -> Headers:
        """What every reply bears: how it came about."""
        return tuple(_marks(self.run, self._call, model, self.upstream.seen.dropped))


async def refuse(responder: Responder, refusal: Refusal, asked: Asked, marks: Headers = ()) -> None:
    """Answer with `refusal` in the client's dialect."""
    known = {name for name, _ in refusal.headers}
    headers = (*JSON, *refusal.headers, *(mark for mark in marks if mark[0] not in known))
    await responder.whole(refusal.status, headers, written(refusal.body(asked.door.dialect)))


def _marks(run: Run, call: Call | None, model: str, dropped: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    decision = run.decision
    yield PREFIX + "id", run.id
    yield PREFIX + "rule", decision.rule.name
    yield PREFIX + "routed-to", decision.route_to or ""
    yield PREFIX + "policy", decision.policy
    if model:
        yield PREFIX + "model", model
    if call is not None and call.candidate.name != decision.route_to:
        yield PREFIX + "provider", call.candidate.name
    if dropped:
        yield PREFIX + "dropped", ", ".join(dict.fromkeys(dropped))


def _cleaned(accepted: Accepted) -> Reply:
    """The reply with its clean text, where judging took words off it."""
    reply = accepted.reply
    if accepted.text == reply.text or reply.stop is StopReason.TRUNCATED:
        return reply
    calls = tuple(part for part in reply.parts if isinstance(part, ToolUse))
    return replace(reply, parts=(Text(accepted.text), *calls))


def _last_number(frames: bytes) -> int:
    """The number of the last frame that the client has got."""
    _, mark, rest = frames.rpartition(b'"sequence_number":')
    digits = rest.lstrip()[:20]
    end = next((n for n, byte in enumerate(digits) if not 48 <= byte <= 57), len(digits))
    return int(digits[:end]) if mark and end else 0
