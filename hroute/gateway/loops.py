"""Who a conversation is with: a tool loop stays where it began, a prompt cache is not thrown away for less than it is worth,
and reasoning that one account has sealed is shown to no other.

What is remembered here only saves work and money. A loop that nobody remembers is decided again by the turn that began
it, which the request itself brings along.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from hroute.gateway.asked import Asked
from hroute.gateway.hints import RULE, closed
from hroute.gateway.recall import recall
from hroute.router.answer import Answer
from hroute.router.decision import Decision
from hroute.router.engine import Engine, Steer
from hroute.router.signals.extract import Extraction
from hroute.router.signals.taints import NAMES as TAINTS
from hroute.router.switching import CACHED_SECONDS, worth
from hroute.schema.condition import tests
from hroute.schema.policy import Policy, Provider, Route, Rule
from hroute.terms.message import Part, Request, Text, Thinking, ToolResult

MOST: Final = 10_000
"""Conversations that are remembered; the one least used goes first."""
_BEGINNING: Final = 4_000  # characters


Account = tuple[str, str | None, str | None]
"""Whose seal it is: the plugin, the address and the credential's reference."""


@dataclass(frozen=True, slots=True)
class Served:
    """Who answered last in a conversation, by which rule, when, with how many tokens of its prompt in a cache."""

    provider: str
    rule: str
    at: float
    cached: int = 0
    accounts: frozenset[Account] = frozenset()


class Loops:
    """The conversations that this process knows. Safe between threads."""

    def __init__(self, most: int = MOST, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._known: OrderedDict[bytes, Served] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, asked: Asked) -> Served | None:
        """What is known of the conversation that `asked` belongs to."""
        name = conversation(asked)
        with self._lock:
            return self._known.get(name) if name else None

    def served(self, asked: Asked, policy: Policy, answer: Answer) -> None:
        """`answer` was given to `asked`."""
        session = conversation(asked)
        if session is None:
            return
        provider = policy.providers.get(answer.actual_provider)
        account = frozenset((account_of(provider),)) if provider else frozenset()
        cached = answer.usage.cache_read + answer.usage.cache_write
        with self._lock:
            before = self._known.pop(session, None)
            accounts = account | (before.accounts if before else frozenset())
            rule = answer.decision.rule.name
            self._known[session] = Served(answer.actual_provider, rule, self._now(), cached, accounts)
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def has_to_recall(self, engine: Engine, asked: Asked) -> bool:
        """Whether the ledger may know of a conversation what has been forgotten here, and it matters now."""
        if engine.books is None or asked.session is None or self.of(asked) is not None:
            return False
        return carries_on(asked.request) or brings_seals(asked.request)

    def recall(self, engine: Engine, asked: Asked) -> None:
        """Learn from the ledger who has answered in a conversation that was forgotten here. Not for an event loop."""
        name = conversation(asked)
        if name is None or asked.session is None or not self.has_to_recall(engine, asked):
            return
        found = recall(engine, asked.session)
        if found is None:
            return
        begun, _ = engine.decide(at_its_turn(asked.request), asked.given)
        provider = found.last.get(begun.rule.name) or (begun.route_to or "")
        known = (engine.policy.providers.get(each) for each in found.providers)
        accounts = frozenset(account_of(each) for each in known if each is not None)
        with self._lock:
            self._known.setdefault(name, Served(provider, begun.rule.name, self._now() - CACHED_SECONDS, 0, accounts))

    def staying(self, engine: Engine, asked: Asked) -> Steer | None:
        """What keeps the conversation of `asked` where it is; None where nothing does."""
        known = self.of(asked)
        if carries_on(asked.request):
            return lambda decision, _: _stay(engine, asked, known, decision)
        if known is not None and known.cached and self._now() - known.at < CACHED_SECONDS:
            return lambda decision, extraction: _keep_cache(engine.policy, known, decision, extraction)
        return None


