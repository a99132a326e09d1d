"""Guarantees against everything that may send: one witness a leak, or a proof that there is none (SEMANTICS 2.5-2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from hroute.router.analysis.reach import Found, NotProven, reach
from hroute.router.analysis.subject import Diagnostic, Label, Subject, finding
from hroute.schema.condition import tests
from hroute.schema.diagnostic import Span
from hroute.schema.policy import Budget, Guarantee, Rule, Threshold
from hroute.schema.region import Box, contains, intersect, intersect_region
from hroute.terms.signal import SIGNALS


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of one guarantee: proven for every request that the policy can see, or why not."""

    guarantee: str
    proven: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Door:
    """One way in which a rule may send a request to a provider."""

    provider: str
    what: str
    place: Span


def leaks(subject: Subject, proofs: list[Proof]) -> Iterator[Diagnostic]:
    """HR301 for each door through which a guarantee can be broken, HR200 where time ran out; fills `proofs`."""
    for guarantee in subject.policy.guarantees:
        region = subject.world.canonical(guarantee.region)
        found = False
        try:
            for diagnostic in _leaks_of(subject, guarantee, region):
                found = True
                yield diagnostic
            reason = "a witness was found" if found else "no request that it covers reaches a provider that it forbids"
            proofs.append(Proof(guarantee.name, not found, reason))
        except NotProven:
            proofs.append(Proof(guarantee.name, False, "not proven in time; enforced at the moment of sending"))
            yield finding(
                "HR200",
                f"guarantee `{guarantee.name}` is not proven in time; it is still enforced at the moment of sending",
                guarantee.spans.get("name", subject.span),
                help="put the rule that carries the guarantee first: containment is proved at once",
            )


def nobody_left(subject: Subject) -> Iterator[Diagnostic]:
    """HR308: guarantees that together leave no provider for a request that can be sent and is not refused."""
    regions = [(g, subject.world.canonical(g.region)) for g in subject.policy.guarantees]
    reported: list[set[str]] = []
    try:
        for size in range(1, min(len(regions), 4) + 1):
            for group in combinations(regions, size):
                names = {g.name for g, _ in group}
                if any(known <= names for known in reported) or frozenset.intersection(
                    *(g.permitted for g, _ in group)
                ):
                    continue
                found = _served(subject, _together([boxes for _, boxes in group]))
                if found is not None:
                    reported.append(names)
                    yield _nobody(subject, [g for g, _ in group], found)
    except NotProven:
        yield finding(
            "HR200", "not proven in time: whether the guarantees leave somebody for every request", subject.span
        )


def said_by_callers(subject: Subject) -> Iterator[Diagnostic]:
    """HR309: a guarantee that rests on a signal which nothing but the caller gives."""
    trusted = subject.policy.signals.trust_caller
    for guarantee in subject.policy.guarantees:
        for test in tests(guarantee.when):
            by_caller = not SIGNALS[test.signal].extracted
            if by_caller or (trusted and test.signal in ("contains_pii", "pii")):
                why = "only callers give it" if by_caller else "`trust_caller` lets a caller lower it"
                yield finding(
                    "HR309",
                    f"guarantee `{guarantee.name}` rests on `{test.signal}`: {why}, so a request without it is not covered",
                    test.span or guarantee.spans.get("name", subject.span),
                    help="cover it from the request itself, or set the signal where callers cannot (client keys)",
                )


def doors(subject: Subject, rule: Rule) -> Iterator[Door]:
    """Every way in which a rule may send: route, fallback, split, rollout, shadow, agree, judge."""
    if rule.route is None:
        return
    default = rule is subject.policy.default
    of = "the default" if default else f"rule `{rule.name}`"
    yield Door(rule.route.to, f"the route of {of}", subject.place(rule, "route_to"))
    for number, name in enumerate(rule.route.fallback):
        given = rule.route.fallback_given
        what = f"a fallback of {of}" if given else f"the rest of tier `{rule.route.target}`, a fallback of {of}"
        yield Door(name, what, subject.place(rule, *((f"fallback.{number}", "fallback") if given else ("route_to",))))
    for name, _ in rule.route.split:
        yield Door(name, f"the split of {of}", subject.place(rule, f"split.{name}", "split", "route_to"))
    baseline = subject.policy.baseline
    if baseline is not None and (rule.rollout < 1 or rule.holdout > 0):
        key = "rollout" if rule.rollout < 1 else "holdout"
        yield Door(baseline, f"the {key} of {of}, which sends the rest to the baseline", subject.place(rule, key))
    if rule.shadow is not None:
        yield Door(rule.shadow.to, f"the shadow of {of}", subject.place(rule, "shadow.to", "shadow"))
    if rule.validate is not None and rule.validate.agree_with is not None:
        yield Door(
            rule.validate.agree_with, f"the agreement check of {of}", subject.place(rule, "validate.agree", "validate")
        )
    if rule.validate is not None and rule.validate.judge is not None:
        yield Door(rule.validate.judge, f"the judge of {of}", subject.place(rule, "validate.judge", "validate"))


