"""The requests that can be sent, as a space: canonical boxes, what is possible in it, and a concrete request of a box.

Beyond single features the table of signals states implications (SEMANTICS 1.11); here they are made true: `contains_pii`
is rewritten as "pii holds a kind that counts"; message_tokens <= prompt_tokens <= expected_tokens; a text test on a
string signal agrees with the string where that is known; what a request with a text always has is never absent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hroute.router.decision import Signals
from hroute.router.features import text_holds
from hroute.router.index import Index
from hroute.schema.policy import Policy
from hroute.schema.region import Box, Finite, Members, Part, Region, Spans, admits, full, intersect, meet
from hroute.terms.signal import ABSENT, MICRO, SIGNALS, UNSPECIFIED, Kind, Value

TOKENS = ("message_tokens", "prompt_tokens", "expected_tokens")
OTHER = "(another)"
"""A string that the policy does not name."""


@dataclass(slots=True)
class World:
    """The space of sendable requests of one policy, or of several that are compared."""

    policies: tuple[Policy, ...]
    indexes: tuple[Index, ...]
    root: Box = field(init=False)
    counts: Members = field(init=False)
    literals: Mapping[str, tuple[str, ...]] = field(init=False)
    text_keys: Mapping[str, tuple[str, ...]] = field(init=False)
    _canonical: dict[tuple[int, int], list[Box]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        features = {feature for index in self.indexes for feature in index.columns} | {
            feature
            for policy in self.policies
            for region in _extra_regions(policy)
            for box in region
            for feature in box
        }
        counting = frozenset().union(*(policy.signals.pii.counts for policy in self.policies)) | {UNSPECIFIED}
        self.counts = Members(frozenset({(True, counting)}))
        self.root = {feature: present for feature in sorted(features) if (present := _present(feature)) is not None}
        keys: dict[str, list[str]] = defaultdict(list)
        for policy in self.policies:
            for key, test in policy.texts.items():
                if key not in keys[test.signal]:
                    keys[test.signal].append(key)
        self.text_keys = {signal: tuple(names) for signal, names in keys.items()}
        self.literals = _literals(self.policies)

    def rule(self, position: int, which: int = 0) -> list[Box]:
        """The canonical boxes of a rule (the default's: everything), kept."""
        key = (which, position)
        if key not in self._canonical:
            rules = self.policies[which].rules
            region: Region = rules[position].region if position < len(rules) else ({},)
            self._canonical[key] = self.canonical(region)
        return self._canonical[key]

    def canonical(self, region: Iterable[Box]) -> list[Box]:
        """A region's boxes among sendable requests, `contains_pii` rewritten; impossible ones are dropped."""
        boxes = []
        for box in region:
            joined = self._rewritten(box)
            if (
                joined is not None
                and (joined := intersect(self.root, joined)) is not None
                and self.pick(joined) is not None
            ):
                boxes.append(joined)
        return boxes

    def holds(self, box: Box, signals: Signals) -> bool:
        """Whether a request that `pick` made lies in a canonical box."""
        for feature, part in box.items():
            value = signals.get(feature, ABSENT)
            if value is ABSENT and "~" in feature:
                value = self._text(feature, signals)
            elif value is ABSENT:
                value = SIGNALS[feature].default
            if not admits(part, feature, value):
                return False
        return True

    def pick(self, box: Box) -> dict[str, Value] | None:
        """A request in the box (every feature that any rule asks is there), or None where nothing can be in it."""
        chosen: dict[str, Value] = {}
        for feature, part in box.items():
            if "~" not in feature:
                chosen[feature] = _choose(feature, part)
        if not self._choose_tokens(box, chosen) or not self._choose_strings(box, chosen):
            return None
        pii = chosen.get("pii")
        held = pii if isinstance(pii, frozenset) else frozenset()
        ((_, counting),) = self.counts.clauses
        assert counting is not None
        chosen["contains_pii"] = not held.isdisjoint(counting)
        return chosen

    def _rewritten(self, box: Box) -> Box | None:
        flag = box.get("contains_pii")
        if flag is None:
            return box
        assert isinstance(flag, Finite)
        rest = {feature: part for feature, part in box.items() if feature != "contains_pii"}
        if flag.values == {True, False}:
            return rest
        wanted = self.counts if True in flag.values else Members(frozenset((not t, n) for t, n in self.counts.clauses))
        joined = meet(rest.get("pii", full("pii")), wanted)
        return None if joined is None else {**rest, "pii": joined}

    def _choose_tokens(self, box: Box, chosen: dict[str, Value]) -> bool:
        floor = 0
        for feature in TOKENS:
            part = box.get(feature)
            if part is None:
                continue
            assert isinstance(part, Spans)
            fitting = [max(low, floor) for low, high in part.ranges if high >= floor]
            if not fitting:
                return False
            floor = fitting[0]
            chosen[feature] = floor
        return True

    def _choose_strings(self, box: Box, chosen: dict[str, Value]) -> bool:
        for signal, keys in self.text_keys.items():
            wanted = {key: box[key] for key in keys if key in box}
            for candidate in self._candidates(signal, box.get(signal)):
                answers = self._answers(signal, keys, wanted, candidate)
                if answers is not None:
                    chosen.update(answers)
                    if signal != "message":
                        chosen[signal] = candidate
                    break
            else:
                return False
        return True

    def _candidates(self, signal: str, part: Part | None) -> Iterator[Value]:
        if signal == "message":
            yield OTHER
            return
        allowed = full(signal) if part is None else part
        assert isinstance(allowed, Finite)
        candidates: tuple[Value, ...] = (ABSENT, *self.literals.get(signal, ()), OTHER)
        for value in candidates:
            if (value in allowed.values) is not allowed.others:
                yield value

    def _answers(
        self, signal: str, keys: Iterable[str], wanted: Mapping[str, Part], value: Value
    ) -> dict[str, Value] | None:
        answers: dict[str, Value] = {}
        for key in keys:
            part = wanted.get(key)
            allowed = part.values if isinstance(part, Finite) else frozenset((True, False))
            if value == OTHER:
                answers[key] = False not in allowed
                continue
            answers[key] = self._text(key, {signal: value})
            if answers[key] not in allowed:
                return None
        return answers

    def _text(self, key: str, signals: Signals) -> bool:
        for policy in self.policies:
            if (test := policy.texts.get(key)) is not None:
                return text_holds(test, signals.get(test.signal, ABSENT))
        return False


def one(policy: Policy, index: Index | None = None) -> World:
    """The world of a single policy."""
    return World((policy,), (index if index is not None else Index(policy),))


def _present(feature: str) -> Part | None:
    """What a sendable request may hold where that is less than the full domain."""
    if "~" in feature or feature == "contains_pii":
        return None
    signal = SIGNALS[feature]
    if not signal.always or signal.default is not ABSENT:
        return None
    whole = full(feature)
    if isinstance(whole, Spans):
        return Spans(whole.ranges)
    if isinstance(whole, Finite):
        return Finite(whole.values | {ABSENT}, True) if whole.others else Finite(whole.values - {ABSENT})
    return None


def _choose(feature: str, part: Part) -> Value:
    signal = SIGNALS[feature]
    if isinstance(part, Spans):
        if not part.ranges:
            return ABSENT
        low = part.ranges[0][0]
        return low / MICRO if signal.kind is Kind.FRACTION else low
    if isinstance(part, Finite):
        return _choose_value(signal.values or (False, True), part)
    return _choose_names(signal.values, part)


def _choose_value(known: tuple[Value, ...], part: Finite) -> Value:
    if part.others:
        return OTHER if ABSENT in part.values else ABSENT
    for value in known:
        if value in part.values:
            return value
    rest = sorted((v for v in part.values if isinstance(v, str)), key=str)
    return rest[0] if rest else ABSENT


def _choose_names(known: tuple[str, ...], part: Members) -> Value:
    forbidden = frozenset().union(*(names or frozenset() for holds, names in part.clauses if not holds))
    held: set[str] = set()
    for holds, names in sorted(part.clauses, key=lambda clause: sorted(clause[1] or ())):
        if not holds or (held if names is None else not held.isdisjoint(names)):
            continue
        offered = [n for n in known if names is None or n in names] + sorted(names or ())
        held.add(next((n for n in offered if n not in forbidden), OTHER))
    return frozenset(held)


def _extra_regions(policy: Policy) -> Iterator[Region]:
    for guarantee in policy.guarantees:
        yield guarantee.region
    for budget in policy.budgets:
        for threshold in budget.at:
            yield threshold.region


def _literals(policies: Iterable[Policy]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for policy in policies:
        regions = [rule.region for rule in policy.rules] + list(_extra_regions(policy))
        for region in regions:
            for box in region:
                for feature, part in box.items():
                    if isinstance(part, Finite) and "~" not in feature and SIGNALS[feature].kind is Kind.STRING:
                        found[feature].update(dict.fromkeys(v for v in part.values if isinstance(v, str)))
    return {feature: tuple(sorted(values)) for feature, values in found.items()}
