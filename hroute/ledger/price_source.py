"""A file of prices read from elsewhere: a data file of genai-prices, or a table in the form of our own `prices.json`.

What cannot be understood is an error that says where, never a price left out in silence; a model that is not billed by
tokens alone is no such error, and is left out as the source has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

VENDORS: Final[Mapping[str, tuple[str, ...]]] = {
    "anthropic": ("api.anthropic.com",),
    "openai": ("api.openai.com",),
    "deepseek": ("api.deepseek.com",),
    "google": ("generativelanguage.googleapis.com",),
    "mistral": ("api.mistral.ai",),
    "groq": ("api.groq.com",),
    "x-ai": ("api.x.ai",),
    "moonshotai": ("api.moonshot.ai", "api.moonshot.cn"),
    "zai": ("api.z.ai",),
    "cohere": ("api.cohere.com", "api.cohere.ai"),
    "cerebras": ("api.cerebras.ai",),
    "together": ("api.together.xyz",),
    "fireworks": ("api.fireworks.ai",),
    "perplexity": ("api.perplexity.ai",),
    "minimax": ("api.minimax.io", "api.minimaxi.com"),
}
"""Vendors that a table holds with their hosts, in the order in which an unnamed endpoint is guessed by model name."""

CLASSES: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
}
"""genai-prices' names of the token classes -> ours."""

_PER_CALL: Final = "requests_kcount"
_NANO: Final = 1_000_000_000
_MOST: Final = 10**15  # nano-dollars per million tokens: nobody asks a million dollars for them
_DIGITS: Final = re.compile(r"\\d(?:\{(\d+)\})?")
_NO_SPEECH: Final = r"^(?!.*-[tT][tT][sS](?:$|-))"
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_ENTRY: Final = frozenset((*CLASSES.values(), "bands", "from", "hours_utc"))

Path = tuple[str | int, ...]


