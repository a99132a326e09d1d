"""Money as integer nano-dollars: one unit, one rounding, one way to print it (SEMANTICS 4.3, 4.8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Final

NANO: Final = 1_000_000_000
"""Nano-dollars in a US dollar."""


def from_usd(amount: str | int | float | Decimal) -> int:
    """US dollars as nano-dollars, rounded half-even. Floats go through their shortest decimal form."""
    exact = Decimal(str(amount)) * NANO
    return int(exact.to_integral_value(ROUND_HALF_EVEN))


def to_json(nano: int | None) -> float | None:
    """A JSON number in USD with at most 9 decimals; None (unknown) stays None: unknown is never zero."""
    return None if nano is None else round(nano / NANO, 9)


def show(nano: int | None, places: int = 2) -> str:
    """`$12.34` for a person; `-` where the amount is unknown."""
    if nano is None:
        return "-"
    exact = Decimal(nano) / NANO
    return f"${exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,}"


@dataclass(frozen=True, slots=True)
class Hours:
    """A time of day by the clock of a zone: from `start` to before `end` ("16:30"), over midnight where `end` is not later."""

    start: str
    end: str
    zone: str = "UTC"

    def holds(self, at: datetime) -> bool:
        """Whether an instant falls into it. Raises KeyError (of zoneinfo) for an unknown zone."""
        clock = at.astimezone(_zone(self.zone)).strftime("%H:%M")
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-dollars per million tokens, by token class (SEMANTICS 4.3).

    None for a cache class: billed as `input`; None for `reasoning`: as `output`. `bands` are dearer prices for long
    prompts: (prompt tokens above which it applies to the whole call, the price), ascending. `cache_write` is for what
    is kept five minutes, `cache_write_1h` for what is kept an hour; None: billed as `cache_write`.

    `hours` are whole prices that stand in place of this one at their time of day, the last that holds; `dates` are whole
    prices, with hours of their own, from a day on (ISO, by the clock of `zone`), ascending. `batch_discount` is what
    batch work is given off, in millionths.
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    bands: tuple[tuple[int, Price], ...] = ()
    cache_write_1h: int | None = None
    reasoning: int | None = None
    hours: tuple[tuple[Hours, Price], ...] = ()
    dates: tuple[tuple[str, Price], ...] = ()
    zone: str = "UTC"
    batch_discount: int = 0

    @property
    def by_hour(self) -> bool:
        """Whether it is another at another hour, on any day."""
        return bool(self.hours) or any(price.hours for _, price in self.dates)


def on_day(price: Price, day: str) -> Price:
    """The price that holds on a day (ISO), with its hours."""
    return next((dated for start, dated in reversed(price.dates) if start <= day), price)


def at_time(price: Price, at: datetime | None, today: date) -> Price:
    """The price that holds at an instant; without one, the dearest of the hours of `today`: an estimate must not flatter."""
    day = (today if at is None else at.astimezone(_zone(price.zone)).date()).isoformat()
    found = on_day(price, day)
    if not found.hours:
        return found
    if at is None:
        return max((found, *(other for _, other in found.hours)), key=lambda p: (p.output, p.input))
    return next((other for hours, other in reversed(found.hours) if hours.holds(at)), found)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)
