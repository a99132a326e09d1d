"""How a vendor's own client is called and what its output means: one profile a client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from hroute.providers.outcomes import NO_CREDIT, TOO_LONG, Row, failure, outcome_of
from hroute.providers.programs.process import Ended
from hroute.providers.protocol import ProviderError, Target
from hroute.terms.message import Reply, Request
from hroute.terms.outcome import Failure, Outcome


@dataclass(frozen=True, slots=True)
class Call:
    """What a profile adds to the policy's `command`: arguments, the text on standard input, environment variables."""

    arguments: tuple[str, ...]
    stdin: str
    env: Mapping[str, str] = field(default_factory=dict)


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
    Row(Outcome.CREDENTIAL, words=NO_CREDIT),
    Row(Outcome.CAPACITY, words=("usage limit", "hit your", "limit reached", "rate limit", "too many requests", "quota exceeded", "overloaded", "high demand", "at capacity")),
    Row(Outcome.CREDENTIAL, words=("not logged in", "/login", "codex login", "invalid api key", "unauthorized", "sign in", "log in", "oauth", "authenticat", "does not exist", "may not exist")),
    Row(Outcome.TRANSPORT, words=("unable to connect", "connection", "error sending request", "network error", "dns error")),
)  # fmt: skip
"""What the clients say, where they give no status. A plan's spent quota is a limit: it comes back by itself."""


def failed(status: int | None, message: str, *, rows: Iterable[Row] = (), wait: float | None = None) -> ProviderError:
    """The failure behind a client's `message`, which is read here and quoted nowhere. `wait` is in seconds."""
    outcome = outcome_of((*rows, *ROWS), None, (), message) if status is None else outcome_of(rows, status, (), message)
    made = failure(outcome, status, (), {})
    return ProviderError(
        Failure(
            made.outcome,
            f"the client says: {_MEANING.get(outcome, outcome)}" if status is None else made.message,
            status,
            None,
            wait,
        )
    )


_MEANING: Final = {
    Outcome.CAPABILITY: "the prompt does not fit",
    Outcome.CREDENTIAL: "not logged in, or not for this model",
    Outcome.CAPACITY: "a limit of the plan is reached",
    Outcome.TRANSPORT: "its vendor cannot be reached",
    Outcome.SERVER: "it failed",
}
