"""`hroute claude`: Claude Code through the gateway, with the environment that it needs and nothing else changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from hroute.cli import exits, policies, streams
from hroute.cli.render.table import rows
from hroute.cli.serve import HOST, PORT, need_gateway
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.schema.policy import Policy, Provider

HELP = """Run Claude Code through the gateway; everything after `claude` is for Claude Code.

A gateway that already serves the policy is used, else one is started for as long as Claude Code runs. Its login stays its
own: it reaches Anthropic where the policy says `api_key: client`, and nobody else. The policy is $HROUTE_POLICY, else the
one found as always; -p is Claude Code's own option here.

\b
Examples:
  hroute claude
  hroute claude -p "say hi"
  hroute claude --model hroute/ollama       a whole session on this machine
  hroute claude --doctor                    what can this machine do well?
"""

SMALLEST: Final = 19_000
"""Tokens of the smallest request that Claude Code sends: instructions and tools."""
INSTALL: Final = "npm install -g @anthropic-ai/claude-code"
_WAIT: Final = 0.5  # seconds for a gateway on this machine to answer


def register(app: typer.Typer) -> None:
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command("claude", help=HELP, context_settings=settings)(claude)


def claude(context: typer.Context) -> int:
    """Find or start a gateway, run Claude Code, give back its exit code."""
    arguments = list(context.args)
    loaded = policies.load(None)
    if arguments[:1] == ["--doctor"]:
        return _doctor(loaded)
    need_gateway()
    program = shutil.which("claude")
    if program is None:
        raise UsageError("Claude Code is not installed: there is no `claude` in PATH", help=INSTALL)
    with _gateway(loaded) as url:
        done = subprocess.run([program, *arguments], env=environment(url, os.environ), check=False)
    return done.returncode


def environment(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of Claude Code. One that has no login at all gets a placeholder, since it asks for one before it
    asks us; the gateway passes a login on to its own vendor only, and drops any other."""
    found = {**environ, "ANTHROPIC_BASE_URL": url}
    if login(environ) is None:
        found["ANTHROPIC_AUTH_TOKEN"] = "hroute"
    return found


def login(environ: Mapping[str, str]) -> str | None:
    """Which login Claude Code would use, by its name; None where it has none."""
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"):
        if environ.get(name):
            return f"${name}"
    home = environ.get("CLAUDE_CONFIG_DIR") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".claude")
    return "its own subscription" if os.path.exists(os.path.join(home, ".credentials.json")) else None


def ask(url: str, path: str) -> dict[str, Any] | None:
    """A page of a gateway on this machine; None where there is none."""
    from urllib.error import URLError
    from urllib.request import ProxyHandler, build_opener

    try:
        with build_opener(ProxyHandler({})).open(url + path, timeout=_WAIT) as answer:
            found = json.load(answer)
    except (URLError, OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def address(policy: Policy) -> str:
    """Where the policy's gateway is, if it is running."""
    return f"http://{policy.gateway.get('host') or HOST}:{policy.gateway.get('port') or PORT}"


@contextmanager
def _gateway(policy: Policy) -> Iterator[str]:
    """The address of a gateway that serves `policy`: the one that is there, or one that ends with the block."""
    there = ask(address(policy), "/readyz")
    if there is not None and there.get("policy") == policy.hash:
        yield address(policy)
        return
    command = [sys.executable, "-m", "hroute", "serve", "-p", policy.path, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line.strip():
                raise UsageError("the gateway did not start", help="hroute serve says why")
            yield str(json.loads(line)["url"])
        finally:
            process.terminate()


def _doctor(policy: Policy) -> int:
    """What works here, and what does not."""
    from hroute.providers import registry

    program, used = shutil.which("claude"), login(os.environ)
    there = ask(address(policy), "/readyz")
    lines = [
        ["Claude Code", program or f"not installed: {INSTALL}"],
        ["login", used or "none: providers need keys of their own (or log in: claude, then /login)"],
        ["gateway", _gateway_line(policy, there)],
        [
            "prompt cache",
            "kept: requests in Anthropic's dialect leave as they came, cache marks and beta headers included",
        ],
    ]
    takes = [p.name for p in policies.in_use(policy) if p.api_key == "client"]
    lines.append(["login goes to", ", ".join(takes) or "nobody: no provider has `api_key: client`"])
    for line in rows(lines):
        streams.line(line)
    local = [p for p in policies.in_use(policy) if p.local]
    able = [_local(p, registry.facts(p.plugin).default_base_url) for p in local]
    for line in rows([[name, said] for name, said, _ in able]):
        streams.line(line)
    if not local:
        streams.line("no provider of the policy is local")
    return exits.DONE if program and all(ok for _, _, ok in able) else exits.NO


def _gateway_line(policy: Policy, there: Mapping[str, Any] | None) -> str:
    if there is None:
        return "not running; `hroute claude` starts one"
    same = "this policy" if there.get("policy") == policy.hash else "another policy"
    return f"running on {address(policy)}, {there.get('mode')}, {same}"


def _local(provider: Provider, default: str | None) -> tuple[str, str, bool]:
    """(name, what it can do, whether Claude Code's smallest request fits)."""
    from hroute.terms.secret import resolve

    url = resolve(provider.base_url, os.environ) if provider.base_url else default
    loaded = _loaded(url, provider.model) if provider.plugin == "ollama" and url else None
    if provider.plugin == "ollama" and loaded is None:
        return provider.name, f"does not answer at {url}: start it, then ask again", False
    window = provider.context_window or loaded or 0
    known = f"context of {window:,} tokens" if window else "context not known: say `context_window` in the policy"
    if not window:
        return provider.name, known, False
    fits = window >= SMALLEST
    verdict = "fits" if fits else "does not fit"
    limit = provider.timeout.first_token
    speed = f"reads it in time from {SMALLEST / limit:,.0f} tokens a second (first_token: {limit:g}s)"
    return provider.name, f"{known}: Claude Code's smallest request of {SMALLEST:,} {verdict}; {speed}", fits


def _loaded(url: str, model: str) -> int | None:
    """The context with which Ollama has loaded a model; 0 where it is not loaded, None where nobody answers."""
    found = ask(url, "/api/ps")
    if found is None:
        return None
    for each in found.get("models", []):
        if isinstance(each, dict) and each.get("model") == model and isinstance(each.get("context_length"), int):
            return int(each["context_length"])
    return 0
