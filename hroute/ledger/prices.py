"""What models cost: a compiled, dated table of the vendors' list prices, and the one place that multiplies.

The table (`prices.json`) is made by `tools/compile_prices.py`; it is read once, when first asked. A price that is not
known is None and stays None in every sum: unknown is never zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from hroute.terms.money import Price
from hroute.terms.usage import Usage

PRICES_VERSION: Final = "2026-11-20"
"""The date of the table; every ledger row bears it. A test holds it equal to the table's own."""

SOON: Final = timedelta(days=90)
"""How far ahead a retirement counts as soon (HR404)."""

FREE: Final = Price(0, 0, 0, 0)
"""The price of what bills nobody: a local model, the sandbox."""

_PER: Final = 1_000_000
_REFERENCES: Final = ("env:", "keyring:")
_BY_NAME: Final = ("openai", "deepseek", "mistral", "x-ai", "moonshotai", "zai")
"""Whose models an `openai` provider may mean when nothing says where it lives; hosts of strangers' models are not here."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the table, as its vendor names it. `price` is today's (dearest hour, where hours differ)."""

    vendor: str
    id: str
    price: Price
    context_window: int | None = None
    retirement: Retirement | None = None


@dataclass(frozen=True, slots=True)
class Retirement:
    """That a vendor withdraws a model: `on` is the day (None: not published), `instead` what the vendor recommends."""

    status: Literal["retired", "retiring", "deprecated"]
    on: date | None = None
    instead: str | None = None


def lookup(plugin: str, model: str, *, base_url: str | None = None, at: datetime | None = None) -> Price | None:
    """The list price of `model` behind `plugin`, or None where nobody knows.

    The vendor is the one whose host is in `base_url`; else the plugin's own, so that a relay in front of a vendor has
    that vendor's prices; else, with no address or a reference (`env:NAME`), the vendor whose models bear the name.
    Without `at` the price is that of the table's day, at the dearest hour: an estimate must not flatter.
    """
    if plugin == "sandbox":
        return FREE
    found = _find(plugin, model, base_url)
    return None if found is None else _price(found[1], at)


def varies_by_hour(plugin: str, model: str, *, base_url: str | None = None) -> bool:
    """Whether the vendor charges differently at different hours of the day."""
    found = _find(plugin, model, base_url)
    return found is not None and any("hours_utc" in priced for priced in found[1]["prices"])


def context_window(plugin: str, model: str, *, base_url: str | None = None) -> int | None:
    """Tokens that the model takes in, as the table knows it."""
    found = _find(plugin, model, base_url)
    return None if found is None else found[1].get("context_window")


def cost(price: Price, usage: Usage) -> int:
    """Nano-dollars of one call: classes summed exactly, rounded once, half-even (SEMANTICS 4.3)."""
    price = at_length(price, usage.input + usage.cache_read + usage.cache_write)
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    write_1h = write if price.cache_write_1h is None else price.cache_write_1h
    exact = (
        usage.input * price.input
        + usage.cache_read * read
        + (usage.cache_write - usage.cache_write_1h) * write
        + usage.cache_write_1h * write_1h
        + (usage.output + usage.reasoning) * price.output
    )
    whole, rest = divmod(exact, _PER)
    return whole + (2 * rest > _PER or (2 * rest == _PER and whole % 2 == 1))


def at_length(price: Price, prompt_tokens: int) -> Price:
    """The band of `price` that applies to a whole call with this many prompt tokens, cached ones included."""
    for above, dearer in reversed(price.bands):
        if prompt_tokens > above:
            return dearer
    return price


def retiring(plugin: str, model: str, *, base_url: str | None = None, on: date) -> Retirement | None:
    """Whether a model is gone on the day `on`, or goes within `SOON` of it (HR404); None where it stays."""
    vendor = _vendor_of(plugin, model, base_url)
    return None if vendor is None else _retirement(vendor, _plain(model), on)


def models(on: date | None = None) -> Iterator[Model]:
    """Every model of the table with its price and, seen from the day `on` (else the table's), its retirement."""
    day = on or date.fromisoformat(PRICES_VERSION)
    for vendor, facts in _table()["vendors"].items():
        for entry in facts["models"]:
            window = entry.get("context_window")
            yield Model(vendor, entry["id"], _price(entry, None), window, _retirement(vendor, entry["id"], day))


