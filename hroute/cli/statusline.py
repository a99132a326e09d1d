"""`hroute statusline`: one line for the bottom of Claude Code's terminal: who answers, by which rule, at what cost."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import typer

from hroute.cli import exits, policies, streams
from hroute.cli.claude import address, ask
from hroute.cli.render.text import visible
from hroute.terms.money import from_usd, show

HELP = """Print one line about the session that Claude Code describes on stdin: who answers, by which rule, at what cost.

\b
In ~/.claude/settings.json:
  {"statusLine": {"type": "command", "command": "hroute statusline"}}
"""


def register(app: typer.Typer) -> None:
    app.command("statusline", help=HELP)(statusline)


def statusline(policy: policies.PolicyOption = None) -> int:
    """Read the session's name, ask the gateway, print. A line that cannot be made is short; Claude Code shows it as it is."""
    session = _session(sys.stdin.read(1 << 20) if not streams.is_terminal(sys.stdin) else "")
    url = os.environ.get("ANTHROPIC_BASE_URL") or address(policies.load(policy))
    found = ask(url, f"/sessions/{session}") if session else None
    streams.line(visible(_line(found)))
    return exits.DONE


def _session(told: str) -> str:
    try:
        found = json.loads(told)
    except ValueError:
        return ""
    name = found.get("session_id") if isinstance(found, dict) else None
    return name if isinstance(name, str) and name.replace("-", "").replace("_", "").isalnum() else ""


def _line(found: dict[str, Any] | None) -> str:
    if found is None:
        return "hroute"
    cost = show(None if found.get("cost_usd") is None else from_usd(found["cost_usd"]))
    why = f" ({found['escalation']})" if found.get("escalation") else ""
    return f"hroute  {found.get('provider')}{why}  rule {found.get('rule')}  {cost}  {found.get('requests')} requests"
