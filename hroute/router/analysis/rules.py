"""Findings about the order of rules: contradictions, unreachable rules, rules that always hold or change nothing, gaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from hroute.router.analysis.reach import NotProven, reach, search
from hroute.router.analysis.subject import Diagnostic, Label, Subject, finding
from hroute.router.decision import Signals
from hroute.schema.condition import tests
from hroute.schema.policy import Rule
from hroute.schema.region import INFINITY, Box, Spans, TooLarge, complement_of, intersect, subtract
from hroute.terms.signal import MICRO, SIGNALS, Kind


def contradictions(subject: Subject) -> Iterator[Diagnostic]:
    """HR202: a condition under which no request can fall."""
    for position, rule in enumerate(subject.policy.rules):
        if not subject.world.rule(position):
            yield finding(
                "HR202",
                f"the condition of rule `{rule.name}` contradicts itself: no request can meet it",
                subject.place(rule, "condition"),
                help="relax the condition, or delete the rule",
            )


def unreachable(subject: Subject) -> Iterator[Diagnostic]:
    """HR201: a rule, or the default, that earlier rules leave nothing."""
    for position, rule in enumerate(subject.policy.all_rules):
        boxes = subject.world.rule(position)
        if not boxes or (rule is subject.policy.default and not rule.spans):
            continue  # HR202 says it, or nobody wrote this default
        try:
            result = reach(subject.world, boxes, position, subject.effort)
        except NotProven:
            yield _open(subject, rule, "whether it can be reached")
            continue
        if result.found is None:
            yield _unreachable(subject, rule, [subject.policy.rules[b] for b in result.blockers])


def always_true(subject: Subject) -> Iterator[Diagnostic]:
    """HR203: a condition that every request meets which comes so far, so that what follows is dead."""
    for position, rule in enumerate(subject.policy.rules):
        try:
            outside = subject.world.canonical(complement_of(rule.condition))
            if not subject.world.rule(position) or next(tests(rule.condition), None) is None:
                continue
            if search(subject.world, outside, lambda winner, p=position: winner > p, subject.effort).found is None:  # type: ignore[misc]
                yield finding(
                    "HR203",
                    f"the condition of rule `{rule.name}` is always true here: every request that comes this far meets it",
                    subject.place(rule, "condition"),
                    help="write the last rule as `default:`, or narrow the condition",
                )
        except TooLarge:
            continue
        except NotProven:
            return


def changes_nothing(subject: Subject) -> Iterator[Diagnostic]:
    """HR204: a rule without which every request would be served the same way."""
    for position, rule in enumerate(subject.policy.rules):
        try:
            if _reachable(subject, position) and _redundant(subject, position, rule):
                yield finding(
                    "HR204",
                    f"rule `{rule.name}` changes nothing: without it every request would take the same route",
                    subject.place(rule, "name"),
                    help="delete it, or keep it for its name in reports",
                )
        except NotProven:
            return


def gaps(subject: Subject) -> Iterator[Diagnostic]:
    """HR205: two thresholds that leave exactly one value between them (`<500` and `>500`)."""
    ends: dict[tuple[str, int], list[tuple[int, Box]]] = defaultdict(list)
    starts: dict[tuple[str, int], list[tuple[int, Box]]] = defaultdict(list)
    for position in range(len(subject.policy.rules)):
        for box in subject.world.rule(position):
            for feature, part in box.items():
                if isinstance(part, Spans) and part.ranges:
                    ends[feature, part.ranges[-1][1]].append((position, box))
                    starts[feature, part.ranges[0][0]].append((position, box))
    for (feature, end), below in ends.items():
        if end >= INFINITY - 2:
            continue
        for low, low_box in below:
            for high, high_box in starts.get((feature, end + 2), ()):
                if (
                    low != high
                    and (found := _gap(subject, feature, end + 1, (low, low_box), (high, high_box))) is not None
                ):
                    yield found


def _gap(
    subject: Subject, feature: str, value: int, below: tuple[int, Box], above: tuple[int, Box]
) -> Diagnostic | None:
    world, rules = subject.world, subject.policy.rules
    others = intersect(
        {k: v for k, v in below[1].items() if k != feature}, {k: v for k, v in above[1].items() if k != feature}
    )
    if others is None:
        return None
    winners = []
    for number in (value - 1, value, value + 1):
        signals = world.pick({**others, feature: Spans(((number, number),))})
        if signals is None:
            return None
        winners.append(subject.index.match(signals))
    if winners[0] != below[0] or winners[2] != above[0] or winners[1] in (below[0], above[0]):
        return None
    first, second = rules[below[0]], rules[above[0]]
    taken = subject.policy.all_rules[winners[1]].name
    shown = f"{value / MICRO:g}" if SIGNALS[feature].kind is Kind.FRACTION else str(value)
    return finding(
        "HR205",
        f"`{feature}` of exactly {shown} falls between rule `{first.name}` and rule `{second.name}`, to `{taken}`",
        subject.place(second, f"condition.{feature}", "condition"),
        others=(Label(subject.place(first, f"condition.{feature}", "condition"), "ends just below"),),
        help="use `<=` or `>=` in one of the two",
        witness={feature: value / MICRO if SIGNALS[feature].kind is Kind.FRACTION else value},
    )


def _reachable(subject: Subject, position: int) -> bool:
    return reach(subject.world, subject.world.rule(position), position, subject.effort).found is not None


def _redundant(subject: Subject, position: int, rule: Rule) -> bool:
    """Whether every request that the rule wins would be served alike without it."""
    rules = subject.policy.all_rules
    return all(
        _taken_from(subject, position, later) is None
        for later in reversed(range(position + 1, len(rules)))
        if not _alike(rule, rules[later])
    )


def _taken_from(subject: Subject, position: int, later: int) -> Signals | None:
    """A request that the rule wins and that would go to the `later` rule if it were not there."""
    world, index = subject.world, subject.index
    stack = [
        both
        for box in world.rule(position)
        for other in world.rule(later)
        if (both := intersect(box, other)) is not None
    ]
    while stack:
        box = stack.pop()
        signals = world.pick(box)
        if signals is None:
            continue
        subject.effort.count()
        winner, without = index.match(signals), index.match(signals, without=position)
        if winner == position and without == later:
            return signals
        blocker = winner if winner != position else without
        stack += subtract(box, next(b for b in world.rule(blocker) if world.holds(b, signals)))
    return None


def _alike(a: Rule, b: Rule) -> bool:
    return (a.route, a.refuse, a.validate, a.params, a.deadline, a.attempts, a.on_all_failed, a.rollout, a.holdout, a.shadow, a.hold) == (
        b.route, b.refuse, b.validate, b.params, b.deadline, b.attempts, b.on_all_failed, b.rollout, b.holdout, b.shadow, b.hold,
    )  # fmt: skip


def _unreachable(subject: Subject, rule: Rule, shadowing: list[Rule]) -> Diagnostic:
    names = ", ".join(f"`{r.name}`" for r in shadowing)
    labels = tuple(
        Label(
            subject.place(r, "condition"),
            f"every request that matches is already taken by `{r.name}`"
            if len(shadowing) == 1
            else f"taken by `{r.name}`",
        )
        for r in shadowing
    )
    title = "the default is unreachable" if rule is subject.policy.default else f"rule `{rule.name}` is unreachable"
    help = (
        f"move it above {names}, or delete it"
        if rule is not subject.policy.default
        else f"narrow {names}, or delete the default"
    )
    return finding("HR201", title, subject.place(rule, "condition"), others=labels, help=help)


def _open(subject: Subject, rule: Rule, question: str) -> Diagnostic:
    return finding("HR200", f"not proven in time for rule `{rule.name}`: {question}", subject.place(rule, "name"))
