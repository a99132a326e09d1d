"""From a request that has ended to its row in the ledger: signals as the rules saw them, hashes under a key, no text.

All of this runs on the ledger's own thread, after the caller has its answer.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from hroute.errors import Refused, RequestError
from hroute.ledger import prices
from hroute.ledger.records import Aside, AttemptRow, Document, Entry, RequestRow, Said
from hroute.router.answer import Answer
from hroute.router.attempts import Attempt
from hroute.router.charges import charge
from hroute.router.decision import Decision
from hroute.router.observing import refusal
from hroute.router.plan import Asking, Skipped
from hroute.router.pricing import cost_of, serving
from hroute.router.shadow import Shadowed
from hroute.router.signals.extract import VERSIONS, Extraction
from hroute.router.signals.pii import scanner_for
from hroute.router.signals.secrets import SECRETS
from hroute.schema.policy import Policy, Provider
from hroute.terms.message import Message, Request, Text, ToolResult
from hroute.terms.outcome import Reason
from hroute.terms.secret import redact
from hroute.terms.signal import ABSENT, BUILT_IN_INTENTS, PII_KINDS, SIGNALS, Cost, Value
from hroute.terms.usage import Usage

ESCALATED: Final = frozenset(
    (Reason.BAD_CONTENT, Reason.OUTAGE, Reason.SLOW, Reason.CAPACITY, Reason.CAPABILITY, Reason.CREDENTIAL)
)
"""Reasons that count against a route's health; the others divert a request on purpose (SEMANTICS 3.5)."""

CANCELLED: Final = "cancelled"
CRASHED: Final = "crashed"
TRUNCATED: Final = "truncated"
_HIDDEN: Final = ("message", "user", "session")  # never in clear
_LONGEST: Final = 200  # characters of a name that a client may choose
_KEY_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that is over. `latency_ms` is the time from its arrival to its end; `answer` or `error` is what it ended
    with, and where there is neither `cause` says why; `broke` marks a stream that was cut off."""

    asking: Asking
    extraction: Extraction
    latency_ms: float
    route: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    answer: Answer | None = None
    error: RequestError | None = None
    cause: str = CANCELLED
    broke: bool = False
    streamed: bool = False
    mode: str = "enforce"


Estimate = Callable[[Provider], "int | None"]
"""Nano-dollars that a call to a provider was expected to cost."""


def entries(
    policy: Policy,
    ended: Ended,
    key: bytes | None,
    estimate: Estimate,
    signals: Literal["asked", "cheap", "all"] = "cheap",
) -> list[Entry]:
    """The row of a request, with the documents that it refers to. Without a `key` nothing is hashed."""
    tainted = _tainted(ended.extraction)
    seen = _signals(ended, signals)
    row = _row(policy, ended, key, tainted, seen, estimate)
    return [_policy_document(policy), row if tainted else replace(row, said=_said(policy, ended))]


def aside(policy: Policy, ended: Ended, shadowed: Shadowed, estimate: Estimate) -> Aside:
    """What came of the shadow of a request: its call, and whether it says the same."""
    at = datetime.fromtimestamp(ended.asking.ts / 1000, UTC)
    tried = None if shadowed.attempt is None else _attempt(policy, shadowed.attempt, at, estimate)
    said = None
    if shadowed.text and policy.log_text != "none" and not _tainted(ended.extraction):
        reply = _untainted(policy, shadowed.text)
        redacted = policy.log_text != "full"
        said = Said("", _masked(policy, reply) if redacted else reply, redacted=redacted)
    return Aside(ended.asking.id, "shadow", shadowed.as_json(), tried, said)


def keyed(key: bytes, text: str) -> str:
    """A hash that nobody without the ledger's key can recompute."""
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:_KEY_DIGITS]


def primary_intent(policy: Policy, intents: Value) -> str:
    """The one intent that stands for a request: the policy's own in their order, then the built-in ones (SEMANTICS 4.5)."""
    if not isinstance(intents, frozenset):
        return ""
    return next((name for name in (*policy.intents, *BUILT_IN_INTENTS) if name in intents), min(intents, default=""))


