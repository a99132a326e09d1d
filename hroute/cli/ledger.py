"""Where the commands find the ledger, and the options that those share that read it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from hroute.cli import policies
from hroute.errors import LedgerError, UsageError
from hroute.ledger.place import is_url
from hroute.terms.secret import redact

if TYPE_CHECKING:
    from hroute.ledger.periods import Per
    from hroute.ledger.store import Store, Transaction
    from hroute.schema.policy import Policy, Provider

SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="From then on: `24h`, `30d`, or a day such as 2026-11-01."),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until", metavar="WHEN", help="Up to then: a day (with all of it), or `7d` ago.", show_default=False
    ),
]
LastOption = Annotated[
    str | None,
    typer.Option(
        "--last",
        metavar="SPAN",
        help="The last `7d`; or the last whole `day`, `week` or `month`. In place of --since and --until.",
        show_default=False,
    ),
]

_PERIODS: Final = ("day", "week", "month")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the ledger is, in which time zone its days begin, and of the policy what reports compare with: the scores at
    which it decides otherwise, and the provider that would serve everything."""

    where: str
    zone: str
    thresholds: tuple[float, ...] = ()
    baseline: Provider | None = None

    @property
    def shown(self) -> str:
        """Where it is, for a person: without a password."""
        return redact(self.where)

    @property
    def exists(self) -> bool:
        """Whether anything was ever written; a server is taken to be there."""
        return is_url(self.where) or os.path.exists(self.where)


def place(given: str | None) -> Place:
    """The ledger that the policy and the environment name. A policy that cannot be loaded does not hide it.

    Raises UsageError where none is kept.
    """
    from hroute.ledger import place as places

    policy = _policy(given)
    settings = dict(policy.ledger) if policy else {}
    beside = os.path.dirname(policy.path) if policy else ""
    where = places.find(settings, os.environ, beside=beside)
    if where is None:
        raise UsageError("no ledger is kept", help=f"{places.VARIABLE} is empty, or there is no home directory")
    zone = str(settings.get("timezone") or "UTC")
    if policy is None:
        return Place(where, zone)
    from hroute.router.bookkeeping import thresholds_of

    return Place(where, zone, thresholds_of(policy), policy.providers.get(policy.baseline or _default(policy)))


@contextmanager
def view(found: Place) -> Iterator[Transaction | None]:
    """The ledger to be read; None where nothing was written yet. Raises LedgerError."""
    from hroute.ledger.ledger import open_store

    if not found.exists:
        yield None
        return
    store: Store = open_store(found.where, read_only=True)
    try:
        _bring_up_to_date(store, found.where)
        with store.read() as transaction:
            yield transaction
    finally:
        store.close()


def _bring_up_to_date(store: Store, where: str) -> None:
    """The tables of an older hroute are changed by whoever comes first, also by one who only reads. Raises LedgerError
    where they cannot be."""
    from hroute.ledger.ledger import open_store
    from hroute.ledger.store import steps, version_of

    with store.read() as seen:
        version, known = version_of(seen), max(steps())
    if version < known:
        try:
            open_store(where).close()
        except LedgerError as error:
            raise LedgerError(
                f"ledger {redact(where)} has version {version}, and this hroute reads version {known}",
                help=f"its tables have to be changed once, which failed: {error.message}",
            ) from None


def alarms(given: str | None) -> list[str]:
    """Rates that have grown, one sentence each; nothing where there is no ledger that could tell."""
    from hroute.ledger import change

    try:
        found = place(given)
        with view(found) as seen:
            if seen is None:
                return []
            now = int(time.time() * 1000)
            return [alarm.text() for alarm in change.alarms(seen, now, zone=found.zone, thresholds=found.thresholds)]
    except (LedgerError, UsageError):
        return []


def one(view: Transaction | None, text: str) -> str:
    """The id of the one request that `text` means. Raises UsageError where it means none, or several."""
    from hroute.ledger import report

    ids = [] if view is None else report.named(view, text)
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise UsageError(f"`{text}` names {len(ids)} requests", help=f"give more of its digits: {', '.join(ids)}")
    raise UsageError(f"`{text}` names no request", help="hroute logs lists them; old rows may have been dropped")


def instant(written: str | None, zone: str) -> int | None:
    """`--since` as milliseconds since 1970. Raises UsageError."""
    if written is None:
        return None
    from zoneinfo import ZoneInfo

    from hroute.schema.quantities import duration

    try:
        day = date.fromisoformat(written)
    except ValueError:
        pass
    else:
        return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    try:
        return max(0, int((time.time() - duration(written)) * 1000))
    except ValueError:
        raise UsageError(f"`{written}` is no time", help="--since 24h, --since 30d or --since 2026-11-01") from None


def end_of(written: str, zone: str) -> int:
    """`--until` as milliseconds since 1970: a day with all of it. Raises UsageError."""
    from hroute.ledger.periods import period

    at = instant(written, zone) or 0
    return period("day", zone, at).end if written[:1].isdigit() and "-" in written else at


def days(zone: str, since: str | None, until: str | None, last: str | None, *, default: str) -> tuple[str, str]:
    """The first and the last day of a report, in the ledger's zone. Raises UsageError where they make no span."""
    from hroute.ledger.periods import day_of, period

    now = int(time.time() * 1000)
    if last is not None:
        if since is not None or until is not None:
            raise UsageError("--last stands in place of --since and --until", help="give one or the other")
        if last in _PERIODS:
            before = period(cast("Per", last), zone, period(cast("Per", last), zone, now).start - 1)
            return day_of(zone, before.start), day_of(zone, before.end - 1)
        since = last
    start, end = instant(since or default, zone), instant(until, zone)
    first, final = day_of(zone, start or 0), day_of(zone, now if end is None else end)
    if first > final:
        raise UsageError(f"there is no day from {first} to {final}", help="--since is the earlier one")
    return first, final


def _default(policy: Policy) -> str:
    """Who serves what no rule matches."""
    route = policy.default.route
    return route.chain[0] if route is not None and route.chain else ""


def _policy(given: str | None) -> Policy | None:
    from hroute.schema.load import load

    path = policies.locate(given)
    if given is None and not os.path.exists(path):
        return None
    return load(path)[0]
