"""A subscription through its vendor's own command-line client: the prompt on standard input, the answer from its output.

The client runs in an empty directory, with its tools off, in an environment that holds nothing but what it needs, and
its whole process group is gone when the call returns, is cancelled or has run out of time. Billing is what the terms of
the subscription say; the usage that the client reports is recorded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hroute.providers.parameters import Parameters
from hroute.providers.probe import Probe
from hroute.providers.programs import process
from hroute.providers.programs.claude import Claude
from hroute.providers.programs.codex import Codex
from hroute.providers.programs.plain import Plain
from hroute.providers.programs.process import Ended, Start, TooMuch
from hroute.providers.programs.profile import Profile
from hroute.providers.programs.terms import OPTIONS, profile_name
from hroute.providers.protocol import Capabilities, Permit, ProviderError, Target
from hroute.providers.stainless import with_params
from hroute.terms.message import Done, Event, Reply, Request, TextDelta
from hroute.terms.outcome import Failure, Outcome

PROFILES: Final[Mapping[str, Profile]] = {profile.name: profile for profile in (Claude(), Codex(), Plain())}

PARAMETERS: Final = Parameters("command", frozenset({"effort"}))
"""What the clients can be told; a program of another kind is told nothing."""

KEEPS: Final = ("PATH", "HOME", "USER", "LOGNAME")
"""Variables of our environment that every program gets: where programs are, and whose home holds a login."""

FIXED: Final = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "NO_COLOR": "1"}

MOST_OUTPUT: Final = 16 * 1024 * 1024
"""Bytes of an answer that are read."""


class CommandPlugin:
    """`command:` of the policy, run once a call. `environ` stands for our own environment."""

    name = "command"
    capabilities = Capabilities(
        tools=False, images=False, json_schema=False, stream=False, needs_key=False, options=OPTIONS
    )

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        permit.spend(target.name)
        return self._send(target, request)

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        """The answer in one piece: what a client shows while it works is not its answer."""
        permit.spend(target.name)
        return self._stream(target, request)

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        permit.spend(target.name)
        return await self._asend(target, request)

    def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]:
        permit.spend(target.name)
        return self._astream(target, request)

    def probe(self, target: Target, permit: Permit) -> Probe:
        """Whether the program is there; it is not run."""
        permit.spend(target.name)
        try:
            _prepared(target, Request(()))
            _program(target, self._environ.get("PATH"))
        except ProviderError as error:
            return Probe(0.0, error.failure)
        return Probe(0.0)

    def _send(self, target: Target, request: Request) -> Reply:
        profile, made = _prepared(target, request)
        with _mapped(), self._start(profile, target, made) as start:
            return _whole(profile.reply(target, made, _by_itself(process.run(start))))

    async def _asend(self, target: Target, request: Request) -> Reply:
        profile, made = _prepared(target, request)
        with _mapped(), self._start(profile, target, made) as start:
            return _whole(profile.reply(target, made, _by_itself(await process.arun(start))))

    def _stream(self, target: Target, request: Request) -> Iterator[Event]:
        yield from _events(self._send(target, request))

    async def _astream(self, target: Target, request: Request) -> AsyncIterator[Event]:
        for event in _events(await self._asend(target, request)):
            yield event

    @contextmanager
    def _start(self, profile: Profile, target: Target, request: Request) -> Iterator[Start]:
        """Everything that a run needs, in a folder of its own that is removed afterwards."""
        names = (*KEEPS, *profile.keeps, *target.options.get("env", ()))
        env = {name: self._environ[name] for name in names if name in self._environ}
        program = _program(target, env.get("PATH"))
        with TemporaryDirectory(prefix="hroute-", ignore_cleanup_errors=True) as made:
            folder = Path(made)
            empty = folder / "empty"
            empty.mkdir()
            call = profile.call(target, request, folder)
            env |= {**FIXED, "PWD": str(empty), "TMPDIR": made, **call.env}
            argv = (program, *target.command[1:], *call.arguments)
            told = call.stdin.encode("utf-8", "replace")
            yield Start(argv, told, env, empty, target.total, MOST_OUTPUT, call.hopeless)


def _prepared(target: Target, request: Request) -> tuple[Profile, Request]:
    if not target.command:
        raise ProviderError(Failure(Outcome.CAPABILITY, "the policy names no `command`", code="no_command"))
    name = profile_name(target.command, target.options)
    if name not in PROFILES:
        raise ProviderError(Failure(Outcome.CAPABILITY, f"plugin command has no profile `{name}`", code="no_profile"))
    known = replace(PARAMETERS, common=PROFILES[name].params)
    return PROFILES[name], with_params(known, target, replace(request, stream=False))


def _program(target: Target, path: str | None) -> str:
    """Where the program is. One that is not there is a `credential` failure, as a model that is gone is: trying again
    does not help, and the provider is of no use until somebody acts."""
    found = shutil.which(target.command[0], path=path)
    if found is None:
        said = f"the program `{Path(target.command[0]).name}` is not installed, or not in $PATH"
        raise ProviderError(Failure(Outcome.CREDENTIAL, said, code="not_installed"))
    return os.path.abspath(found)


def _by_itself(ended: Ended) -> Ended:
    """`ended`, unless somebody else put an end to the program: the system, short of memory, or a person."""
    if ended.code < 0 and not ended.stopped:
        said = f"the program was ended by signal {-ended.code}"
        raise ProviderError(Failure(Outcome.SERVER, said, code=f"signal_{-ended.code}"))
    return ended


def _whole(reply: Reply) -> Reply:
    if not reply.text.strip():
        raise ProviderError(Failure(Outcome.BAD_CONTENT, "the program answered nothing", code="empty"))
    return reply


def _events(reply: Reply) -> Iterator[Event]:
    yield TextDelta(reply.text)
    yield Done(reply)


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except ProviderError:
        raise
    except TimeoutError:
        raise ProviderError(Failure(Outcome.TIMEOUT, "the program did not answer in time", code="total")) from None
    except TooMuch:
        raise ProviderError(Failure(Outcome.BAD_CONTENT, "the program wrote too much", code="too_much")) from None
    except OSError as error:
        said = "the program cannot be started"
        raise ProviderError(Failure(Outcome.TRANSPORT, said, code=type(error).__name__)) from None
