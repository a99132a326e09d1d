"""What real clients send by themselves taints nothing: their instructions, tools, ids, paths, and the loops of their tools.

What is not installed is skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hroute.gateway import gateway
from hroute.gateway.asked import Asked
from hroute.router.signals.extract import Extraction
from hroute.terms.message import ToolResult
from tests.gateway.agents import CLIENTS, TOOLS, command
from tests.gateway.house import before_sandbox

TARGETS = {"claude": "claude"}


@pytest.mark.parametrize(
    "client", [pytest.param(name, marks=() if name == "claude" else pytest.mark.slow) for name in CLIENTS]
)
def test_first_requests_and_tool_loops_come_out_clean(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(client)
    seen: list[Asked] = []
    read = gateway.read

    def noting(*given: Any, **named: Any) -> Asked:
        seen.append(read(*given, **named))
        return seen[-1]

    monkeypatch.setattr(gateway, "read", noting)
    call = {"message": {"any_of": ["read the note"], "unless": ["generate a title"]}, "text": "Looking.", "tools": [TOOLS.get(client)], "first": 1}  # fmt: skip
    answers = [call] if client in TOOLS else []
    with before_sandbox({"answers": [*answers, {"text": "It is read."}]}) as (house, _):
        said = CLIENTS[client](house.url, tmp_path, "read the note", f"hroute/{TARGETS.get(client, 'gpt')}")
        policy = house.gateway.engine.policy
    assert "It is read." in said.stdout, (said.stdout[-2000:], said.stderr[-2000:])
    looped = any(isinstance(p, ToolResult) for asked in seen for m in asked.request.messages for p in m.parts)
    assert looped == (client in TOOLS)
    for asked in seen:
        signals = Extraction(policy, asked.request, asked.given)
        found = (*signals.findings, *signals.secret_findings)
        assert not signals.ask("pii"), found
        assert signals.ask("contains_pii") is False
        assert signals.ask("contains_secret") is False, found
