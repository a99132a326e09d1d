"""Durations, percentages and amounts of money: how they are written in a policy, and how they are written back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from hroute.terms import money

_UNITS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_LONGEST: Final = 366 * 86400


def duration(written: Any) -> float:
    """`200ms 8s 5m 1h 1d` in seconds. Raises ValueError with what to write instead."""
    if isinstance(written, str):
        text = written.strip()
        digits = text.rstrip("msh" + "d")
        unit = _UNITS.get(text[len(digits) :])
        if unit is not None and _decimal(digits.strip()):
            seconds = float(Decimal(digits.strip()) * unit)
            if seconds <= _LONGEST:
                return round(seconds, 6)
    raise ValueError("a duration is a number with its unit: 200ms, 8s, 5m, 1h, 1d")


def show_duration(seconds: float) -> str:
    """The duration as a policy writes it; `duration` reads it back exactly."""
    exact = Decimal(str(seconds))
    if exact and exact % 60 == 0:
        for unit in ("d", "h", "m"):
            if exact % _UNITS[unit] == 0:
                return f"{int(exact / _UNITS[unit])}{unit}"
    if exact == exact.to_integral_value():
        return f"{int(exact)}s"
    return f"{_short(exact * 1000)}ms"


def percent(written: Any, most: int = 100) -> float:
    """`5%` as a fraction, 0 to `most` percent, exact to 1e-6. Raises ValueError."""
    if isinstance(written, str) and written.strip().endswith("%"):
        digits = written.strip()[:-1].strip()
        if _decimal(digits) and Decimal(digits) <= most:
            return round(float(Decimal(digits) / 100), 6)
    raise ValueError(f"a share is written with a percent sign, 0% to {most}%")


def show_percent(share: float) -> str:
    """The share as a policy writes it."""
    return f"{_short(Decimal(str(share)) * 100)}%"


def dollars(written: Any) -> int:
    """An amount in US dollars as nano-dollars, not negative. Raises ValueError."""
    if isinstance(written, bool) or not isinstance(written, (int, float, str)):
        raise ValueError("an amount is a number of US dollars")
    digits = written.strip().removeprefix("$") if isinstance(written, str) else format(Decimal(str(written)), "f")
    if not _decimal(digits) or Decimal(digits) > 10**9:
        raise ValueError("an amount is a number of US dollars, 0 or more")
    return money.from_usd(digits)


def show_dollars(nano: int) -> int | float | str:
    """Nano-dollars as the US dollars that a policy writes; `dollars` reads it back exactly."""
    exact = Decimal(nano) / money.NANO
    if exact == exact.to_integral_value():
        return int(exact)
    return float(exact) if dollars(float(exact)) == nano else _short(exact)


def _decimal(digits: str) -> bool:
    return digits.isascii() and digits.replace(".", "", 1).isdigit() and len(digits) <= 30


def _short(number: Decimal) -> str:
    return format(number.normalize(), "f")