def _retirement(vendor: str, model: str, day: date) -> Retirement | None:
    for fact in _table()["vendors"][vendor].get("retirements", ()):
        if _matches(fact["match"], model):
            gone = date.fromisoformat(fact["on"])
            if gone - day > SOON:
                return None
            return Retirement("retired" if gone <= day else "retiring", gone, fact.get("instead"))
    entry = _entry(vendor, model)
    if entry is None or not (entry.get("deprecated") or entry.get("retired")):
        return None
    return Retirement("retired" if entry.get("retired") else "deprecated")


@lru_cache(maxsize=4096)
def _find(plugin: str, model: str, base_url: str | None) -> tuple[str, Mapping[str, Any]] | None:
    vendor = _vendor_of(plugin, model, base_url)
    if vendor is None:
        return None
    entry = _entry(vendor, _plain(model))
    return None if entry is None else (vendor, entry)


def _vendor_of(plugin: str, model: str, base_url: str | None) -> str | None:
    vendors = _table()["vendors"]
    named = base_url is not None and not base_url.startswith(_REFERENCES)
    if named and base_url is not None:
        host = _host(base_url)
        for name, facts in vendors.items():
            if host in facts["hosts"]:
                return str(name)
    if plugin in vendors and (plugin != "openai" or named):
        return plugin
    if plugin == "openai":
        return next((name for name in _BY_NAME if _entry(name, _plain(model)) is not None), None)
    return None


def _entry(vendor: str, model: str) -> Mapping[str, Any] | None:
    """The vendor's first model that bears the name; a name dated like `-20260414` also counts as `-2026-04-14`."""
    entries: list[dict[str, Any]] = _table()["vendors"][vendor]["models"]
    head, _, day = model.rpartition("-")
    names = (model, f"{head}-{day[:4]}-{day[4:6]}-{day[6:]}") if len(day) == 8 and day.isdigit() else (model,)
    for name in names:
        for entry in entries:
            if _matches(entry["match"], name):
                return entry
    return None


def _matches(patterns: list[str], model: str) -> bool:
    """Whether a model's name fits: exact, `*` any text, `[0-9]` a digit; a pattern with `!` excludes what it fits."""
    for pattern in patterns:
        if pattern.startswith("!"):
            if fnmatchcase(model, pattern[1:]):
                return False
        elif _fits(pattern, model):
            return True
    return False


def _fits(pattern: str, model: str) -> bool:
    if "[" in pattern or "*" in pattern[:-1]:
        literal = pattern.partition("[")[0].partition("*")[0]  # first, since `fnmatch` compiles each pattern it meets
        return model.startswith(literal) and fnmatchcase(model, pattern)
    return model.startswith(pattern[:-1]) if pattern.endswith("*") else model == pattern


def _price(entry: Mapping[str, Any], at: datetime | None) -> Price:
    """The last entry that holds at the time; without a time, the dearest of the hours on the table's day."""
    moment = None if at is None else (at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
    day = PRICES_VERSION if moment is None else moment.date().isoformat()
    daily, hourly = entry["prices"][0], []
    for priced in entry["prices"]:
        hours = priced.get("hours_utc")
        if hours is not None and (moment is None or _within(hours, moment.strftime("%H:%M"))):
            hourly.append(priced)
        elif hours is None and priced.get("from", "") <= day:
            daily = priced
    if moment is None:
        return _as_price(max([daily, *hourly], key=lambda p: (p["output"], p["input"])))
    return _as_price(hourly[-1] if hourly else daily)


def _within(hours: list[str], clock: str) -> bool:
    start, end = hours
    return start <= clock < end if start <= end else clock >= start or clock < end


def _as_price(data: Mapping[str, Any]) -> Price:
    return Price(
        data["input"],
        data["output"],
        data.get("cache_read"),
        data.get("cache_write"),
        tuple((above, _as_price(dearer)) for above, dearer in data.get("bands", ())),
        data.get("cache_write_1h"),
    )


def _plain(model: str) -> str:
    """The name without a client's suffix in brackets (`[1m]`), in lower case."""
    name = model.strip().lower()
    return name.partition("[")[0] if name.endswith("]") else name


def _host(base_url: str) -> str:
    return base_url.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0].lower()


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("prices.json").read_text(encoding="utf-8"))
    return table