def _row(
    policy: Policy,
    ended: Ended,
    key: bytes | None,
    tainted: bool,
    seen: Mapping[str, Value],
    estimate: Estimate,
) -> RequestRow:
    decision, answer = ended.asking.decision, ended.answer
    at = datetime.fromtimestamp(ended.asking.ts / 1000, UTC)
    tries = tuple(_attempt(policy, attempt, at, estimate) for attempt in ended.attempts)
    usage = sum((t.usage for t in tries), Usage())
    served = next((a for a in reversed(ended.attempts) if a.role == "answer"), None) if answer else None
    reason = answer.escalation if answer is not None else None
    refused = refusal(decision, ended.skipped) if policy.mode == "observe" else None
    return RequestRow(
        id=_name(ended.asking.id),
        ts=ended.asking.ts,
        outcome=_outcome(ended),
        policy=decision.policy,
        rule=decision.rule.name,
        variant=decision.variant,
        mode=ended.mode,
        routed_to="" if refused else decision.route_to or "",
        provider=served.provider if served else "",
        model=_name(served.model) if served else "",
        escalation=str(reason) if reason else "",
        escalated=reason in ESCALATED,
        error=(ended.error.code or "") if ended.error else "",
        cost_center=_text(seen, "cost_center"),
        tenant=_text(seen, "tenant"),
        client=_text(seen, "client"),
        user=_keyed(key, ended.extraction.ask("user")),
        session=_keyed(key, ended.extraction.ask("session")),
        prompt="" if tainted or key is None else keyed(key, _canonical(ended.extraction)),
        intent=primary_intent(policy, ended.extraction.ask("intent")),
        purpose=_text(seen, "purpose") or "turn",
        task_type=_text(seen, "task_type"),
        user_turn=_text(seen, "purpose") in ("", "turn") and not _carries_on(ended.asking.request),
        stream=ended.streamed,
        tainted=tainted,
        score=_number(seen, "score"),
        confidence=_number(seen, "confidence"),
        latency_ms=round(ended.latency_ms, 3),
        ttft_ms=served.first_token_ms if served else None,
        usage=usage,
        cost=_total(tries),
        would_cost=0 if refused else _would(policy, decision, usage, at, served.model if served else "") if policy.mode == "observe" else None,
        estimated=any(t.estimated for t in tries),
        prices=prices.version(),
        tries=tries,
        signals={name: _plain(value) for name, value in seen.items()},
        versions={**VERSIONS, "pii": scanner_for(policy.signals.pii).version, "secrets": SECRETS.version},
        around={
            "route": list(ended.route),
            "skipped": [[s.provider, str(s.why), s.guarantee or (s.budget.budget if s.budget else "")] for s in ended.skipped],
        },
    )  # fmt: skip


def _attempt(policy: Policy, attempt: Attempt, at: datetime, estimate: Estimate) -> AttemptRow:
    provider = policy.providers[attempt.provider]
    cost = charge(provider, attempt, at)
    known = cost is None and cost_of(serving(provider, attempt.model), Usage(), seconds=0.0) is not None
    guessed = estimate(provider) if known else None
    return AttemptRow(
        provider=attempt.provider,
        model=_name(attempt.model),
        outcome=str(attempt.outcome),
        latency_ms=round(attempt.latency_ms, 3),
        usage=attempt.usage or Usage(),
        cost=guessed if cost is None else cost,
        ttft_ms=attempt.first_token_ms,
        status=attempt.failure.status if attempt.failure else None,
        code=_name(attempt.failure.code) if attempt.failure and attempt.failure.code else None,
        estimated=guessed is not None,
        kind="try" if attempt.role == "answer" else attempt.role,
        terms=provider.labels.get("terms", ""),
        asked=_name(provider.model),
    )


def _outcome(ended: Ended) -> str:
    if ended.answer is not None:
        return "ok"
    if ended.broke:
        return TRUNCATED
    if isinstance(ended.error, Refused):
        return "refused"
    if ended.error is None:
        return ended.cause
    return str(ended.attempts[-1].outcome) if ended.attempts else "unavailable"


def _total(tries: Sequence[AttemptRow]) -> int | None:
    """Null where one of them is unknown: unknown is never zero."""
    costs = [t.cost for t in tries]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


def _would(policy: Policy, decision: Decision, usage: Usage, at: datetime, model: str) -> int | None:
    """What the policy's own choice would have cost, with the tokens that the baseline used of `model`."""
    if decision.route_to is None:
        return None
    return cost_of(serving(policy.providers[decision.route_to], model), usage, at=at)


