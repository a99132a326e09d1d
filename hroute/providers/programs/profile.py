"""How a vendor's own client is called and what its output means: one profile a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from hroute.providers.outcomes import TOO_LONG, Row, outcome_of
from hroute.providers.programs.process import Ended
from hroute.providers.programs.resets import seconds_until
from hroute.providers.protocol import ProviderError, Target
from hroute.terms.message import Reply, Request
from hroute.terms.outcome import Failure, Outcome


@dataclass(frozen=True, slots=True)
class Call:
    """What a profile adds to the policy's `command`: arguments, the text on standard input, environment variables.

    `hopeless` knows the lines of output after which the client would wait for ever.
    """

    arguments: tuple[str, ...]
    stdin: str
    env: Mapping[str, str] = field(default_factory=dict)
    hopeless: Callable[[bytes], bool] | None = None


class Profile(Protocol):
    """One client. `keeps` are the variables of our own environment that lead it to its login, `params` the parameters
    that it carries."""

    name: str
    keeps: tuple[str, ...]
    params: frozenset[str]

    def call(self, target: Target, request: Request, folder: Path) -> Call:
        """How `request` is put to the client. `folder` takes files that it reads: no text of the request is an argument."""

    def reply(self, target: Target, request: Request, ended: Ended) -> Reply:
        """What it answered. Raises ProviderError where it failed."""


ROWS: Final = (
    Row(Outcome.CAPABILITY, words=(*TOO_LONG, "ran out of room")),
    Row(Outcome.CREDENTIAL, words=("unknown option", "unexpected argument", "unrecognized subcommand")),
    Row(Outcome.CAPACITY, words=("usage limit", "hit your", "limit reached", "out of usage", "rate limit", "too many requests", "quota exceeded", "overloaded", "at capacity")),
    Row(Outcome.CREDENTIAL, words=("not logged in", "missing environment variable", "/login", "codex login", "invalid api key", "unauthorized", "sign in", "log in", "oauth", "authenticat")),
    Row(Outcome.CREDENTIAL, words=("does not exist", "may not exist", "not supported when using", "does not have access", "credit balance")),
    Row(Outcome.TRANSPORT, words=("unable to connect", "connection", "error sending request", "stream disconnected", "network error", "dns error")),
)  # fmt: skip
"""What the clients say, where they give no status. A plan's spent quota is a limit: it comes back by itself."""

_MEANING: Final = {
    Outcome.CAPABILITY: "the prompt does not fit",
    Outcome.CREDENTIAL: "it is not logged in, too old, or not allowed to use this model",
    Outcome.CAPACITY: "a limit of the plan is reached",
    Outcome.TRANSPORT: "its vendor cannot be reached",
    Outcome.TIMEOUT: "its vendor did not answer in time",
    Outcome.CALLER_FAULT: "its vendor does not take the request",
}


def failed(message: str, status: int | None = None, codes: tuple[str, ...] = ()) -> ProviderError:
    """The failure behind a client's `message`, which is read here and quoted nowhere. `status` is its vendor's."""
    outcome = outcome_of(ROWS if status is None else PLAN, status, codes, message)
    wait = seconds_until(message) if outcome is Outcome.CAPACITY else None
    said = f"the client says that {_MEANING.get(outcome, 'it failed')}"
    return ProviderError(Failure(outcome, f"{said} ({status})" if status else said, status, None, wait))


PLAN: Final = (
    Row(Outcome.CAPABILITY, words=TOO_LONG),
    Row(Outcome.CAPACITY, 400, words=("usage limits",)),
    Row(Outcome.CAPACITY, 403, words=("usage limit",)),
    Row(Outcome.CAPACITY, 429),
)
"""Rows before a status: a plan's quota is no spent credit, whatever the vendor's gateway makes of it."""
