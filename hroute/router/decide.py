"""`decide`: a pure function of (policy, signals). No clock, no network, no randomness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import repeat

from hroute.router.decision import Decision, Signals
from hroute.router.index import Index
from hroute.router.tree import walk
from hroute.schema.condition import Ask
from hroute.schema.policy import Policy, Rule
from hroute.terms.signal import ABSENT, Value


@dataclass(frozen=True, slots=True)
class Compiled:
    """A policy ready to decide. Picklable: what a cluster ships.

    `outcomes` has, for each rule and the default, the rule, its chain, and whether the chain depends on who asks.
    """

    policy: Policy
    index: Index
    outcomes: tuple[tuple[Rule, tuple[str, ...], bool], ...]


def compile(policy: Policy) -> Compiled:
    """Rules -> bit sets. Linear in the policy; nothing is extracted or matched yet."""
    return Compiled(policy, Index(policy), tuple(_outcome(rule) for rule in policy.all_rules))


def decide(compiled: Compiled, signals: Signals, *, request_id: str = "") -> Decision:
    """The decision for signals that are all known; what is missing is absent or has the table's default."""
    rule, chain, varies = compiled.outcomes[compiled.index.match(signals)]
    if varies:
        return _vary(compiled.policy, rule, signals, request_id)
    return _new(Decision, (rule, chain, signals, compiled.policy.hash, ""))


def decide_lazy(compiled: Compiled, ask: Ask, known: Callable[[], Signals] = dict, *, request_id: str = "") -> Decision:
    """The decision, asking only for what it depends on. `known` is called after the walk: what was given and asked."""
    rule, chain, varies = compiled.outcomes[walk(compiled.index, ask)]
    signals = known()
    if varies:
        return _vary(compiled.policy, rule, {**signals, "session": ask("session")}, request_id)._replace(
            signals=signals
        )
    return Decision(rule, chain, signals, compiled.policy.hash)


def decide_batch(
    compiled: Compiled, columns: Mapping[str, Sequence[Value | None]], *, ids: Sequence[str] = ()
) -> list[Decision]:
    """One decision a row, the same as `decide` gives. `columns` maps a feature to its values (None is absent), all of
    one length; `ids` are the request ids, needed only where a rule has a rollout, a holdout or a split.

    Raises ValueError where the columns differ in length.
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"columns differ in length: {sorted(lengths)}")
    names = tuple(columns)
    rows = zip(*columns.values(), strict=True) if names else iter(())
    return [
        decide(
            compiled, {name: value for name, value in zip(names, row, strict=True) if value is not None}, request_id=id
        )
        for row, id in zip(rows, ids or repeat(""), strict=bool(ids))
    ]


def arm(policy: Policy, rule: Rule, key: str) -> tuple[tuple[str, ...], str]:
    """The chain that a rule gives to the one identified by `key` (a session or a request id), and the variant's name.

    Of what a rule matches, `1 - rollout` goes to the baseline ("rollout"); of the rest, `holdout` stays there
    ("holdout"); a split divides what is left. Sticky: the same rule and key always give the same. An empty key gets the
    rule's own route.
    """
    assert rule.route is not None
    if key and policy.baseline is not None:
        if fraction(rule.name, "rollout", key) >= rule.rollout:
            return _on_baseline(policy.baseline, rule), "rollout"
        if fraction(rule.name, "holdout", key) < rule.holdout:
            return _on_baseline(policy.baseline, rule), "holdout"
    if rule.route.split:
        point, total = fraction(rule.name, "split", key) * 100 if key else 0.0, 0.0
        for name, percent in rule.route.split:
            total += percent
            if point < total:
                return (name, *(p for p in rule.route.chain if p != name)), "split"
    return rule.route.chain, ""


def fraction(rule: str, purpose: str, key: str) -> float:
    """A number in [0, 1) that looks random and depends only on its arguments (the first 8 bytes of a SHA-256)."""
    digest = sha256(f"{rule}|{purpose}|{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def destinations(policy: Policy, rule: Rule) -> tuple[str, ...]:
    """Every provider that may serve a request of this rule: chain, split, and the baseline where it is rolled out."""
    if rule.route is None:
        return ()
    names = [*rule.route.chain, *(name for name, _ in rule.route.split)]
    if (rule.rollout < 1 or rule.holdout > 0) and policy.baseline is not None:
        names.append(policy.baseline)
    return tuple(dict.fromkeys(names))


def _outcome(rule: Rule) -> tuple[Rule, tuple[str, ...], bool]:
    if rule.route is None:
        return rule, (), False
    return rule, rule.route.chain, rule.rollout < 1 or rule.holdout > 0 or bool(rule.route.split)


def _vary(policy: Policy, rule: Rule, signals: Signals, request_id: str) -> Decision:
    session = signals.get("session", ABSENT)
    chain, variant = arm(policy, rule, session if isinstance(session, str) else request_id)
    return Decision(rule, chain, signals, policy.hash, variant)


def _on_baseline(baseline: str, rule: Rule) -> tuple[str, ...]:
    assert rule.route is not None
    return (baseline, *(name for name in rule.route.fallback if name != baseline))


_new = tuple.__new__
