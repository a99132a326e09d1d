"""Codex: `codex exec --json`, read-only; its tools, its user's configuration and rules off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

_FEATURES: Final = (
    "apps", "browser_use", "code_mode", "code_mode_host", "collaboration_modes", "computer_use", "goals", "hooks", "image_generation",
    "incremental_tools", "memories", "multi_agent", "multi_agent_v2", "plugins", "remote_plugin", "shell_snapshot", "shell_tool",
    "skill_search", "sleep_tool", "standalone_web_search", "tool_suggest", "unified_exec", "view_image",
)  # fmt: skip
"""What gives the model something to do beside answering. A client that does not know one of them passes it over."""

_OFF: Final = (
    "agents.enabled=false",
    "project_doc_max_bytes=0",
    "skills.bundled.enabled=false",
    "skills.include_instructions=false",
    'web_search="disabled"',
    *(f"features.{name}=false" for name in _FEATURES),
)

_KEY: Final = "CODEX_API_KEY"


class Codex:
    """`max_tokens` is not passed on: the client has no such setting."""

    name = "codex"
    keeps: tuple[str, ...] = ("CODEX_HOME",)
    params: frozenset[str] = frozenset({"effort"})

    def call(self, target: Target, request: Request, folder: Path) -> Call:
        given = target.command
        added = [] if "exec" in given or "e" in given else ["exec"]
        added += _ARGUMENTS
        settings = list(_OFF)
        if target.model != target.name and "--model" not in given and "-m" not in given:
            added += ["--model", target.model]
        if "effort" in request.params:
            settings.append(f"model_reasoning_effort={dumps(str(request.params['effort']))}")
        if target.base_url:
            settings += ['model_provider="hroute"', _provider(target.base_url)]
        added += [word for setting in settings for word in ("-c", setting)]
        env = {_KEY: target.api_key} if target.api_key else {}
        return Call((*added, "-"), prompt.whole(request, system=True), env, _waits_for_the_network)

    def reply(self, target: Target, request: Request, ended: Ended) -> Reply:
        """Its last message is the answer; the client does not say which model wrote it."""
        said, usage, wrong = "", None, ""
        for event in _events(ended.out):
            match word(event, "type"):
                case "item.completed" if word(inner(event, "item"), "type") == "agent_message":
                    said = word(inner(event, "item"), "text")
                case "turn.completed":
                    usage = inner(event, "usage")
                case "turn.failed":
                    wrong = word(inner(event, "error"), "message")
                case "error":
                    wrong = word(event, "message")
        if usage is None:
            raise _failed(wrong or ended.err.decode(errors="replace"))
        return Reply((Text(said),), target.model, usage=_usage(usage))


def _waits_for_the_network(line: bytes) -> bool:
    """Without a connection the client waits for one, however long that takes and whatever its retries are set to."""
    return b"waiting for network" in line and any(word(event, "type") == "error" for event in _events(line))


def _provider(base_url: str) -> str:
    """Another address than the vendor's, as the client's configuration wants it."""
    words = {"name": "hroute", "base_url": base_url, "env_key": _KEY, "wire_api": "responses"}
    pairs = (
        *(f"{key}={dumps(value)}" for key, value in words.items()),
        "request_max_retries=0",
        "stream_max_retries=0",
    )
    return f"model_providers.hroute={{{', '.join(pairs)}}}"


def _events(out: bytes) -> Iterator[Mapping[str, Any]]:
    for line in out.splitlines():
        try:
            event = loads(line)
        except Malformed:
            continue
        if isinstance(event, Mapping):
            yield event


def _failed(message: str) -> Exception:
    """`unexpected status 401 Unauthorized: ...`, `last status: 429 ...`, the vendor's JSON as it came, or words."""
    number = message.partition("status")[2].lstrip(": ")[:3]
    if number.isdecimal() and 400 <= int(number) <= 599:
        return failed(message, int(number))
    try:
        error = inner(loads(message), "error")
    except (Malformed, AttributeError):
        return failed(message)
    return failed(message, 400, (word(error, "code"), word(error, "type")))


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
