"""Which table of list prices is in force: the built-in one, or the one that its user has installed over it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

BUILT_IN: Final = Path(__file__).with_name("prices.json")
FILE: Final = "prices.json"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of prices as plain data, vendor by vendor. `path` is None for the built-in one; `passed_over` says why an
    installed one is not used, "" where it is or where there is none."""

    version: str
    source: str
    vendors: Mapping[str, Any]
    path: str | None = None
    passed_over: str = ""


_lock = threading.Lock()


def in_force() -> Table:
    """The installed table, else the built-in one. Read once; `forget` has it read again."""
    with _lock:
        return _in_force()


def forget() -> None:
    """What is in force is read again when it is next asked for."""
    _in_force.cache_clear()


def built_in() -> Table:
    """The table that came with the program."""
    return _read(BUILT_IN, None)


def place(environ: Mapping[str, str]) -> Path | None:
    """Where a user's own table lies: `hroute/prices.json` below the XDG data directory; None without a home."""
    below = environ.get("XDG_DATA_HOME")
    if not below or not os.path.isabs(below):
        if not environ.get("HOME"):
            return None
        below = os.path.join(environ["HOME"], ".local", "share")
    return Path(below) / "hroute" / FILE


def install(table: Mapping[str, Any], file: Path) -> None:
    """Put a checked table in force, whole or not at all. Raises OSError."""
    from hroute.ledger import private_files

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private_files.write(file, table)
    forget()


def remove(file: Path) -> bool:
    """Have the built-in table in force again; False where nothing was installed. Raises OSError."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    finally:
        forget()
    return True


@cache
def _in_force() -> Table:
    file = place(os.environ)
    if file is None or not file.exists():
        return built_in()
    try:
        return _read(file, str(file))
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = getattr(error, "strerror", None) or "it is no table of prices"
        import logging

        logging.getLogger("hroute.prices").error("the installed table of prices is not used (%s): %s", why, file)
        own = built_in()
        return Table(own.version, own.source, own.vendors, None, f"{file}: {why}")


def _read(file: Path, path: str | None) -> Table:
    data = json.loads(file.read_text(encoding="utf-8"))
    if path is not None:
        from hroute.ledger import price_source

        data = price_source.checked(data)
    date.fromisoformat(data["version"])
    return Table(data["version"], str(data["source"]), data["vendors"], path)
