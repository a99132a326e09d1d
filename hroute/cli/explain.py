"""`hroute explain`: where would this request go, and why? Nothing is sent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hroute.cli import exits, policies, request, streams
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.schema.policy import Policy

HELP = """Say where a prompt would go and why; nothing is sent.

\b
Examples:
  hroute explain -f big.py "Refactor this module"
  hroute explain --signal task_type=code --signal complexity=high
  hroute explain --down anthropic "Why is the sky blue?"
  hroute explain --id 9F2C41AB       a request of the ledger, under the policy of its day and today's
"""


def register(app: typer.Typer) -> None:
    app.command("explain", help=HELP)(explain)


def explain(
    prompt: request.PromptArgument = None,
    files: request.FileOption = None,
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
    signals: request.SignalOption = None,
    system: request.SystemOption = None,
    session: request.SessionOption = None,
    cost_center: request.CostCenterOption = None,
    down: Annotated[
        list[str] | None, typer.Option("--down", metavar="NAME", help="A provider or vendor that is down; repeatable.")
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="ID", help="A request of the ledger, by any unique end of its id.", show_default=False
        ),
    ] = None,
    lazy: Annotated[bool, typer.Option("--lazy", help="Read only what `ask` would read.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Every test of every rule, every signal.")] = False,
) -> int:
    """Read, decide, show."""
    if id is not None:
        if prompt is not None or files or system or session or cost_center or signals or down or lazy:
            raise UsageError("--id stands alone: what was recorded is explained", help=f"hroute explain --id {id}")
        from hroute.cli import recalling

        return recalling.run(id, policy, as_json=as_json, verbose=verbose)
    from hroute.cli.render import decision as render
    from hroute.router import experience, explanation

    asked = request.read(prompt, files, system=system, session=session, cost_center=cost_center, signals=signals)
    loaded = policies.load(policy)
    _known(loaded, down or ())
    learned = experience.Experience(loaded, os.environ)
    found = explanation.explain(
        loaded,
        asked.request,
        asked.signals,
        environ=os.environ,
        down=down or (),
        lazy=lazy,
        learned=learned.answers,
        warm=learned.warm(session, int(time.time() * 1000)) if session else None,
        at=datetime.now(UTC),
    )
    learned.close()
    if as_json:
        streams.emit("explain", render.as_json(found))
        return exits.DONE
    streams.line(render.text(found, verbose=verbose, colour=streams.wants_colour(sys.stdout)))
    streams.talk()
    streams.talk("Nothing was sent." + (f" To send it: {_command(prompt, files, signals)}" if asked.request else ""))
    return exits.DONE


def _known(policy: Policy, down: Sequence[str]) -> None:
    names = {*policy.providers, *(p.plugin for p in policy.providers.values())}
    for name in down:
        if name not in names:
            from difflib import get_close_matches

            near = get_close_matches(name, names, 1)
            known = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(policy.providers)}"
            raise UsageError(f"`{name}` is no provider of this policy", help=known)


def _command(prompt: str | None, files: Sequence[str] | None, signals: Sequence[str] | None) -> str:
    """The command that would send it; a prompt that was piped in has to be piped in again."""
    from shlex import quote

    from hroute.cli.render.text import shorten, visible

    words = ["hroute", "ask"]
    for option, given in (("-f", files), ("--signal", signals)):
        for value in given or ():
            words += [option, quote(value)]
    if prompt is not None:
        words.append(quote(prompt) if len(prompt) < 200 else "...")
    return visible(shorten(" ".join(words), 300))
