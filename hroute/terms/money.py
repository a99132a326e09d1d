"""Money as integer nano-dollars: one unit, one rounding, one way to print it (SEMANTICS 4.3, 4.8)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
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
class Price:
    """Nano-dollars per million tokens, by token class (SEMANTICS 4.3).

    None for a cache class: billed as `input`; reasoning is billed as `output`. `bands` are dearer prices for long
    prompts: (prompt tokens above which it applies to the whole call, the price), ascending. `cache_write` is for what
    is kept five minutes, `cache_write_1h` for what is kept an hour; None: billed as `cache_write`.
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    bands: tuple[tuple[int, Price], ...] = ()
    cache_write_1h: int | None = None
