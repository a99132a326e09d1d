"""A script being played: counts the calls, lets faults strike, and says step by step what one call gives.

The same script and the same sequence of calls give the same answers. No time passes here: a wait is a step that the
caller (the plugin in process, the server over HTTP) performs as it likes.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Final, Literal

from hroute.providers.sandbox.answers import LOST, REFUSAL, as_json, default_text
from hroute.providers.sandbox.script import STATUS, Answer, Fault, FaultKind, Scope, Script
from hroute.providers.sandbox.sight import cut_to, everything, tokens
from hroute.terms.message import (
    Done,
    Event,
    Part,
    Reply,
    Request,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolUse,
    ToolUseDelta,
)
from hroute.terms.usage import Usage


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing happens for `seconds`; `why` is what a person would call it."""

    seconds: float
    why: Literal["load", "latency", "slow", "stall"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """The call ends with an error of the vendor. `status` 0: there is no connection at all."""

    kind: FaultKind
    status: int
    message: str
    retry_after: float | None = None
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends here: properly closed (`clean`) or torn."""

    clean: bool


Step = Pause | Rejection | Cut | Event


@dataclass(frozen=True, slots=True)
class Scene:
    """What one call gives: `steps` in order (they end with Done, a Rejection or a Cut), and `reply` as a whole."""

    reply: Reply
    steps: tuple[Step, ...]
    faults: tuple[FaultKind, ...] = ()
    saw: int = 0  # prompt tokens that the model saw

    @property
    def rejection(self) -> Rejection | None:
        last = self.steps[-1]
        return last if isinstance(last, Rejection) else None


_MESSAGES: Final[Mapping[FaultKind, str]] = {
    FaultKind.BAD_REQUEST: "the request is not valid",
    FaultKind.TOO_LONG: "prompt is too long for the context window",
    FaultKind.UNAUTHORIZED: "the API key is not valid",
    FaultKind.NO_CREDIT: "the credit balance is too low",
    FaultKind.FORBIDDEN: "the API key may not use this resource",
    FaultKind.MODEL_GONE: "the model does not exist",
    FaultKind.RATE_LIMIT: "the rate limit is reached",
    FaultKind.SERVER_ERROR: "internal server error",
    FaultKind.UNAVAILABLE: "service unavailable",
    FaultKind.OVERLOADED: "Overloaded",
    FaultKind.ERROR: "an error",
    FaultKind.DOWN: "connection refused",
}


class Play:
    """The state of a script: how often each scope was met, and which model is loaded where. Safe between threads."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self._lock = threading.Lock()
        self._faults = list(self.script.faults)
        self._met: dict[object, int] = {}
        self._loaded: dict[str, tuple[str, int]] = {}

    def add(self, faults: Sequence[Fault], *, replace: bool = False) -> None:
        """More faults from now on; `replace` drops the ones before."""
        with self._lock:
            if replace:
                self._drop_from(0)
            self._faults.extend(faults)

    def reset(self) -> None:
        """Back to the script as it was given, with nothing counted and nothing loaded."""
        with self._lock:
            self._faults = list(self.script.faults)
            self._met.clear()
            self._loaded.clear()

    @property
    def faults(self) -> tuple[Fault, ...]:
        return tuple(self._faults)

    def call(
        self, provider: str, model: str, request: Request, *, window: int | None = None, strict: bool = False
    ) -> Scene:
        """What `provider` gives for `request`, to be sent to `model`. `window` is a context size the caller asks for
        (Ollama's `num_ctx`): what does not fit is dropped without a word, or rejected where the caller is `strict`."""
        with self._lock:
            met = _Met(provider, model, request)
            struck = {f.kind: (f, n) for i, f, n in self._strikes(met)}
            seen, lost = self._sight(request, struck, window)
            if lost and strict:
                struck[FaultKind.TOO_LONG] = (Fault(FaultKind.TOO_LONG), 1)
            reply = self._reply(_Met(provider, model, seen), struck, lost)
            pauses = tuple(self._pauses(provider, model, struck, window))
        return _scene(reply, tuple(f for f, _ in struck.values()), pauses, tokens(everything(seen)))

    def _strikes(self, met: _Met) -> Iterator[tuple[int, Fault, int]]:
        for index, fault in enumerate(self._faults):
            if fits(fault.scope, met):
                n = self._count(("fault", index))
                if _is_due(fault.scope, n, self.script.seed, index):
                    yield index, fault, n

    def _sight(self, request: Request, struck: _Struck, window: int | None) -> tuple[Request, bool]:
        context = struck.get(FaultKind.CONTEXT)
        limit = window if window is not None else context[0].tokens if context else None
        if limit is None or tokens(everything(request)) <= limit:
            struck.pop(FaultKind.CONTEXT, None)
            return request, False
        return cut_to(request, limit), True

    def _reply(self, met: _Met, struck: _Struck, lost: bool) -> Reply:
        parts, stop = self._parts(met, lost)
        if FaultKind.EMPTY in struck:
            parts, stop = (), StopReason.END
        elif refusal := struck.get(FaultKind.REFUSAL):
            parts = (Text(refusal[0].text or REFUSAL),)
            stop = StopReason.REFUSAL if refusal[0].declared else StopReason.END
        elif FaultKind.BROKEN_JSON in struck:
            parts = (Text(_broken(_json_of(parts))),)
        elif FaultKind.FENCED_JSON in struck:
            parts = (Text(f"Here is the JSON you asked for:\n\n```json\n{_json_of(parts)}\n```\n\nIs there more?"),)
        return _within(parts, stop, met)

    def _parts(self, met: _Met, lost: bool) -> tuple[tuple[Part, ...], StopReason]:
        for index, answer in enumerate(self.script.answers):
            if fits(answer.scope, met):
                n = self._count(("answer", index))
                if _is_due(answer.scope, n, self.script.seed, -1 - index):
                    return _scripted(answer, n)
        return (Text(LOST if lost else default_text(met.request)),), StopReason.END

    def _pauses(self, provider: str, model: str, struck: _Struck, window: int | None) -> Iterator[Pause]:
        if load := struck.get(FaultKind.LOAD):
            wanted = (model, window or 0)
            if self._loaded.get(provider) != wanted:
                self._loaded[provider] = wanted
                yield Pause(load[0].seconds, "load")
        if latency := struck.get(FaultKind.LATENCY):
            yield Pause(_drawn(latency[0], latency[1], self.script.seed), "latency")
        if slow := struck.get(FaultKind.SLOW):
            yield Pause(slow[0].seconds, "slow")

    def _count(self, key: object) -> int:
        self._met[key] = self._met.get(key, 0) + 1
        return self._met[key]

    def _drop_from(self, start: int) -> None:
        for index in range(start, len(self._faults)):
            self._met.pop(("fault", index), None)
        del self._faults[start:]


@dataclass(frozen=True, slots=True)
class _Met:
    """A call as a scope sees it."""

    provider: str
    model: str
    request: Request


_Struck = dict[FaultKind, tuple[Fault, int]]


def fits(scope: Scope, met: _Met) -> bool:
    """Whether a call is one that `scope` speaks of, however often it came."""
    return (
        (not scope.providers or any(_glob(name, met.provider) for name in scope.providers))
        and (not scope.models or any(_glob(name, met.model) for name in scope.models))
        and (scope.message is None or scope.message.holds(met.request.last_user_text))
        and (scope.prompt is None or scope.prompt.holds(everything(met.request)))
    )


def fits_page(scope: Scope, provider: str, model: str) -> bool:
    """Whether `scope` means every call of a provider, or of a model there."""
    whole = scope == Scope(scope.providers, scope.models)
    named = not scope.models or (bool(model) and any(_glob(name, model) for name in scope.models))
    return whole and named and (not scope.providers or any(_glob(name, provider) for name in scope.providers))


def _glob(pattern: str, name: str) -> bool:
    if "*" not in pattern:
        return pattern == name
    from hroute.terms.pattern import TextMatcher

    return TextMatcher(glob=pattern).holds(name)


def _is_due(scope: Scope, n: int, seed: int, index: int) -> bool:
    """Whether the `n`-th fitting call (from 1) is meant."""
    rank = n - scope.after
    if rank < 1 or (scope.first is not None and rank > scope.first) or (rank - 1) % scope.every != scope.every - 1:
        return False
    return scope.probability >= 1 or _fraction(seed, index, n) < scope.probability


def _fraction(*key: object) -> float:
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def _drawn(fault: Fault, n: int, seed: int) -> float:
    """The `n`-th waiting time in seconds: `values` in turn, else log-normal with that median and 95th percentile."""
    if fault.values:
        return fault.values[(n - 1) % len(fault.values)]
    from statistics import NormalDist

    normal = NormalDist()
    spread = log(fault.p95 / fault.median) / normal.inv_cdf(0.95)
    share = min(max(_fraction(seed, "latency", n), 1e-6), 1 - 1e-6)
    return fault.median * exp(spread * normal.inv_cdf(share))


def _scripted(answer: Answer, n: int) -> tuple[tuple[Part, ...], StopReason]:
    parts: list[Part] = [Thinking(answer.thinking)] if answer.thinking else []
    if answer.texts:
        parts.append(Text(answer.texts[(n - 1) % len(answer.texts)]))
    parts += [ToolUse(f"call_sandbox_{n}_{k}", name, given) for k, (name, given) in enumerate(answer.tools)]
    return tuple(parts), StopReason.TOOL_USE if answer.tools else StopReason.END


def _within(parts: tuple[Part, ...], stop: StopReason, met: _Met) -> Reply:
    """The reply with its usage, its last text shortened where it exceeds `max_tokens`."""
    limit = met.request.max_tokens
    text = "".join(p.text for p in parts if isinstance(p, Text))
    if limit is not None and tokens(text) > limit and stop is StopReason.END:
        parts, stop = (Text(text[: 4 * limit]),), StopReason.LENGTH
    said = "".join(p.text for p in parts if isinstance(p, Text))
    said += "".join(p.name + as_json(p.input) for p in parts if isinstance(p, ToolUse))
    thought = "".join(p.text for p in parts if isinstance(p, Thinking))
    usage = Usage(input=tokens(everything(met.request)), output=tokens(said), reasoning=tokens(thought))
    return Reply(parts, met.model, stop, usage)


def _json_of(parts: tuple[Part, ...]) -> str:
    text = "".join(p.text for p in parts if isinstance(p, Text))
    try:
        json.loads(text)
    except ValueError:
        return as_json({"answer": text})
    return text


def _broken(text: str) -> str:
    return text[: max(1, len(text) * 2 // 3)]


def _scene(reply: Reply, faults: tuple[Fault, ...], pauses: tuple[Pause, ...], saw: int) -> Scene:
    load_ms = 1000 * sum(p.seconds for p in pauses if p.why == "load")
    reply = Reply(reply.parts, reply.model, reply.stop, reply.usage, load_ms)
    kinds = tuple(f.kind for f in faults if f.kind is not FaultKind.LOAD or load_ms)
    for fault in faults:
        if fault.kind in _MESSAGES:
            return Scene(reply, (*pauses, _rejection(fault)), kinds, saw)
    steps: list[Step] = [*events(reply)]
    for fault in faults:
        if fault.kind is FaultKind.STALL:
            steps.insert(round(fault.at * (len(steps) - 1)), Pause(fault.seconds, "stall"))
    for fault in faults:
        if fault.kind is FaultKind.CUT:
            steps[round(fault.at * (len(steps) - 1)) :] = [Cut(fault.clean)]
    return Scene(reply, (*pauses, *steps), kinds, saw)


def _rejection(fault: Fault) -> Rejection:
    said = fault.text or "[sandbox] " + _MESSAGES[fault.kind]
    status = fault.status or STATUS.get(fault.kind, 0)
    return Rejection(fault.kind, status, said, fault.retry_after, fault.code, fault.headers)


def events(reply: Reply) -> Iterator[Event]:
    """`reply` as it is written: a few words, or a fragment of a tool call, at a time."""
    calls = 0
    for part in reply.parts:
        match part:
            case Text(text):
                yield from (TextDelta(piece) for piece in _pieces(text))
            case Thinking(text):
                yield from (ThinkingDelta(piece) for piece in _pieces(text))
            case ToolUse(id, name, given):
                yield ToolUseDelta(calls, id, name)
                yield from (ToolUseDelta(calls, json=piece) for piece in _pieces(as_json(given)))
                calls += 1
    yield Done(reply)


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        blank = text.find(" ", start + 8)
        end = len(text) if blank < 0 else blank + 1
        yield text[start:end]
        start = end
