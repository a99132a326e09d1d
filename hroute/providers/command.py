"""A subscription through its vendor's own command-line client: the prompt on standard input, the answer from its output.

The client runs in an empty directory, with its tools off, in an environment that holds nothing but what it needs, and
its whole process group is gone when the call returns, is cancelled or has run out of time. Billing is what the terms of
the subscription say; the usage that the client reports is recorded.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from hroute.providers.programs import process
from hroute.providers.programs.claude import Claude
from hroute.providers.programs.codex import Codex
from hroute.providers.programs.plain import Plain
from hroute.providers.programs.process import Ended, Start, TooMuch
from hroute.providers.programs.profile import Profile
from hroute.providers.protocol import Capabilities, Permit, ProviderError, Target
from hroute.providers.stainless import with_params
from hroute.terms.message import Done, Event, Reply, Request, TextDelta
from hroute.terms.outcome import Failure, Outcome

PROFILES: Final[Mapping[str, Profile]] = {profile.name: profile for profile in (Claude(), Codex(), Plain())}

KEEPS: Final = ("PATH", "HOME", "USER", "LOGNAME")
"""Variables of our environment that every program gets: where programs are, and whose home holds a login."""

MOST_OUTPUT: Final = 16 * 1024 * 1024
"""Bytes of an answer that are read."""


class CommandPlugin:
    """`command:` of the policy, run once a call. `environ` stands for our own environment."""

    name = "command"
    capabilities = Capabilities(tools=False, images=False, json_schema=False, stream=False, needs_key=False)

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        permit.spend(target.name)
        profile, made = _prepared(target, request)
        with _mapped(), self._start(profile, target, made) as start:
            return _whole(profile.reply(target, made, process.run(start)))

    def stream(self, target: Target, request: Request, permit: Permit) -> Iterator[Event]:
        """The answer in one piece: what a client shows while it works is not its answer."""
        permit.spend(target.name)
        return self._stream(target, request)

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        permit.spend(target.name)
        profile, made = _prepared(target, request)
        with _mapped(), self._start(profile, target, made) as start:
            return _whole(profile.reply(target, made, await process.arun(start)))

    def astream(self, target: Target, request: Request, permit: Permit) -> AsyncIterator[Event]:
        permit.spend(target.name)
        return self._astream(target, request)

    def _stream(self, target: Target, request: Request) -> Iterator[Event]:
        yield from _events(self.send(target, request, _Spent()))

    async def _astream(self, target: Target, request: Request) -> AsyncIterator[Event]:
        for event in _events(await self.asend(target, request, _Spent())):
            yield event

    @contextmanager
    def _start(self, profile: Profile, target: Target, request: Request) -> Iterator[Start]:
        """Everything that a run needs, in a folder of its own that is removed afterwards."""
        passed = target.options.get("env", ())
        env = {name: self._environ[name] for name in (*KEEPS, *profile.keeps, *passed) if name in self._environ}
        with tempfile.TemporaryDirectory(prefix="hroute-", ignore_cleanup_errors=True) as made:
            folder = Path(made)
            empty = folder / "empty"
            empty.mkdir()
            call = profile.call(target, request, folder)
            env |= {"LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1", "PWD": str(empty), "TMPDIR": made, **call.env}
            argv = (_program(target, env.get("PATH")), *target.command[1:], *call.arguments)
            yield Start(argv, call.stdin.encode("utf-8", "replace"), env, empty, target.total, MOST_OUTPUT)


class _Spent:
    """The permit of a call that has spent its own."""

    provider = ""

    def spend(self, provider: str) -> None:
        return None


def profile_of(target: Target) -> Profile:
    """The profile that the policy names, else that of the program's name, else text. Raises ProviderError."""
    named = target.options.get("profile")
    if named is None:
        named = Path(target.command[0]).name if target.command else "text"
        return PROFILES.get(named, PROFILES["text"])
    if named not in PROFILES:
        raise _unusable(f"plugin command has no profile `{named}`", "unknown_profile")
    return PROFILES[named]


def _prepared(target: Target, request: Request) -> tuple[Profile, Request]:
    if not target.command:
        raise _unusable("the policy names no `command`", "no_command")
    profile = profile_of(target)
    return profile, with_params("command", profile.params, target, replace(request, stream=False))


def _program(target: Target, path: str | None) -> str:
    """Where the program is. One that is not there is a `credential` failure: as with a model that is gone, trying again
    does not help, and the provider is of no use until somebody acts."""
    found = shutil.which(target.command[0], path=path)
    if found is None:
        said = f"the program `{target.command[0]}` is not installed, or not in $PATH"
        raise ProviderError(Failure(Outcome.CREDENTIAL, said, code="not_installed"))
    return found


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
        raise ProviderError(
            Failure(Outcome.BAD_CONTENT, "the program wrote more than is read", code="too_much")
        ) from None
    except OSError as error:
        raise ProviderError(
            Failure(Outcome.TRANSPORT, "the program cannot be started", code=type(error).__name__)
        ) from None


def _unusable(said: str, code: str) -> ProviderError:
    return ProviderError(Failure(Outcome.CAPABILITY, said, code=code))


__all__ = ["PROFILES", "CommandPlugin", "Ended", "profile_of"]
