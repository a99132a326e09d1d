"""`hroute init`: a first policy, its tests, and the schema that lets an editor complete both."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hroute.cli import exits, policies, schema, streams
from hroute.cli.render.table import rows
from hroute.cli.render.text import count
from hroute.cli.test import beside
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.schema.policy import Policy

_MODELINE: Final = "# yaml-language-server: $schema="
_SCHEMA_AT: Final = "hroute/schema/policy.schema.json"
"""Where the starter's first line tells an editor to look, seen from the policy."""

HELP = """Write a first policy, its tests, and the schema for your editor, into the current directory.

The policy is a starting point to edit: every rule has a comment that says what it is for.
"""


def register(app: typer.Typer) -> None:
    app.command("init", help=HELP)(init)


def init(
    policy: Annotated[
        str, typer.Option("-p", "--policy", metavar="FILE", help="Where the policy is written.")
    ] = policies.FILE_NAME,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    as_json: policies.JsonOption = False,
) -> int:
    """Look first, then write: all of it or nothing."""
    from hroute.router import check

    cases = beside(policy)
    editor = os.path.join(os.path.dirname(policy), *_SCHEMA_AT.split("/"))
    _refuse_to_overwrite([policy, cases, editor], force)
    _write(policy, _starter(policies.FILE_NAME))
    _write(cases, _starter(beside(policies.FILE_NAME)))
    loaded = check.load(policy)
    if not _is_ours(editor):
        _write(editor, json.dumps(schema.enumerated(loaded), indent=2, ensure_ascii=False) + "\n")
    return _report(policy, cases, editor, loaded, as_json)


def _refuse_to_overwrite(files: list[str], force: bool) -> None:
    there = [file for file in files if os.path.lexists(file) and not _is_ours(file)]
    if there and not force:
        raise UsageError(
            f"`{'`, `'.join(there)}` {'is' if len(there) == 1 else 'are'} already there", help="--force overwrites"
        )


def _is_ours(file: str) -> bool:
    """Whether the file is the schema of this very program: in its own checkout the editor reads that one."""
    try:
        return os.path.samefile(file, schema.SCHEMA)
    except OSError:
        return False


def _starter(name: str) -> str:
    """A starter file: beside this module in a wheel, at the root in a checkout."""
    for folder in (Path(__file__).parent / "starter", Path(__file__).parents[2]):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise UsageError(
        f"the starter file {name} is missing from this installation", help="install hroute anew from its checkout"
    )


def _write(file: str, text: str) -> None:
    if os.path.dirname(file):
        os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


def _report(policy: str, cases: str, editor: str, loaded: Policy, as_json: bool) -> int:
    facts: dict[str, dict[str, Any]] = {
        policy: {
            "provider": len(policies.in_use(loaded)),
            "rule": len(loaded.rules),
            "guarantee": len(loaded.guarantees),
        },
        cases: {"case": _cases_in(cases)},
        editor: {},
    }
    if as_json:
        streams.emit("init", {"files": list(facts), "rules": len(loaded.rules), "cases": facts[cases]["case"]})
        return exits.DONE
    table = [[f"wrote {file}", ", ".join(count(n, noun) for noun, n in told.items())] for file, told in facts.items()]
    for line in rows(table, gap=4):
        streams.line(line)
    if _starter(policies.FILE_NAME).startswith(_MODELINE):
        streams.line("Your editor completes keys now (yaml-language-server reads line 1).")
    streams.line("Next: hroute check --watch")
    return exits.DONE


def _cases_in(file: str) -> int:
    """How many cases a file has, each row of a table of cases counted."""
    from hroute.schema.source import read

    data = read(file).data
    listed = data.get("cases") if isinstance(data, dict) else None
    return sum(len(case["each"]) if isinstance(case, dict) and "each" in case else 1 for case in listed or ())
