"""What the cases of a policy exercise: rules, the branches of their conditions, the fallbacks.

A branch is one test of one rule deciding, alone, that the rule holds or does not (each condition's independent effect,
as in MC/DC): the rule is reached, and flipping the test's answer flips the condition's. A branch that no request can
take is not counted; the search that finds this out also yields the request that a missing case needs (`suggest`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hroute.router.analysis.cases import Outcome
from hroute.router.analysis.reach import Effort, Found, NotProven, reach, search
from hroute.router.analysis.witness import witness
from hroute.router.analysis.world import World
from hroute.router.decide import Compiled
from hroute.schema import condition as c
from hroute.schema.condition import Ask, Condition, Test, holds, test_holds, tests
from hroute.schema.diagnostic import Span
from hroute.schema.policy import Policy, Rule
from hroute.schema.region import TooLarge, region_of

Sort = Literal["rules", "branches", "fallbacks"]


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing that a case can exercise. `given` is a request that does (with `down` where a fallback is meant)."""

    sort: Sort
    key: tuple[Any, ...]
    rule: Rule
    text: str
    span: Span | None
    given: Mapping[str, Any] = field(default_factory=dict)
    tries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """Goals covered and in all, by sort, and those that are missing."""

    goals: tuple[Goal, ...]
    missing: tuple[Goal, ...]

    def count(self, sort: Sort) -> tuple[int, int]:
        """(covered, in all)"""
        total = sum(goal.sort == sort for goal in self.goals)
        return total - sum(goal.sort == sort for goal in self.missing), total

    @property
    def percent(self) -> float:
        return 100.0 if not self.goals else 100.0 * (len(self.goals) - len(self.missing)) / len(self.goals)


def coverage(compiled: Compiled, outcomes: Sequence[Outcome], effort: Effort | None = None) -> Coverage:
    """What `outcomes` exercise of the policy's goals."""
    goals = tuple(goals_of(compiled, effort or Effort()))
    seen = {key for outcome in outcomes for key in _exercised(compiled.policy, outcome)}
    return Coverage(goals, tuple(goal for goal in goals if goal.key not in seen))


def goals_of(compiled: Compiled, effort: Effort) -> Iterator[Goal]:
    """Everything that a policy's cases can exercise. Branches that no request can take are left out."""
    world = World((compiled.policy,), (compiled.index,))
    for position, rule in enumerate(compiled.policy.all_rules):
        found = _quiet(lambda p=position: reach(world, world.rule(p), p, effort).found)
        if found is None:
            continue
        given = _given(world, found)
        yield Goal("rules", ("rule", rule.name), rule, f"rule {rule.name} never chosen", rule.span, given)
        yield from _branches(world, position, rule, effort)
        yield from _fallbacks(rule, given)


def _branches(world: World, position: int, rule: Rule, effort: Effort) -> Iterator[Goal]:
    for number, test in enumerate(tests(rule.condition)):
        for answer in (True, False):
            found = _quiet(lambda t=test, n=number, a=answer: _deciding(world, position, rule, n, t, a, effort))
            if found is None:
                continue
            given = _given(world, found)
            text = f"`{test.signal}: {test.source}` never {str(answer).lower()} where it decides rule {rule.name}"
            yield Goal("branches", ("branch", rule.name, number, answer), rule, text, test.span or rule.span, given)


def _deciding(
    world: World, position: int, rule: Rule, number: int, test: Test, answer: bool, effort: Effort
) -> Found | None:
    """A request that reaches the rule and on which the test, answering `answer`, alone decides the rule."""
    if_true, if_false = _with(rule.condition, number, True), _with(rule.condition, number, False)
    itself: Condition = test if answer else c.Not(test)
    for up, down in ((if_true, if_false), (if_false, if_true)):
        region = world.canonical(region_of(c.All((itself, up, c.Not(down)))))
        holds_here = (up is if_true) is answer
        wanted = range(position, position + 1) if holds_here else range(position + 1, len(world.policies[0].all_rules))
        found = search(world, region, wanted.__contains__, effort).found
        if found is not None:
            return found
    return None


def _with(condition: Condition, number: int, answer: bool) -> Condition:
    """The condition with its `number`-th test replaced by its answer."""
    return _replaced(condition, number, c.ALWAYS if answer else c.NEVER)[0]


def _replaced(condition: Condition, number: int, by: Condition) -> tuple[Condition, int]:
    match condition:
        case Test():
            return (by if number == 0 else condition), number - 1
        case c.Not(item):
            inner, number = _replaced(item, number, by)
            return c.Not(inner), number
        case c.All(items) | c.Any(items):
            made = []
            for item in items:
                inner, number = _replaced(item, number, by)
                made.append(inner)
            return type(condition)(tuple(made)), number


def _fallbacks(rule: Rule, given: Mapping[str, Any]) -> Iterator[Goal]:
    if rule.route is None:
        return
    for number, name in enumerate(rule.route.fallback):
        down = list(rule.route.chain[: number + 1])
        place = rule.spans.get(f"fallback.{number}", rule.spans.get("fallback", rule.span))
        text = f"{rule.name} -> {name}: the fallback is never exercised"
        yield Goal(
            "fallbacks",
            ("fallback", rule.name, name),
            rule,
            text,
            place,
            {**given, "down": down},
            rule.route.chain[number + 1 :],
        )
    if rule.route.fallback_given and not rule.route.fallback:
        text = f"{rule.name} -> (none): the refusal is never exercised"
        yield Goal(
            "fallbacks",
            ("fallback", rule.name, None),
            rule,
            text,
            rule.spans.get("fallback", rule.span),
            {**given, "down": [rule.route.to]},
        )


def _exercised(policy: Policy, outcome: Outcome) -> Iterator[tuple[Any, ...]]:
    chosen = outcome.decision.rule
    yield ("rule", chosen.name)
    for rule in policy.rules:
        yield from _deciding_tests(rule, outcome.ask)
        if rule is chosen:
            break
    if chosen.route is not None and outcome.case.given.get("down"):
        first = outcome.tries[0] if outcome.tries else None
        if first is None or first in chosen.route.fallback:
            yield ("fallback", chosen.name, first)


def _deciding_tests(rule: Rule, ask: Ask) -> Iterator[tuple[Any, ...]]:
    for number, test in enumerate(tests(rule.condition)):
        if holds(_with(rule.condition, number, True), ask) is not holds(_with(rule.condition, number, False), ask):
            yield ("branch", rule.name, number, test_holds(test, ask(test.feature)))


def _given(world: World, found: Found) -> dict[str, Any]:
    return witness(world, found)


def _quiet(question: Any) -> Found | None:
    """The answer to a search, or None where it is too large or takes too long."""
    try:
        answer: Found | None = question()
    except (NotProven, TooLarge):
        return None
    return answer
