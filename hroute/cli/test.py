"""`hroute test`: the policy's own cases, what they cover, and the cases that are missing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hroute.cli import exits, policies, streams
from hroute.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from hroute.router.analysis.cases import Case, Outcome
    from hroute.router.analysis.coverage import Coverage
    from hroute.router.decide import Compiled
    from hroute.schema.policy import Policy

_PATIENCE = 5.0
"""Seconds that the search for uncovered outcomes may take."""

HELP = """Run the policy's own test cases and say what they cover. Nothing is sent.

Cases stand beside the policy: routing-config.test.yaml for routing-config.yaml. All of them run, always.
"""


def register(app: typer.Typer) -> None:
    app.command("test", help=HELP)(run_cases)


def run_cases(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Test files instead of the one beside the policy.", show_default=False
        ),
    ] = None,
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
    run: Annotated[str | None, typer.Option("--run", metavar="REGEX", help="Only the cases whose name fits.")] = None,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.")
    ] = None,
    cov_fail_under: Annotated[
        float | None,
        typer.Option(
            "--cov-fail-under", metavar="PERCENT", min=0, max=100, help="Answer 1 where fewer outcomes are covered."
        ),
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print the cases that are missing, ready to paste.")
    ] = False,
) -> int:
    """Load, run, show."""
    from hroute.cli.render import cases as render

    path = policies.locate(policy)
    loaded = policies.load(path)
    report = run_files(loaded, list(files or [beside(path)]), run=run, needed=not suggest)
    if junit is not None:
        _write(junit, render.junit(report))
    if suggest:
        streams.line(render.suggestions(report))
        return exits.DONE
    if as_json:
        streams.emit("test", render.as_json(report))
    else:
        streams.line(render.text(report, streams.wants_colour(sys.stdout)))
    short = cov_fail_under is not None and report.coverage is not None and report.coverage.percent < cov_fail_under
    return exits.NO if report.failed or short else exits.DONE


@dataclass(frozen=True, slots=True)
class Report:
    """What running the cases of a policy led to; `coverage` is None where only some of them ran."""

    compiled: Compiled
    outcomes: tuple[Outcome, ...]
    coverage: Coverage | None

    @property
    def policy(self) -> Policy:
        return self.compiled.policy

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if not outcome.ok)


def beside(path: str) -> str:
    """`routing-config.yaml` -> `routing-config.test.yaml`."""
    return f"{os.path.splitext(path)[0]}.test.yaml"


def run_files(policy: Policy, files: Sequence[str], *, run: str | None = None, needed: bool = True) -> Report:
    """Run every case of the files, or those whose title `run` (RE2) finds. Raises UsageError, and PolicyError for a
    test file with errors; a missing file is none where no case is `needed`."""
    from hroute.router.analysis.cases import run_case
    from hroute.router.analysis.coverage import coverage
    from hroute.router.analysis.reach import Effort
    from hroute.router.decide import compile

    cases = [case for file in files if needed or os.path.exists(file) for case in _read(file)]
    if run is not None:
        cases = _chosen(cases, run)
    compiled = compile(policy)
    outcomes = tuple(run_case(compiled, case) for case in cases)
    end = time.monotonic() + _PATIENCE
    covered = None if run is not None else coverage(compiled, outcomes, Effort(lambda: time.monotonic() > end))
    return Report(compiled, outcomes, covered)


def _read(file: str) -> list[Case]:
    from hroute.router.analysis.cases import read_cases
    from hroute.schema.source import read
    from hroute.schema.validate import shape_of_cases

    if not os.path.exists(file):
        raise UsageError(
            f"there are no test cases: `{file}` does not exist", help="hroute test --suggest writes the first ones"
        )
    source = read(file)
    findings = [*source.findings, *shape_of_cases(source)]
    if source.data is None and not findings:
        raise PolicyError(f"`{file}` is empty", ())
    return read_cases(source, findings)


def _chosen(cases: list[Case], pattern: str) -> list[Case]:
    from hroute.terms.pattern import PatternError, TextMatcher, check

    try:
        check(pattern)
    except PatternError as error:
        raise UsageError(f"--run is no pattern: {error.message}") from None
    matcher = TextMatcher(matches=(pattern,))
    chosen = [case for case in cases if matcher.holds(case.title)]
    if not chosen:
        raise UsageError(f"no case has a name that fits `{pattern}`", help=f"there are {len(cases)} cases")
    return chosen


def _write(file: str, text: str) -> None:
    if os.path.isdir(file):
        raise UsageError(f"`{file}` is a directory", help="--junit takes the name of a file to write")
    with open(file, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
