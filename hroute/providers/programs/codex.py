"""Codex: `codex exec --json`, read-only, without its user's configuration and rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hroute.providers.programs import prompt
from hroute.providers.programs.process import Ended
from hroute.providers.programs.profile import Call, failed
from hroute.providers.protocol import Target
from hroute.terms.message import Reply, Request, Text
from hroute.terms.usage import Usage
from hroute.wire.fields import Malformed, count, dumps, inner, loads, word

_ARGUMENTS: Final = (
    "--json", "--skip-git-repo-check", "--sandbox", "read-only", "--ephemeral", "--ignore-user-config", "--ignore-rules", "--color", "never",
)  # fmt: skip
_KEY: Final = "CODEX_API_KEY"


class Codex:
    name = "codex"
    keeps: tuple[str, ...] = ("CODEX_HOME",)
    params: frozenset[str] = frozenset({"effort"})

    def call(self, target: Target, request: Request, folder: Path) -> Call:
        given = target.command
        added = [] if "exec" in given or "e" in given else ["exec"]
        added += _ARGUMENTS
        if target.model != target.name and "--model" not in given and "-m" not in given:
            added += ["--model", target.model]
        if "effort" in request.params:
            added += ["-c", f"model_reasoning_effort={dumps(str(request.params['effort']))}"]
        if target.base_url:
            added += ["-c", 'model_provider="hroute"', "-c", _provider(target.base_url)]
        env = {_KEY: target.api_key} if target.api_key else {}
        return Call((*added, "-"), prompt.whole(request, system=True), env)

    def reply(self, target: Target, request: Request, ended: Ended) -> Reply:
        said, usage, wrong = "", None, ""
        for event in _events(ended.out):
            match word(event, "type"):
                case "item.completed" if word(inner(event, "item"), "type") == "agent_message":
                    said = word(inner(event, "item"), "text")
                case "turn.completed":
                    usage = inner(event, "usage")
                case "turn.failed":
                    wrong = word(inner(event, "error"), "message") or "failed"
                case "error":
                    wrong = wrong or word(event, "message")
        if usage is None:
            wrong = wrong or ended.err.decode(errors="replace")
            raise failed(_status(wrong), wrong)
        return Reply((Text(said),), target.model, usage=_usage(usage))


def _provider(base_url: str) -> str:
    """Another address than the vendor's, as the client's configuration wants it."""
    settings = {"name": "hroute", "base_url": base_url, "env_key": _KEY, "wire_api": "responses"}
    pairs = [f"{key}={dumps(value)}" for key, value in settings.items()]
    return f"model_providers.hroute={{{', '.join((*pairs, 'request_max_retries=0', 'stream_max_retries=0'))}}}"


def _events(out: bytes) -> list[Mapping[str, Any]]:
    events = []
    for line in out.splitlines():
        try:
            event = loads(line)
        except Malformed:
            continue
        if isinstance(event, Mapping):
            events.append(event)
    return events


def _status(message: str) -> int | None:
    """The HTTP status in `unexpected status 401 Unauthorized: ...` or `last status: 429 ...`."""
    number = message.partition("status")[2].lstrip(": ")[:3]
    return int(number) if number.isdecimal() and 400 <= int(number) <= 599 else None


def _usage(usage: Mapping[str, Any]) -> Usage:
    """The client's totals include what was cached and what was thought; ours do not."""
    read, written = count(usage, "cached_input_tokens"), count(usage, "cache_write_input_tokens")
    thought = count(usage, "reasoning_output_tokens")
    return Usage(
        input=max(count(usage, "input_tokens") - read - written, 0),
        output=max(count(usage, "output_tokens") - thought, 0),
        cache_read=read,
        cache_write=written,
        reasoning=thought,
    )
