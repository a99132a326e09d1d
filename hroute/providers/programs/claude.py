"""Claude Code: `claude -p --output-format json`; its tools, its user's settings and memories off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hroute.providers.programs import prompt
from hroute.providers.programs.process import Ended
from hroute.providers.programs.profile import Call, failed
from hroute.providers.protocol import ProviderError, Target
from hroute.terms.message import Reply, Request, StopReason, Text
from hroute.terms.outcome import Failure, Outcome
from hroute.wire.anthropic import usage_of
from hroute.wire.fields import Malformed, count, inner, loads, word

_ARGUMENTS: Final = (
    "--output-format", "json", "--tools", "", "--strict-mcp-config", "--setting-sources", "", "--disable-slash-commands", "--no-session-persistence",
)  # fmt: skip

_QUIET: Final = {
    "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",  # else `@/path` in a prompt is read and sent, tools off or not
    "CLAUDE_CODE_SAFE_MODE": "1",  # no CLAUDE.md, hooks, plugins; a variable, for older clients refuse the option
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
}

_STOPS: Final = {
    "max_tokens": StopReason.LENGTH,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "refusal": StopReason.REFUSAL,
}

_TOKEN: Final = "sk-ant-oat"
"""How a login that `claude setup-token` made begins; a key of the API begins otherwise."""


class Claude:
    """`max_tokens` is not passed on: the client would ask four times and then fail instead of cutting the answer."""

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
            place.write_bytes(request.system.encode("utf-8", "replace"))
            added += ["--system-prompt-file", str(place)]
        return Call(tuple(added), prompt.whole(request, system=False), _environment(target))

    def reply(self, target: Target, request: Request, ended: Ended) -> Reply:
        told = _result(ended)
        text, usage = word(told, "result"), usage_of(inner(told, "usage"))
        status = told.get("api_error_status")
        if told.get("is_error") or (not usage.output and "limit reached|" in text):
            raise failed(text, status if isinstance(status, int) else None)
        if told.get("subtype") != "success" or told.get("num_turns") == 0:
            raise ProviderError(Failure(Outcome.BAD_CONTENT, "the client did not answer", code="no_answer"))
        stop = _STOPS.get(word(told, "stop_reason"), StopReason.END)
        return Reply((Text(text),), _model(told) or target.model, stop, usage)


def _environment(target: Target) -> dict[str, str]:
    env = dict(_QUIET)
    if target.base_url:
        env["ANTHROPIC_BASE_URL"] = target.base_url
    if target.api_key:
        env["CLAUDE_CODE_OAUTH_TOKEN" if target.api_key.startswith(_TOKEN) else "ANTHROPIC_API_KEY"] = target.api_key
    return env


def _result(ended: Ended) -> Mapping[str, Any]:
    """The object that the client ends with; with `--verbose` it is the last of a list."""
    try:
        body = loads(ended.out)
    except Malformed:
        raise failed(ended.err.decode(errors="replace")) from None
    found = body[-1] if isinstance(body, list) and body else body
    if not isinstance(found, Mapping) or found.get("type") != "result":
        raise ProviderError(Failure(Outcome.SERVER, "the client's output has another form", code="malformed"))
    return found


def _model(told: Mapping[str, Any]) -> str:
    """The model that wrote most; `[1m]` in its name is its window's size."""
    entries = inner(told, "modelUsage").items()
    used = {name: count(entry, "outputTokens") for name, entry in entries if isinstance(entry, Mapping)}
    return max(used, key=lambda name: used[name]).partition("[")[0] if used else ""
