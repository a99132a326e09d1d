"""Rows with unknown signals: every rule that some completion of such a row would reach, exactly (SEMANTICS 1.9).

What is known picks the rules' boxes that are still possible, by the index. What is unknown stands for its whole domain,
as far as requests that can be sent reach (implications included); rule after rule is subtracted from it until nothing
is left. Rows that look alike to the policy share one answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hroute.router.analysis.world import TOKENS, World
from hroute.router.decide import Compiled
from hroute.router.features import text_holds
from hroute.router.index import NumberColumn, bits
from hroute.schema.policy import Policy
from hroute.schema.region import INFINITY, Box, Members, Spans, full, intersect, subtract
from hroute.terms.signal import ABSENT, SIGNALS, UNSPECIFIED, Value

MOST_PIECES: Final = 512
"""Pieces of the space of completions that are kept apart; beyond them every rule left counts as possible."""

MOST_ANSWERS: Final = 65_536
"""Answers that are remembered at once."""

DEFAULT_OUTPUT: Final = 4096
EXPECTED_OUTPUT: Final = 500


Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reach:
    """Positions (in `policy.all_rules`) of the rules that may be first, ascending, and the unknown features that decide.

    `boxes` holds, for each of the rules, the completions that reach it.
    """

    rules: tuple[int, ...]
    boxes: tuple[tuple[Box, ...], ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A row as one policy sees it: the rule boxes still possible, the features left open, and what they may hold."""

    mask: int
    unknown: tuple[str, ...]
    start: Box | None
    key: object


