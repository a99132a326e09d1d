"""What a policy says of a command beside its arguments: which client it is, whose prices it is billed by, its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import basename
from typing import Any, Final

VENDORS: Final = {"claude": "anthropic", "codex": "openai"}
"""Profile -> the plugin whose list prices hold where a client draws on credit."""

TEXT: Final = "text"

OPTIONS: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "profile": {
            "title": "claude, codex or text",
            "enum": [*VENDORS, TEXT],
            "description": "Which client it is; without it the program's name says so. `text`: any other program, its standard output is the answer.",
        },
        "billing": {
            "title": "flat or metered",
            "enum": ["flat", "metered"],
            "description": "What the terms of the subscription say: `flat`, the month is paid and a call costs nothing more; `metered`, calls draw on a credit at the vendor's list prices. Without it the cost of a call is unknown.",
        },
        "env": {
            "title": "a list of names of environment variables",
            "type": "array",
            "items": {
                "title": "the name of an environment variable",
                "type": "string",
                "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
            },
            "description": "Variables of hroute's own environment that the program is to see, by name: `[HTTPS_PROXY]`. It sees no other than PATH, HOME, USER, LOGNAME and the one that says where its login is.",
        },
        "key_env": {
            "title": "the name of an environment variable",
            "type": "string",
            "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
            "description": "For `profile: text`: the variable in which the program wants its `api_key`.",
        },
    },
}
"""The JSON Schema of `options:` of `plugin: command`."""


def profile_name(command: Sequence[str], options: Mapping[str, Any]) -> str:
    """The profile that the policy names, else that of the program's name, else text."""
    named = options.get("profile")
    if isinstance(named, str):
        return named
    program = basename(command[0]) if command else ""
    return program if program in VENDORS else TEXT
