"""The ledger beside a vendor's own figures: for each day (UTC, as vendors count) and model, what differs and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from hroute.ledger import periods, prices
from hroute.ledger.store import Transaction
from hroute.ledger.vendor_exports import Export, Line
from hroute.terms.usage import Usage

UTC_NAMES: Final = ("UTC", "Etc/UTC", "Etc/GMT", "GMT", "Etc/Universal", "Zulu")
"""Zones in which the ledger's own days are the vendors'."""

_FAMILIES: Final = {
    "anthropic": ("claude",),
    "openai": ("gpt", "chatgpt", "o1", "o3", "o4", "codex", "text-embedding", "davinci"),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests, tokens and nano-dollars; None where one side does not say. `unpriced` calls are in no cost."""

    requests: int | None = None
    usage: Usage | None = None
    cost: int | None = None
    unpriced: int = 0

    @property
    def tokens(self) -> int | None:
        used = self.usage
        return None if used is None else used.input + used.cache_read + used.cache_write + used.output + used.reasoning


@dataclass(frozen=True, slots=True)
class Row:
    """One day and model on both sides; None where only the other has it. `listed`: the export has tokens and no money, and
    `export.cost` is what they cost at our prices."""

    day: str
    model: str
    export: Figures | None
    ledger: Figures | None
    listed: bool = False

    @property
    def difference(self) -> int | None:
        """The ledger's cost less the export's; None where either is unknown. Who is not there has spent nothing."""
        theirs = 0 if self.export is None else self.export.cost
        ours = 0 if self.ledger is None else self.ledger.cost
        return None if theirs is None or ours is None else ours - theirs


@dataclass(frozen=True, slots=True)
class Reconciled:
    """All rows by day and model, from `since` to `until`; `read` says that single rows were read, since the ledger's days
    are not UTC's, and `began` is the first day that the ledger can know."""

    since: str
    until: str
    rows: tuple[Row, ...]
    read: bool
    began: str | None


def reconcile(transaction: Transaction | None, export: Export, zone: str) -> Reconciled:
    """Both sides for the days that the export covers. Models that only the ledger has count where they are the vendor's
    (by their name; of a gateway that serves everybody's, those that cost something)."""
    theirs = _summed(export.lines)
    if not theirs:
        return Reconciled("", "", (), False, None)
    since, until = min(day for day, _ in theirs), max(day for day, _ in theirs)
    read = zone not in UTC_NAMES
    ours = {} if transaction is None else _ours(transaction, since, until, read)
    whole = all(not key for _, key in theirs)  # an export that does not tell models apart
    if whole:
        ours = _together({at: found for at, found in ours.items() if _belongs(at[1], found[1], export.vendor)})
    rows = []
    for day, key in sorted({*theirs, *ours}):
        line, own = theirs.get((day, key)), ours.get((day, key))
        if line is None and own is not None and not (since <= day <= until and _belongs(key, own[1], export.vendor)):
            continue
        rows.append(_row(day, line, own, export.vendor))
    return Reconciled(since, until, tuple(rows), read, None if transaction is None else _began(transaction, read))


def canonical(model: str) -> str:
    """One name for the spellings of a model: `anthropic/claude-sonnet-4.5`, `Claude Sonnet 4.5` and
    `claude-sonnet-4-5-20250929` are one."""
    name = model.strip().lower().rpartition("/")[2].rpartition("anthropic.")[2].partition("@")[0]
    name = name.partition(":")[0] if name.startswith("claude") or name.endswith((":free", ":batch")) else name
    parts = [part for part in name.replace(" ", "-").replace(".", "-").replace("_", "-").split("-") if part]
    while len(parts) > 1 and _is_version_tail(parts):
        parts = parts[:-1]
    if len(parts) > 4 and parts[-3:-2] and _is_date(parts[-3:]):
        parts = parts[:-3]
    if parts[:1] == ["claude"]:  # claude-3-5-haiku, claude-haiku-3-5 and claude-4-5-haiku were all in use
        words = sorted(part for part in parts[1:] if not part.isdigit())
        return "-".join(["claude", *words, *(part for part in parts[1:] if part.isdigit())])
    return "-".join(parts)


def _is_version_tail(parts: list[str]) -> bool:
    last = parts[-1]
    return last in ("latest", "v1", "v2") or (len(last) == 8 and last.isdigit() and last.startswith("20"))


def _is_date(parts: list[str]) -> bool:
    return all(part.isdigit() for part in parts) and [len(part) for part in parts] == [4, 2, 2] and parts[0][:2] == "20"


