"""What a command may end with: the exit codes, and which error means which (DESIGN 9)."""

from __future__ import annotations

from typing import Final

from hroute.errors import AllFailed, HrouteError, NoCredential, PolicyError, Refused

DONE: Final = 0
NO: Final = 1
"""The answer is no: findings, failing tests, a diff over `--fail-on`."""
USAGE: Final = 2
POLICY: Final = 3
"""The policy cannot be loaded."""
CREDENTIAL: Final = 4
REFUSED: Final = 5
"""Refused by policy or budget; nothing left the machine."""
FAILED: Final = 6
"""Every permitted provider failed, or the request itself was rejected upstream."""
INTERNAL: Final = 70
"""A defect of ours: a number that no program can mistake for an answer."""
INTERRUPTED: Final = 130

MEANINGS: Final = {
    DONE: "done",
    NO: "the answer is no: findings, failing tests, a difference that --fail-on names",
    USAGE: "wrong usage: an option, a signal or a file that does not exist",
    POLICY: "the policy cannot be loaded (`check` itself answers 1)",
    CREDENTIAL: "a credential is missing or was rejected",
    REFUSED: "refused by policy or budget; nothing left the machine",
    FAILED: "every permitted provider failed, or the request was rejected upstream",
    INTERNAL: "hroute itself failed: a defect, please report it",
    INTERRUPTED: "interrupted",
}
"""Code -> meaning, for `hroute --help` and the generated documents."""

_BY_ERROR: Final[tuple[tuple[type[HrouteError], int, str], ...]] = (
    (PolicyError, POLICY, "policy"),
    (Refused, REFUSED, "refused"),
    (NoCredential, CREDENTIAL, "credential"),
    (AllFailed, FAILED, "failed"),
    (HrouteError, USAGE, "usage"),
)


def code_of(error: HrouteError) -> int:
    """The exit code of an error that reached the command line."""
    return next(code for kind, code, _ in _BY_ERROR if isinstance(error, kind))


def name_of(error: HrouteError) -> str:
    """What `error.code` holds in JSON: the HR code where there is one, else a plain word."""
    return error.code or next(name for kind, _, name in _BY_ERROR if isinstance(error, kind))
