"""One row decided again under one policy: with its text exactly as `explain` would, without it as far as it can be told."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from hroute.replay.completions import Completions, names, recorded
from hroute.replay.rows import Row
from hroute.router.decide import Compiled, arm, compile
from hroute.router.decision import Decision
from hroute.router.index import NumberColumn
from hroute.router.session import MOST
from hroute.router.signals.extract import BlockCache, Extraction
from hroute.router.tree import walk
from hroute.schema.condition import Ask
from hroute.schema.policy import Policy
from hroute.terms.signal import ABSENT, MICRO, SIGNALS, Kind, Value

REPEATS: Final = 512
"""Readings of short messages that are kept."""

SHORT: Final = 500
"""Characters of a message that may be worth remembering."""

_STICKY: Final = "session"
"""The signal that differs from row to row, and on which no extractor rests."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy does with a row. One decision where it is known; several where unknown signals leave it open.

    `unknown` names the signals that a row lacks and on which its rule depends; `assumed_tokens` is the prompt's size as
    estimated from the text, None where there is none. `ask` gives any feature of a row whose signals are all known.
    """

    decisions: tuple[Decision, ...]
    signals: Mapping[str, Value]
    unknown: tuple[str, ...] = ()
    assumed_tokens: int | None = None
    ask: Ask | None = None

    @property
    def told(self) -> bool:
        """Whether every completion takes the same way."""
        return len({decision.chain for decision in self.decisions}) == 1

    @property
    def chain(self) -> tuple[str, ...] | None:
        """The way the row takes: empty for a refusal, None where it cannot be told."""
        return self.decisions[0].chain if self.told else None

    @property
    def route_to(self) -> str | None:
        return self.decisions[0].route_to if self.told else None

    @property
    def rule(self) -> str | None:
        """The rule, or None where several could be the one."""
        return self.decisions[0].rule.name if len(self.decisions) == 1 else None

    @property
    def taint_unknown(self) -> bool:
        """Whether nobody knows if the row holds personal data or a secret, and the way depends on it."""
        return any(SIGNALS[name].taint for name in self.unknown)


class _Read(NamedTuple):
    """A text that was read: the rule that it meets, and the signals that the walk asked for."""

    extraction: Extraction
    rule: int
    signals: Mapping[str, Value]


class Redecider:
    """A policy that decides rows of a log again; keeps only what rows have in common."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.compiled: Compiled = compile(policy)
        zone = str(policy.ledger.get("timezone", "UTC"))
        self.zone: tzinfo = UTC if zone == "UTC" else ZoneInfo(zone)
        self._completions: Completions | None = None
        self._scans = BlockCache()
        self._repeats: OrderedDict[object, _Read] = OrderedDict()
        self._holding = {rule.name for rule in policy.all_rules if rule.hold == _STICKY}
        self._held: OrderedDict[str, str] = OrderedDict()

    def decide(self, row: Row, *, all_signals: bool = False) -> Verdict:
        """The verdict on one row; with `all_signals` every extractor runs and `signals` holds all there is. A rule that
        holds its session holds the rows of that session which come after."""
        session = row.signals.get(_STICKY) if self._holding else None
        if isinstance(session, str):
            row = self._as_held(row, session)
        verdict = self._without_text(row) if row.request is None else self._with_text(row, all_signals)
        if isinstance(session, str) and verdict.rule in self._holding:
            self._held[session] = verdict.rule or ""
            if len(self._held) > MOST:
                self._held.popitem(last=False)
        return verdict

    def _as_held(self, row: Row, session: str) -> Row:
        """The row with the rule that holds its session, where none was recorded."""
        held = self._held.get(session)
        return (
            row
            if held is None or "held_rule" in row.signals
            else replace(row, signals={**row.signals, "held_rule": held})
        )

    def _with_text(self, row: Row, all_signals: bool) -> Verdict:
        read = self._read(row, all_signals)
        tokens = read.extraction.ask("prompt_tokens") if row.input_tokens is None else None
        signals = read.extraction.all() if all_signals else read.signals
        if _STICKY in row.signals:
            signals = {**signals, _STICKY: row.signals[_STICKY]}
        decision = self._decision(read.rule, signals, row.id)
        assumed = tokens if isinstance(tokens, int) else None
        return Verdict((decision,), signals, assumed_tokens=assumed, ask=read.extraction.ask)

    def _read(self, row: Row, all_signals: bool) -> _Read:
        """The row's text, read; short messages that come again and again are read once."""
        hour = self._hour(row.ts) if all_signals or "arrival_hour" in self.compiled.index.columns else None
        given = dict(row.signals)
        if _STICKY not in self.compiled.index.columns:
            given.pop(_STICKY, None)
        key = _repeatable(row, given, hour)
        found = self._repeats.get(key) if key is not None else None
        if found is None:
            extraction = Extraction(self.policy, row.request, given, hour=hour, cache=self._scans)
            rule = walk(self.compiled.index, extraction.ask)
            found = _Read(extraction, rule, extraction.known())
        if key is not None:
            self._repeats[key] = found
            self._repeats.move_to_end(key)
            if len(self._repeats) > REPEATS:
                self._repeats.popitem(last=False)
        return found

    def _without_text(self, row: Row) -> Verdict:
        prompt_tokens = (
            None if row.input_tokens is None else row.input_tokens + row.cache_read_tokens + row.cache_write_tokens
        )
        known = recorded(self.policy, row.signals, prompt_tokens, row.max_tokens)
        hour = self._hour(row.ts)
        if hour is not None:
            known.setdefault("arrival_hour", hour)
        if self._completions is None:
            self._completions = Completions(self.compiled)
        reach = self._completions.reach(known)
        decisions = tuple(self._decision(position, known, row.id) for position in reach.rules)
        return Verdict(decisions, known, names(reach.unknown))

    def ways(
        self, row: Row, verdict: Verdict, other: Redecider, other_verdict: Verdict
    ) -> frozenset[tuple[tuple[str, ...], tuple[str, ...]]]:
        """(chain under the other policy, chain here) for every completion of a row that neither policy tells."""
        assert self._completions is not None
        assert other._completions is not None
        pairs = self._completions.pairs(verdict.signals, other._completions, other_verdict.signals)
        return frozenset(
            (
                other._decision(there, other_verdict.signals, row.id).chain,
                self._decision(here, verdict.signals, row.id).chain,
            )
            for here, there in pairs
        )

    def near(self, row: Row, verdict: Verdict, margin: float) -> bool:
        """Whether a small change of one number would send a row elsewhere: a fraction by `margin`, tokens by that share."""
        for feature, column in self.compiled.index.columns.items():
            value = verdict.signals.get(feature)
            if isinstance(column, NumberColumn) and isinstance(value, (int, float)) and column.points:
                for other in _across(column, value, margin):
                    if self._chain_with(row, verdict, feature, other) != verdict.chain:
                        return True
        return False

    def _chain_with(self, row: Row, verdict: Verdict, feature: str, value: Value) -> tuple[str, ...] | None:
        """The way the row would take with another value of one feature; None where it cannot be told."""
        ask = verdict.ask
        if ask is not None:
            position = walk(self.compiled.index, lambda name: value if name == feature else ask(name))
            return self._decision(position, verdict.signals, row.id).chain
        assert self._completions is not None
        reach = self._completions.reach({**verdict.signals, feature: value})
        chains = {self._decision(position, verdict.signals, row.id).chain for position in reach.rules}
        return chains.pop() if len(chains) == 1 else None

    def _decision(self, position: int, signals: Mapping[str, Value], id: str) -> Decision:
        rule, chain, varies = self.compiled.outcomes[position]
        variant = ""
        if varies:
            session = signals.get("session", ABSENT)
            chain, variant = arm(self.policy, rule, session if isinstance(session, str) else id)
        return Decision(rule, chain, signals, self.policy.hash, variant)

    def _hour(self, ts: datetime | None) -> int | None:
        return None if ts is None else ts.astimezone(self.zone).hour


def _repeatable(row: Row, given: Mapping[str, Value], hour: int | None) -> object:
    """What makes two rows read alike; None for what is no single short message and will hardly come twice."""
    request = row.request
    if request is None or len(request.messages) != 1 or request.tools or len(request.messages[0].parts) != 1:
        return None
    message = request.messages[0]
    if message.role != "user" or not 0 < len(message.text) <= SHORT or len(request.system) > SHORT:
        return None
    return (message.text, request.system, request.max_tokens, hour, frozenset(given.items()))


def _across(column: NumberColumn, value: float, margin: float) -> Iterator[float | int]:
    """The nearest values on the other side of each threshold within reach."""
    fraction = SIGNALS[column.feature].kind is Kind.FRACTION
    place = bisect_right(column.points, value)
    for point in column.points[max(place - 1, 0) : place + 1]:
        width = margin if fraction else max(1.0, margin * point)
        if abs(value - point) <= width and point > 0:
            below = round(point - 1 / MICRO, 6) if fraction else int(point) - 1
            yield below if value >= point else (point if fraction else int(point))
