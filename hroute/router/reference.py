"""The plain reading of a policy: rules in order, the first whose condition holds wins.

Slow and obvious on purpose. The index, the tree and the regions must say the same on every request; this module is what
they are held against, and what `explain` shows step by step.
"""

from __future__ import annotations

from hroute.router.decision import Signals, Step
from hroute.router.features import asker
from hroute.schema.condition import All, Any, Ask, Condition, Missing, OneOf, Test, first_failing, holds
from hroute.schema.policy import Policy, Rule
from hroute.terms.signal import Value

__all__ = ["asker", "effective_condition", "first_match", "steps"]


def effective_condition(rule: Rule) -> Condition:
    """The rule's condition, or with `hold: session` also "this session is held by this rule"."""
    if rule.hold is None:
        return rule.condition
    return Any((rule.condition, Test("held_rule", OneOf((rule.name,)), source=rule.name)))


def first_match(policy: Policy, ask: Ask) -> Rule:
    """The first rule whose condition holds, else the default."""
    for rule in policy.rules:
        if holds(effective_condition(rule), ask):
            return rule
    return policy.default


def steps(policy: Policy, ask: Ask) -> list[Step]:
    """What was asked of each rule, up to and including the one that matched (the default is no step)."""
    walked: list[Step] = []
    for rule in policy.rules:
        condition = effective_condition(rule)
        if holds(condition, ask):
            decisive = _decisive(rule.condition, ask)
            walked.append(Step(rule, True, decisive, ask(decisive.feature) if decisive else None))
            break
        failing = first_failing(rule.condition, ask)
        walked.append(Step(rule, False, failing, ask(failing.feature) if failing else None))
    return walked


def decide_all(policy: Policy, rows: list[Signals]) -> list[str]:
    """Rule names for many requests, the naive way: the yardstick of the benchmark."""
    return [first_match(policy, asker(policy, row)).name for row in rows]


def _decisive(condition: Condition, ask: Ask) -> Test | None:
    """The test that best says why a condition holds: its first one that holds."""
    match condition:
        case Test():
            return condition
        case All(items) | Any(items):
            for item in items:
                if holds(item, ask) and (found := _decisive(item, ask)) is not None:
                    return found
    return None


def missing(value: Value) -> bool:
    """Whether a value counts as absent for a person: no value, or an empty set."""
    return not isinstance(value, (bool, int, float)) and not value


def wants(test: Test) -> str:
    """What a test wants, in the author's words: `true`, `>100`, `complaint, legal`, `null`."""
    if test.source:
        return test.source
    if isinstance(test.want, Missing):
        return "null"
    return str(test.want)
