"""Which policy a command works on, and the options that every command shares."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hroute.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from hroute.schema.policy import Policy, Provider, Rule

FILE_NAME: Final = "routing-config.yaml"
HINT: Final = "hroute init writes one"

PolicyOption = Annotated[
    str | None,
    typer.Option(
        "-p",
        "--policy",
        metavar="FILE",
        help="The policy; else $HROUTE_POLICY, else ./routing-config.yaml, else the XDG config directory.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def locate(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The path of the policy to use. Where there is none at all, the path at which one would be looked for first.

    Raises UsageError where `given` and the name of nothing are the same: an empty path.
    """
    if given is not None:
        if not given:
            raise UsageError("--policy names no file")
        return given
    if environ.get("HROUTE_POLICY"):
        return environ["HROUTE_POLICY"]
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    at_home = os.path.join(config, "hroute", FILE_NAME)
    return at_home if not os.path.exists(FILE_NAME) and os.path.exists(at_home) else FILE_NAME


def load(given: str | None) -> Policy:
    """The checked policy. Raises PolicyError with the findings where it cannot be loaded."""
    from hroute.router import check

    path = locate(given)
    if not os.path.exists(path):
        missing = PolicyError(f"there is no policy: `{path}` does not exist")
        missing.help = HINT
        raise missing
    return check.load(path)


def in_use(policy: Policy) -> tuple[Provider, ...]:
    """The providers that a person means by "my providers": those declared, and of the catalogue those that serve, confirm,
    judge or are shadows."""
    from hroute.router.decide import destinations

    used = {name for rule in policy.all_rules for name in (*destinations(policy, rule), *_seconds(rule))}
    used |= {policy.baseline} if policy.baseline else set()
    return tuple(p for p in policy.providers.values() if not p.catalogued or p.name in used)


def _seconds(rule: Rule) -> Iterator[str]:
    """Who is asked besides whom a rule routes to."""
    validate = rule.validate
    asked = (validate.agree_with, validate.judge) if validate is not None else ()
    yield from (name for name in (*asked, rule.shadow.to if rule.shadow else None) if name is not None)
