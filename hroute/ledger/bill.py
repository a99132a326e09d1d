"""What a month costs as a whole, said over how many days that is known: from it follows whether routing pays at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hroute.ledger import costs, periods
from hroute.ledger.store import Transaction
from hroute.terms import money
from hroute.terms.usage import Usage

DAYS: Final = 30
"""Days of a month."""

SMALL: Final = 50 * money.NANO
"""A month's bill below which one provider is the better answer (the article's own advice)."""

SHORTEST: Final = 1.0
"""Days that a figure for a month must rest on."""

_DAY: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Month:
    """What was spent in the last `days` (at most 30; fewer where the ledger is younger), and by how many tokens.

    `cost` is in nano-dollars, None where the price of any call is unknown.
    """

    cost: int | None
    days: float
    usage: Usage

    @property
    def expected(self) -> int | None:
        """Nano-dollars in thirty days at this rate; None where that cannot be said."""
        return None if self.cost is None or self.days < SHORTEST else round(self.cost * DAYS / self.days)

    @property
    def small(self) -> bool:
        """Whether a month costs less than `SMALL`."""
        return self.expected is not None and self.expected < SMALL


def month(transaction: Transaction, now: int, zone: str) -> Month | None:
    """The last thirty days, rehearsals aside; None where nothing was recorded in them."""
    began = costs.began(transaction)
    since = periods.day_of(zone, now - (DAYS - 1) * _DAY)
    found = transaction.run(
        "SELECT sum(requests), sum(cost), sum(unpriced), sum(input), sum(output), sum(cache_read), sum(cache_write), "
        "sum(reasoning) FROM rollup WHERE day >= ? AND day <= ? AND mode <> 'sandbox'",
        (since, periods.day_of(zone, now)),
    )
    requests, cost, unpriced, *tokens = (int(value or 0) for value in found[0])
    if not requests or began is None:
        return None
    first = max(began, periods.span(zone, since, since).start)
    return Month(None if unpriced else cost, max(0.0, now - first) / _DAY, Usage(*tokens))