def conversation(asked: Asked) -> bytes | None:
    """A conversation's name: its session's, and how it began, since a client's subagents and its housekeeping bear the
    name of the same session. None where the client names no session."""
    if asked.session is None:
        return None
    first = asked.request.messages[0].text[:_BEGINNING]
    return blake2b(f"{asked.session}\0{first}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def account_of(provider: Provider) -> Account:
    """Whose account a provider is asked with."""
    return provider.plugin, provider.base_url, provider.api_key


def accounts_of(policy: Policy, plugin: str) -> frozenset[Account]:
    """All accounts of a vendor that the policy may ask with."""
    used = {name for rule in policy.all_rules if rule.route is not None for name in rule.route.chain}
    mine = (p for name, p in policy.providers.items() if p.plugin == plugin and (name in used or not p.catalogued))
    return frozenset(account_of(provider) for provider in mine)


def brings_seals(request: Request) -> bool:
    """Whether a request holds reasoning that somebody has sealed."""
    return any(isinstance(p, Thinking) and p.signature for m in request.messages for p in m.parts)


def carries_on(request: Request) -> bool:
    """Whether a request only brings the results of tools: the turn that asked for them is not over."""
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "user":
        return False
    results = any(isinstance(part, ToolResult) for part in last.parts)
    return results and not any(map(speaks, last.parts))


def at_its_turn(request: Request) -> Request:
    """The request as it was when its last user turn began: what came since are calls and results."""
    for at in range(len(request.messages) - 1, -1, -1):
        message = request.messages[at]
        if message.role == "user" and not message.context and any(map(speaks, message.parts)):
            return replace(request, messages=request.messages[: at + 1])
    return request


def _stay(engine: Engine, asked: Asked, known: Served | None, decision: Decision) -> Decision:
    """`decision` for a request in a tool loop: where the loop began, unless a taint or a closed route has a say."""
    if _has_a_say(decision):
        return decision
    if known is None:
        begun, _ = engine.decide(at_its_turn(asked.request), asked.given)
        if begun.refused or not begun.chain:
            return decision
        return _with(decision, begun.rule, begun.chain[0], begun.chain)
    rule = next((r for r in engine.policy.all_rules if r.name == known.rule), None)
    chain = rule.route.chain if rule is not None and rule.route is not None else decision.chain
    if known.provider not in engine.policy.providers:
        return decision
    return _with(decision, rule or _requested(known.provider), known.provider, chain)


def _keep_cache(policy: Policy, known: Served, decision: Decision, extraction: Extraction) -> Decision:
    """`decision` at a user turn: a cheaper provider is taken only where that saves more than the lost cache costs."""
    to = decision.route_to
    if _has_a_say(decision) or to is None or to == known.provider or known.provider not in policy.providers:
        return decision
    prompt = extraction.ask("prompt_tokens")
    saved, lost = worth(policy.providers[known.provider], policy.providers[to], prompt if isinstance(prompt, int) else 0)  # fmt: skip
    if saved is None or lost is None or saved <= 0 or saved > lost:
        return decision
    rule = next((r for r in policy.all_rules if r.name == known.rule), None)
    return _with(decision, rule or _requested(known.provider), known.provider, decision.chain)


def _has_a_say(decision: Decision) -> bool:
    """Whether a decision is not about cost or convenience: it refuses, leaves nobody else, was asked for by name, or rests
    on what was found in the text."""
    if decision.refused or closed(decision.rule) or decision.variant == RULE:
        return True
    return any(test.signal in TAINTS for test in tests(decision.rule.condition))


def _with(decision: Decision, rule: Rule, provider: str, chain: tuple[str, ...]) -> Decision:
    whole = tuple(dict.fromkeys((provider, *chain, *decision.chain)))
    return decision._replace(rule=rule, chain=whole)


def _requested(provider: str) -> Rule:
    """Stands for a rule that a reload has taken away."""
    return Rule(RULE, route=Route((provider,), provider))


def speaks(part: Part) -> bool:
    """Whether a part is a text of the user's own and no harness's."""
    from hroute.router.signals.conversation import without_harness

    return isinstance(part, Text) and bool(without_harness(part.text))