def _summed(lines: Iterable[Line]) -> dict[tuple[str, str], Line]:
    found: dict[tuple[str, str], Line] = {}
    for line in lines:
        at = (line.day, canonical(line.model))
        known = found.get(at)
        found[at] = line if known is None else _added(known, line)
    return found


def _added(one: Line, other: Line) -> Line:
    return replace(
        one,
        requests=_plus(one.requests, other.requests),
        usage=one.usage + other.usage if one.usage and other.usage else one.usage or other.usage,
        cost=_plus(one.cost, other.cost),
    )


def _plus(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


_OURS: Final = (
    "count(*), sum(a.input), sum(a.output), sum(a.cache_read), sum(a.cache_write), sum(a.reasoning), "
    "coalesce(sum(a.cost), 0), sum(CASE WHEN a.cost IS NULL THEN 1 ELSE 0 END)"
)


def _ours(transaction: Transaction, since: str, until: str, read: bool) -> dict[tuple[str, str], tuple[str, Figures]]:
    if read:
        span = periods.span("UTC", since, until)
        found = transaction.run(
            f"SELECT r.ts / 86400000, a.model, {_OURS} FROM request r JOIN attempt a ON a.request = r.id "
            "WHERE r.ts >= ? AND r.ts < ? AND r.mode <> 'sandbox' GROUP BY r.ts / 86400000, a.model",
            span,
        )
    else:
        found = transaction.run(
            "SELECT day, model, sum(attempts), sum(input), sum(output), sum(cache_read), sum(cache_write), "
            "sum(reasoning), sum(cost), sum(unpriced) FROM rollup_attempt WHERE day BETWEEN ? AND ? "
            "AND mode <> 'sandbox' GROUP BY day, model",
            (since, until),
        )
    sums: dict[tuple[str, str], tuple[str, Figures]] = {}
    for at, model, *values in found:
        day = at if isinstance(at, str) else datetime.fromtimestamp(at * 86_400, UTC).date().isoformat()
        calls, *tokens, cost, unpriced = (int(value) for value in values)
        figures = Figures(calls, Usage(*tokens), cost, unpriced)
        key = (day, canonical(model))
        sums[key] = (model, figures) if key not in sums else (sums[key][0], _joined(sums[key][1], figures))
    return sums


def _joined(one: Figures, other: Figures) -> Figures:
    assert one.usage is not None
    assert other.usage is not None
    return Figures(
        _plus(one.requests, other.requests), one.usage + other.usage, _plus(one.cost, other.cost),
        one.unpriced + other.unpriced,
    )  # fmt: skip


def _together(ours: Mapping[tuple[str, str], tuple[str, Figures]]) -> dict[tuple[str, str], tuple[str, Figures]]:
    days: dict[tuple[str, str], tuple[str, Figures]] = {}
    for (day, _), (_, figures) in ours.items():
        known = days.get((day, ""))
        days[day, ""] = ("", figures if known is None else _joined(known[1], figures))
    return days


def _belongs(key: str, own: Figures, vendor: str) -> bool:
    if not own.cost and not own.unpriced:
        return False  # a local model, or calls that nobody billed
    families = _FAMILIES.get(vendor)
    return families is None or key == "" or key.startswith(families)


def _row(day: str, line: Line | None, own: tuple[str, Figures] | None, vendor: str) -> Row:
    name = line.model if line is not None else own[0] if own is not None else ""
    ledger = None if own is None else replace(own[1], cost=None if own[1].unpriced else own[1].cost)
    if line is None:
        return Row(day, name, None, ledger)
    listed = line.cost is None and line.usage is not None
    cost = _at_our_prices(vendor, line) if listed else line.cost
    return Row(day, name, Figures(line.requests, line.usage, cost), ledger, listed and cost is not None)


def _at_our_prices(vendor: str, line: Line) -> int | None:
    """What an export's tokens cost by our list, without length bands: a day's sum is no prompt."""
    price = prices.lookup(vendor, line.model, at=datetime.fromisoformat(f"{line.day}T12:00+00:00"))
    return None if price is None or line.usage is None else prices.cost(replace(price, bands=()), line.usage)


def _began(transaction: Transaction, read: bool) -> str | None:
    """The first day that the ledger can compare: of its rows, or of its sums."""
    if not read:
        found = transaction.run("SELECT min(day) FROM rollup_attempt WHERE mode <> 'sandbox'")[0][0]
        return None if found is None else str(found)
    at = transaction.run("SELECT min(ts) FROM request")[0][0]
    return None if at is None else periods.day_of("UTC", int(at))
