"""An error as a person reads it on stderr, and as a program reads it on stdout."""

from __future__ import annotations

import sys
from typing import Any

from hroute.cli import exits, streams
from hroute.cli.render.text import count, visible
from hroute.errors import HrouteError, PolicyError, RequestError
from hroute.schema.diagnostic import Level


def show(error: HrouteError) -> None:
    """Tell the person what, where and what next."""
    if isinstance(error, PolicyError) and any(d.level is Level.ERROR for d in error.diagnostics):
        return _show_policy(error)
    colour = streams.wants_colour(sys.stderr)
    code = f"[{error.code}]" if error.code else ""
    streams.talk(streams.paint(f"error{code}", "red", colour) + f": {visible(error.message, keep=chr(10))}")
    for detail in getattr(error, "details", ()):
        streams.talk(f"  {visible(detail)}")
    if error.help:
        streams.talk(f"  = help: {visible(error.help)}")


def as_json(error: HrouteError) -> dict[str, Any]:
    """`error{code, message}`, with the findings of a policy that cannot be loaded."""
    content: dict[str, Any] = {"error": {"code": exits.name_of(error), "message": error.message}}
    if error.help:
        content["error"]["help"] = error.help
    if isinstance(error, PolicyError):
        from hroute.cli.render import diagnostic

        content["findings"] = [diagnostic.as_json(d) for d in error.diagnostics]
    if isinstance(error, RequestError):
        content |= _request_json(error)
    return content


def _request_json(error: RequestError) -> dict[str, Any]:
    """What a request without an answer leaves: who was tried and who was not."""
    return {
        "id": error.id,
        "queued": error.queued or None,
        "rule": error.decision.rule.name if error.decision is not None else None,
        "routed_to": error.decision.route_to if error.decision is not None else None,
        "attempts": [attempt.as_json() for attempt in error.attempts],
        "skipped": [{"provider": s.provider, "why": str(s.why), "detail": s.detail} for s in error.skipped],
    }


def _show_policy(error: PolicyError) -> None:
    from hroute.cli.render import diagnostic
    from hroute.cli.render.excerpt import Files

    files = Files()
    colour = streams.wants_colour(sys.stderr)
    shown = sorted((d for d in error.diagnostics if d.level is Level.ERROR), key=lambda d: d.sort_key)
    streams.talk("\n\n".join(diagnostic.full(d, files.hiding(shown), colour) for d in shown))
    streams.talk()
    streams.talk(
        f"the policy cannot be loaded: {count(len(shown), 'error')}      explain a code: hroute check --explain {shown[0].code}"
    )
