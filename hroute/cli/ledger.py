"""Where the commands find the ledger, and the options that those share that read it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hroute.cli import policies
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.ledger.store import Store, Transaction
    from hroute.schema.policy import Policy

SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="From then on: `24h`, `30d`, or a day such as 2026-11-01."),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the ledger is and in which time zone its days begin."""

    where: str
    zone: str


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
    return Place(where, str(settings.get("timezone") or "UTC"))


@contextmanager
def view(found: Place) -> Iterator[Transaction | None]:
    """The ledger to be read; None where nothing was written yet. Raises LedgerError."""
    from hroute.ledger import place as places
    from hroute.ledger.ledger import open_store

    if not places.is_url(found.where) and not os.path.exists(found.where):
        yield None
        return
    store: Store = open_store(found.where, read_only=True)
    try:
        with store.read() as transaction:
            yield transaction
    finally:
        store.close()


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
        return int((time.time() - duration(written)) * 1000)
    except ValueError:
        raise UsageError(f"`{written}` is no time", help="--since 24h, --since 30d or --since 2026-11-01") from None


def _policy(given: str | None) -> Policy | None:
    from hroute.schema.load import load

    path = policies.locate(given)
    if given is None and not os.path.exists(path):
        return None
    return load(path)[0]
