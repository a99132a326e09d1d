"""`hroute feedback`: say what an answer was worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hroute.cli import exits, ledger, policies, streams
from hroute.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from hroute.ledger.store import Transaction

HELP = """Say that an answer was good or bad; the last word counts.

It is kept beside the request, counted by `hroute costs` and `costs --holdout`, and can label a log for `hroute tune`
(`hroute logs export FILE --labels`).

\b
Examples:
  hroute feedback 9F2C41AB good
  hroute feedback 9F2C41AB bad --note "it made up the opening hours"
"""


def register(app: typer.Typer) -> None:
    app.command("feedback", help=HELP)(feedback)


def feedback(
    id: Annotated[str, typer.Argument(metavar="ID", help="The request's id, or any unique beginning or end of it.")],
    verdict: Annotated[str, typer.Argument(metavar="good|bad", help="What the answer was worth.")],
    policy: policies.PolicyOption = None,
    note: Annotated[
        str,
        typer.Option("--note", metavar="TEXT", help="Why, in a few words; without personal data.", show_default=False),
    ] = "",
    as_json: policies.JsonOption = False,
) -> int:
    """Find the request, keep the verdict, say what was said before."""
    from hroute.ledger import feedback as verdicts
    from hroute.ledger import ledger as ledgers
    from hroute.router.verdicts import verdict as judged

    place = ledger.place(policy)
    said = judged(id, verdict, note)
    with ledger.view(place) as view:
        name = ledger.one(view, id)
        before = _before(view, name)
    books = ledgers.at(place.where, ledgers.Settings(zone=place.zone))
    books.thresholds = place.thresholds
    try:
        books.append(judged(name, verdict, note))
        if not books.flush(10.0):
            raise LedgerError(f"the verdict could not be written: {books.state().message or place.shown}")
        with books.read() as view:
            kept = verdicts.of(view, name, said.source) == said.verdict
    finally:
        books.close()
    if not kept:  # dropped between the two looks
        raise UsageError(f"`{id}` names no request any more", help="its row was dropped (`ledger: {keep: ...}`)")
    if as_json:
        streams.emit("feedback", {"id": name, "verdict": verdict, "before": before, "note": note or None})
    else:
        changed = f", was {before}" if before not in (None, verdict) else ", as before" if before else ""
        streams.line(f"{name}  {verdict}{changed}")
    return exits.DONE


def _before(view: Transaction | None, name: str) -> str | None:
    """What was said of the request before. Raises UsageError where it has not ended."""
    from hroute.ledger import feedback as verdicts

    assert view is not None
    state = view.run("SELECT state FROM request WHERE id = ?", (name,))[0][0]
    if state != "done":
        why = "has not ended yet" if state == "started" else "has no known end: its process went away"
        raise UsageError(f"{name} {why}, so there is no answer to judge")
    return verdicts.of(view, name, "")
