"""`hroute claude --doctor`: what this machine can and cannot do well for Claude Code."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hroute.cli import claude_code, exits, gateways, policies, streams
from hroute.cli.claude import login_goes_to
from hroute.cli.render.table import rows
from hroute.cli.render.text import visible

if TYPE_CHECKING:
    from hroute.router.measuring import Speed
    from hroute.router.probing import Probed
    from hroute.schema.policy import Policy, Provider

SMALLEST: Final = 19_000
"""Tokens of the smallest request that Claude Code sends: its instructions and its tools."""
_VERSION: Final = 5.0  # seconds for Claude Code to say its version


@dataclass(frozen=True, slots=True)
class Local:
    """What a local provider is worth to Claude Code. `window` is the context in tokens that it can have, None where nobody
    says; `fits` and `in_time` are None where they could not be found out."""

    provider: str
    problem: str
    window: int | None
    loaded: int | None
    fits: bool | None
    per_second: float | None
    first_word: float | None
    allowed: float
    in_time: bool | None
    calls_tools: bool | None

    @property
    def good(self) -> bool:
        return not self.problem and all((self.fits, self.in_time, self.calls_tools))

    def as_json(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "ok": self.good,
            "problem": self.problem or None,
            "context": self.window,
            "loaded_context": self.loaded,
            "smallest_request": SMALLEST,
            "fits": self.fits,
            "tokens_per_second": None if self.per_second is None else round(self.per_second, 1),
            "first_word_s": None if self.first_word is None else round(self.first_word, 1),
            "first_token_s": self.allowed,
            "in_time": self.in_time,
            "calls_tools": self.calls_tools,
        }


def run(policy: Policy, as_json: bool) -> int:
    """Look, measure, tell; 1 where something does not do."""
    program, past = shutil.which("claude"), claude_code.elsewhere(os.environ)
    found = _facts(policy, program, past)
    locals_ = [_examined(policy, provider) for provider in policies.in_use(policy) if provider.local]
    good = program is not None and past is None and all(one.good for one in locals_)
    if as_json:
        streams.emit("claude", {"ok": good, **found, "local": [one.as_json() for one in locals_]})
        return exits.DONE if good else exits.NO
    for line in rows(_lines(policy, found)):
        streams.line(line)
    streams.line()
    if not locals_:
        streams.line("No provider of the policy is local: Claude Code's requests go to the vendors.")
        return exits.DONE if good else exits.NO
    streams.line(f"Local models, and Claude Code's smallest request of some {SMALLEST:,} tokens:")
    for line in rows([[visible(one.provider), visible(words(one))] for one in locals_], indent=2):
        streams.line(line)
    return exits.DONE if good else exits.NO


def words(one: Local) -> str:
    """One local provider in a line."""
    if one.problem:
        return one.problem
    parts = [_room(one)]
    if one.per_second is not None and one.first_word is not None:
        late = "" if one.in_time else ": too slow"
        speed = f"reads {one.per_second:,.0f} tokens a second"
        parts.append(
            f"{speed}, so its first word comes after {one.first_word:,.0f} s; first_token allows {one.allowed:g} s{late}"
        )
    if one.calls_tools is not None:
        parts.append(
            "calls tools" if one.calls_tools else "did not call a tool that it was told to call: no agent's model"
        )
    return "; ".join(parts)


def _room(one: Local) -> str:
    size = f"{one.window:,} tokens of context" if one.window else "context not known"
    loaded = f" (loaded with {one.loaded:,})" if one.loaded and one.loaded != one.window else ""
    if one.fits is None:
        return f"{size}{loaded}; say `context_window` in the policy"
    if one.window is None:
        return f"a prompt of that size {'fits' if one.fits else 'was refused as too large'}"
    return f"{size}{loaded}: {'it fits' if one.fits else 'it does not fit'}"


def _facts(policy: Policy, program: str | None, past: str | None) -> dict[str, Any]:
    serving = gateways.found(policy)
    same = [p.name for p in policies.in_use(policy) if p.plugin == "anthropic"]
    return {
        "claude_code": program,
        "version": None if program is None else _version(program),
        "login": claude_code.login(os.environ),
        "login_goes_to": login_goes_to(policy),
        "asks_elsewhere": past,
        "settings_overruled": claude_code.overruled_by(os.environ),
        "gateway": None
        if serving is None
        else {"url": serving.url, "mode": serving.mode, "same_policy": serving.policy == policy.hash},
        "cache_kept": same,
        "cache_lost": [p.name for p in policies.in_use(policy) if p.plugin != "anthropic"],
    }


def _lines(policy: Policy, found: dict[str, Any]) -> list[list[str]]:
    lines = [["Claude Code", _program(found)], ["login", _login(found)], ["gateway", _gateway(policy, found)]]
    if found["asks_elsewhere"]:
        lines.append(["vendor", f"${found['asks_elsewhere']} makes it ask another cloud, past every gateway: unset it"])
    if found["settings_overruled"]:
        said = f"{visible(found['settings_overruled'])} names another address, which `hroute claude` overrules"
        lines.append(["settings", said])
    if found["cache_kept"]:
        told = "requests leave byte for byte, cache marks and beta headers included"
        lines.append(["prompt cache", f"kept at {', '.join(found['cache_kept'])}: {told}"])
    if found["cache_lost"]:
        told = "requests are translated, and what the server keeps by itself it keeps"
        names = ", ".join(found["cache_lost"])
        lines.append(["" if found["cache_kept"] else "prompt cache", f"cache marks mean nothing to {names}: {told}"])
    return lines


def _program(found: dict[str, Any]) -> str:
    if found["claude_code"] is None:
        return f"not installed: {claude_code.INSTALL}"
    return visible(f"{found['version'] or 'of unknown version'}, {found['claude_code']}")


def _login(found: dict[str, Any]) -> str:
    login, takers = found["login"], found["login_goes_to"]
    if login is None:
        return "none: providers need keys of their own (or log in: `claude`, then /login)"
    if takers:
        return f"{login}: it goes to {', '.join(takers)}, and to nobody else"
    return f"{login}: nobody gets it, for no provider says `api_key: client`; the policy's own keys pay"


def _gateway(policy: Policy, found: dict[str, Any]) -> str:
    there = found["gateway"]
    if there is None:
        return "not running; `hroute claude` starts one"
    if not there["same_policy"]:
        return f"{there['url']} serves another policy; `hroute claude` starts one for {visible(policy.path)}"
    return f"{there['url']} serves this policy{', observing' if there['mode'] == 'observe' else ''}"


def _version(program: str) -> str | None:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_VERSION, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.split()[0] if said.returncode == 0 and said.stdout.split() else None


def _examined(policy: Policy, provider: Provider) -> Local:
    """Asked whether it is there, then measured."""
    from hroute.router import measuring, probing

    streams.talk(f"measuring {visible(provider.name)} ({visible(provider.model)}) ...")
    (probed,) = probing.probe(policy, [provider], os.environ)
    if probed.problem:
        return _judged(provider, probed, measuring.Speed(provider.name, probed.problem))
    return _judged(provider, probed, measuring.measure(policy, provider, os.environ, SMALLEST))


def _judged(provider: Provider, probed: Probed, speed: Speed) -> Local:
    """What was asked and measured, against what Claude Code needs."""
    probe = probed.probe
    known = [size for size in (provider.context_window, probe.trained if probe else None) if size]
    window = min(known, default=None)
    loaded = probe.loaded.context if probe and probe.loaded else None
    fits = window >= SMALLEST if window else None
    if speed.too_large is not None:
        fits = not speed.too_large
    first_word, allowed = speed.reading(SMALLEST), provider.timeout.first_token
    in_time = None if first_word is None else first_word <= allowed
    return Local(
        provider.name, speed.problem, window, loaded, fits, speed.per_second, first_word, allowed, in_time, speed.calls_tools
    )  # fmt: skip
