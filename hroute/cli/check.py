"""`hroute check`: is the policy right, and what can it never do?"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hroute.cli import exits, policies, streams
from hroute.cli.render import diagnostic
from hroute.cli.render.excerpt import Files
from hroute.cli.render.text import count
from hroute.errors import PolicyError, UsageError
from hroute.schema.diagnostic import Diagnostic, Level

if TYPE_CHECKING:
    from hroute.router.check import Checked
    from hroute.router.probing import Probed
    from hroute.schema.policy import Policy

Format = Literal["full", "concise", "json", "github"]

HELP = """Check the policy: mistakes, unreachable rules, broken guarantees.

Answers 0 where the policy may be loaded and 1 where it may not. Keep a warning on purpose with a comment
`# hroute: ignore CODE reason` on its line or the line above.
"""


def register(app: typer.Typer) -> None:
    app.command("check", help=HELP)(check)


def check(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="The same as --policy.", show_default=False)
    ] = None,
    policy: policies.PolicyOption = None,
    format: Annotated[Format, typer.Option("--format", help="How findings are written.")] = "full",
    as_json: policies.JsonOption = False,
    deny_warnings: Annotated[bool, typer.Option("--deny-warnings", help="Warnings make the answer 1 as well.")] = False,
    explain: Annotated[str | None, typer.Option(metavar="CODE", help="What a finding's code means.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Check again whenever the file changes.")] = False,
    tree: Annotated[bool, typer.Option("--tree", help="Print the decision tree.")] = False,
    mermaid: Annotated[
        bool, typer.Option("--tree-mermaid", help="The tree as a diagram: also --tree=mermaid.")
    ] = False,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the policy with every default filled in.")
    ] = False,
    scope: Annotated[bool, typer.Option("--scope", help="What is proved, and what no proof can see.")] = False,
    online: Annotated[
        bool,
        typer.Option("--online", help="Ask each provider too: key, model, what Ollama has loaded. No prompt is sent."),
    ] = False,
) -> int:
    """One question about the policy a call; without one, its findings."""
    if explain is not None:
        return _explain(explain, as_json)
    if file is not None and policy is not None and file != policy:
        raise UsageError("two policies are named: FILE and --policy", help="give one of them")
    path = policies.locate(file if file is not None else policy)
    style: Format = "json" if as_json else format
    if watch:
        return _watch(path, style, deny_warnings)
    verdict = judge(path, online=online)
    if tree or mermaid or resolved or scope:
        return _picture(verdict, mermaid=mermaid, tree=tree, resolved=resolved, as_json=style == "json")
    report(verdict, style)
    if not os.path.exists(path):
        streams.talk(policies.HINT)
    return verdict.code(deny_warnings)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a policy file: the check, the findings that were not kept on purpose, the tests beside it."""

    path: str
    checked: Checked
    findings: tuple[Diagnostic, ...]
    ignored: int
    tests: Tests | None
    seconds: float
    online: tuple[Probed, ...] | None = None

    def count(self, level: Level) -> int:
        return diagnostic.tally(self.findings)[level]

    def code(self, deny_warnings: bool = False) -> int:
        bad = self.count(Level.ERROR) or (deny_warnings and self.count(Level.WARNING))
        failed = self.tests is not None and self.tests.failed
        return exits.NO if bad or failed or not all(one.ok for one in self.online or ()) else exits.DONE


@dataclass(frozen=True, slots=True)
class Tests:
    """The policy's own cases: how many there are, and how many fail. `coverage` is a share of the outcomes."""

    cases: int
    failed: int
    coverage: float


def judge(path: str, *, online: bool = False) -> Verdict:
    """Check the file, run the cases beside it where it can be loaded, and ask its providers where that is wanted."""
    from hroute.router import check as engine

    start = time.perf_counter()
    checked = engine.check_path(path)
    findings = checked.findings
    blocked = any(f.level is Level.ERROR for f in findings)
    tests = None
    try:
        tests = None if blocked or checked.policy is None else _tests(path, checked.policy)
    except PolicyError as broken:
        findings += broken.diagnostics
    seconds = time.perf_counter() - start
    asked = None if blocked or checked.policy is None or not online else _online(checked.policy)
    return Verdict(path, checked, findings, len(checked.kept), tests, seconds, asked)


def _online(policy: Policy) -> tuple[Probed, ...]:
    from hroute.router import probing

    return tuple(probing.probe(policy, policies.in_use(policy), os.environ))


def report(verdict: Verdict, style: Format) -> None:
    """Write the findings to stdout."""
    source = verdict.checked.source
    files = Files({source.name: source.text}).hiding(verdict.findings)
    match style:
        case "json":
            streams.emit("check", _as_json(verdict))
        case "github":
            for finding in verdict.findings:
                streams.line(diagnostic.github(finding))
        case "concise":
            for finding in verdict.findings:
                streams.line(diagnostic.concise(finding))
        case "full":
            colour = streams.wants_colour(sys.stdout)
            for finding in verdict.findings:
                streams.line(diagnostic.full(finding, files, colour) + "\n")
            streams.line(_summary(verdict))
    if verdict.online is not None and style != "json":
        from hroute.cli.render import online

        for line in ("online", *online.lines(verdict.online)):
            (streams.line if style == "full" else streams.talk)(line)


def _summary(verdict: Verdict) -> str:
    took = f"({verdict.seconds:.1f} s)"
    errors, warnings = verdict.count(Level.ERROR), verdict.count(Level.WARNING)
    lines = []
    if not errors:
        lines.append(f"{_outcome(verdict)}   {took}")
        lines += [f"vouched for: `{said['provider']}` ({said['why']})" for said in _vouched(verdict)]
    if verdict.findings:
        counts = f"{count(errors, 'error')}, {count(warnings, 'warning')}"
        lines.append(
            f"{counts}{f' {took}' if errors else ''}      explain a code: hroute check --explain {verdict.findings[0].code}"
        )
    return "\n".join(lines)


