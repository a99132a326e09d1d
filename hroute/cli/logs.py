"""`hroute logs`: what happened to each request, from the ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import IO, Annotated, Any, NoReturn

import typer

from hroute.cli import exits, ledger, policies, streams
from hroute.cli.render.table import rows
from hroute.cli.render.text import count, visible
from hroute.errors import UsageError
from hroute.terms import money
from hroute.terms.ids import short

HELP = """What happened to each request: the last ones, the newest at the bottom.

\b
Examples:
  hroute logs -n 3
  hroute logs --since 24h --outcome refused
  hroute logs show 9F2C41AB
  hroute logs export october.jsonl --since 2026-10-01
  hroute logs prune --older-than 90d
"""
SHOW_HELP = "Show one request in full, by its id or any unique beginning or end of it."
EXPORT_HELP = "Write the requests as a log that `hroute dry-run` reads: .jsonl, .csv, or .parquet with pyarrow."
PRUNE_HELP = "Drop the rows of old requests. Sums by day stay, so `hroute costs` goes on telling of them."

MostOption = Annotated[int, typer.Option("-n", "--last", min=1, help="How many.")]
FilterOption = Annotated[str | None, typer.Option(metavar="NAME", help="Only of this name.", show_default=False)]

_EVERY = 0.5  # seconds between two looks of --follow
_MOST = 5_000  # requests that one look is shown at most
_LONGEST = 600_000  # milliseconds that a request may have taken which ends now
_LATE = 10_000  # milliseconds within which a request that has ended is written


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, rich_markup_mode=None, invoke_without_command=True)
    group.callback()(logs)
    group.command("show", help=SHOW_HELP)(show)
    group.command("export", help=EXPORT_HELP)(export)
    group.command("prune", help=PRUNE_HELP)(prune)
    app.add_typer(group, name="logs")


def logs(
    context: typer.Context,
    policy: policies.PolicyOption = None,
    last: MostOption = 20,
    since: ledger.SinceOption = None,
    rule: FilterOption = None,
    provider: FilterOption = None,
    outcome: FilterOption = None,
    cost_center: FilterOption = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on showing what comes.")] = False,
    would_refuse: Annotated[
        bool, typer.Option("--would-refuse", help="Only what an observed policy would have refused.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a request.")] = False,
) -> int:
    """Read the last rows and show them."""
    if context.invoked_subcommand is not None:
        return exits.DONE
    from hroute.ledger import report

    place = ledger.place(policy)
    wanted = {"rule": rule, "provider": provider, "outcome": outcome, "cost_center": cost_center}
    where = {name: value for name, value in wanted.items() if value is not None}
    start, begun = ledger.instant(since, place.zone), int(time.time() * 1000)
    with ledger.view(place) as view:
        found = (
            [] if view is None else report.logs(view, most=last, since=start, where=where, would_refuse=would_refuse)
        )
    _print(found, as_json)
    if follow:
        _follow(place, where, would_refuse, begun, {row["id"] for row in found}, as_json)
    elif not found and not as_json:
        streams.talk(f"nothing recorded yet in {place.shown}" if view is None else "no request fits")
    return exits.DONE


def _follow(
    place: ledger.Place, where: dict[str, str], would_refuse: bool, begun: int, seen: set[str], as_json: bool
) -> NoReturn:
    """Show requests as they end, whenever they arrived, until somebody stops it."""
    from hroute.ledger import report

    while True:
        with ledger.view(place) as view:
            found = (
                []
                if view is None
                else report.logs(
                    view, most=_MOST, since=begun - _LONGEST, ended=begun, where=where, would_refuse=would_refuse
                )
            )
        _print([row for row in found if row["id"] not in seen], as_json)
        seen |= {row["id"] for row in found}
        begun = max(begun, int(time.time() * 1000) - _LATE)
        time.sleep(_EVERY)


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="The request's id, or any unique end of it.")],
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
) -> int:
    """Everything that is known of one request."""
    from hroute.ledger import report
    from hroute.ledger.export import canonical

    with ledger.view(ledger.place(policy)) as view:
        name = ledger.one(view, id)
        row = report.whole(view, name) if view else None
    assert row is not None
    content = {
        **canonical({name: value for name, value in row.items() if name != "said"}),
        **{k: row.get(k) for k in ("versions", "around", "follows", "followed_by", "feedback", "said")},
    }
    if as_json:
        streams.emit("logs", content)
        return exits.DONE
    shown = {name: _shown(name, value) for name, value in content.items()}
    for line in rows([["" if n else name, one] for name, lines in shown.items() for n, one in enumerate(lines)]):
        streams.line(visible(line))
    return exits.DONE


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; `-` for JSON Lines on standard output.")],
    policy: policies.PolicyOption = None,
    since: ledger.SinceOption = None,
    until: ledger.UntilOption = None,
    text: Annotated[
        bool, typer.Option("--text", help="With prompts and answers, of requests whose text was kept (`log_text`).")
    ] = False,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="For `hroute tune`: kept prompts of free answers with a verdict; dear answers are taken for good.",
        ),
    ] = False,
) -> int:
    """Write the rows, some at a time."""
    from hroute.ledger import export as exporting
    from hroute.ledger import report

    ending = os.path.splitext(file)[1].lower() if file != "-" else ".jsonl"
    if ending not in (*exporting.WRITERS, ".parquet"):
        raise UsageError(f"`{file}` does not say in which format", help="end the name in .jsonl, .csv or .parquet")
    if labels and ending != ".jsonl":
        raise UsageError("labels are written as JSON Lines", help="end the name in .jsonl")
    place = ledger.place(policy)
    start = ledger.instant(since, place.zone)
    end = None if until is None else ledger.end_of(until, place.zone)
    with ledger.view(place) as view:
        pages = iter(()) if view is None else report.pages(view, start, end, beside=text or labels)
        if ending == ".parquet":
            number = exporting.to_parquet(pages, file)
        else:
            write = exporting.labels if labels else exporting.WRITERS[ending]
            number = _write(file, lambda out: write(pages, out))
    streams.talk(f"{count(number, 'request', 'requests')} written")
    return exits.DONE


def _write(file: str, fill: Callable[[IO[str]], int]) -> int:
    """Fill a file that only its owner reads, or standard output."""
    import sys

    if file == "-":
        return fill(sys.stdout)
    private = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(private, "w", encoding="utf-8", newline="") as out:
        return fill(out)


def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="AGE", help="Such as 90d.")],
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
) -> int:
    """Drop old rows, some at a time, so that nobody who writes has to wait."""
    from hroute.ledger import retention
    from hroute.ledger.ledger import open_store

    place = ledger.place(policy)
    before, dropped = ledger.instant(older_than, place.zone), 0
    if before is not None and place.exists:
        store = open_store(place.where)
        try:
            while True:
                with store.write(10.0) as transaction:
                    number = retention.prune(transaction, before, most=1_000)
                dropped += number
                if number < 1_000:
                    break
        finally:
            store.close()
    if as_json:
        streams.emit("logs", {"dropped": dropped})
    else:
        streams.line(f"{count(dropped, 'request', 'requests')} dropped")
    return exits.DONE


def _print(found: list[dict[str, Any]], as_json: bool) -> None:
    from hroute.ledger.export import canonical

    if as_json:
        for row in found:
            streams.emit("logs", canonical(row))
        return
    for line in rows([_row(row) for row in found], right=(4, 5)):
        streams.line(visible(line))


def _row(row: dict[str, Any]) -> list[str]:
    clock = time.strftime("%m-%d %H:%M", time.localtime(row["ts"] / 1000))
    return [
        short(row["id"]),
        clock,
        row["provider"] or "-",
        row["rule"],
        f"{row['latency_ms'] / 1000:.1f} s",
        money.show(row["cost"], 4) + ("~" if row["estimated"] else ""),
        _came_of(row),
    ]


def _came_of(row: dict[str, Any]) -> str:
    """`ok`, `ok, instead of claude_sonnet (outage)`, `refused HR904`."""
    said: str = row["outcome"] + (f" {row['error']}" if row["error"] else "")
    if row["escalation"]:
        said += f", instead of {row['routed_to'] or 'nobody'} ({row['escalation']})"
    return said + ("  sandbox" if row["mode"] == "sandbox" else "")


def _shown(name: str, value: Any) -> list[str]:
    """A value in lines: attempts one by one, signals by name, what is not there not at all."""
    import json

    if value in (None, "", [], {}):
        return []
    if name == "attempts":
        return [_attempt(one) for one in value]
    if name == "feedback":
        return [one["verdict"] + (f": {one['note']}" if one["note"] else "") for one in value]
    if name == "said":
        return _said(value)
    if name == "signals":
        return [f"{key} = {json.dumps(one, ensure_ascii=False)}" for key, one in value.items()]
    if isinstance(value, float):
        return [f"{value:.9f}".rstrip("0").rstrip(".") if name.endswith("_usd") else f"{value:.1f}"]
    return [json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)]


def _said(kept: dict[str, Any]) -> list[str]:
    """What was said, by whom, line by line."""
    from hroute.ledger.export import messages

    system, turns = messages(kept)
    told = [("system", system), *((turn["role"], turn["content"]) for turn in turns), ("answer", kept["answer"])]
    return [f"{who}: {line}" for who, text in told for line in text.splitlines()]


def _attempt(one: dict[str, Any]) -> str:
    """`ollama / llama3.1:8b: bad_content, 0.4 s, $0.0000`."""
    status = f" {one['status']}" if one["status"] else ""
    code = f" {one['code']}" if one["code"] else ""
    cost = "unknown cost" if one["cost_usd"] is None else f"${one['cost_usd']:.4f}"
    kind = "" if one["kind"] == "try" else f", as {one['kind']}"
    return f"{one['provider']} / {one['model']}: {one['outcome']}{status}{code}, {one['latency_ms'] / 1000:.1f} s, {cost}{kind}"
