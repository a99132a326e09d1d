"""`hroute prices update`: another table of list prices in force, from a file that is already on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hroute.cli import exits, streams
from hroute.cli.render.text import count, visible
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.ledger.price_table import Table

_LARGEST: Final = 16 << 20  # bytes of a file


def update(source: str | None, dated: str | None, *, built_in: bool, as_json: bool) -> int:
    """Read, check, install whole or not at all; say what is in force then."""
    from hroute.ledger import price_table, prices

    place = price_table.place(os.environ)
    if place is None:
        raise UsageError("there is no place for a table of prices", help="set HOME or XDG_DATA_HOME")
    if built_in == (source is not None):
        raise UsageError("`update` takes --from FILE, or --built-in", help="hroute prices update --from data.json")
    before = price_table.in_force()
    if source is None:
        _attempt(lambda: price_table.remove(place), place)
    else:
        table = _read(source, _day(dated))
        _attempt(lambda: price_table.install(table, place), place)
    prices.forget()
    _say(before, price_table.in_force(), as_json)
    return exits.DONE


def _read(source: str, dated: str) -> dict[str, Any]:
    """The table that the file makes. Raises UsageError that names the line."""
    from hroute.ledger import price_source, price_table

    try:
        with open(source, "rb") as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise UsageError(f"{source} is larger than 16 MiB")
        text = raw.decode("utf-8-sig")
        return price_source.table(
            json.loads(text, parse_float=Decimal), dated=dated, known=price_table.built_in().vendors
        )
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{source} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _refused(f"{source}:{error.lineno}:{error.colno}", f"no JSON: {error.msg}") from None
    except RecursionError:
        raise _refused(source, "it is nested too deeply") from None
    except price_source.TableProblem as problem:
        raise _refused(f"{source}:{_place(text, problem.path)}", f"{problem}{_inside(problem.path, text)}") from None


def _refused(where: str, what: str) -> UsageError:
    return UsageError(f"{where}: {what}", help="nothing was installed; the table in force is the one that was")


def _place(text: str, path: tuple[str | int, ...]) -> str:
    """Line and column of what is wrong: JSON is YAML, whose reader keeps places."""
    from hroute.schema.source import read_text

    span = read_text(text, "prices").span(path)
    return f"{span.line}:{span.column}"


def _inside(path: tuple[str | int, ...], text: str) -> str:
    """Which vendor's which model it is about, since such a file may be one long line."""
    value, named = json.loads(text), []
    for step in path:
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            named.append(value["id"])
        elif step in ("models", "hosts") and path.index(step):
            named.append(str(path[path.index(step) - 1]))
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
    else:
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            named.append(value["id"])
    return f" ({' / '.join(visible(name) for name in dict.fromkeys(named))})" if named else ""


def _day(dated: str | None) -> str:
    try:
        return date.fromisoformat(dated).isoformat() if dated is not None else date.today().isoformat()
    except ValueError:
        raise UsageError(f"`{dated}` is no day", help="--dated 2026-11-20") from None


def _attempt(act: Callable[[], object], place: Path) -> None:
    try:
        act()
    except OSError as error:
        raise UsageError(f"{place} cannot be written: {error.strerror}", help="nothing was installed") from None


def _say(before: Table, now: Table, as_json: bool) -> None:
    models, changed, gone = _counts(before, now)
    if as_json:
        streams.emit(
            "prices-update",
            {
                "version": now.version,
                "source": now.source,
                "path": now.path,
                "models": models,
                "changed": changed,
                "gone": gone,
                "before": before.version,
            },
        )
        return
    where = visible(now.path) if now.path else "built in"
    streams.line(f"in force: table of {now.version} ({visible(now.source)}), {where}")
    streams.line(
        f"{count(models, 'model')}; {changed} new or with another price, {gone} gone since the table of {before.version}"
    )
    streams.talk("A program that is running goes on with the table that it began with. Next: hroute prices")


def _counts(before: Table, now: Table) -> tuple[int, int, int]:
    old, new = _listed(before), _listed(now)
    return len(new), sum(old.get(name) != price for name, price in new.items()), len(old.keys() - new.keys())


def _listed(table: Table) -> dict[tuple[str, str], Any]:
    return {(vendor, m["id"]): m["prices"] for vendor, facts in table.vendors.items() for m in facts["models"]}
