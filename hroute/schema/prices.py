"""`price:` of a provider: US dollars per million tokens, by length of the prompt, time of day and date."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any, Final

from hroute.schema.draft import Draft
from hroute.schema.quantities import dollars, percent, show_dollars, show_percent
from hroute.schema.source import Path
from hroute.schema.zones import zone_name
from hroute.terms.money import Hours, Price

_CLASSES: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
_MILLION: Final = 1_000_000
_EXAMPLE: Final = "price: {input: 3.0, output: 15.0}, in USD per million tokens"


def read_price(draft: Draft, path: Path) -> Price | None:
    """The price at `path`; None where there is none, or where it cannot be read (with a finding)."""
    if draft.get(path) is None:
        return None
    zone = zone_name(draft, (*path, "timezone"))
    base = _whole(draft, path, zone)
    if base is None:
        return None
    dates: list[tuple[str, Price]] = []
    for place in _places(draft, (*path, "dates")):
        day, price = _day(draft, (*place, "from")), _whole(draft, place, zone)
        if day is not None and price is not None:
            dates.append((day, price))
    dates.sort(key=lambda pair: pair[0])
    for (one, _), (other, _) in pairwise(dates):
        if one == other:
            draft.find("HR022", f"two prices hold from {one} on", (*path, "dates"))
    discount = round(draft.measure((*path, "batch_discount"), percent, 0.0) * _MILLION)
    return _with(base, hours=base.hours, dates=tuple(dates), zone=zone, discount=discount)


def plain_price(price: Price) -> dict[str, Any]:
    """The price as it would stand in a policy."""
    written = _plain_whole(price)
    if price.dates:
        written["dates"] = [{"from": day, **_plain_whole(dated)} for day, dated in price.dates]
    if price.zone != "UTC":
        written["timezone"] = price.zone
    if price.batch_discount:
        written["batch_discount"] = show_percent(price.batch_discount / _MILLION)
    return written


def _whole(draft: Draft, path: Path, zone: str) -> Price | None:
    """A price with its bands and its hours."""
    base = _banded(draft, path)
    if base is None:
        return None
    hours: list[tuple[Hours, Price]] = []
    for place in _places(draft, (*path, "hours")):
        start, end = (draft.text((*place, key)) or "" for key in ("from", "to"))
        price = _banded(draft, place)
        if start == end:
            draft.find(
                "HR012",
                f"from {start} to {end} is no time of day",
                place,
                help='hours: [{from: "16:30", to: "00:30", ...}]',
            )
        elif price is not None:
            hours.append((Hours(start, end, zone), price))
    for at, (one, _) in enumerate(hours):
        for other, _ in hours[:at]:
            if _overlap(one, other):
                message = f"the hours {other.start} to {other.end} and {one.start} to {one.end} overlap"
                draft.find("HR012", message, (*path, "hours", at), help="at one time of day one price holds")
    return _with(base, hours=tuple(hours))


def _banded(draft: Draft, path: Path) -> Price | None:
    """A price with its bands."""
    base = _classes(draft, path)
    if base is None:
        return None
    bands: list[tuple[int, Price]] = []
    for place in _places(draft, (*path, "bands")):
        above, price = draft.whole((*place, "above")), _classes(draft, place)
        if above is not None and price is not None:
            bands.append((above, price))
    return replace(base, bands=tuple(sorted(bands, key=lambda band: band[0])))


def _classes(draft: Draft, path: Path) -> Price | None:
    draft.mapping(path)
    for key in ("input", "output"):
        if isinstance(draft.get(path), dict) and not draft.has((*path, key)):
            draft.find(
                "HR013", f"`{path[-1] if isinstance(path[-1], str) else path[-2]}` has no `{key}`", path, help=_EXAMPLE
            )
            return None
    input, output, read, write, hour, reasoning = (draft.measure((*path, key), _perhaps, None) for key in _CLASSES)
    return Price(input or 0, output or 0, read, write, cache_write_1h=hour, reasoning=reasoning)


def _with(
    price: Price,
    *,
    hours: tuple[tuple[Hours, Price], ...],
    dates: tuple[tuple[str, Price], ...] = (),
    zone: str = "UTC",
    discount: int = 0,
) -> Price:
    if discount:  # it holds at every hour and day
        hours = tuple((when, replace(other, batch_discount=discount)) for when, other in hours)
        dates = tuple((day, _with(other, hours=other.hours, discount=discount)) for day, other in dates)
    return replace(price, hours=hours, dates=dates, zone=zone, batch_discount=discount)


def _places(draft: Draft, path: Path) -> list[Path]:
    return [(*path, at) for at in range(len(draft.typed(path, list, [])))]


def _day(draft: Draft, path: Path) -> str | None:
    written = draft.text(path)
    try:
        return date.fromisoformat(written or "").isoformat()
    except ValueError:
        draft.find("HR012", f"`{written}` is no day", path, help='a day in quotes: "2026-12-01"')
        return None


def _overlap(one: Hours, other: Hours) -> bool:
    return _holds(one, other.start) or _holds(other, one.start)


def _holds(hours: Hours, clock: str) -> bool:
    if hours.start < hours.end:
        return hours.start <= clock < hours.end
    return clock >= hours.start or clock < hours.end


def _perhaps(written: Any) -> int | None:
    return dollars(written)


def _plain_whole(price: Price) -> dict[str, Any]:
    written = _plain_banded(price)
    if price.hours:
        written["hours"] = [{"from": when.start, "to": when.end, **_plain_banded(other)} for when, other in price.hours]
    return written


def _plain_banded(price: Price) -> dict[str, Any]:
    amounts = {key: getattr(price, key) for key in _CLASSES}
    written: dict[str, Any] = {key: show_dollars(amount) for key, amount in amounts.items() if amount is not None}
    if price.bands:
        written["bands"] = [{"above": above, **_plain_banded(band)} for above, band in price.bands]
    return written
