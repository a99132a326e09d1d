"""A decision as `hroute explain` shows it: the route, the rules one by one, the score, what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hroute.cli.render import values
from hroute.cli.render.policy import feature_name
from hroute.cli.render.text import count, pad, visible, width
from hroute.cli.streams import paint
from hroute.router import reference
from hroute.router.decision import Step
from hroute.router.explanation import Explanation
from hroute.router.forecast import Estimate
from hroute.router.switching import Switch
from hroute.schema.condition import Missing, OneOf, Test, test_holds
from hroute.schema.condition import tests as tests_of
from hroute.schema.policy import Policy, Rule
from hroute.terms import money
from hroute.terms.signal import ABSENT, SIGNALS, Kind, Value

_MOST_STEPS = 40
_LABEL = 22
_MOST_RULES = 500


def text(found: Explanation, *, verbose: bool = False, colour: bool = False) -> str:
    """The whole answer for a person."""
    blocks = [[_headline(found, colour)], _steps(found, verbose, colour), _facts(found, verbose)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def as_json(found: Explanation) -> dict[str, Any]:
    """The keys that programs may rely on (DESIGN 9)."""
    decision, near = found.decision, found.nearest
    content: dict[str, Any] = {
        "rule": decision.rule.name,
        "route_to": decision.route_to,
        "fallback": list(decision.fallback),
        "signals": _signals_json(found),
        "score": decision.score,
        "confidence": decision.confidence,
        "policy": decision.policy,
        "steps": [step_json(found.policy, step) for step in found.steps],
        "nearest": None
        if near is None
        else {"rule": near.rule, "route_to": near.route_to, "changes": values.plain(near.changes)},
        "cost_usd": _cost_json(found.estimate),
        "lost_cache": None if found.switch is None else switch_json(found.switch),
        "tries": list(found.tries),
        "skipped": dict(found.skipped),
        "assumed": list(found.assumed),
        "found": [{"kind": f.kind, "start": f.start, "end": f.end, "where": f.where} for f in found.findings],
        "variant": decision.variant or None,
    }
    if decision.rule.refuse is not None:
        content["refuse"] = decision.rule.refuse
    return content


def place(rule: Rule) -> str:
    """`routing-config.yaml:23`, or nothing for a rule that stands nowhere."""
    span = rule.span or next(iter(rule.spans.values()), None)
    return f"{visible(span.file)}:{span.line}" if span else ""


def by_rule(rule: Rule) -> str:
    """`by rule code_generation, routing-config.yaml:23`."""
    where = f", {place(rule)}" if place(rule) else ""
    return f"by default: no rule matches{where}" if rule.name == "default" else f"by rule {visible(rule.name)}{where}"


def _headline(found: Explanation, colour: bool) -> str:
    decision = found.decision
    if decision.route_to is None:
        return (
            f"{paint('refused', 'red', colour)}: {visible(decision.rule.refuse or '')}        {by_rule(decision.rule)}"
        )
    provider = found.policy.providers[decision.route_to]
    variant = {"rollout": ", not yet rolled out", "holdout": ", held out", "split": ", by the split"}.get(
        decision.variant, ""
    )
    name = paint(visible(decision.route_to), "bold", colour)
    return f"{name}  ({provider.plugin} / {visible(provider.model)})        {by_rule(decision.rule)}{variant}"


def by_rule_name(rule: Rule) -> str:
    """`by rule code_generation`, without a place."""
    return "by default: no rule matches" if rule.name == "default" else f"by rule {visible(rule.name)}"


def walked(policy: Policy, steps: Sequence[Step], *, placed: bool, colour: bool) -> list[str]:
    """Rules in order, up to the one that matched; with their places in the file where it is the one at hand."""
    names = max((width(visible(step.rule.name)) for step in steps), default=0)
    lines = []
    for number, step in enumerate(steps, 1):
        verdict = paint("YES", "green", colour) if step.match else "no "
        said = _reason(policy, step.test, ABSENT if step.got is None else step.got, step.match)
        where = f"    {place(step.rule)}" if placed and step.match else ""
        lines.append(f"  {number:>2}  {pad(visible(step.rule.name), names)}   {verdict}    {said}{where}".rstrip())
    return lines or ["      no rule before the default"]


def _steps(found: Explanation, verbose: bool, colour: bool) -> list[str]:
    shown = list(enumerate(found.steps, 1))
    hidden = 0 if verbose else max(0, len(shown) - _MOST_STEPS)
    names = max((width(visible(step.rule.name)) for _, step in shown[hidden:]), default=0)
    digits = len(str(len(shown)))
    lines = [f"  {count(hidden, 'rule')} before: no (-v shows them)"] if hidden else []
    for number, step in shown[hidden:]:
        verdict = paint("YES", "green", colour) if step.match else "no "
        head = f"  {number:>{digits}}  {pad(visible(step.rule.name), names)}   {verdict}    "
        indent = " " * (2 + digits + 2 + names + 3 + 3 + 4)
        for said in _reasons(found, step, verbose):
            lines.append(f"{head}{said}".rstrip())
            head = indent
    if found.unreached:
        listed = [visible(rule.name) for rule in found.unreached[:8]]
        more = f" and {len(found.unreached) - 8:,} more" if len(found.unreached) > 8 else ""
        lines.append(f"  {'':{digits}}  {', '.join(listed)}{more}       not reached")
    return lines


def _reasons(found: Explanation, step: Step, verbose: bool) -> Iterator[str]:
    """The test that decided; with `verbose` every test of the rule."""
    if not verbose:
        yield _reason(found.policy, step.test, ABSENT if step.got is None else step.got, step.match)
        return
    ask = reference.asker(found.policy, found.signals)
    every = list(tests_of(step.rule.condition))
    for test in every:
        got = ask(test.feature)
        yield _reason(found.policy, test, got, test_holds(test, got))
    if not every:
        yield _reason(found.policy, None, ABSENT, step.match)


def _reason(policy: Policy, test: Test | None, got: Value, match: bool) -> str:
    if test is None:
        return "every request" if match else "no request"
    has = _has(policy, test, got)
    return has if match else f"{pad(has, 28)}  wants {visible(_wants(test))}"


def _has(policy: Policy, test: Test, got: Value) -> str:
    """What the request has, in words: `intent holds none of`, `batch_size is 1`."""
    if "~" in test.feature:
        return f"{visible(feature_name(policy, test.feature))} {'holds' if got is True else 'does not hold'}"
    if SIGNALS[test.signal].kind is Kind.SET and isinstance(got, frozenset):
        return f"{test.signal} is {values.shown(got)}" if got else f"{test.signal} is empty"
    return f"{test.signal} is {visible(values.shown(got))}"


def _wants(test: Test) -> str:
    if test.source:
        return test.source
    if isinstance(test.want, Missing):
        return "!= null" if test.negated else "null"
    if isinstance(test.want, OneOf):
        return ("!= " if test.negated else "") + values.shown(test.want.values)
    low, high = test.want.low, test.want.high
    return ("not " if test.negated else "") + f"{'' if low is None else low}..{'' if high is None else high}"


def _facts(found: Explanation, verbose: bool) -> list[str]:
    """The lines under the rules: score, what was found, what would change the answer, fallback, price."""
    lines = []
    if found.decision.score is not None:
        parts = ", ".join(f"{name} {part:+.2f}" for name, part in found.score_parts.items() if abs(part) >= 0.005)
        confidence = "-" if found.decision.confidence is None else f"{found.decision.confidence:.2f}"
        lines.append(f"  score {found.decision.score:.2f}  confidence {confidence}{'      ' + parts if parts else ''}")
    for item in found.findings[:10]:
        lines.append(fact("found", f"{item.kind} at characters {item.start}-{item.end} ({item.where})"))
    if len(found.findings) > 10:
        lines.append(fact("", f"and {len(found.findings) - 10} more"))
    if found.assumed:
        lines.append(fact("assumed", ", ".join(_assumptions(found)) or "nothing"))
    if found.nearest is not None:
        changes = " and ".join(_change(found.policy, name, value) for name, value in found.nearest.changes.items())
        lines.append(
            fact(
                "nearest other route",
                f"{visible(found.nearest.route_to or 'refused')} ({visible(found.nearest.rule)}), if {changes}",
            )
        )
    lines += _chain(found)
    if found.decision.route_to is not None:
        lines += _costs(found)
    if verbose:
        lines += [
            "",
            *(fact(feature_name(found.policy, n), visible(values.shown(v))) for n, v in sorted(found.signals.items())),
        ]
    return lines


def _costs(found: Explanation) -> Iterator[str]:
    """What it will cost, what budgets set aside for it, and what a switch of provider throws away."""
    cost = found.estimate
    yield fact("estimate", f"{pad(price(cost.nano), 8)} {cost.basis}")
    if cost.set_aside is not None:
        below = "which 9 in 10 stayed below" if cost.answers else "without a history"
        yield fact("budgets set aside", f"{pad(price(cost.set_aside), 8)} {cost.set_aside_output} out, {below}")
    elif cost.nano is None and cost.output is not None and found.policy.budgets:
        names = ", ".join(visible(budget.name) for budget in found.policy.budgets)
        yield fact("budgets", f"cannot count this call, for no price is known: {names}")
    if found.switch is not None:
        yield from switch_lines(found.switch)


def switch_lines(switch: Switch) -> Iterator[str]:
    warm = switch.warm
    cached = f"{visible(warm.provider)} cached {warm.tokens:,} tokens of this conversation {warm.seconds:.0f} s ago"
    yield fact("lost cache", f"{pad(price(switch.lost), 8)} {cached}; to make that again")
    if switch.saved is None or switch.saved > 0:
        says = "more than that" if switch.pays else "not worth it: the gateway stays"
        yield fact("", f"{pad(price(switch.saved), 8)} saved by the next turn at {visible(switch.to)}, {says}")


def _chain(found: Explanation) -> Iterator[str]:
    if found.decision.route_to is None:
        return
    for name, reason in found.skipped.items():
        yield fact("skipped", f"{visible(name)}: {visible(reason)}")
    if not found.tries:
        yield fact("goes to", "nobody: it would be refused or fail")
    elif found.tries[0] != found.decision.route_to:
        yield fact("goes to", ", then ".join(map(visible, found.tries)))
    else:
        yield fact("if it fails", ", then ".join(map(visible, found.tries[1:])) or "nobody else")


def price(nano: int | None) -> str:
    """Dollars with enough places to see something of a small price."""
    if nano is None or nano == 0 or nano >= 100_000_000:
        return money.show(nano)
    places = 3 if nano >= 10_000_000 else 4 if nano >= 1_000_000 else 6
    return money.show(nano, places)


def _assumptions(found: Explanation) -> Iterator[str]:
    """What was taken for granted for want of a text: taints that are false, sets that are empty, the rest absent."""
    for name in found.assumed:
        value = found.signals.get(name, SIGNALS[name].default)
        if value is not ABSENT:
            yield f"{name} {values.shown(value)}"
    yield "what else a prompt would tell is absent"


def _change(policy: Policy, feature: str, value: Any) -> str:
    if "~" in feature:
        return f"{visible(feature_name(policy, feature))} {'held' if value else 'did not hold'}"
    if SIGNALS[feature].kind is Kind.SET:
        return f"{feature} held {values.shown(value)}"
    return f"{feature} were {visible(values.shown(value))}"


def fact(label: str, said: str) -> str:
    return f"  {pad(label, _LABEL)} {said}"


def _cost_json(cost: Estimate) -> dict[str, Any]:
    return {
        "estimate": money.to_json(cost.nano),
        "basis": cost.basis,
        "output_tokens": cost.output,
        "quantile": cost.share,
        "answers": cost.answers,
        "set_aside": money.to_json(cost.set_aside),
        "set_aside_tokens": cost.set_aside_output,
    }


def switch_json(switch: Switch) -> dict[str, Any]:
    return {
        "provider": switch.warm.provider,
        "cached_tokens": switch.warm.tokens,
        "seconds_ago": round(switch.warm.seconds, 1),
        "lost_usd": money.to_json(switch.lost),
        "saved_usd": money.to_json(switch.saved),
        "pays": switch.pays,
    }


def _signals_json(found: Explanation) -> dict[str, Any]:
    """What is known, and null for whatever the rules ask and nobody knows."""
    asked = {test.feature for rule in found.policy.rules[:_MOST_RULES] for test in tests_of(rule.condition)}
    known = found.signals
    return {name: values.plain(known.get(name)) for name in sorted({*asked, *known}) if name != "message"}


def step_json(policy: Policy, step: Step) -> dict[str, Any]:
    test = step.test
    return {
        "rule": step.rule.name,
        "match": step.match,
        "signal": None if test is None else test.feature,
        "want": None if test is None else _wants(test),
        "got": values.plain(step.got),
        "place": str(step.rule.span) if step.rule.span else None,
    }