class TableProblem(ValueError):
    """What is wrong with a file of prices, and where: keys and positions from the top of the file."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def table(data: Any, *, dated: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """A table made of a file's content. `dated` is the day of a file that bears none of its own; `known` are the vendors
    of the built-in table, whose retirements are kept. Raises TableProblem."""
    if isinstance(data, Mapping) and "vendors" in data:
        return checked(data)
    if isinstance(data, Mapping) and isinstance(data.get("providers"), list):
        return _from_source(data["providers"], ("providers",), dated, known)
    if isinstance(data, list):
        return _from_source(data, (), dated, known)
    raise TableProblem((), "it is neither a data file of genai-prices nor a table of hroute")


def checked(data: Any) -> dict[str, Any]:
    """A table of our own form, as it is. Raises TableProblem where anything of it does not fit."""
    if not isinstance(data, Mapping):
        raise TableProblem((), "a table of prices is an object")
    _dated(data.get("version"), ("version",))
    if not isinstance(data.get("source"), str):
        raise TableProblem(("source",), "`source` says in a text where the prices come from")
    vendors = data.get("vendors")
    if not isinstance(vendors, Mapping) or not vendors:
        raise TableProblem(("vendors",), "`vendors` is an object with at least one vendor")
    for name, vendor in vendors.items():
        path: Path = ("vendors", name)
        if not isinstance(vendor, Mapping):
            raise TableProblem(path, "a vendor is an object")
        _texts(vendor.get("hosts"), (*path, "hosts"))
        models = vendor.get("models")
        if not isinstance(models, list):
            raise TableProblem((*path, "models"), "`models` is a list")
        for at, model in enumerate(models):
            _check_model(model, (*path, "models", at))
        for at, retirement in enumerate(vendor.get("retirements", ())):
            _texts(retirement.get("match"), (*path, "retirements", at, "match"))
            _dated(retirement.get("on"), (*path, "retirements", at, "on"))
    return dict(data)


def _check_model(model: Any, path: Path) -> None:
    if not isinstance(model, Mapping) or not isinstance(model.get("id"), str):
        raise TableProblem(path, "a model is an object with an `id`")
    _texts(model.get("match"), (*path, "match"))
    entries = model.get("prices")
    if not isinstance(entries, list) or not entries:
        raise TableProblem((*path, "prices"), f"model `{model['id']}` has no list of prices")
    for at, entry in enumerate(entries):
        place = (*path, "prices", at)
        _check_price(entry, place)
        for key in entry:
            if key not in _ENTRY:
                raise TableProblem((*place, key), f"a price has no `{key}`")
        if "from" in entry:
            _dated(entry["from"], (*place, "from"))
        if "hours_utc" in entry:
            hours = entry["hours_utc"]
            if not (isinstance(hours, list) and len(hours) == 2 and all(_CLOCK.fullmatch(str(h)) for h in hours)):
                raise TableProblem((*place, "hours_utc"), '`hours_utc` is two times of day: ["16:30", "00:30"]')
        _check_bands(entry.get("bands", ()), (*place, "bands"))


def _check_bands(bands: Any, path: Path) -> None:
    least = 0
    for at, band in enumerate(bands):
        if not (isinstance(band, list) and len(band) == 2 and type(band[0]) is int and band[0] > least):
            raise TableProblem((*path, at), "a band is [tokens above which it holds, its prices], in ascending order")
        least = band[0]
        _check_price(band[1], (*path, at, 1))


def _check_price(price: Any, path: Path) -> None:
    if not isinstance(price, Mapping):
        raise TableProblem(path, "a price is an object")
    for name in CLASSES.values():
        amount = price.get(name)
        if amount is None and name not in price and name not in ("input", "output"):
            continue
        if type(amount) is not int or not 0 <= amount <= _MOST:
            raise TableProblem(
                (*path, name) if name in price else path,
                f"`{name}` is a whole number of nano-dollars per million tokens",
            )


def _from_source(providers: Sequence[Any], above: Path, dated: str, known: Mapping[str, Any]) -> dict[str, Any]:
    found = {p["id"]: (at, p) for at, p in enumerate(providers) if isinstance(p, Mapping) and "id" in p}
    vendors: dict[str, Any] = {}
    for name, hosts in VENDORS.items():
        if name not in found:
            continue
        at, provider = found[name]
        path = (*above, at, "models")
        if not isinstance(provider.get("models"), list):
            raise TableProblem(path, f"provider `{name}` has no list of models")
        entries = (model_entry(model, (*path, n)) for n, model in enumerate(provider["models"]))
        vendors[name] = {"hosts": list(hosts), "models": [entry for entry in entries if entry is not None]}
        if "retirements" in known.get(name, {}):
            vendors[name]["retirements"] = known[name]["retirements"]
    if not any(vendor["models"] for vendor in vendors.values()):
        raise TableProblem(above, "it holds no model of a vendor that hroute knows")
    return {"version": dated, "source": "genai-prices", "vendors": vendors}


def model_entry(model: Any, path: Path = ()) -> dict[str, Any] | None:
    """One model of genai-prices as a line of the table; None where it is not billed by input and output tokens."""
    if not isinstance(model, Mapping) or not isinstance(model.get("id"), str):
        raise TableProblem(path, "a model is an object with an `id`")
    given = model.get("prices")
    listed = isinstance(given, list)
    conditional = given if isinstance(given, list) else [{"prices": given}]
    places = [(*path, "prices", at) if listed else (*path, "prices") for at in range(len(conditional))]
    prices = [
        priced
        for entry, place in zip(conditional, places, strict=True)
        if (priced := _price_entry(entry, place, inner=listed)) is not None
    ]
    if not prices or len(prices) != len(conditional):
        return None
    entry: dict[str, Any] = {
        "id": model["id"],
        "match": patterns(model.get("match"), (*path, "match")),
        "prices": prices,
    }
    if model.get("context_window"):
        entry["context_window"] = model["context_window"]
    if model.get("deprecated"):
        entry["deprecated"] = True
    if (
        "retired" in (model.get("description") or "").lower()
        or "(shut down)" in (model.get("price_comments") or "").lower()
    ):
        entry["retired"] = True
    return entry


def _price_entry(entry: Any, path: Path, *, inner: bool) -> dict[str, Any] | None:
    given = entry.get("prices") if isinstance(entry, Mapping) else None
    place = (*path, "prices") if inner else path
    if not isinstance(given, Mapping):
        raise TableProblem(place, "`prices` is an object, or a list of objects that hold one")
    if given.get("input_mtok") is None or given.get("output_mtok") is None or given.get(_PER_CALL) is not None:
        return None
    amounts = {ours: (given[theirs], (*place, theirs)) for theirs, ours in CLASSES.items() if theirs in given}
    tiers = {start for amount, where in amounts.values() for start, _ in _tiers(amount, where)}
    priced: dict[str, Any] = _at_length(amounts, 0)
    if tiers:
        priced["bands"] = [[start, _at_length(amounts, start + 1)] for start in sorted(tiers)]
    constraint = entry.get("constraint")
    if constraint is None:
        return priced
    if isinstance(constraint, Mapping) and "start_date" in constraint:
        priced["from"] = _dated(constraint["start_date"], (*path, "constraint", "start_date"))
    elif isinstance(constraint, Mapping) and {"start_time", "end_time"} <= constraint.keys():
        priced["hours_utc"] = [
            _clock(constraint[key], (*path, "constraint", key)) for key in ("start_time", "end_time")
        ]
    else:
        raise TableProblem((*path, "constraint"), "a constraint is a start date, or a start and an end time")
    return priced


def _tiers(amount: Any, path: Path) -> Iterator[tuple[int, Any]]:
    if not isinstance(amount, Mapping):
        return
    if "base" not in amount or not isinstance(amount.get("tiers"), list):
        raise TableProblem(path, "a tiered price has a `base` and `tiers`")
    for at, tier in enumerate(amount["tiers"]):
        if not isinstance(tier, Mapping) or type(tier.get("start")) is not int or "price" not in tier:
            raise TableProblem((*path, "tiers", at), "a tier has a `start` in tokens and a `price`")
        yield tier["start"], tier["price"]


def _at_length(amounts: Mapping[str, tuple[Any, Path]], prompt_tokens: int) -> dict[str, int]:
    exact = {}
    for name, (amount, path) in amounts.items():
        holding = amount
        if isinstance(amount, Mapping):
            holding = (
                [amount["base"]] + [price for start, price in sorted(_tiers(amount, path)) if prompt_tokens > start]
            )[-1]
        if holding is not None:
            exact[name] = _nano(holding, path)
    return exact


def _nano(amount: Any, path: Path) -> int:
    """US dollars as nano-dollars; a finer price than that no table can hold."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float, Decimal)):
        raise TableProblem(path, f"`{path[-1]}` is a number of US dollars per million tokens")
    nano = Decimal(str(amount)) * _NANO
    if not nano.is_finite() or not 0 <= nano <= _MOST:
        raise TableProblem(path, f"`{path[-1]}` is a number of US dollars per million tokens, 0 or more")
    if nano != int(nano):
        raise TableProblem(path, f"`{path[-1]}` is finer than a nano-dollar per million tokens")
    return int(nano)