def _leaks_of(subject: Subject, guarantee: Guarantee, region: list[Box]) -> Iterator[Diagnostic]:
    covered = _containing(subject, region)
    for position, rule in enumerate(subject.policy.all_rules):
        open_doors = _distinct([d for d in doors(subject, rule) if d.provider not in guarantee.permitted])
        if not open_doors:
            continue
        boxes = [
            both
            for box, container in zip(region, covered, strict=True)
            if container >= position
            for own in subject.world.rule(position)
            if (both := intersect(box, own)) is not None
        ]
        if boxes and (found := reach(subject.world, boxes, position, subject.effort).found) is not None:
            for door in open_doors:
                yield _leak(subject, guarantee, door, found)
    for budget in subject.policy.budgets:
        for threshold in budget.at:
            yield from _budget_leak(subject, guarantee, region, budget, threshold)


def _containing(subject: Subject, region: list[Box]) -> list[int]:
    """For each box, the first rule that contains it whole: no later rule sees any of its requests."""
    covered = []
    for box in region:
        signals = subject.world.pick(box)
        winner = subject.index.match(signals) if signals is not None else 0
        whole = len(subject.policy.rules)
        for position in range(winner, len(subject.policy.rules)):
            subject.effort.count()
            if any(contains(own, box) for own in subject.world.rule(position)):
                whole = position
                break
        covered.append(whole)
    return covered


def _budget_leak(
    subject: Subject, guarantee: Guarantee, region: list[Box], budget: Budget, threshold: Threshold
) -> Iterator[Diagnostic]:
    """A budget's action that leaves only providers which the guarantee forbids."""
    if threshold.action != "only" or threshold.permitted & guarantee.permitted:
        return
    touched = intersect_region(region, subject.world.canonical(threshold.region))
    found = _served(subject, touched)
    if found is not None:
        name = ", ".join(f"`{n}`" for n in sorted(threshold.permitted)) or "nobody"
        place = threshold.span or budget.spans.get("name", subject.span)
        yield _leak(
            subject,
            guarantee,
            Door(name.strip("`"), f"budget `{budget.name}`, which would leave only {name}", place),
            found,
        )


def _served(subject: Subject, region: list[Box]) -> Found | None:
    """A request of the region that some rule serves (does not refuse)."""
    for position, rule in enumerate(subject.policy.all_rules):
        if rule.route is None:
            continue
        own = intersect_region(region, subject.world.rule(position))
        if own and (found := reach(subject.world, own, position, subject.effort).found) is not None:
            return found
    return None


def _together(regions: list[list[Box]]) -> list[Box]:
    joined: list[Box] = [{}]
    for region in regions:
        joined = intersect_region(joined, region)
    return joined


def _distinct(found: list[Door]) -> list[Door]:
    seen: dict[tuple[str, Span], Door] = {}
    for door in found:
        seen.setdefault((door.provider, door.place), door)
    return list(seen.values())


def _leak(subject: Subject, guarantee: Guarantee, door: Door, found: Found) -> Diagnostic:
    example, shown = subject.example(found)
    key = "only" if guarantee.only is not None else "never"
    required = Label(
        guarantee.spans.get(key, guarantee.spans.get("name", subject.span)),
        f"{'required' if key == 'only' else 'forbidden'} here",
    )
    return finding(
        "HR301",
        f"guarantee `{guarantee.name}` is broken by {door.what}",
        door.place,
        label=f"`{door.provider}` is not {_demand(guarantee)}",
        others=(required,),
        help=example,
        witness=shown,
    )


def _demand(guarantee: Guarantee) -> str:
    if guarantee.only is not None and set(guarantee.only) == {"local"}:
        return "local"
    return "permitted"


def _nobody(subject: Subject, group: list[Guarantee], found: Found) -> Diagnostic:
    example, shown = subject.example(found)
    names = " and ".join(f"`{g.name}`" for g in group)
    verb = "leave" if len(group) > 1 else "leaves"
    last = group[-1]
    return finding(
        "HR308",
        f"{'guarantees' if len(group) > 1 else 'guarantee'} {names} {verb} nobody for some request",
        last.spans.get("only", last.spans.get("never", last.spans.get("name", subject.span))),
        others=tuple(Label(g.spans.get("only", g.spans.get("name", subject.span)), "and this") for g in group[:-1]),
        help=f"{example}; add `unless:` to one of them",
        witness=shown,
    )
