"""What is kept of a session between its requests: its taints, the rule that holds it, and what a bare "go on" is about.

A program that sends each turn alone, with a `session`, is so treated as one that sends the whole conversation. What is
kept has no text; it lives in this process only, for as many sessions as `Sessions` is told, the tainted ones longest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hroute.router.decision import Decision
from hroute.router.signals import conversation
from hroute.router.signals.extract import Extraction
from hroute.router.signals.taints import NAMES as TAINTS
from hroute.schema.condition import Condition, tests
from hroute.schema.policy import Policy
from hroute.terms.message import Request
from hroute.terms.signal import ABSENT, Value

MOST: Final = 10_000
"""Sessions that are remembered, and as many again that are tainted; of each the one least used goes first."""

_SUBJECT: Final = ("task_type", "complexity", "intent", "score", "confidence")
"""Signals of a turn that a short reply to its answer takes over."""


@dataclass(frozen=True, slots=True)
class Kept:
    """`rule` holds the session; `taints` were raised in it; `subject` are signals of the last turn that said something."""

    rule: str | None = None
    taints: Mapping[str, Value] = field(default_factory=dict)
    subject: Mapping[str, Value] = field(default_factory=dict)


class Sessions:
    """The sessions that this process knows. Safe between threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._clean: OrderedDict[str, Kept] = OrderedDict()
        self._tainted: OrderedDict[str, Kept] = OrderedDict()
        self._tested: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()

    def enter(self, policy: Policy, request: Request | None, given: Mapping[str, Value]) -> Mapping[str, Value]:
        """`given` with what its session adds: taints are raised, the rest stands only where the caller says nothing."""
        kept = self._known(_name(given))
        if kept is None:
            return given
        added = dict(kept.subject) if request is not None and _goes_on(request) else {}
        if kept.rule is not None:
            added["held_rule"] = kept.rule
        return united(policy, request, {**added, **given}, kept.taints)

    def leave(
        self,
        policy: Policy,
        request: Request,
        given: Mapping[str, Value],
        decision: Decision,
        extraction: Extraction,
    ) -> None:
        """Keep what `decision` and its signals mean for the rest of the session. A taint that the policy tests is read
        now, whether this decision asked for it or not: a later one will."""
        name = _name(given)
        if name is None:
            return
        before = self._known(name) or Kept()
        taints = raised({taint: extraction.ask(taint) for taint in self._asked(policy)})
        rule = decision.rule.name if decision.rule.hold == "session" else before.rule
        known = decision.signals
        subject = {signal: known[signal] for signal in _SUBJECT if signal in known}
        self._keep(name, Kept(rule, both(before.taints, taints), before.subject if _goes_on(request) else subject))

    def knows(self, name: str) -> bool:
        """Whether anything is kept of a session."""
        return self._known(name) is not None

    def _asked(self, policy: Policy) -> frozenset[str]:
        known = self._tested.get(policy.hash)
        if known is None:
            known = taints_of(policy)
            self._tested = {policy.hash: known}  # the policy in force; after a reload the next one
        return known

    def _known(self, name: str | None) -> Kept | None:
        if name is None:
            return None
        with self._lock:
            return self._tainted.get(name) or self._clean.get(name)

    def _keep(self, name: str, kept: Kept) -> None:
        with self._lock:
            before = self._tainted.pop(name, None) or self._clean.pop(name, None) or Kept()
            kept = Kept(
                kept.rule, both(before.taints, kept.taints), kept.subject
            )  # another turn may have ended meanwhile
            home = self._tainted if kept.taints else self._clean
            home[name] = kept
            if len(home) > self._most:
                home.popitem(last=False)


def united(
    policy: Policy, request: Request | None, given: Mapping[str, Value], taints: Mapping[str, Value]
) -> dict[str, Value]:
    """`given` with `taints` raised, under every policy: also one that lets a caller lower them."""
    if not taints:
        return dict(given)
    now: Mapping[str, Value] = given
    if policy.signals.trust_caller:  # there a given kind would stand in place of what is found
        read = Extraction(policy, request, given)
        now = {name: read.ask(name) for name in TAINTS}
    return {**given, **both(taints, {name: now[name] for name in taints if name in now})}


def both(some: Mapping[str, Value], others: Mapping[str, Value]) -> dict[str, Value]:
    """What either raises."""
    united = dict(some)
    for name, value in others.items():
        before = united.get(name, ABSENT)
        if isinstance(before, frozenset) and isinstance(value, frozenset):
            united[name] = before | value
        elif before is ABSENT or value is True:
            united[name] = value
    return united


def raised(taints: Mapping[str, Value]) -> dict[str, Value]:
    """Those that say something: true, or a set with a name in it."""
    return {name: value for name, value in taints.items() if value is True or (isinstance(value, frozenset) and value)}


def taints_of(policy: Policy) -> frozenset[str]:
    """The taints on which anything in `policy` depends; `pii` and `contains_pii` follow from each other."""
    conditions = [rule.condition for rule in policy.all_rules]
    conditions += [c for g in policy.guarantees for c in (g.when, g.unless) if c is not None]
    conditions += [t.unless for b in policy.budgets for t in b.at if t.unless is not None]
    found = _signals(conditions) & frozenset(TAINTS)
    return found | {"pii", "contains_pii"} if found & {"pii", "contains_pii"} else found


def _signals(conditions: Iterable[Condition]) -> frozenset[str]:
    return frozenset(test.signal for condition in conditions for test in tests(condition))


def _name(signals: Mapping[str, Value]) -> str | None:
    name = signals.get("session")
    return name if isinstance(name, str) and name else None


def _goes_on(request: Request) -> bool:
    """Whether the request is a short reply without the turns that it answers."""
    read = conversation.read(request)
    return read.turns == 1 and conversation.is_short_reply(read.message)