class Completions:
    """What rows without a text may become under one policy."""

    def __init__(self, compiled: Compiled) -> None:
        self.policy = compiled.policy
        self.index = compiled.index
        self.world = World((compiled.policy,), (compiled.index,))
        self._boxes = [
            self.world.canonical([box]) for rule in compiled.policy.rules for box in rule.region
        ]  # a bit of the index -> the box among requests that can be sent; none where it is impossible
        self._answers: dict[object, Reach] = {}
        self._pairs: dict[object, frozenset[Pair]] = {}

    def reach(self, known: Mapping[str, Value]) -> Reach:
        """The rules that some completion of `known` reaches first. Signals that a caller alone gives are never unknown."""
        return self._reach(self._view(known))

    def pairs(
        self, known: Mapping[str, Value], other: Completions, known_there: Mapping[str, Value]
    ) -> frozenset[Pair]:
        """(rule here, rule under the other policy) for every completion: what tells a certain change from an open one."""
        here, there = self._view(known), other._view(known_there)
        key = (id(other), here.key, there.key)
        found = self._pairs.get(key)
        if found is None:
            reach = self._reach(here)
            found = frozenset(
                (rule, partner)
                for rule, boxes in zip(reach.rules, reach.boxes, strict=True)
                for box in boxes
                if there.start is not None and (joined := intersect(there.start, box)) is not None
                for partner in other._walk(there, joined).rules
            )
            if len(self._pairs) >= MOST_ANSWERS:
                self._pairs.clear()
            self._pairs[key] = found
        return found

    def _reach(self, view: View) -> Reach:
        found = self._answers.get(view.key)
        if found is None:
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            found = self._answers[view.key] = self._walk(view, view.start)
        return found

    def _view(self, known: Mapping[str, Value]) -> View:
        mask, unknown = self.index.everything, []
        for feature, column in self.index.columns.items():
            if is_unknown(feature, known):
                unknown.append(feature)
            else:
                mask &= column.accept(self._value(feature, known))
        bounds = _token_bounds(known)
        key = (mask, tuple(unknown), known.get("contains_pii"), self._classes(bounds))
        return View(mask, tuple(unknown), self._start(known, unknown, bounds), key)

    def _value(self, feature: str, known: Mapping[str, Value]) -> Value | None:
        value = known.get(feature)
        test = self.policy.texts.get(feature)
        if value is None and test is not None:
            return text_holds(test, known.get(test.signal, ABSENT))
        return value

    def _start(
        self, known: Mapping[str, Value], unknown: list[str], bounds: Mapping[str, tuple[int, int]]
    ) -> Box | None:
        """Every completion: the unknown features' domains, cut by what the known ones imply."""
        box: Box = {feature: part for feature, part in self.world.root.items() if feature in unknown}
        flag = known.get("contains_pii")
        if isinstance(flag, bool) and "pii" not in known:
            counting = self.world.counts.clauses
            box = {
                **box,
                "pii": Members(counting if flag else frozenset((not held, names) for held, names in counting)),
            }
        for feature, (low, high) in bounds.items():
            if feature in unknown:
                joined = intersect(box, {feature: Spans(((low, high),))})
                if joined is None:
                    return None
                box = joined
        return box

    def _walk(self, view: View, start: Box | None) -> Reach:
        left: list[Box] = [] if start is None else [start]
        hits: dict[int, list[Box]] = {}
        asked: set[str] = set()
        open_features = {*view.unknown, "pii"} if "contains_pii" in view.unknown else set(view.unknown)
        for bit in bits(view.mask):
            if not left:
                break
            if len(left) > MOST_PIECES:
                hits.setdefault(self.index.owner[bit], []).extend(left)
                continue
            for box in self._boxes[bit]:
                hole = {name: part for name, part in box.items() if name in open_features and part != full(name)}
                taken = [both for piece in left if (both := self._both(piece, hole)) is not None]
                if taken:
                    asked.update(self.index.needs[bit].intersection(view.unknown))
                    hits.setdefault(self.index.owner[bit], []).extend(taken)
                    left = [
                        rest for piece in left for rest in subtract(piece, hole) if self.world.pick(rest) is not None
                    ]
        if left or not hits:
            hits[self.index.default] = left
        return Reach(tuple(hits), tuple(map(tuple, hits.values())), tuple(sorted(asked)) if len(hits) > 1 else ())

    def _both(self, piece: Box, hole: Box) -> Box | None:
        both = intersect(piece, hole)
        return both if both is not None and self.world.pick(both) is not None else None

    def _classes(self, bounds: Mapping[str, tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """Bounds as the intervals of the index they fall into: all that the answer depends on."""
        places = []
        for feature, (low, high) in bounds.items():
            column = self.index.columns.get(feature)
            points = column.points if isinstance(column, NumberColumn) else []
            places.append((bisect_right(points, low), bisect_right(points, high)))
        return tuple(places)


def is_unknown(feature: str, known: Mapping[str, Value]) -> bool:
    """Whether a log row without a text leaves a feature open: it would have been read from the text, and was not recorded.

    What has a default stands at its default (SEMANTICS 1.3), taints excepted.
    """
    signal = SIGNALS[feature.partition("~")[0]]
    if feature in known or signal.name in known:
        return False
    return signal.extracted and (signal.taint or signal.default is ABSENT)


def recorded(
    policy: Policy, signals: Mapping[str, Value], prompt_tokens: int | None, max_tokens: int | None
) -> dict[str, Value]:
    """What a row without a text tells: its signals, made to agree, and token signals from what was billed."""
    known = dict(signals)
    _close_taint(policy, known)
    prompt = known.get("prompt_tokens")
    if prompt is None and prompt_tokens is not None:
        prompt = known["prompt_tokens"] = prompt_tokens
    if "expected_tokens" not in known and isinstance(prompt, int):
        known["expected_tokens"] = prompt + min(max_tokens or DEFAULT_OUTPUT, EXPECTED_OUTPUT)
    return known


def _close_taint(policy: Policy, known: dict[str, Value]) -> None:
    """Recorded kinds decide `contains_pii`, which a recorded flag may only raise: then by a kind that is not named."""
    kinds, flag = known.get("pii"), known.get("contains_pii")
    if isinstance(kinds, frozenset):
        counted = not kinds.isdisjoint(policy.signals.pii.counts | {UNSPECIFIED})
        known["contains_pii"] = counted or flag is True
        if flag is True and not counted:
            known["pii"] = kinds | {UNSPECIFIED}


def _token_bounds(known: Mapping[str, Value]) -> dict[str, tuple[int, int]]:
    """message_tokens <= prompt_tokens <= expected_tokens, for those that are not known (SEMANTICS 1.11)."""
    counts = [known.get(feature) for feature in TOKENS]
    bounds: dict[str, tuple[int, int]] = {}
    for place, feature in enumerate(TOKENS):
        if counts[place] is None:
            lows = [n for n in counts[:place] if isinstance(n, int)]
            highs = [n for n in counts[place + 1 :] if isinstance(n, int)]
            bounds[feature] = (max(lows, default=0), max(min(highs, default=INFINITY), max(lows, default=0)))
    return bounds


def names(features: Iterable[str]) -> tuple[str, ...]:
    """The signals that features belong to, once each."""
    return tuple(dict.fromkeys(feature.partition("~")[0] for feature in features))
