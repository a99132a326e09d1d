"""`hroute claude`: Claude Code through the gateway, with the environment that it needs and nothing else changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hroute.cli import claude_code, gateways, policies, streams
from hroute.cli.claude_code import BASE_URL, INSTALL
from hroute.cli.gateways import Serving
from hroute.cli.serve import need_gateway
from hroute.errors import UsageError
from hroute.terms.secret import NO_LOGIN

if TYPE_CHECKING:
    from hroute.schema.policy import Policy

HELP = """Run Claude Code through the gateway; whatever follows is for Claude Code, and its exit code is given back.

A gateway that already serves the policy is used; else one is started, for as long as Claude Code runs. Claude Code's
login stays its own: it reaches Anthropic where the policy says `api_key: client`, and nobody else. Options of hroute
stand first, and `hroute claude -- --help` is Claude Code's own help.

\b
Examples:
  hroute claude
  hroute claude -p "say hi"
  hroute claude --model hroute/ollama       a whole session on this machine
  hroute claude --policy work.yaml --resume
  hroute claude --doctor                    what can this machine do well?
"""

_OWN: Final = {"--doctor": 1, "--json": 1, "-h": 1, "--help": 1, "--policy": 2}
"""Options of ours, and how many words each takes."""
_PASSED_ON: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def register(app: typer.Typer) -> None:
    app.command("claude", help=HELP)(claude)


def claude(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="For Claude Code.")] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="FILE", help="The policy; -p is Claude Code's own option here.")
    ] = None,
    doctor: Annotated[
        bool, typer.Option("--doctor", help="Say what this machine can and cannot do well; local models are measured.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, with --doctor.")] = False,
) -> int:
    """Find or start a gateway, run Claude Code, give back its exit code."""
    loaded = policies.load(policy)
    if doctor:
        from hroute.cli import doctor as examination

        return examination.run(loaded, as_json)
    if as_json:
        raise UsageError("--json goes with --doctor", help="Claude Code's own is --output-format json")
    need_gateway()
    program = shutil.which("claude")
    if program is None:
        raise UsageError("Claude Code is not installed: there is no `claude` in PATH", help=INSTALL)
    past = claude_code.elsewhere(os.environ)
    if past is not None:
        raise UsageError(f"${past} makes Claude Code ask another cloud, past every gateway", help=f"unset {past}")
    given, said = arguments or [], list[str]()
    overruled = _overruled(given)
    with ExitStack() as until_the_end:
        serving = _serving(loaded, until_the_end, said)
        if streams.is_terminal(sys.stderr):
            for line in _told(loaded, serving):
                streams.talk(line)
        code = _run(
            [program, *(_settings(serving.url) if overruled else ()), *given], environment(serving.url, os.environ)
        )
    for line in said:
        streams.talk(line)
    return code


def parted(arguments: Sequence[str]) -> list[str]:
    """The command line with a `--` between options of ours and what is Claude Code's, which is not to be read here."""
    at = arguments.index("claude") + 1
    while at < len(arguments) and (words := _OWN.get(arguments[at].partition("=")[0])):
        at += 1 if "=" in arguments[at] else words
    own, others = list(arguments[:at]), list(arguments[at:])
    return own + (others if others[:1] == ["--"] else ["--", *others] if others else [])


def environment(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of Claude Code, with a placeholder where it has no login at all."""
    made = claude_code.reaching(url, environ)
    if claude_code.login(environ) is None:
        made["ANTHROPIC_AUTH_TOKEN"] = NO_LOGIN
    return made


def login_goes_to(policy: Policy) -> list[str]:
    """The providers that are asked with the client's own login."""
    return [provider.name for provider in policies.in_use(policy) if provider.api_key == "client"]


def _serving(policy: Policy, until_the_end: ExitStack, said: list[str]) -> Serving:
    """The gateway that serves `policy` already, or one of our own; what that one told is in `said` when it has ended."""
    there = gateways.found(policy)
    if there is not None and there.policy == policy.hash:
        return there
    serving, heard = until_the_end.enter_context(gateways.started(policy))
    until_the_end.callback(lambda: said.extend(gateways.heard(heard)))
    if there is not None and streams.is_terminal(sys.stderr):
        streams.talk(f"the gateway on {there.url} serves another policy; this session gets one of its own")
    return serving


def _told(policy: Policy, serving: Serving) -> Iterator[str]:
    """Where the session goes, and what becomes of the login."""
    kind = "started for this session" if serving.own else "already running"
    mode = ", observing: nothing is routed" if serving.mode == "observe" else ""
    yield f"gateway {serving.url} ({kind}{mode}), policy {policy.hash[:7]}"
    login, takers = claude_code.login(os.environ), login_goes_to(policy)
    if serving.mode == "observe":
        yield f"login: {login or 'none'}; it goes where it went before"
    elif login is None:
        yield "login: none; providers need keys of their own"
    elif takers:
        yield f"login: {login}, for {', '.join(takers)}"
    else:
        yield f"login: {login}, which nobody gets: no provider says `api_key: client`; keys are the policy's"


def _overruled(given: Sequence[str]) -> bool:
    """Whether a settings file names another address. Raises UsageError where `given` leaves no way to overrule it."""
    file = claude_code.overruled_by(os.environ)
    if file is not None and any(word.partition("=")[0] == "--settings" for word in given):
        raise UsageError(f"{file} names another {BASE_URL}, and --settings is taken", help=f"take {BASE_URL} out of it")
    return file is not None


def _settings(url: str) -> list[str]:
    """What overrules a settings file that names another address."""
    return ["--settings", json.dumps({"env": {BASE_URL: url}})]


def _run(command: list[str], environ: Mapping[str, str]) -> int:
    """Run to its end, pass signals on, give back its exit code; 128 and the signal's number where one ended it."""
    with subprocess.Popen(command, env=environ) as process, _passing_on(process):
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    def pass_on(number: int, frame: FrameType | None) -> None:
        # A terminal sends its Ctrl-C to everybody in front, so the program has it already; a second would end it.
        if number != signal.SIGINT or not _in_front():
            with suppress(ProcessLookupError):
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_front() -> bool:
    """Whether we are what a terminal's keys go to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
