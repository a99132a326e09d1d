"""Where the ledger is, and the key that lies beside it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from hroute.errors import UsageError
from hroute.terms import secret

VARIABLE: Final = "HROUTE_LEDGER"
FILE: Final = "ledger.db"
_KEY_BYTES: Final = 32


def find(settings: Mapping[str, object], environ: Mapping[str, str], *, beside: str = "") -> str | None:
    """The ledger's file or URL: `$HROUTE_LEDGER`, else `path` of the policy's `ledger:` (relative to the policy's own
    directory, `beside`), else below the XDG state directory. None: no ledger is kept.

    An empty HROUTE_LEDGER, or an environment without a home, means none. Raises UsageError where the policy's
    reference is not set.
    """
    if VARIABLE in environ:
        return _path(environ[VARIABLE], environ, "") if environ[VARIABLE] else None
    named = settings.get("path")
    if isinstance(named, str):
        found = secret.resolve(named, environ)
        if found is None:
            raise UsageError(f"`ledger: {named}` is not set", help=f"set it, or name a file by {VARIABLE}")
        return _path(found, environ, beside)
    folder = state_folder(environ)
    return None if folder is None else os.path.join(folder, FILE)


def state_folder(environ: Mapping[str, str]) -> str | None:
    """The directory for what should outlive a restart (XDG base directories); None without a home."""
    below = environ.get("XDG_STATE_HOME")
    if not below or not os.path.isabs(below):
        if not environ.get("HOME"):
            return None
        below = os.path.join(environ["HOME"], ".local", "state")
    return os.path.join(below, "hroute")


def is_url(place: str) -> bool:
    """Whether it is a PostgreSQL address and no file."""
    return place.startswith(("postgres://", "postgresql://"))


def key_file(place: str, environ: Mapping[str, str]) -> str | None:
    """Where the key of a ledger's hashes lies: beside its file, or in the state directory for a database elsewhere."""
    if not is_url(place):
        return f"{place}.key"
    folder = state_folder(environ)
    return None if folder is None else os.path.join(folder, "ledger.key")


def read_key(path: str) -> bytes:
    """The key, made on first use and readable by its owner alone. Raises OSError."""
    with suppress(FileNotFoundError):
        return _read(path)
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    part = f"{path}.{os.getpid()}.{secrets.token_hex(4)}.part"
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        with suppress(FileExistsError):  # another process was first: its key counts
            os.link(part, path)
    finally:
        os.unlink(part)
    return _read(path)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        key = file.read(4096)
    if len(key) < _KEY_BYTES:
        raise OSError(f"{path} holds no key: it is too short")
    return key


def _path(named: str, environ: Mapping[str, str], beside: str) -> str:
    if is_url(named):
        return named
    if named.startswith("~/") and environ.get("HOME"):
        return os.path.join(environ["HOME"], named[2:])
    return os.path.normpath(os.path.join(beside, named))
