"""`hroute statusline`: one line for the bottom of Claude Code's terminal: where the session's turns went, at what cost."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import typer

from hroute.cli import exits, gateways, policies, streams
from hroute.cli.render.text import count, visible
from hroute.errors import HrouteError
from hroute.terms.money import from_usd, show

HELP = """Print one line about the session that Claude Code describes on stdin: where its turns went, cost, saved.

What is saved is reckoned against the model that Claude Code asked for, its prompt cache kept. The line is shorter where
something is not known, and the command never fails.

\b
In ~/.claude/settings.json:
  {"statusLine": {"type": "command", "command": "hroute statusline"}}
"""

_MOST: Final = 1 << 20  # bytes of what Claude Code says


def register(app: typer.Typer) -> None:
    app.command("statusline", help=HELP)(statusline)


def statusline(policy: policies.PolicyOption = None) -> int:
    """Read the session's name, ask its gateway, print."""
    session = _session("" if streams.is_terminal(sys.stdin) else _read())
    url = os.environ.get("ANTHROPIC_BASE_URL") or _address(policy)
    streams.line(visible(_line(url, session)))
    return exits.DONE


def _line(url: str, session: str) -> str:
    found = gateways.ask(url, f"/sessions/{session}") if session else None
    if found is not None and "turns" in found:
        try:
            return "  ".join(part for part in _parts(found) if part)
        except (TypeError, ValueError, AttributeError, ArithmeticError):
            return "hroute: the gateway is of another version"
    if gateways.ask(url, "/readyz") is None:
        return "hroute: no gateway here" if url else "hroute: no policy"
    return "hroute  no turn yet"


def _parts(found: Mapping[str, Any]) -> tuple[str, ...]:
    """What is known, the most important first: a terminal cuts off the end."""
    turns, last = found["turns"], found.get("last") or {}
    if found.get("mode") == "observe":
        return "hroute observes", count(sum(turns.values()), "turn"), _cost(found)
    most = sorted(turns.items(), key=lambda item: -item[1])
    why = f" ({last['escalation']})" if last.get("escalation") else ""
    return (
        "hroute",
        ", ".join(f"{name} {count}" for name, count in most),
        _cost(found),
        f"last: {last.get('provider')}{why} by {last.get('rule')}",
    )


def _cost(found: Mapping[str, Any]) -> str:
    cost, saved, asked = (found.get(key) for key in ("cost_usd", "saved_usd", "as_asked_usd"))
    if cost is None:
        return "cost not known"
    told = show(from_usd(cost))
    if not saved or not asked:
        return told
    amount, share = show(from_usd(abs(saved))), f"{abs(saved) / asked:.0%}".replace("%", " %")
    return f"{told}, {amount} ({share}) {'saved' if saved > 0 else 'more than as asked'}"


def _read() -> str:
    try:
        return sys.stdin.buffer.read(_MOST).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def _session(told: str) -> str:
    try:
        found = json.loads(told)
    except (ValueError, RecursionError):
        return ""
    name = found.get("session_id") if isinstance(found, dict) else None
    return name if isinstance(name, str) and name.replace("-", "").replace("_", "").isalnum() and name.isascii() else ""


def _address(policy: str | None) -> str:
    try:
        return gateways.address(policies.load(policy))
    except (HrouteError, OSError):
        return ""
