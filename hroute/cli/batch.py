"""`hroute batch`: ask every line of a file, so many at a time, and go on after whatever stopped it."""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hroute.cli import exits, policies, request, running, streams
from hroute.cli.progress import Progress
from hroute.cli.render.text import count, visible
from hroute.errors import UsageError
from hroute.terms import money
from hroute.terms.signal import coerce

if TYPE_CHECKING:
    from hroute.router.batch import Summary, Terms
    from hroute.router.batch_lines import Lines
    from hroute.router.batch_results import Results
    from hroute.router.client import AsyncClient

HELP = """Ask every line of FILE and write one line for each to OUT, whatever becomes of it.

A line is a JSON object with "prompt" or "messages", an "id" (else it is called by its number), "system", and any signal;
batch_size is the number of lines, whatever a line says. OUT grows as answers come; the same command again asks only what
has no result yet. At the end OUT is in the order of FILE. A line that got no answer says why.

Answers 0 where every line has an answer and 1 where some have none; where none has, 4, 5 or 6 as ask does.

\b
Examples:
  hroute batch questions.jsonl -o answers.jsonl
  hroute batch questions.jsonl -o answers.jsonl --retry-failed
  hroute dry-run questions.jsonl            where would they go, and at what cost?
"""

_MOST: Final = 512
_BY_OUTCOME: Final = {"refused": exits.REFUSED, "credential": exits.CREDENTIAL, "invalid": exits.NO}


def register(app: typer.Typer) -> None:
    app.command("batch", help=HELP)(batch)


def batch(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The lines to ask: JSON Lines.")],
    out: Annotated[str, typer.Option("-o", "--out", metavar="OUT", help="The results: JSON Lines.")],
    policy: policies.PolicyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")] = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=_MOST, help="How many are asked at the same time.")
    ] = 8,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask lines again whose result is a failure.")
    ] = False,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="Leave OUT in the order in which answers came.")
    ] = False,
    signals: request.SignalOption = None,
    system: request.SystemOption = None,
    cost_center: request.CostCenterOption = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=1, help="Output tokens at most.")] = None,
    json_schema: Annotated[
        str | None, typer.Option("--json-schema", metavar="FILE", help="Every answer must be JSON of this schema.")
    ] = None,
    sandbox: running.SandboxOption = False,
    sandbox_script: running.SandboxScriptOption = None,
) -> int:
    """Count, ask, sum up."""
    from hroute.cli.ask import shape_of
    from hroute.router.batch import Terms

    given = request.parse_signals(signals or ())
    if cost_center is not None:
        given["cost_center"] = coerce("cost_center", cost_center)
    options: dict[str, Any] = {"system": system, "max_tokens": max_tokens}
    options["json_schema"] = None if json_schema is None else shape_of(json_schema)
    said = {name: value for name, value in options.items() if value is not None}
    terms = Terms(concurrency, retry_failed, unordered, given, said)
    written = {
        "-p": policy, "--concurrency": None if concurrency == 8 else concurrency, "--unordered": unordered, "--signal": signals,
        "--system": None if system is None else "...", "--cost-center": cost_center, "--max-tokens": max_tokens,
        "--json-schema": json_schema, "--sandbox": sandbox, "--sandbox-script": sandbox_script,
    }  # fmt: skip
    command = _command(file, out, written)
    with _files(file, out) as (lines, results):
        client = running.client_of(policy, sandbox, sandbox_script)
        return _run(client, lines, results, terms, command, as_json)


def _command(file: str, out: str, options: Mapping[str, Any]) -> str:
    """The command line that goes on, for a person to copy. A prompt is not repeated."""
    words = ["hroute", "batch", file, "-o", out]
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            words += [] if each is None or each is False else [name] if each is True else [name, str(each)]
    return " ".join(word if word == "..." else shlex.quote(word) for word in words)


def _run(client: AsyncClient, lines: Lines, results: Results, terms: Terms, command: str, as_json: bool) -> int:
    started, before = time.monotonic(), len(results)
    if before:
        streams.talk(f"{before:,} of {count(len(lines), 'line')} have a result already")
    done, stopped = asyncio.run(_asked(client, lines, results, terms))
    seconds = time.monotonic() - started
    if as_json:
        streams.emit(
            "batch", {**done.as_json(), "seconds": round(seconds, 3), "interrupted": stopped, "out": results.path}
        )
    _tell(done, seconds, command, results.path)
    return exits.INTERRUPTED if stopped else _code(done)


async def _asked(client: AsyncClient, lines: Lines, results: Results, terms: Terms) -> tuple[Summary, bool]:
    from hroute.router.batch import run
    from hroute.router.bounded import Stop

    stop = Stop()
    async with client:
        with Progress("lines", len(lines)) as bar, running.interruptible(stop):
            bar.at(len(results), len(results))
            done = await run(client, lines, results, terms, stop, lambda n: bar.at(n, n))
    return done, stop.asked.is_set()


@contextmanager
def _files(file: str, out: str) -> Iterator[tuple[Lines, Results]]:
    from hroute.router.batch_lines import Lines
    from hroute.router.batch_results import Results

    lines = Lines(file)
    try:
        with suppress(OSError):
            if os.path.samefile(file, out):
                raise UsageError("-o names the input itself", help="results go to a file of their own")
        results = Results(out, lines.places)
        try:
            yield lines, results
        finally:
            results.close()
    finally:
        lines.close()


def _tell(done: Summary, seconds: float, command: str, out: str) -> None:
    """What came of it, and what to do next."""
    read = done.usage.input + done.usage.cache_read + done.usage.cache_write
    written = done.usage.output + done.usage.reasoning
    failures = {name: n for name, n in done.outcomes.items() if name != "ok"}
    failed = f", {done.failed:,} without an answer ({_listed(failures)})" if done.failed else ""
    streams.talk(
        visible(
            f"{done.answered:,} of {count(done.lines, 'line')} answered{failed}; {done.asked:,} asked in {seconds:.1f} s"
        )
    )
    if done.answered:
        escalated = f"      {done.escalated:,} escalated" if done.escalated else ""
        least = "at least " if done.unpriced else ""
        unknown = f" ({count(done.unpriced, 'line')} without a known price)" if done.unpriced else ""
        cost = f"{least}{money.show(done.cost, 4)}{unknown}"
        streams.talk(visible(f"  {_listed(done.providers)}{escalated}      {read:,} -> {written:,} tokens      {cost}"))
    if done.results < done.lines:
        streams.talk(f"{done.lines - done.results:,} are still to be asked. To go on: {command}")
    elif done.failed:
        streams.talk(visible(f"{out} says why. To ask them again: {command} --retry-failed"))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def _code(done: Summary) -> int:
    if not done.failed:
        return exits.DONE
    if done.answered:
        return exits.NO
    first = next(iter(done.outcomes))
    return _BY_OUTCOME.get(first, exits.FAILED) if len(done.outcomes) == 1 else exits.NO
