"""What Claude Code on this machine is set to: its login, its settings, the vendor that it asks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

INSTALL: Final = "npm install -g @anthropic-ai/claude-code"
BASE_URL: Final = "ANTHROPIC_BASE_URL"

_ELSEWHERE: Final = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY", "CLAUDE_CODE_USE_MANTLE")  # fmt: skip
"""Variables that make Claude Code ask another cloud, past any base URL."""
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_OFF: Final = ("", "0", "false", "no", "off")


def login(environ: Mapping[str, str]) -> str | None:
    """Which login Claude Code would use, by its name, in its own order; None where it has none."""
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"):
        if environ.get(name):
            return f"${name}"
    if any(settings.get("apiKeyHelper") for _, settings in all_settings(environ)):
        return "apiKeyHelper of its settings"
    if environ.get("CLAUDE_CODE_OAUTH_TOKEN"):
        return "$CLAUDE_CODE_OAUTH_TOKEN"
    if os.path.exists(os.path.join(_folder(environ), ".credentials.json")) or _account(environ):
        return "its own subscription"
    return None


def elsewhere(environ: Mapping[str, str]) -> str | None:
    """The variable by which Claude Code asks another cloud and not the address that it is given; None where none does."""
    within = [settings.get("env") for _, settings in all_settings(environ)]
    for name in _ELSEWHERE:
        values = [environ.get(name), *(env.get(name) for env in within if isinstance(env, Mapping))]
        if any(value is not None and str(value).lower() not in _OFF for value in values):
            return name
    return None


def overruled_by(environ: Mapping[str, str]) -> str | None:
    """The settings file that names a base URL of its own, which Claude Code heeds more than its environment."""
    for path, settings in all_settings(environ):
        env = settings.get("env")
        if isinstance(env, Mapping) and env.get(BASE_URL):
            return path
    return None


def reaching(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which Claude Code asks `url`, and past any proxy: it would ask a proxy for loopback addresses,
    too, and wait for minutes where that finds nothing."""
    made = {**environ, BASE_URL: url}
    if any(environ.get(name) for name in _PROXIES):
        for name in ("NO_PROXY", "no_proxy"):
            known = [host.strip() for host in environ.get(name, "").split(",") if host.strip()]
            made[name] = ",".join(dict.fromkeys((*known, *_LOOPBACK)))
    return made


def all_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each settings file that can be read, the user's and this directory's."""
    for path in (
        os.path.join(_folder(environ), "settings.json"),
        os.path.join(".claude", "settings.json"),
        os.path.join(".claude", "settings.local.json"),
    ):
        found = _read(path)
        if found is not None:
            yield path, found


def _folder(environ: Mapping[str, str]) -> str:
    return environ.get("CLAUDE_CONFIG_DIR") or os.path.join(_home(environ), ".claude")


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or os.path.expanduser("~")


def _account(environ: Mapping[str, str]) -> bool:
    """Whether somebody is logged in where the credential itself lies in the system's keychain."""
    within = environ.get("CLAUDE_CONFIG_DIR") or _home(environ)
    return bool((_read(os.path.join(within, ".claude.json")) or {}).get("oauthAccount"))


def _read(path: str) -> Mapping[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, Mapping) else None
