"""A stage for dispatch: providers, a scripted plugin on a virtual clock, and a policy written as plain objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hroute.providers.protocol import Capabilities, Permit, ProviderError, Target
from hroute.schema.condition import ALWAYS, Condition, OneOf, Test
from hroute.schema.policy import (
    Guarantee,
    PiiSettings,
    Policy,
    Provider,
    Retry,
    Route,
    Rule,
    Scoring,
    SignalSettings,
    Timeout,
    Validate,
)
from hroute.terms.clock import VirtualClock
from hroute.terms.message import Done, Event, Message, Reply, Request, Text, TextDelta, ToolUse
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage

PII = Test("contains_pii", OneOf((True,)))
KEYED = {"KEY": "k"}


def provider(name: str, *, local: Any = False, **more: Any) -> Provider:
    more = {"plugin": "fake", "model": f"{name}-1", "retry": Retry(2, 0.25, 4.0), **more}
    if local:
        more.setdefault("base_url", "http://127.0.0.1:11434")
    else:
        more = {"base_url": "https://api.example.com", "api_key": "env:KEY", **more}
    return Provider(name, local=local, **more)


def guarantee(name: str, permitted: Sequence[str], when: Condition = ALWAYS, **more: Any) -> Guarantee:
    return Guarantee(name, when=when, permitted=frozenset(permitted), **{"only": {"local": True}, **more})


def rule(chain: Sequence[str], *, name: str = "default", condition: Condition = ALWAYS, **more: Any) -> Rule:
    return Rule(name, condition=condition, route=Route(tuple(chain), chain[0]), **more)


def policy(providers: Sequence[Provider], default: Rule, *guarantees: Guarantee, **more: Any) -> Policy:
    settings = SignalSettings(PiiSettings(frozenset({"email"}), frozenset({"email"})))
    base = Policy(
        path="policy.yaml",
        hash="0" * 64,
        mode="enforce",
        baseline=None,
        providers={p.name: p for p in providers},
        tiers={},
        rules=(),
        default=default,
        guarantees=guarantees,
        budgets=(),
        intents={},
        scoring=Scoring(),
        signals=settings,
        texts={},
    )
    return replace(base, **more)


def said(text: str = "hello", **more: Any) -> Reply:
    return Reply((Text(text),), **{"model": "", "usage": Usage(input=10, output=5), **more})


def failing(outcome: Outcome, **more: Any) -> Failure:
    return Failure(outcome, f"scripted {outcome}", **more)


def ask(text: str = "hi") -> Request:
    return Request((Message("user", (Text(text),)),))


Scripted = Reply | Failure | Sequence[Event | Failure | Exception] | Exception


@dataclass
class FakePlugin:
    """Answers each provider from its own list, then with `otherwise`; a call takes `seconds` on the clock."""

    script: Mapping[str, list[Scripted]] = field(default_factory=dict)
    clock: VirtualClock = field(default_factory=VirtualClock)
    seconds: float = 0.1
    otherwise: Scripted = field(default_factory=said)
    name: str = "fake"
    capabilities: Capabilities = field(default_factory=Capabilities)
    calls: list[tuple[str, Target, Request]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    @property
    def called(self) -> list[str]:
        return [name for name, _, _ in self.calls]

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        permit.spend(target.name)
        scripted = self._next(target, request)
        if isinstance(scripted, Failure):
            raise ProviderError(scripted)
        if isinstance(scripted, Exception):
            raise scripted
        assert isinstance(scripted, Reply)
        return scripted

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        permit.spend(target.name)
        return self._play(target, request)

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        return self.send(target, request, permit)

    async def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]:
        permit.spend(target.name)
        for event in self._play(target, request):
            yield event

    def _play(self, target: Target, request: Request) -> Iterator[Event]:
        scripted = self._next(target, request)
        steps = _steps(scripted) if isinstance(scripted, (Reply, Failure, Exception)) else scripted
        try:
            for step in steps:
                if isinstance(step, Failure):
                    raise ProviderError(step)
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.closed.append(target.name)

    def _next(self, target: Target, request: Request) -> Scripted:
        self.calls.append((target.name, target, request))
        self.clock.advance(min(self.seconds, target.total))
        left = self.script.get(target.name)
        return left.pop(0) if left else self.otherwise


def _steps(scripted: Reply | Failure | Exception) -> list[Event | Failure | Exception]:
    if not isinstance(scripted, Reply):
        return [scripted]
    return [*(TextDelta(word + " ") for word in scripted.text.split()), Done(scripted)]


__all__ = ["KEYED", "PII", "FakePlugin", "Timeout", "ToolUse", "Validate", "ask", "failing", "guarantee", "policy", "provider", "rule", "said"]  # fmt: skip
