"""What models cost: a compiled, dated table of the vendors' list prices, and the one place that multiplies.

The table in force (`price_table`) is read once, when first asked. A price that is not known is None and stays None in
every sum: unknown is never zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, Literal

from hroute.ledger import price_table
from hroute.terms.money import Hours, Price, at_time
from hroute.terms.usage import Usage

PRICES_VERSION: Final = "2026-11-20"
"""The date of the built-in table. A test holds it equal to the table's own."""

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
    """One model of the table, as its vendor names it. `price` is today's (dearest hour, where hours differ), `listed` that
    of all hours and days."""

    vendor: str
    id: str
    price: Price
    context_window: int | None = None
    retirement: Retirement | None = None
    listed: Price = FREE


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
    Without `at` the price is that of today, at the dearest hour: an estimate must not flatter.
    """
    found = listed(plugin, model, base_url=base_url)
    return None if found is None else in_force(found, at)


def listed(plugin: str, model: str, *, base_url: str | None = None) -> Price | None:
    """The list price with all its hours and days, as `lookup` finds it."""
    if plugin == "sandbox":
        return FREE
    found = _find(plugin, model, base_url)
    return None if found is None else found.price


def in_force(price: Price, at: datetime | None = None) -> Price:
    """The price that holds at an instant (one without a zone is in UTC); without one that of today, at the dearest hour."""
    if not price.hours and not price.dates:
        return price
    moment = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    return at_time(price, moment, date.today())


def version() -> str:
    """The date of the table in force; every ledger row bears it."""
    return price_table.in_force().version


def forget() -> None:
    """The table in force is read again: another was put in its place."""
    price_table.forget()
    _find.cache_clear()


def varies_by_hour(plugin: str, model: str, *, base_url: str | None = None) -> bool:
    """Whether the vendor charges differently at different hours of the day."""
    found = listed(plugin, model, base_url=base_url)
    return found is not None and found.by_hour


def context_window(plugin: str, model: str, *, base_url: str | None = None) -> int | None:
    """Tokens that the model takes in, as the table knows it."""
    found = _find(plugin, model, base_url)
    return None if found is None else found.window


def cost(price: Price, usage: Usage, *, batch: bool = False) -> int:
    """Nano-dollars of one call at a price that holds (`money.at_time`): classes summed exactly, rounded once, half-even
    (SEMANTICS 4.3). `batch` takes the discount off that the price gives for it."""
    discount = price.batch_discount if batch else 0
    price = at_length(price, usage.input + usage.cache_read + usage.cache_write)
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    write_1h = write if price.cache_write_1h is None else price.cache_write_1h
    reasoning = price.output if price.reasoning is None else price.reasoning
    exact = (
        usage.input * price.input
        + usage.cache_read * read
        + (usage.cache_write - usage.cache_write_1h) * write
        + usage.cache_write_1h * write_1h
        + usage.output * price.output
        + usage.reasoning * reasoning
    )
    per = _PER
    if discount:
        exact, per = exact * (_PER - discount), _PER * _PER
    whole, rest = divmod(exact, per)
    return whole + (2 * rest > per or (2 * rest == per and whole % 2 == 1))


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
    table = price_table.in_force()
    day = on or date.fromisoformat(table.version)
    for vendor, facts in table.vendors.items():
        for entry in facts["models"]:
            found, gone = _listed(entry), _retirement(vendor, entry["id"], day)
            yield Model(vendor, entry["id"], in_force(found.price), found.window, gone, found.price)


def _retirement(vendor: str, model: str, day: date) -> Retirement | None:
    for fact in price_table.in_force().vendors[vendor].get("retirements", ()):
        if _matches(fact["match"], model):
            gone = date.fromisoformat(fact["on"])
            if gone - day > SOON:
                return None
            return Retirement("retired" if gone <= day else "retiring", gone, fact.get("instead"))
    entry = _entry(vendor, model)
    if entry is None or not (entry.get("deprecated") or entry.get("retired")):
        return None
    return Retirement("retired" if entry.get("retired") else "deprecated")


@dataclass(frozen=True, slots=True)
class _Listed:
    """A line of the table."""

    price: Price
    window: int | None


@lru_cache(maxsize=4096)
def _find(plugin: str, model: str, base_url: str | None) -> _Listed | None:
    vendor = _vendor_of(plugin, model, base_url)
    entry = None if vendor is None else _entry(vendor, _plain(model))
    return None if entry is None else _listed(entry)


def _listed(entry: Mapping[str, Any]) -> _Listed:
    """What a line says: the first price is that of every day and hour which no other is for."""
    hours = tuple((Hours(*p["hours_utc"]), _as_price(p)) for p in entry["prices"] if "hours_utc" in p)
    daily = [replace(_as_price(p), hours=hours) for p in entry["prices"] if "hours_utc" not in p]
    days = [p.get("from", "") for p in entry["prices"] if "hours_utc" not in p]
    dated = sorted(zip(days[1:], daily[1:], strict=True), key=lambda pair: pair[0])
    base = daily[0] if daily else hours[0][1]
    return _Listed(replace(base, dates=tuple(dated)) if dated else base, entry.get("context_window"))


def _vendor_of(plugin: str, model: str, base_url: str | None) -> str | None:
    vendors = price_table.in_force().vendors
    named = base_url is not None and not base_url.startswith(_REFERENCES)
    if named and base_url is not None:
        host = _host(base_url)
        for name, facts in vendors.items():
            if host in facts["hosts"]:
                return str(name)
    if plugin in vendors and (plugin != "openai" or named):
        return plugin
    if plugin == "openai":
        return next((name for name in _BY_NAME if name in vendors and _entry(name, _plain(model)) is not None), None)
    return None


def _entry(vendor: str, model: str) -> Mapping[str, Any] | None:
    """The vendor's first model that bears the name; a name dated like `-20260414` also counts as `-2026-04-14`."""
    entries: list[dict[str, Any]] = price_table.in_force().vendors[vendor]["models"]
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


def _as_price(data: Mapping[str, Any]) -> Price:
    return Price(
        data["input"],
        data["output"],
        data.get("cache_read"),
        data.get("cache_write"),
        tuple((above, _as_price(dearer)) for above, dearer in data.get("bands", ())),
        data.get("cache_write_1h"),
        data.get("reasoning"),
    )


def _plain(model: str) -> str:
    """The name without a client's suffix in brackets (`[1m]`), in lower case."""
    name = model.strip().lower()
    return name.partition("[")[0] if name.endswith("]") else name


def _host(base_url: str) -> str:
    return base_url.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0].lower()