def patterns(clause: Any, path: Path = ()) -> list[str]:
    """A match clause of genai-prices as glob patterns in lower case: `*` any text, `[0-9]` a digit, a leading `!` excludes."""
    match clause:
        case {"equals": str(text)}:
            return [text.lower()]
        case {"starts_with": str(text)}:
            return [text.lower() + "*"]
        case {"ends_with": str(text)}:
            return ["*" + text.lower()]
        case {"contains": str(text)}:
            return [f"*{text.lower()}*"]
        case {"or": list(items)}:
            found = (p for at, item in enumerate(items) for p in patterns(item, (*path, "or", at)))
            return list(dict.fromkeys(found))
        case {"and": [first, {"regex": str(regex)}]} if regex == _NO_SPEECH:
            return ["!*-tts", "!*-tts-*", *patterns(first, (*path, "and", 0))]
        case {"regex": str(regex)}:
            body = _DIGITS.sub(lambda m: "[0-9]" * int(m[1] or 1), regex.removeprefix("^").removesuffix("$"))
            glob = body.replace("\\.", ".") + ("" if regex.endswith("$") else "*")
            if regex.startswith("^") and not re.search(r"[\\(){}|+?^$]", glob):
                return [glob.lower()]
            raise TableProblem((*path, "regex"), f"`{regex}` is not a pattern that a table can hold")
    raise TableProblem(path, "`match` is not a clause that a table can hold")


def _texts(value: Any, path: Path) -> None:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise TableProblem(path, f"`{path[-1]}` is a list of texts")


def _dated(value: Any, path: Path) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise TableProblem(path, f'`{path[-1]}` is a day: "2026-11-20"') from None


def _clock(value: Any, path: Path) -> str:
    """`16:30:00Z` as `16:30`; a time of another zone than UTC cannot be held."""
    text = str(value)
    plain = text.removesuffix("Z").removesuffix("+00:00")
    if not _CLOCK.fullmatch(plain[:5]) or plain[5:] not in ("", ":00"):
        raise TableProblem(path, f'`{path[-1]}` is a time of day in UTC: "16:30:00Z"')
    return plain[:5]
