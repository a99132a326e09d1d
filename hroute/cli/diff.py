"""`hroute diff`: what changes route between two policies, for every request there can be."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hroute.cli import exits, policies, streams
from hroute.cli.render import values
from hroute.cli.render.table import rows
from hroute.cli.render.text import count, visible
from hroute.errors import PolicyError, UsageError
from hroute.schema.diagnostic import Level

if TYPE_CHECKING:
    from hroute.router.analysis.diff import Change, Difference
    from hroute.schema.policy import Policy

FAIL_ON: Final = {
    "change": "any request changes route",
    "newly-reaching": "some request reaches a provider that the same request could not reach before",
    "leaves-machine": "some request that stayed on this machine leaves it",
    "not-proven": "time ran out before every request was looked at",
}

SECONDS: Final = 30.0
"""How long the search may take; past it the answer says "not proven"."""

HELP = f"""Name every kind of request that changes route between two policies. No log is needed.

OLD and NEW are files or git revisions (HEAD, HEAD:path/to/policy.yaml). Without NEW it is the policy in force, without
OLD that policy as it was last committed.

\b
--fail-on takes, comma-separated:
{chr(10).join(f"  {name:<16} {text}" for name, text in FAIL_ON.items())}
"""


def register(app: typer.Typer) -> None:
    app.command("diff", help=HELP)(diff)


def diff(
    old: Annotated[str | None, typer.Argument(metavar="[OLD]", show_default=False)] = None,
    new: Annotated[str | None, typer.Argument(metavar="[NEW]", show_default=False)] = None,
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="A comment for a pull request.")] = False,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="WHAT", help="Answer 1 where this is found.")
    ] = None,
) -> int:
    """Load both, subtract, show."""
    from hroute.router.analysis import diff as analysis

    conditions = _conditions(fail_on)
    here = policies.locate(policy)
    before = load_either(old if old is not None else f"HEAD:./{here}", here)
    after = load_either(new if new is not None else here, here)
    end = time.monotonic() + SECONDS
    found = analysis.diff(before, after, stop=lambda: time.monotonic() > end)
    if as_json:
        streams.emit("diff", _as_json(found))
    else:
        streams.line(_markdown(found) if markdown else _text(found))
    return exits.NO if any(_holds(condition, found) for condition in conditions) else exits.DONE


def _conditions(fail_on: str | None) -> list[str]:
    names = [name.strip() for name in (fail_on or "").split(",") if name.strip()]
    for name in names:
        if name not in FAIL_ON:
            raise UsageError(f"--fail-on does not know `{name}`", help=f"it knows {', '.join(FAIL_ON)}")
    return names


def _holds(condition: str, found: Difference) -> bool:
    match condition:
        case "not-proven":
            return not found.proven
        case "leaves-machine":
            return any(change.leaves_machine for change in found.changes)
        case "newly-reaching":
            return any(newly_reaching(change) for change in found.changes)
        case _:
            return bool(found.changes)


def newly_reaching(change: Change) -> tuple[str, ...]:
    """Providers that the requests of this change could not reach before."""
    return tuple(name for name in change.to_chain if name not in change.from_chain)


def load_either(name: str, here: str) -> Policy:
    """A policy from a file, or from a revision: `REV:path`, or `REV` for the policy in force."""
    from hroute.schema import load

    if os.path.exists(name):
        found, findings, _ = load.load(name)
    elif name == here:
        raise UsageError(f"`{name}` does not exist", help="hroute diff OLD NEW takes two files or git revisions")
    else:
        found, findings, _ = load.load_text(_show(name if ":" in name else f"{name}:./{here}"), name)
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    if found is None or errors:
        raise PolicyError(f"{name} cannot be loaded: {count(len(errors), 'error')}", errors)
    return found


def _show(revision: str) -> str:
    """The text that git keeps under `REV:path`."""
    if revision.startswith("-"):
        raise UsageError(f"`{revision}` is neither a file nor a git revision")
    try:
        shown = subprocess.run(["git", "show", revision], capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"`{revision}` is no file, and git cannot be asked: {type(error).__name__}") from None
    if shown.returncode:
        said = shown.stderr.decode("utf-8", "replace").strip().splitlines()
        help = f"git says: {visible(said[0])}" if said else None
        raise UsageError(f"`{revision}` is neither a file nor a git revision of one", help=help)
    return shown.stdout.decode("utf-8", "replace")


def _text(found: Difference) -> str:
    shown = [_row(change) for change in found.changes]
    return "\n".join((_headline(found), *rows(shown, indent=2, gap=3)))


def _headline(found: Difference) -> str:
    number = len(found.changes)
    if not number:
        return "nothing changes" + (
            ", proven for every possible request" if found.proven else " as far as could be seen: not proven in time"
        )
    proof = "proven for every possible request" if found.proven else "and perhaps more: not proven in time"
    return f"{count(number, 'region')} {'changes' if number == 1 else 'change'}, {proof}"


def _row(change: Change) -> list[str]:
    said = f"e.g. {change.witness_text}" if change.witness_text else ""
    leaves = "LEAVES THE MACHINE" if change.leaves_machine else ""
    before = _end(change.from_chain, change.from_rule)
    about = "   ".join(filter(None, (visible(change.region_text), visible(said), leaves)))
    return [before, f"->  {_end(change.to_chain, change.to_rule)}", about]


def _end(chain: Sequence[str], rule: str) -> str:
    """`ollama (simple)`; with the chain where that may be the change."""
    return visible(f"{' > '.join(chain) or 'refused'} ({rule})")


def _markdown(found: Difference) -> str:
    lines = [f"**hroute diff**: {_headline(found)}"]
    if found.changes:
        lines += ["", "| from | to | requests | for example | |", "|---|---|---|---|---|"]
        for change in found.changes:
            cells = (
                _end(change.from_chain, change.from_rule),
                _end(change.to_chain, change.to_rule),
                change.region_text,
                change.witness_text,
            )
            mark = "**leaves the machine**" if change.leaves_machine else ""
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} | {mark} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    escaped = visible(text).replace("\\", "\\\\")
    for mark in "|<>*_`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped


def _as_json(found: Difference) -> dict[str, Any]:
    changes = [
        {
            "from": {
                "rule": change.from_rule,
                "route_to": next(iter(change.from_chain), None),
                "fallback": list(change.from_chain[1:]),
            },
            "to": {
                "rule": change.to_rule,
                "route_to": next(iter(change.to_chain), None),
                "fallback": list(change.to_chain[1:]),
            },
            "region": change.region_text,
            "witness": values.plain(change.witness),
            "leaves_machine": change.leaves_machine,
            "newly_reaching": list(newly_reaching(change)),
        }
        for change in found.changes
    ]
    return {"changes": changes, "proven": found.proven}
