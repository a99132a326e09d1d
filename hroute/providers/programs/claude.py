"""Claude Code: `claude -p --output-format json`, its tools, settings and memories off."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hroute.providers.outcomes import Row
from hroute.providers.programs import prompt
from hroute.providers.programs.process import Ended
from hroute.providers.programs.profile import Call, failed
from hroute.providers.protocol import ProviderError, Target
from hroute.terms.message import Reply, Request, StopReason, Text
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage
from hroute.wire.fields import Malformed, count, inner, loads, word

_QUIET: Final = {
    "CLAUDE_CODE_SAFE_MODE": "1",  # no CLAUDE.md, hooks, plugins, MCP servers; older clients do not know the option
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
}
_ARGUMENTS: Final = (
    "--output-format", "json", "--tools", "", "--strict-mcp-config", "--setting-sources", "", "--disable-slash-commands", "--no-session-persistence",
)  # fmt: skip
_STOPS: Final = {
    "end_turn": StopReason.END,
    "max_tokens": StopReason.LENGTH,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "refusal": StopReason.REFUSAL,
}

ROWS: Final = (Row(Outcome.CAPACITY, 400, words=("usage limits",)), Row(Outcome.CAPACITY, 403, words=("usage limit",)))


class Claude:
    name = "claude"
    keeps: tuple[str, ...] = ("CLAUDE_CONFIG_DIR",)
    params: frozenset[str] = frozenset({"effort"})

    def call(self, target: Target, request: Request, folder: Path) -> Call:
        given = target.command
        added = [] if "-p" in given or "--print" in given else ["-p"]
        added += _ARGUMENTS
        if target.model != target.name and not any(a == "--model" or a.startswith("--model=") for a in given):
            added += ["--model", target.model]
        if "effort" in request.params:
            added += ["--effort", str(request.params["effort"])]
        if request.system:
            place = folder / "system.txt"
            place.write_text(request.system, encoding="utf-8", errors="replace")
            added += ["--system-prompt-file", str(place)]
        env = dict(_QUIET)
        if target.base_url:
            env["ANTHROPIC_BASE_URL"] = target.base_url
        if target.api_key:
            token = target.api_key.startswith("sk-ant-oat")
            env["CLAUDE_CODE_OAUTH_TOKEN" if token else "ANTHROPIC_API_KEY"] = target.api_key
        return Call(tuple(added), prompt.whole(request, system=False), env)

    def reply(self, target: Target, request: Request, ended: Ended) -> Reply:
        told = _result(ended)
        text = word(told, "result")
        usage = inner(told, "usage")
        counted = Usage(
            input=count(usage, "input_tokens"),
            output=count(usage, "output_tokens"),
            cache_read=count(usage, "cache_read_input_tokens"),
            cache_write=count(usage, "cache_creation_input_tokens"),
        )
        if told.get("is_error") or (not counted.output and _limit(text) is not None):
            status = told.get("api_error_status")
            raise failed(status if isinstance(status, int) else None, text, rows=ROWS, wait=_limit(text))
        if told.get("subtype") != "success":
            raise ProviderError(Failure(Outcome.BAD_CONTENT, "the client ended without an answer", code="no_answer"))
        return Reply(
            (Text(text),), _model(told) or target.model, _STOPS.get(word(told, "stop_reason"), StopReason.END), counted
        )


def _result(ended: Ended) -> Mapping[str, Any]:
    """The object that the client ends with; with `--verbose` it is the last of a list."""
    try:
        body = loads(ended.out)
    except Malformed:
        raise failed(None, ended.err.decode(errors="replace")) from None
    found = body[-1] if isinstance(body, list) and body else body
    if not isinstance(found, Mapping) or found.get("type") != "result":
        raise ProviderError(Failure(Outcome.SERVER, "the client's output is not what it prescribes", code="malformed"))
    return found


def _model(told: Mapping[str, Any]) -> str:
    """The model that wrote most; `[1m]` names its window, not the model."""
    used = {
        name: count(entry, "outputTokens")
        for name, entry in inner(told, "modelUsage").items()
        if isinstance(entry, Mapping)
    }
    return max(used, key=lambda name: used[name]).partition("[")[0] if used else ""


def _limit(text: str) -> float | None:
    """Seconds until a spent plan is whole again, from `...limit reached|EPOCH`; None where nothing is said so."""
    said, bar, epoch = text.strip().rpartition("|")
    if not bar or "limit reached" not in said or not epoch.isdecimal() or len(epoch) > 11:
        return None
    return max(0.0, int(epoch) - time.time())
