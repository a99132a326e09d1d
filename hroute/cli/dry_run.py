"""`hroute dry-run`: yesterday's log under a policy: where every request would go, and what it would cost."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer

from hroute.cli import exits, policies, streams
from hroute.cli.progress import Progress
from hroute.cli.render import dry_run as render
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.replay.result import Result
    from hroute.schema.policy import Policy

HELP = """Re-decide a log under the policy: where every request would go, and at what cost. Nothing is sent.

LOG is a JSONL file, `.gz` or not, or a transcript of Claude Code, or the folder of them (~/.claude/projects); `-` is
standard input. A bad line is counted and never fatal.

\b
--fail-on takes, comma-separated:
  newly-reaching   a request would reach a provider that it did not reach before
  cost+10%         the cost grows by more than that against what it is compared with
  cannot-tell      the log does not say enough about some request
  bad-lines        a line could not be read

\b
Examples:
  hroute dry-run october.jsonl --baseline claude_sonnet
  hroute dry-run october.jsonl --against HEAD:routing-config.yaml
  hroute dry-run october.jsonl --each decisions.jsonl --all-signals
"""

_COST: Final = re.compile(r"cost\+(\d+(?:\.\d+)?)%")
_AGO: Final = re.compile(r"(\d+)([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def register(app: typer.Typer) -> None:
    app.command("dry-run", help=HELP)(dry_run)


def dry_run(
    logs: Annotated[list[str], typer.Argument(metavar="LOG...")],
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
    baseline: Annotated[
        str | None, typer.Option(metavar="PROVIDER", help="Compare with this provider for everything.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="POLICY", help="Compare with this policy: a file or a git revision.")
    ] = None,
    each: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write one JSON line a request; `-` is stdout.")
    ] = None,
    all_signals: Annotated[
        bool, typer.Option("--all-signals", help="Run every extractor and write every signal.")
    ] = False,
    by: Annotated[str | None, typer.Option(metavar="KEY", help="Group by a signal, model, day or rule.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="Only from then on: 7d, 12h or a date.")] = None,
    out_tokens: Annotated[
        int | None, typer.Option("--out-tokens", min=0, help="Output of a request whose count is not logged.")
    ] = None,
    near: Annotated[float | None, typer.Option(min=0, max=1, help="How near to a threshold is near.")] = None,
    columns: Annotated[
        str | None, typer.Option("--map", metavar="OURS=THEIRS,...", help="Names of foreign columns.")
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="WHAT", help="Answer 1 where this is found.")
    ] = None,
) -> int:
    """Open the log, run, show."""
    from hroute.replay import dry_run as engine
    from hroute.replay.readers.detect import opened
    from hroute.replay.report import as_json as json_of

    conditions = _conditions(fail_on)
    moment = None if since is None else _moment(since, datetime.now(UTC))
    loaded = policies.load(policy)
    before = None if against is None else _other(against, policies.locate(policy))
    log = opened(logs, _mapping(columns))
    _spare(logs, each)
    with _lines(each) as write, Progress("requests", log.size) as bar:
        result = engine.run(
            loaded,
            log,
            baseline=baseline,
            against=before,
            since=moment,
            by=by,
            out_tokens=engine.OUT_TOKENS if out_tokens is None else out_tokens,
            near=engine.NEAR if near is None else near,
            all_signals=all_signals,
            each=write,
            progress=lambda rows: bar.at(rows, log.position),
        )
    if as_json:
        streams.emit("dry-run", json_of(result))
    elif each != "-":
        streams.line(render.text(result, logs, loaded))
    return exits.NO if any(condition(result) for condition in conditions) else exits.DONE


def _conditions(fail_on: str | None) -> list[Callable[[Result], bool]]:
    found: list[Callable[[Result], bool]] = []
    for name in (part.strip() for part in (fail_on or "").split(",")):
        cost = _COST.fullmatch(name)
        if cost is not None:
            found.append(_dearer(float(cost[1])))
        elif name in _CONDITIONS:
            found.append(_CONDITIONS[name])
        elif name:
            raise UsageError(
                f"--fail-on does not know `{name}`", help=f"it knows {', '.join(_CONDITIONS)} and cost+10%"
            )
    return found


def _dearer(percent: float) -> Callable[[Result], bool]:
    """Whether the cost is more than so much above what it is compared with; unknown costs count as dearer."""

    def holds(result: Result) -> bool:
        then = [move.cost_then for move in result.moves]
        now = [move.cost_now for move in result.moves]
        if None in then or None in now or result.total.cost is None:
            return True
        grown = sum(c or 0 for c in now) - sum(c or 0 for c in then)
        return grown * 100 > percent * (result.total.cost - grown)

    return holds


_CONDITIONS: Final[dict[str, Callable[[Result], bool]]] = {
    "newly-reaching": lambda result: any((result.newly_reaching or {}).values()),
    "cannot-tell": lambda result: result.cannot_tell > 0,
    "bad-lines": lambda result: result.bad_lines > 0,
}


def _moment(text: str, now: datetime) -> datetime:
    """`7d` ago, or a date."""
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise UsageError(f"`{text}` is no time", help="write 7d, 12h, or a date such as 2026-10-01") from None


def _mapping(columns: str | None) -> dict[str, str] | None:
    """`input_tokens=ContextTokens,ts=TIMESTAMP`: our name -> the log's."""
    if columns is None:
        return None
    pairs = [part.partition("=") for part in columns.split(",")]
    for ours, equals, theirs in pairs:
        if not (ours.strip() and equals and theirs.strip()):
            raise UsageError(
                f"`{ours}{equals}{theirs}` names no column", help="write --map ts=TIMESTAMP,input_tokens=ContextTokens"
            )
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def _other(name: str, here: str) -> Policy:
    from hroute.cli.diff import load_either

    return load_either(name, here)


def _spare(logs: list[str], each: str | None) -> None:
    """`--each` must not write over the log that it reads."""
    if (
        each is not None
        and os.path.exists(each)
        and any(os.path.exists(log) and os.path.samefile(each, log) for log in logs)
    ):
        raise UsageError(f"`{each}` is the log itself", help="--each takes another file to write")


@contextmanager
def _lines(file: str | None) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Where the lines of `--each` go."""
    if file is None:
        yield None
    elif file == "-":
        yield lambda line: streams.line(streams.to_json(line))
    else:
        if os.path.isdir(file):
            raise UsageError(f"`{file}` is a directory", help="--each takes the name of a file to write")
        with open(file, "w", encoding="utf-8", newline="\n") as stream:
            yield lambda line: _put(stream, line)


def _put(stream: TextIO, line: dict[str, Any]) -> None:
    stream.write(json.dumps(line, ensure_ascii=False) + "\n")
