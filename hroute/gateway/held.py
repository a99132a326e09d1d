"""Rules that hold a session, found again after a restart: the request brings the turns by which they took hold.

A program that sends its whole conversation each time is so treated alike by a process that has just begun and by one that
has seen it all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from hroute.gateway.asked import Asked
from hroute.gateway.loops import speaks
from hroute.router.engine import Engine
from hroute.terms.message import Request

MOST: Final = 100
"""Turns that are looked at, the first ones."""


def is_forgotten(engine: Engine, asked: Asked) -> bool:
    """Whether a rule may hold this session of which nothing is kept."""
    if asked.session is None or engine.sessions.knows(asked.session):
        return False
    return any(rule.hold == "session" for rule in engine.policy.rules) and next(_earlier(asked.request), None) is not None  # fmt: skip


def rebuilt(engine: Engine, asked: Asked) -> Asked:
    """`asked` with the rule that holds its session, where the turns before the last one say so. Not for an event loop."""
    if not is_forgotten(engine, asked):
        return asked
    held: dict[str, str] = {}
    for request in _earlier(asked.request):
        decision, _ = engine.decide(request, {**asked.given, **held})
        if decision.rule.hold == "session":
            held = {"held_rule": decision.rule.name}
    return replace(asked, given={**asked.given, **held}) if held else asked


def _earlier(request: Request) -> Iterator[Request]:
    """The request as it was at each turn of the user before the last one."""
    turns = [n for n, m in enumerate(request.messages) if m.role == "user" and not m.context and any(map(speaks, m.parts))]  # fmt: skip
    for at in turns[:-1][:MOST]:
        yield replace(request, messages=request.messages[: at + 1])
