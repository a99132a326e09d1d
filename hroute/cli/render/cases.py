"""The outcome of a policy's test cases: failures with the reason, coverage with what is missing, JUnit, suggestions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from hroute.cli.render import values
from hroute.cli.render.decision import place
from hroute.cli.render.excerpt import Files, underlined
from hroute.cli.render.text import count, pad, shorten, visible
from hroute.cli.streams import paint
from hroute.schema.condition import Test, first_failing, holds
from hroute.schema.policy import Policy, Rule

if TYPE_CHECKING:
    from hroute.cli.test import Report
    from hroute.router.analysis.cases import Case, Miss, Outcome
    from hroute.router.analysis.coverage import Coverage, Goal, Sort

_SORTS: Final[tuple[Sort, ...]] = ("rules", "branches", "fallbacks")
_MARGIN: Final = 51
_SHOWN: Final = 10


def text(report: Report, colour: bool = False) -> str:
    """Failures first, then the count, then the coverage."""
    files = Files()
    blocks = ["\n".join(_failure(report.policy, outcome, files, colour)) for outcome in report.failed]
    passed = len(report.outcomes) - len(report.failed)
    failed = f", {len(report.failed)} failed" if report.failed else ""
    blocks.append(f"{count(len(report.outcomes), 'case')}: {passed} passed{failed}")
    if report.coverage is not None:
        blocks.append("\n".join(_coverage(report.coverage)))
    return "\n\n".join(blocks)


def as_json(report: Report) -> dict[str, Any]:
    """The keys that programs may rely on (DESIGN 9)."""
    return {
        "passed": len(report.outcomes) - len(report.failed),
        "failed": len(report.failed),
        "cases": [_case_json(outcome) for outcome in report.outcomes],
        "coverage": None if report.coverage is None else _coverage_json(report.coverage),
    }


def junit(report: Report) -> str:
    """JUnit XML: one suite, one test case a case."""
    from xml.sax.saxutils import escape, quoteattr

    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuite name="hroute" tests="{len(report.outcomes)}" failures="{len(report.failed)}" errors="0">')
    for outcome in report.outcomes:
        case = outcome.case
        head = f"  <testcase classname={quoteattr(visible(case.span.file))} name={quoteattr(visible(case.title))}"
        if outcome.ok:
            lines.append(f"{head}/>")
            continue
        said = "; ".join(
            f"{miss.key}: expected {_word(miss.expected)}, got {_word(miss.got)}" for miss in outcome.misses
        )
        lines.append(f"{head}>")
        lines.append(f"    <failure message={quoteattr(visible(said))}>{escape(visible(str(case.span)))}</failure>")
        lines.append("  </testcase>")
    return "\n".join([*lines, "</testsuite>", ""])


def suggestions(report: Report) -> str:
    """Cases for everything that is not covered, as YAML to paste; each says what the policy does today."""
    missing = report.coverage.missing if report.coverage is not None else ()
    written = [goal for goal in missing if _sayable(goal)]
    left = [goal for goal in missing if not _sayable(goal)]
    if not missing:
        return "# Every outcome is covered."
    lines = ["# What no case exercises yet. Read each, give it a better name, and paste it under `cases:`."]
    lines += [] if report.outcomes or not written else ["cases:"]
    for goal in written:
        lines += _suggestion(report, goal)
    lines += [f"# needs a text that you write: {visible(goal.text)} ({_at(goal)})" for goal in left]
    return "\n".join(lines)


def _failure(policy: Policy, outcome: Outcome, files: Files, colour: bool) -> Iterator[str]:
    case = outcome.case
    yield f"{paint('FAIL', 'red', colour)}  {_beside(visible(case.title), visible(str(case.span)), 45)}"
    yield f"      given     {visible(shorten(_given(case), 300))}"
    for miss in outcome.misses:
        yield f"      expected  {miss.key} {visible(_word(miss.expected))}"
        yield _beside(f"      got       {visible(_got(miss, outcome))}", place(outcome.decision.rule), _MARGIN)
    yield from _because(policy, outcome, files)


def _because(policy: Policy, outcome: Outcome, files: Files) -> Iterator[str]:
    """Why the rule that was expected did not take it."""
    wanted = _expected_rule(policy, outcome)
    if wanted is None or wanted.name == outcome.decision.rule.name:
        return
    if holds(wanted.condition, outcome.ask):
        took = outcome.decision.rule
        yield _beside(
            f"      because   {visible(took.name)} stands before {visible(wanted.name)}", place(took), _MARGIN
        )
        return
    failing = first_failing(wanted.condition, outcome.ask)
    where = str(failing.span) if failing is not None and failing.span else place(wanted)
    yield _beside(f"      because   {visible(wanted.name)} was not taken", visible(where), _MARGIN)
    if failing is not None and failing.span is not None:
        said = f"{failing.feature} is {values.shown(outcome.ask(failing.feature))}"
        yield from (
            f"                  {drawn}" for drawn in underlined(failing.span, _named(policy, failing, said), files)
        )


def _named(policy: Policy, test: Test, said: str) -> str:
    return "the text does not fit" if test.feature in policy.texts else said


def _expected_rule(policy: Policy, outcome: Outcome) -> Rule | None:
    """The rule that was expected by name, or the first one that goes where it was expected to go."""
    expect = outcome.case.expect
    for rule in policy.all_rules:
        if "rule" in expect:
            if rule.name == expect["rule"]:
                return rule
        elif rule.route is not None and rule.route.to == expect.get("route_to"):
            return rule
    return None


def _got(miss: Miss, outcome: Outcome) -> str:
    return f"{_word(miss.got)}, by rule {outcome.decision.rule.name}" if miss.key != "rule" else _word(miss.got)


def _given(case: Case) -> str:
    return ", ".join(f"{name}={_word(value)}" for name, value in case.given.items()) or "nothing"


def _word(value: Any) -> str:
    if value is None:
        return "nobody"
    if isinstance(value, (list, dict)):
        return json.dumps(values.plain(value), ensure_ascii=False)
    return values.shown(value)


def _coverage(found: Coverage) -> Iterator[str]:
    total = len(found.goals)
    yield f"outcomes   {total - len(found.missing)} of {total} covered"
    for sort in _SORTS:
        covered, whole = found.count(sort)
        if not whole:
            continue
        head = f"  {pad(sort, 9)}  {pad(f'{covered} of {whole}', 9)}"
        missing = [goal for goal in found.missing if goal.sort == sort]
        if not missing:
            yield head.rstrip()
        for goal in missing[:_SHOWN]:
            yield f"{head}   missing: {_at(goal)}  {visible(goal.text)}"
            head = " " * len(head)
        if len(missing) > _SHOWN:
            yield f"{head}   and {len(missing) - _SHOWN} more"
    if found.missing:
        yield "To write the missing cases: hroute test --suggest"


def _at(goal: Goal) -> str:
    return visible(f"{goal.span.file}:{goal.span.line}") if goal.span else "-"


def _case_json(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    misses = [{"key": m.key, "expected": values.plain(m.expected), "got": values.plain(m.got)} for m in outcome.misses]
    return {
        "name": case.title,
        "ok": outcome.ok,
        "file": case.span.file,
        "line": case.span.line,
        "rule": outcome.decision.rule.name,
        "route_to": outcome.decision.route_to,
        "misses": misses,
    }


def _coverage_json(found: Coverage) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for sort in _SORTS:
        covered, total = found.count(sort)
        counts[sort] = {"covered": covered, "total": total}
    missing = [
        {"sort": goal.sort, "rule": goal.rule.name, "text": goal.text, "line": goal.span.line if goal.span else None}
        for goal in found.missing
    ]
    return {**counts, "percent": round(found.percent, 2), "missing": missing}


def _sayable(goal: Goal) -> bool:
    """Whether the request can be given by signals: a text test wants a text, which only a person can write."""
    return not any("~" in name for name in goal.given)


def _suggestion(report: Report, goal: Goal) -> list[str]:
    from hroute.router.analysis.cases import Case, run_case

    assert goal.rule.spans
    place = goal.span or next(iter(goal.rule.spans.values()))
    outcome = run_case(report.compiled, Case("", goal.given, {}, place))
    tries: dict[str, Any] = {"tries": list(outcome.tries)} if goal.sort == "fallbacks" else {}
    expect = {"rule": outcome.decision.rule.name, **tries}
    return [
        f"  - name: {json.dumps(_title(goal), ensure_ascii=False)}",
        f"    given: {json.dumps(values.plain(goal.given), ensure_ascii=False)}",
        f"    expect: {json.dumps(expect, ensure_ascii=False)}",
    ]


def _title(goal: Goal) -> str:
    """What the case would show, out of what is missing."""
    title = visible(goal.text).replace("`", "'")
    for missing, shown in (
        (" never chosen", " is chosen"),
        (" never true where it decides", " decides by being true in"),
        (" never false where it decides", " decides by being false in"),
        (": the fallback is never exercised", " when it fails"),
        (": the refusal is never exercised", " when it fails"),
    ):
        title = title.replace(missing, shown)
    return title


def _beside(left: str, right: str, column: int) -> str:
    return f"{pad(left, column)}  {right}".rstrip()
