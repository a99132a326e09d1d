"""`hroute keys`: type a key once; a policy names it as `keyring:NAME`, and nothing ever prints it."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer

from hroute.cli import client_keys, exits, policies, streams
from hroute.cli.render.table import rows
from hroute.errors import UsageError

HELP = "Keep the vendors' keys: in the system's keyring where there is one, else in a file that only you can read."
SET_HELP = """Ask for a key without showing it, or read it from stdin, and keep it as NAME.

A policy then uses it by `api_key: keyring:NAME`. It is never taken from the command line, which the shell's history and
every process of the machine can read.

\b
Examples:
  hroute keys set ANTHROPIC_API_KEY
  pass show anthropic | hroute keys set ANTHROPIC_API_KEY
"""
LIST_HELP = "List the names of the keys that are kept, and where; never a value."
PATH_HELP = "Print the path of the file in which keys are kept where there is no keyring."
REMOVE_HELP = "Forget a key."

_PLACES: Final = {"keyring": "the system's keyring", "file": "the file"}

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as ANTHROPIC_API_KEY.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="One JSON object a key.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, rich_markup_mode=None, no_args_is_help=True)
    group.callback()(_group)
    group.command("set", help=SET_HELP)(set_)
    group.command("list", help=LIST_HELP)(list_)
    group.command("path", help=PATH_HELP)(path)
    group.command("remove", help=REMOVE_HELP)(remove)
    client_keys.register(group)
    app.add_typer(group, name="keys")


def _group() -> None:
    """Commands that keep keys."""


def set_(
    name: NameArgument,
    surplus: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    file: Annotated[bool, typer.Option("--file", help="Into the file, also where there is a keyring.")] = False,
    as_json: policies.JsonOption = False,
) -> int:
    """Check the name, read the key, keep it. What else stands on the command line may be a key: it is not repeated."""
    from hroute.terms import keystore

    if surplus:
        raise UsageError(
            "a key is never taken from the command line",
            help="if one stood there, revoke it: the shell's history has it now. Then: hroute keys set NAME",
        )
    keystore.check_name(name)
    place = keystore.store(name, _value(name), os.environ, to_file=file)
    if as_json:
        streams.emit("keys", {"name": name, "place": place})
    where = keystore.path(os.environ) if place == "file" else _PLACES[place]
    streams.talk(f"{name} is kept in {where}. In a provider of the policy: api_key: keyring:{name}")
    return exits.DONE


def list_(as_json: JsonLinesOption = False) -> int:
    """Names and places."""
    from hroute.terms import keystore

    found = keystore.names(os.environ)
    if as_json:
        for each in found:
            streams.emit("keys", {"name": each.name, "place": each.place})
        return exits.DONE
    for line in rows([[each.name, _PLACES[each.place], f"keyring:{each.name}"] for each in found]):
        streams.line(line)
    if not found:
        streams.talk("no key is kept here: hroute keys set NAME")
    return exits.DONE


def path() -> int:
    """Where the file is, or would be."""
    from hroute.terms import keystore

    streams.line(keystore.path(os.environ))
    return exits.DONE


def remove(name: NameArgument, as_json: policies.JsonOption = False) -> int:
    """Forget it, wherever it is."""
    from hroute.terms import keystore

    keystore.check_name(name)
    gone = keystore.remove(name, os.environ)
    if as_json:
        streams.emit("keys", {"name": name, "removed": gone})
    streams.talk(
        f"{name} is forgotten here; to make it useless, revoke it at the vendor"
        if gone
        else f"{name} was not kept here"
    )
    return exits.DONE if gone else exits.NO


def _value(name: str) -> str:
    """The key: typed without an echo on a terminal, else the first line of stdin."""
    if streams.is_terminal(sys.stdin):
        typed: str = typer.prompt(f"{name} (not shown)", hide_input=True, err=True)
        return typed.strip()
    from hroute.terms.keystore import LONGEST

    raw = sys.stdin.buffer.read(4 * LONGEST)
    try:
        lines = raw.decode("utf-8-sig").strip().splitlines()
    except UnicodeDecodeError:
        raise UsageError("stdin is not UTF-8 text") from None
    if len(lines) != 1:
        raise UsageError("stdin holds no key" if not lines else "stdin holds more than one line")
    return lines[0].strip()