def _outcome(verdict: Verdict) -> str:
    """`routing-config.yaml  ok      7 rules, 9 tests pass`."""
    name = os.path.basename(verdict.path)
    policy = verdict.checked.policy
    rules = count(len(policy.rules), "rule") if policy else "no policy"
    kept = f", {verdict.ignored} kept on purpose" if verdict.ignored else ""
    tests = verdict.tests
    if tests is None:
        return f"{name}  ok      {rules}{kept}"
    if tests.failed:
        return (
            f"{name}  tests fail      {rules}{kept}, {tests.failed} of {count(tests.cases, 'test')} failed: hroute test"
        )
    passing = f"{count(tests.cases, 'test')} {'passes' if tests.cases == 1 else 'pass'}"
    return f"{name}  ok      {rules}{kept}, {passing}, {tests.coverage:.0%} of outcomes covered".replace("%", " %")


def _as_json(verdict: Verdict) -> dict[str, object]:
    tests = verdict.tests
    return {
        "file": verdict.path,
        "findings": [diagnostic.as_json(finding) for finding in verdict.findings],
        "errors": verdict.count(Level.ERROR),
        "warnings": verdict.count(Level.WARNING),
        "ignored": verdict.ignored,
        "vouched": _vouched(verdict),
        "proven": [{"guarantee": p.guarantee, "proven": p.proven, "reason": p.reason} for p in verdict.checked.proven],
        "tests": None if tests is None else {"passed": tests.cases - tests.failed, "failed": tests.failed},
        **({} if verdict.online is None else {"online": [one.as_json() for one in verdict.online]}),
    }


def _vouched(verdict: Verdict) -> list[dict[str, str]]:
    """The commands that somebody vouches for: no check can see where they send what they get."""
    from hroute.cli.render.text import visible

    policy = verdict.checked.policy
    providers = policy.providers.values() if policy else ()
    return [{"provider": p.name, "why": visible(p.vouched)} for p in providers if p.vouched]


def _tests(path: str, policy: Policy) -> Tests | None:
    """The cases of `NAME.test.yaml` beside the policy, run; None where there is no such file. Raises PolicyError."""
    from hroute.cli.test import beside, run_files

    if not os.path.exists(beside(path)):
        return None
    report = run_files(policy, [beside(path)])
    covered = report.coverage.percent if report.coverage is not None else 0.0
    return Tests(len(report.outcomes), len(report.failed), covered / 100)


def _watch(path: str, style: Format, deny_warnings: bool) -> int:
    """Check now and after every change, until interrupted."""
    from hroute.cli.test import beside
    from hroute.router import reload

    used: list[str] = []
    code = exits.DONE
    for _ in reload.watch(lambda: tuple(dict.fromkeys((path, beside(path), *used)))):
        verdict = judge(path)
        if verdict.checked.policy is not None:
            used[:] = verdict.checked.policy.sources
        code = verdict.code(deny_warnings)
        _announce(verdict, style, deny_warnings)
    return code


def _announce(verdict: Verdict, style: Format, deny_warnings: bool) -> None:
    """One line with the time, then the findings."""
    if style == "json":
        return report(verdict, style)
    clock = time.strftime("%H:%M:%S")
    name = os.path.basename(verdict.path)
    if verdict.code(deny_warnings) == exits.DONE:
        streams.line(f"{clock}  {_outcome(verdict)}   ({verdict.seconds:.1f} s)")
    else:
        counts = [count(n, str(level)) for level in (Level.ERROR, Level.WARNING) if (n := verdict.count(level))]
        streams.line(f"{clock}  {name}  {', '.join(counts)}" if counts else f"{clock}  {_outcome(verdict)}")
    for finding in verdict.findings:
        source = verdict.checked.source
        files = Files({source.name: source.text}).hiding(verdict.findings)
        text = diagnostic.full(finding, files, streams.wants_colour(sys.stdout))
        streams.line(text if style == "full" else diagnostic.concise(finding))


def _explain(code: str, as_json: bool) -> int:
    from hroute.cli.render import code as page
    from hroute.schema.codes import CODES

    known = CODES.get(code.upper())
    if known is None:
        from difflib import get_close_matches

        near = get_close_matches(code.upper(), CODES, 3)
        raise UsageError(f"`{code}` is no code of a finding", help=f"there are {', '.join(near or list(CODES))}")
    if as_json:
        streams.emit("check", page.as_json(known))
    else:
        streams.line(page.text(known))
    return exits.DONE


def _picture(verdict: Verdict, *, mermaid: bool, tree: bool, resolved: bool, as_json: bool) -> int:
    """A view of a policy that can be loaded; its errors instead, where it cannot."""
    from hroute.cli.render import policy as views

    policy = verdict.checked.policy
    if policy is None or verdict.count(Level.ERROR):
        report(verdict, "json" if as_json else "full")
        return exits.NO
    if resolved:
        from hroute.schema.load import dump

        streams.line(json.dumps(views.plain(policy)) if as_json else dump(policy).rstrip("\n"))
    elif tree or mermaid:
        streams.line(views.mermaid(policy) if mermaid else views.tree(policy))
    else:
        proofs = verdict.checked.proven
        if as_json:
            streams.emit("check", views.scope_json(policy, proofs))
        else:
            streams.line(views.scope(policy, proofs))
    return exits.DONE
