"""The policy as frozen data: what `schema.load` makes of a file and what every other part reads.

Everything is resolved here: tiers are expanded, definitions are inlined, defaults are filled, catalogue entries are
merged, durations are seconds, money is nano-dollars. Nothing here reads a file, a clock or the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hroute.schema.condition import ALWAYS, Condition, TextTest
from hroute.schema.diagnostic import Diagnostic, Span
from hroute.schema.region import Region
from hroute.terms.money import Price

Names = tuple[str, ...]


def empty() -> Mapping[str, Any]:
    """A mapping of nothing: the default of every mapping here. Read-only by its type, and picklable."""
    return {}


CHAIN_ATTEMPTS = 6
"""Calls that one request may cost over its whole chain, unless the policy or its rule says otherwise (SEMANTICS 3.1)."""

DEFAULT = "default"
"""The rule name that stands for "no rule matched". Reserved, as `requested` is (SEMANTICS 1.10)."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds."""

    connect: float = 5.0
    first_token: float = 30.0
    idle: float = 30.0
    total: float = 300.0


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` counts all calls to one provider in one request; `base` and `max` are the backoff in seconds."""

    attempts: int = 2
    base: float = 0.25
    max: float = 4.0


@dataclass(frozen=True, slots=True)
class LatencyBreaker:
    p95: float
    samples: int = 20
    within: float = 120.0
    open_for: float = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The errors breaker; `latency` is a separate component with its own state, absent unless asked for."""

    failures: int = 5
    within: float = 60.0
    open_for: float = 30.0
    probes: int = 1
    latency: LatencyBreaker | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """A named target: plugin + model + endpoint + credential + limits.

    `base_url` and `api_key` may be references (`env:NAME`, `keyring:NAME`), resolved only when a call is made.
    `local` is the operator's claim (checked by HR306): False, True (this machine) or "network".
    `vouched` is the reason an operator gives for trusting a `command`.
    """

    name: str
    plugin: str
    model: str
    base_url: str | None = None
    api_key: str | None = None
    local: bool | Literal["network"] = False
    labels: Mapping[str, str] = field(default_factory=empty)
    context_window: int | None = None
    max_output: int | None = None
    timeout: Timeout = Timeout()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    limits: Limits = Limits()
    price: Price | None = None
    usd_per_hour: int | None = None
    params: Mapping[str, Any] = field(default_factory=empty)
    options: Mapping[str, Any] = field(default_factory=empty)
    command: Names = ()
    vouched: str | None = None
    catalogued: bool = field(default=False, compare=False)  # from the built-in catalogue, not declared
    span: Span | None = field(default=None, compare=False)
    spans: Mapping[str, Span] = field(default_factory=empty, compare=False)


@dataclass(frozen=True, slots=True)
class Validate:
    attempts: int = 2
    format: Literal["json"] | None = None
    schema: Mapping[str, Any] | None = None
    choices: Names = ()
    matches: str | None = None
    not_refusal: bool = False
    min_certainty: float | None = None
    agree_with: str | None = None
    agree_on: str = "answer"
    judge: str | None = None


@dataclass(frozen=True, slots=True)
class Shadow:
    to: str
    sample: float


@dataclass(frozen=True, slots=True)
class Route:
    """Where a rule sends: `chain[0]` serves, the rest is the fallback chain in order; provider names, tiers resolved.

    `split` is a canary: provider -> percent, sticky by session; its first name is `chain[0]`.
    `target` is what the author wrote after `route_to` (a provider or a tier), for messages.
    """

    chain: Names
    target: str
    split: tuple[tuple[str, float], ...] = ()
    fallback_given: bool = False

    @property
    def to(self) -> str:
        return self.chain[0]

    @property
    def fallback(self) -> Names:
        return self.chain[1:]


@dataclass(frozen=True, slots=True)
class Rule:
    """Condition -> route (or refusal). `spans` maps a key of the rule ("name", "condition", "route_to", "fallback",
    "fallback.1", "validate.judge", ...) to its value's place, and "chain.0", "chain.1", ... to where the author named
    that part of the route (`route_to` or an item of `fallback`).

    `region` is the condition as boxes, with `hold` already in it: `hold: session` means "or held_rule is this rule".
    `deadline` (seconds) and `attempts` (calls) bound the whole chain; None is the policy's. `rollout` and `holdout` are fractions: of the requests that match, `1 - rollout` go to the baseline; of the rest
    `holdout` stay there for ever.
    """

    name: str
    condition: Condition = ALWAYS
    region: Region = ()
    route: Route | None = None
    refuse: str | None = None
    description: str = ""
    validate: Validate | None = None
    params: Mapping[str, Any] = field(default_factory=empty)
    deadline: float | None = None
    attempts: int | None = None
    on_all_failed: Literal["fail", "queue"] = "fail"
    hold: Literal["session"] | None = None
    rollout: float = 1.0
    holdout: float = 0.0
    shadow: Shadow | None = None
    spans: Mapping[str, Span] = field(default_factory=empty, compare=False)

    @property
    def span(self) -> Span | None:
        return self.spans.get("name")


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What may never happen: where `when` holds and `unless` does not, only `permitted` providers may be used."""

    name: str
    when: Condition = ALWAYS
    unless: Condition | None = None
    region: Region = ()
    permitted: frozenset[str] = frozenset()
    only: Mapping[str, Any] | None = None
    never: Mapping[str, Any] | None = None
    spans: Mapping[str, Span] = field(default_factory=empty, compare=False)


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a budget does once `share` of its limit is spent."""

    share: float
    action: Literal["alert", "refuse", "only"]
    permitted: frozenset[str] = frozenset()
    only: Mapping[str, Any] | None = None
    unless: Condition | None = None
    region: Region = ()  # the requests that the action touches: `where` and not `unless`
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Budget:
    name: str
    limit: int  # nano-dollars
    per: Literal["hour", "day", "week", "month"]
    timezone: str = "UTC"
    where: Mapping[str, Names] = field(default_factory=empty)
    at: tuple[Threshold, ...] = ()
    spans: Mapping[str, Span] = field(default_factory=empty, compare=False)


@dataclass(frozen=True, slots=True)
class Intent:
    """One of the policy's own intents: a text test on the message, and examples to learn from."""

    name: str
    test: TextTest | None
    examples: Names = ()


@dataclass(frozen=True, slots=True)
class Scorer:
    """A score that was learned (`hroute train`): `intercept` plus the weight of each feature times its strength, 0 to 1.

    `skill`, 0 to 1, says how much better than chance it ordered requests of sources that it had not seen.
    """

    intercept: float
    weights: Mapping[str, float]
    skill: float


@dataclass(frozen=True, slots=True)
class Scoring:
    """Weights and cuts of the heuristic score; `miss_cost` absent keeps the article's cuts (SEMANTICS 4.10).

    With a `scorer` the score is its, and `weights` mean nothing.
    """

    miss_cost: float | None = None
    low: float = 0.35
    high: float = 0.7
    confidence: float = 0.6
    weights: Mapping[str, float] = field(default_factory=empty)
    scorer: Scorer | None = None


@dataclass(frozen=True, slots=True)
class PresidioSettings:
    """Microsoft Presidio beside the built-in detectors: a spaCy `model` (an installed pipeline or a folder; `blank` for
    none), the `entities` that it looks for, the least `score` that counts, and the seconds that a request may take."""

    model: str = "en_core_web_sm"
    language: str = "en"
    entities: Names = ("PERSON", "LOCATION")
    score: float = 0.5
    timeout: float = 2.0


@dataclass(frozen=True, slots=True)
class PiiSettings:
    """`kinds` are looked for, `counts` make `contains_pii` true, `allow` names values that are nothing,
    `custom` maps a kind of the policy's own to an RE2 pattern, `presidio` is asked, too, where it is given."""

    kinds: frozenset[str]
    counts: frozenset[str]
    allow: Names = ()
    custom: Mapping[str, str] = field(default_factory=empty)
    presidio: PresidioSettings | None = None


@dataclass(frozen=True, slots=True)
class SignalSettings:
    pii: PiiSettings
    trust_caller: bool = False  # contains_pii.trust_caller
    unread_taints: bool = True  # contains_pii.unread: a part no detector can read counts as true


@dataclass(frozen=True, slots=True)
class Policy:
    """One checked policy. `hash` identifies its resolved form; `rules` holds the enabled ones in order.

    `default` is a Rule named "default". `texts` holds every text test by key. `warnings` are the findings that did not
    block loading; `sources` maps each file read to the SHA-256 of its content.
    """

    path: str = field(compare=False)
    hash: str
    mode: Literal["enforce", "observe"]
    baseline: str | None
    providers: Mapping[str, Provider]
    tiers: Mapping[str, Names]
    rules: tuple[Rule, ...]
    default: Rule
    guarantees: tuple[Guarantee, ...]
    budgets: tuple[Budget, ...]
    intents: Mapping[str, Intent]
    scoring: Scoring
    signals: SignalSettings
    texts: Mapping[str, TextTest]
    deadline: float = 120.0
    attempts: int = CHAIN_ATTEMPTS
    on_all_open: str = "fail"  # fail | probe_best | wait <= DURATION
    ledger: Mapping[str, Any] = field(default_factory=empty)
    log_text: Literal["none", "redacted", "full"] = "none"
    alerts: Mapping[str, Any] = field(default_factory=empty)
    gateway: Mapping[str, Any] = field(default_factory=empty)
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False)
    sources: Mapping[str, str] = field(default_factory=empty, compare=False)
    data: Mapping[str, Any] = field(
        default_factory=empty, compare=False
    )  # the resolved, plain form: what `dump` writes

    def rule(self, name: str) -> Rule:
        """The rule of that name, the default included. Raises KeyError."""
        if name == DEFAULT:
            return self.default
        for rule in self.rules:
            if rule.name == name:
                return rule
        raise KeyError(name)

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """The rules in order, then the default."""
        return (*self.rules, self.default)
