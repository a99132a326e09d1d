"""Tokens of a request that is not sent: estimated here, or counted by the vendor who would serve it, where the policy says
`gateway: {count_tokens: vendor}`.

To count is to send the whole text: whoever may not serve a request may not count it either, and a vendor that cannot be
asked leaves the estimate standing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from hroute.gateway.asked import Asked
from hroute.gateway.doors import COUNT_PATH
from hroute.gateway.outgoing import Standing, outgoing, resolved
from hroute.providers import wires
from hroute.providers.forward import Forwarder
from hroute.providers.protocol import ProviderError
from hroute.router import egress
from hroute.router.egress import Guard
from hroute.router.engine import Engine, Steer
from hroute.router.plan import Candidate, Gate
from hroute.router.signals import tokens
from hroute.router.signals.extract import Extraction
from hroute.router.steps import Call
from hroute.wire.fields import Malformed, count, loads, mapping

SETTING: Final = "count_tokens"
SECONDS: Final = 10.0
"""How long a count is waited for."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens of a prompt, and who counted them: a provider, else the version of the estimate."""

    tokens: int
    by: str
    estimated: bool = True


def estimated(engine: Engine, asked: Asked) -> Counted:
    """As the signals have it; nothing is sent."""
    found = Extraction(engine.policy, asked.request, asked.given).ask("prompt_tokens")
    return Counted(found if isinstance(found, int) else 0, tokens.VERSION)


def by_vendor(engine: Engine) -> bool:
    """Whether the policy lets vendors count."""
    return engine.policy.gateway.get(SETTING) == "vendor" and engine.stand_in is None


async def counted(
    engine: Engine,
    asked: Asked,
    forwarder: Forwarder,
    instance: str,
    *,
    gates: tuple[Gate, ...],
    steer: Steer | None,
    standing: Callable[[Call], Standing],
) -> Counted:
    """By the first provider of the plan, where that counts for others and may see the request; else estimated."""
    decision, extraction = engine.decide(asked.request, {"purpose": "count", **asked.given})
    if steer is not None:
        decision = steer(decision, extraction)
    guard = Guard(engine.policy, extraction.ask)
    if decision.refused:
        return estimated(engine, asked)
    planned = engine.plan(decision, guard, asked.request, extraction, (engine.health, *gates))
    first = next(iter(planned.candidates), None)
    if first is None or first.provider.plugin != "anthropic":
        return estimated(engine, asked)
    call = _call(asked, first, guard)
    try:
        async with asyncio.timeout(SECONDS):
            found = await _ask(asked, call, forwarder, instance, standing(call))
    except (ProviderError, TimeoutError, Malformed):
        found = 0
    return Counted(found, first.name, estimated=False) if found else estimated(engine, asked)


def _call(asked: Asked, candidate: Candidate, guard: Guard) -> Call:
    permit = egress.permit(guard, candidate.provider, candidate.where)
    target = replace(resolved(candidate.target, asked.model), params={})
    return Call(candidate, target, asked.request, permit, stream=False)


async def _ask(asked: Asked, call: Call, forwarder: Forwarder, instance: str, standing: Standing) -> int:
    wire = wires.wire_of("anthropic", call.target, "anthropic")
    assert wire is not None
    made = outgoing(asked, call, replace(wire, path=COUNT_PATH), standing, instance)
    raw = await forwarder.forward(call.target, made.call, call.permit)
    try:
        body = await raw.whole()
    finally:
        raw.close()
    return count(mapping(loads(body), "body"), "input_tokens") if raw.status == 200 else 0
