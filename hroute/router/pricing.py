"""What a provider of the policy costs: the policy's own price first, then nothing for local ones, then the list price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from hroute.ledger import prices
from hroute.schema.policy import Policy, Provider
from hroute.terms.money import Price
from hroute.terms.usage import Usage

if TYPE_CHECKING:
    from hroute.router.attempts import Attempt

SECONDS_PER_HOUR: Final = 3600

REQUESTED: Final = "requested"
"""The `model` of a provider that serves whatever model was asked for."""

BATCH_TIERS: Final = ("batch", "flex")
"""Service tiers that vendors bill at their price for batch work."""


def price_of(provider: Provider, *, at: datetime | None = None) -> Price | None:
    """Price per token class at an instant, or None where it is not known, or where the provider is paid by the hour.

    Without `at` it is the price of today, at the dearest hour (`hroute.ledger.prices.in_force`).
    """
    found = listed(provider)
    return None if found is None else prices.in_force(found, at)


def serving(provider: Provider, model: object) -> Provider:
    """A provider of any model as the one that it serves with `model`; every other provider as it is."""
    return (
        replace(provider, model=model) if provider.model == REQUESTED and isinstance(model, str) and model else provider
    )


def listed(provider: Provider) -> Price | None:
    """Its price with all hours and days, or None as `price_of` has it."""
    if provider.price is not None:
        return provider.price
    if provider.usd_per_hour is not None:
        return None
    if provider.local:
        return prices.FREE
    if provider.plugin == "command":
        return _by_its_terms(provider)
    return prices.listed(provider.plugin, provider.model, base_url=provider.base_url)


def by_hour(provider: Provider) -> bool:
    """Whether its price is another at another hour of the day."""
    price = listed(provider)
    return price is not None and price.by_hour


def is_batch(provider: Provider) -> bool:
    """Whether its calls are batch work to the vendor: they ask for a service tier that is billed so."""
    return provider.params.get("service_tier") in BATCH_TIERS


def _by_its_terms(provider: Provider) -> Price | None:
    """What the terms of a subscription say (`options: {billing: ...}`): nothing more than the month, or the vendor's list
    price of the model that the policy names; None where the policy does not say."""
    from hroute.providers.programs.terms import VENDORS, profile_name

    billing = provider.options.get("billing")
    if billing == "flat":
        return prices.FREE
    vendor = VENDORS.get(profile_name(provider.command, provider.options))
    return prices.listed(vendor, provider.model) if billing == "metered" and vendor else None


def cost_of(
    provider: Provider, usage: Usage, *, seconds: float | None = None, at: datetime | None = None
) -> int | None:
    """Nano-dollars of one call, or None where it cannot be known.

    `seconds` is how long the call kept the hardware busy: what a provider with `usd_per_hour` is charged by.
    """
    if provider.price is None and provider.usd_per_hour is not None:
        return None if seconds is None else round(provider.usd_per_hour * seconds / SECONDS_PER_HOUR)
    price = price_of(provider, at=at)
    return None if price is None else prices.cost(price, usage, batch=is_batch(provider))


def estimate(
    policy: Policy,
    provider: Provider | str,
    prompt_tokens: int,
    output_tokens: int,
    *,
    seconds: float | None = None,
    at: datetime | None = None,
) -> int | None:
    """Nano-dollars that a call would cost without any prompt cache, or None where no price is known.

    `provider` is a provider of the policy or its name. Raises KeyError where the policy has none of that name.
    """
    target = policy.providers[provider] if isinstance(provider, str) else provider
    return cost_of(target, Usage(input=prompt_tokens, output=output_tokens), seconds=seconds, at=at)


def bill(policy: Policy, attempts: Iterable[Attempt], *, at: datetime | None = None) -> tuple[Usage, int | None]:
    """Tokens and nano-dollars of all calls of a request, those without an answer too; None where a price is not known.

    `at` is when they were made.
    """
    usage, total = Usage(), 0
    known = True
    for attempt in attempts:
        if attempt.usage is not None:
            usage += attempt.usage
            served = serving(policy.providers[attempt.provider], attempt.model)
            cost = cost_of(served, attempt.usage, seconds=attempt.latency_ms / 1000, at=at)
            known, total = known and cost is not None, total + (cost or 0)
    return usage, total if known else None