def _tainted(extraction: Extraction) -> bool:
    """Whether anything that would be sent holds personal data or a secret; the detectors run now if they have not."""
    return extraction.ask("contains_pii") is True or extraction.ask("contains_secret") is True


def _signals(ended: Ended, wanted: str) -> dict[str, Value]:
    """The signals to be kept: those that the rules asked for, with the cheap ones or all (SEMANTICS 4.6)."""
    if wanted == "all":
        found = ended.extraction.all()
    elif wanted == "cheap":
        cheap = [name for name, signal in SIGNALS.items() if signal.cost <= Cost.CHEAP]
        found = {**ended.extraction.known(), **{name: ended.extraction.ask(name) for name in cheap}}
    else:
        found = dict(ended.asking.decision.signals)
    return {name: value for name, value in found.items() if name not in _HIDDEN and value is not ABSENT}


def _policy_document(policy: Policy) -> Document:
    """The policy as rows refer to it; written out once, for every request brings it along."""
    found = _written.get(policy.hash)
    if found is None:
        found = Document(policy.hash, "policy", json.dumps(policy.data, ensure_ascii=False, default=str))
        if len(_written) >= _MOST_POLICIES:
            _written.clear()
        _written[policy.hash] = found
    return found


_written: Final[dict[str, Document]] = {}
_MOST_POLICIES: Final = 16


# text, by consent


def _said(policy: Policy, ended: Ended) -> Said | None:
    """The text of an untainted request and its answer, where the policy keeps it; an answer that is tainted is left out."""
    if policy.log_text == "none":
        return None
    reply = _untainted(policy, ended.answer.text if ended.answer else "")
    told = json.dumps(
        {
            "system": ended.asking.request.system,
            "messages": [{"role": m.role, "text": m.text} for m in ended.asking.request.messages],
        },
        ensure_ascii=False,
    )
    if policy.log_text == "full":
        return Said(told, reply, redacted=False)
    return Said(_masked(policy, told), _masked(policy, reply), redacted=True)


def _untainted(policy: Policy, reply: str) -> str:
    """`reply`, unless it holds what must not be kept."""
    scanner = scanner_for(policy.signals.pii)
    counts = policy.signals.pii.counts
    if SECRETS.scan(reply) or any(kind in counts for kind, _, _ in scanner.scan(reply)):
        return "[left out: personal data or a secret]"
    return reply


def _masked(policy: Policy, text: str) -> str:
    """`text` with every kind of personal data that the detectors know replaced by the kind's name."""
    everything = replace(policy.signals.pii, kinds=policy.signals.pii.kinds | frozenset(PII_KINDS), allow=())
    found = sorted(scanner_for(everything).scan(text), key=lambda place: place[1], reverse=True)
    for kind, start, end in found:
        text = f"{text[:start]}[{kind}]{text[end:]}"
    return redact(text)


# small things


def _canonical(extraction: Extraction) -> str:
    """What tells all that was sent from everything else: the hashes of its blocks, which are known already."""
    return " ".join(f"{block.where}:{block.digest.hex()}" for block in extraction.sent)


def _carries_on(request: Request) -> bool:
    """Whether the request continues a tool loop: its last turn is a tool's result and no word of the user."""
    last: Message | None = request.messages[-1] if request.messages else None
    if last is None:
        return False
    return any(isinstance(p, ToolResult) for p in last.parts) and not any(isinstance(p, Text) for p in last.parts)


def _keyed(key: bytes | None, value: Value) -> str:
    return keyed(key, value) if key is not None and isinstance(value, str) and value else ""


def _text(seen: Mapping[str, Value], name: str) -> str:
    value = seen.get(name)
    return _name(value) if isinstance(value, str) else ""


def _number(seen: Mapping[str, Value], name: str) -> float | None:
    value = seen.get(name)
    return float(value) if isinstance(value, float | int) else None


def _plain(value: Value) -> Any:
    if isinstance(value, frozenset):
        return sorted(_name(name) for name in value)
    return _name(value) if isinstance(value, str) else value


def _name(text: str) -> str:
    """A name as every database takes it: no lone surrogate, no NUL, not without end."""
    return text[:_LONGEST].encode("utf-8", "replace").decode().replace("\0", "")
