"""What a call will probably cost, before it: the prompt as measured, the answer as long as this rule's answers were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from hroute.router.decision import Decision
from hroute.router.fitting import max_tokens
from hroute.router.pricing import estimate
from hroute.schema.policy import Policy
from hroute.terms.message import Request, prompt
from hroute.terms.signal import Value

if TYPE_CHECKING:
    from hroute.ledger.lengths import Lengths

EXPECTED_OUTPUT: Final = 500
"""Output tokens that are assumed where no history says better (SEMANTICS 1.12)."""

MEDIAN: Final = 0.5

NO_HISTORY: Final = 1_024
"""Output tokens that are reserved where nothing was learned (SEMANTICS 4.2)."""

QUANTILE: Final = 0.9
"""The share of a rule's earlier answers that were no longer than what is reserved."""

HARDWARE_SECONDS: Final = 30.0
"""Seconds that a call to hardware of one's own is taken to last."""

_NOTHING: Final = prompt("")

Learned = Callable[[str, str, str], "Lengths | None"]
"""What is known of the answers by a rule (its name), of a provider (its name) and its model."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the call would cost, in nano-dollars (None: unknown), and what that rests on: so many tokens of `output`, which
    are the quantile `share` of `answers` recorded ones (None of 0: assumed, or as the caller expects).

    `set_aside` is what a budget would reserve for it, with `set_aside_output` tokens; None without a budget or a price.
    """

    nano: int | None
    basis: str
    output: int | None = None
    share: float | None = None
    answers: int = 0
    set_aside: int | None = None
    set_aside_output: int | None = None


def forecast(
    policy: Policy,
    decision: Decision,
    request: Request | None,
    expected_tokens: Value | None,
    learned: Learned | None = None,
    *,
    at: datetime | None = None,
) -> Estimate:
    """The price of the decision's first choice. `expected_tokens` is what the caller said of prompt and answer together."""
    size = decision.signals.get("prompt_tokens")
    if decision.route_to is None:
        return Estimate(0, "refused: nothing is sent")
    if not isinstance(size, int):
        return Estimate(None, "there is no prompt to measure")
    provider = policy.providers[decision.route_to]
    if provider.price is None and provider.usd_per_hour is not None:
        nano = estimate(policy, provider, 0, 0, seconds=HARDWARE_SECONDS)
        return Estimate(nano, f"{HARDWARE_SECONDS:g} s of a machine that is paid by the hour, assumed")
    known = None if learned is None else learned(decision.rule.name, provider.name, provider.model)
    most = max_tokens(request or _NOTHING, decision.rule.params, provider)
    output, said, share = _expected(most, size, expected_tokens, known)
    aside = _set_aside(policy, most, known)
    return Estimate(
        estimate(policy, provider, size, output, at=at),
        f"{size} tokens in; {output} out, {said}",
        output,
        share,
        known.answers if known is not None and share is not None else 0,
        None if aside is None else estimate(policy, provider, size, aside, at=at),
        aside,
    )


def _expected(most: int, prompt: int, expected: Value | None, known: Lengths | None) -> tuple[int, str, float | None]:
    """Tokens out, what they are, and the quantile that they are."""
    if isinstance(expected, int) and not isinstance(expected, bool) and expected >= prompt:
        return expected - prompt, "as the caller expects", None
    median = None if known is None else known.below(MEDIAN)
    if median is None or known is None:
        few = f" ({known.answers} answers by this rule are too few)" if known is not None and known.answers else ""
        return min(most, EXPECTED_OUTPUT), f"assumed{few}", None
    said = f"the median of {known.answers:,} answers by this rule"
    return (median, said, MEDIAN) if median <= most else (most, f"the most allowed, below {said}", MEDIAN)


def _set_aside(policy: Policy, most: int, known: Lengths | None) -> int | None:
    """Tokens out that budgets reckon with; None where no budget does, or where they reserve the most possible."""
    if not policy.budgets or policy.ledger.get("reserve") == "ceiling" or policy.mode == "observe":
        return None
    return reserved_output(most, known)


def reserved_output(most: int, known: Lengths | None) -> int:
    """Tokens out that are reserved for a call which may write `most`: what `QUANTILE` of the answers stayed below, else
    `NO_HISTORY`."""
    high = None if known is None else known.below(QUANTILE)
    return min(most, NO_HISTORY if high is None else high)
