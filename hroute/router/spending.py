"""The budgets of a policy as a gate: what a call may cost is set aside before it, and settled at what it did cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol

from hroute.ledger import periods, prices
from hroute.ledger.budgets import MILLION, Denied
from hroute.ledger.ledger import Held
from hroute.ledger.lengths import Lengths
from hroute.ledger.records import Claim, Started
from hroute.router.attempts import Attempt
from hroute.router.charges import charge
from hroute.router.forecast import HARDWARE_SECONDS, reserved_output
from hroute.router.plan import Asking, Leaving, Skipped, Spent, Why
from hroute.router.pricing import SECONDS_PER_HOUR, is_batch, price_of, serving
from hroute.router.signals.blocks import blocks
from hroute.schema.condition import holds
from hroute.schema.policy import Budget, Policy, Provider, Threshold
from hroute.terms import money
from hroute.terms.message import Request, Unread
from hroute.terms.money import Price
from hroute.terms.usage import Usage

_SIGNALS: Final = ("cost_center", "tenant", "user", "client", "session")
_FRAME: Final = 16  # tokens that a vendor wraps around one message, at most
_TOOL_FRAME: Final = 1_000  # tokens of a vendor's own instructions where there are tools, at most
_IMAGE: Final = 6_000  # tokens of one image, at most
_LARGEST_WINDOW: Final = 2_000_000


class Purse(Protocol):
    """Where money is set aside: the ledger."""

    def reserve(self, started: Started, claims: Sequence[Claim]) -> Held | Denied: ...

    def settle(self, held: Held, actual: int | None) -> None: ...

    def answers(self, rule: str, provider: str, model: str) -> Lengths: ...


class Spending:
    """The gate of one request. Nothing is looked at in the plan: an entry looks and reserves in one step. All budgets that
    concern it must admit; where several do not, the narrowest is named (SEMANTICS 4.7)."""

    def __init__(
        self,
        policy: Policy,
        purse: Purse,
        asking: Asking,
        reserve: Literal["quantile", "ceiling"] = "quantile",
        *,
        mode: str = "enforce",
    ) -> None:
        self._purse = purse
        self._mode = mode
        self._asking = asking
        self._ceiling = reserve == "ceiling"
        self._budgets = sorted((b for b in policy.budgets if self._concerns(b)), key=lambda b: -len(b.where))

    def __bool__(self) -> bool:
        """Whether any budget concerns the request at all."""
        return bool(self._budgets)

    def refuses(self, provider: Provider) -> Skipped | None:
        return None

    def postpones(self, provider: Provider) -> bool:
        return False

    def enter(self, provider: Provider) -> Skipped | Leaving | None:
        """Reserve what a call to `provider` may cost, or say which budget is spent. Whoever costs nothing passes."""
        budgets = [b for b in self._budgets if _covers(b, provider)]
        if not budgets:
            return None
        amount = self.estimate(provider)
        if amount == 0:
            return None
        if amount is None and self._ceiling:
            name = budgets[0].name
            return Skipped(
                provider.name, Why.BUDGET, f"its price is unknown, and budget {name} reserves the most it could cost"
            )
        claims = [self._claim(budget, provider, amount or 0) for budget in budgets]
        answer = self._purse.reserve(self._started(), claims)
        if isinstance(answer, Denied):
            return self._denied(provider, answer)
        return self._leaving(provider, answer)

    def estimate(self, provider: Provider) -> int | None:
        """Nano-dollars that a call may cost: what answers usually cost, or with `reserve: ceiling` the most possible.
        None where no price is known."""
        provider = serving(provider, self._asking.ask("requested_model"))
        if provider.price is None and provider.usd_per_hour is not None:
            seconds = provider.timeout.total if self._ceiling else HARDWARE_SECONDS
            return round(provider.usd_per_hour * seconds / SECONDS_PER_HOUR)
        price = price_of(provider, at=datetime.fromtimestamp(self._asking.ts / 1000, UTC))
        if price is None:
            return None
        most = self._asking.max_tokens(provider)
        if self._ceiling:
            return dearest(price, prompt_bound(self._asking.request, provider), most, batch=is_batch(provider))
        prompt = self._asking.ask("prompt_tokens")
        expected = Usage(input=prompt if isinstance(prompt, int) else 0, output=self._output(provider, most))
        return prices.cost(price, expected, batch=is_batch(provider))

    def _output(self, provider: Provider, most: int) -> int:
        rule = self._asking.decision.rule.name
        return reserved_output(most, self._purse.answers(rule, provider.name, provider.model))

    def _concerns(self, budget: Budget) -> bool:
        for key, names in budget.where.items():
            if key in _SIGNALS and self._asking.ask(key) not in names:
                return False
            if key == "rule" and self._asking.decision.rule.name not in names:
                return False
        return True

    def _claim(self, budget: Budget, provider: Provider, amount: int) -> Claim:
        bounds = periods.period(budget.per, budget.timezone, self._asking.ts)
        caps = [int(t.share * budget.limit) for t in budget.at if self._restricts(t, provider)]
        shares = tuple(round(t.share * MILLION) for t in budget.at)
        cap = min(caps, default=None)
        scope = scope_of(budget, self._mode)
        return Claim(budget.name, scope, bounds.start, bounds.end, amount, budget.limit, cap, shares)

    def _restricts(self, threshold: Threshold, provider: Provider) -> bool:
        """Whether `provider` may not be asked once the threshold is reached."""
        if threshold.action == "alert" or (threshold.action == "only" and provider.name in threshold.permitted):
            return False
        return threshold.unless is None or not holds(threshold.unless, self._asking.ask)

    def _started(self) -> Started:
        asking, decision = self._asking, self._asking.decision
        center = asking.ask("cost_center")
        return Started(
            asking.id,
            asking.ts,
            decision.policy,
            decision.rule.name,
            decision.route_to or "",
            center if isinstance(center, str) else "",
            mode=self._mode,
        )

    def _denied(self, provider: Provider, denied: Denied) -> Skipped:
        claim, zone = denied.claim, next(b.timezone for b in self._budgets if b.name == denied.claim.budget)
        spent = Spent(claim.budget, claim.limit, denied.spent, denied.reserved, claim.amount, claim.end, zone)
        return Skipped(provider.name, Why.BUDGET, says(spent), budget=spent)

    def _leaving(self, provider: Provider, held: Held) -> Leaving:
        def leave(attempt: Attempt | None) -> None:
            if attempt is None:
                self._purse.settle(held, 0)
                return
            at = datetime.fromtimestamp(self._asking.ts / 1000, UTC)
            self._purse.settle(held, charge(provider, attempt, at))

        return leave


def scope_of(budget: Budget, mode: str = "enforce") -> str:
    """What tells counters of one budget apart: what it is limited to, and that a rehearsal spends nothing real. One whose
    `where` was edited begins anew."""
    where = json.dumps({key: sorted(names) for key, names in sorted(budget.where.items())}) if budget.where else ""
    return f"{mode} {where}".strip() if mode == "sandbox" else where


def says(spent: Spent) -> str:
    """`budget daily is spent: $19.99 of $20.00, until 2026-11-21 00:00 Europe/Berlin`."""
    from zoneinfo import ZoneInfo

    until = datetime.fromtimestamp(spent.until / 1000, ZoneInfo(spent.zone)).strftime("%Y-%m-%d %H:%M")
    used = money.show(spent.spent + spent.reserved, 2)
    fits = (
        "is spent" if spent.spent + spent.reserved >= spent.limit else f"has no room for {money.show(spent.asked, 4)}"
    )
    return f"budget {spent.budget} {fits}: {used} of {money.show(spent.limit, 2)}, until {until} {spent.zone}"


def dearest(price: Price, prompt_tokens: int, output_tokens: int, *, batch: bool = False) -> int:
    """Nano-dollars that a call cannot exceed: every token at the dearest of its classes, in the dearest band."""
    left = MILLION - (price.batch_discount if batch else 0)
    found = 0
    for band in _bands(price, prompt_tokens):
        taken_in = max(c for c in (band.input, band.cache_read, band.cache_write, band.cache_write_1h) if c is not None)
        exact = prompt_tokens * taken_in + output_tokens * max(band.output, band.reasoning or 0)
        found = max(found, -(-exact * left // MILLION**2))
    return found


def prompt_bound(request: Request, provider: Provider) -> int:
    """Tokens that `request` cannot exceed: no vendor's tokens are shorter than a byte, and none takes in more than the
    model's window."""
    total = 2 * _FRAME + sum(len(block.text.encode("utf-8", "replace")) for block in blocks(request))
    total += _FRAME * len(request.messages)
    if request.tools or request.json_schema:
        schemas: list[Any] = [tool.schema for tool in request.tools]
        total += _TOOL_FRAME + len(json.dumps([schemas, request.json_schema], default=str))
    for part in (part for message in request.messages for part in message.parts):
        if isinstance(part, Unread):
            total += _IMAGE if part.kind == "image" else max(_IMAGE, len(part.data))
    window = provider.context_window or prices.context_window(
        provider.plugin, provider.model, base_url=provider.base_url
    )
    return min(total, window or _LARGEST_WINDOW)


def _bands(price: Price, prompt_tokens: int) -> Iterator[Price]:
    """Every band that a prompt of at most this length can fall into."""
    yield price
    yield from (band for above, band in price.bands if prompt_tokens > above)


def _covers(budget: Budget, provider: Provider) -> bool:
    where: Mapping[str, tuple[str, ...]] = budget.where
    return provider.name in where.get("provider", (provider.name,)) and provider.plugin in where.get(
        "plugin", (provider.plugin,)
    )
