"""What one row would cost at each provider, and sums in which one unknown makes the whole unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from hroute.errors import UsageError
from hroute.ledger import prices
from hroute.replay.redecide import Verdict
from hroute.replay.rows import Row
from hroute.router.pricing import REQUESTED, by_hour, is_batch, price_of, serving
from hroute.schema.policy import Policy, Provider
from hroute.terms.money import Price
from hroute.terms.usage import Usage


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a row is billed by. `usage` is None where its size is not known; `assumed_output` is the part of the output
    that is a guess, `estimated_input` says that the prompt was measured by the heuristic."""

    usage: Usage | None
    assumed_output: int = 0
    estimated_input: bool = False


def tokens_of(row: Row, verdict: Verdict, out_tokens: int) -> Tokens:
    """The row's own counts; else the estimate of its text, or the recorded `prompt_tokens`, and `out_tokens` of output."""
    prompt = row.input_tokens
    if prompt is None:
        guess = verdict.assumed_tokens if verdict.assumed_tokens is not None else verdict.signals.get("prompt_tokens")
        if not isinstance(guess, int):
            return Tokens(None)
        prompt = max(guess - row.cache_read_tokens - row.cache_write_tokens, 0)
    output = out_tokens if row.output_tokens is None else row.output_tokens
    return Tokens(
        Usage(
            prompt,
            output,
            row.cache_read_tokens,
            row.cache_write_tokens,
            row.reasoning_tokens,
            row.cache_write_1h_tokens,
        ),
        output if row.output_tokens is None else 0,
        row.input_tokens is None,
    )


class Meter:
    """Prices of one policy's providers, looked up once each (once an hour of day where the vendor charges by it).

    Rows are priced as of today, whatever their day was: what counts is what they would cost now.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._prices = {name: price_of(provider) for name, provider in policy.providers.items()}
        self._hourly = {name for name, provider in policy.providers.items() if by_hour(provider)}
        self._batch = {name for name, provider in policy.providers.items() if is_batch(provider)}
        self._today = date.today()
        self._at: dict[tuple[str, int, int], Price | None] = {}
        self._any = {name for name, provider in policy.providers.items() if provider.model == REQUESTED}
        self._of_model: dict[tuple[str, str], Price | None] = {}

    def cost(self, provider: str, usage: Usage | None, ts: datetime | None, model: str | None = None) -> int | None:
        """Nano-dollars, or None where price or size is not known. What is free is free at any size. `model` is the one
        that the row asked for, which is what a provider of any model serves."""
        price = self._asked(provider, model) if provider in self._any and model else self._price(provider, ts)
        if price is None:
            return None
        if usage is None:
            return 0 if price in (prices.FREE, Price(0, 0)) else None
        return prices.cost(price, usage, batch=provider in self._batch)

    def price(self, provider: str) -> Price | None:
        """The price of a provider, at its dearest hour."""
        return self._prices[provider]

    def has(self, provider: str, model: str) -> bool:
        """Whether the price of `model` is known at a provider of any."""
        return provider in self._any and self._asked(provider, model) is not None

    def _asked(self, provider: str, model: str) -> Price | None:
        """The price of `model` at a provider of any."""
        key = (provider, model)
        if key not in self._of_model:
            self._of_model[key] = price_of(serving(self.policy.providers[provider], model))
        return self._of_model[key]

    def _price(self, provider: str, ts: datetime | None) -> Price | None:
        if ts is None or provider not in self._hourly:
            return self._prices[provider]
        key = (provider, ts.hour, ts.minute)
        if key not in self._at:
            moment = datetime.combine(self._today, ts.timetz())
            self._at[key] = price_of(self.policy.providers[provider], at=moment)
        return self._at[key]


@dataclass(slots=True)
class Sum:
    """Nano-dollars added up; `unknown` counts what could not be added, and makes the total None."""

    nano: int = 0
    unknown: int = 0

    def add(self, amount: int | None) -> None:
        if amount is None:
            self.unknown += 1
        else:
            self.nano += amount

    @property
    def total(self) -> int | None:
        return None if self.unknown else self.nano


def output_share(price: Price | None, usage: Usage, assumed_output: int) -> int:
    """Nano-dollars of a cost that rest on an assumed length of output."""
    if price is None or not assumed_output:
        return 0
    band = prices.at_length(price, usage.input + usage.cache_read + usage.cache_write)
    return round(band.output * assumed_output / 1_000_000)


def named(policy: Policy, provider: str) -> Provider:
    """A provider of the policy. Raises UsageError where it has none of that name."""
    if provider not in policy.providers:
        raise UsageError(f"`{provider}` is no provider of this policy", help=f"there are {', '.join(policy.providers)}")
    return policy.providers[provider]


__all__ = ["Meter", "Sum", "Tokens", "named", "output_share", "tokens_of"]
