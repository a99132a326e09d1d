"""Keys that a person typed once: in the system's keyring where there is one, else in a 0600 file; `keyring:NAME` finds them.

The file also lists the names that the keyring holds, since no keyring can be asked for its names.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from hroute.errors import UsageError

SERVICE: Final = "hroute"
"""The name under which a system keyring holds our keys."""

LONGEST: Final = 16 * 1024
"""Characters of the longest key: some are certificates."""

Place = Literal["keyring", "file"]

_RECOMMENDED: Final = 1
"""The priority from which the `keyring` package recommends a backend; below it are plain text and "there is none"."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A key by name, and where its value is."""

    name: str
    place: Place


def path(environ: Mapping[str, str]) -> str:
    """The file, whether or not it exists: `hroute/keys.json` in the XDG data directory."""
    base = environ.get("XDG_DATA_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local/share")
    return os.path.join(base, "hroute", "keys.json")


def find(name: str, environ: Mapping[str, str]) -> str | None:
    """The key of that name; None where nobody keeps one. A file that others can read counts as none (`keys list` says so)."""
    try:
        kept = _read(path(environ))
    except UsageError:
        kept = _nothing()
    return kept["keys"].get(name) or _from_keyring(name)


def store(name: str, value: str, environ: Mapping[str, str], *, to_file: bool = False) -> Place:
    """Keep `value` as `name`, in place of an earlier one, and say where. Raises UsageError where neither can be kept."""
    check_name(name)
    if not value or len(value) > LONGEST or not value.isprintable():
        raise UsageError(f"this cannot be a key: it must be one line of 1 to {LONGEST:,} printable characters")
    in_keyring = not to_file and _to_keyring(name, value)
    with _changing(environ) as kept:
        earlier = name in kept["keyring"]
        _forget(kept, name)
        if in_keyring:
            kept["keyring"].append(name)
        else:
            kept["keys"][name] = value
    if earlier and not in_keyring:
        _drop_from_keyring(name)
    return "keyring" if in_keyring else "file"


def names(environ: Mapping[str, str]) -> list[Kept]:
    """What is kept, by name. Raises UsageError where the file is not ours alone."""
    kept = _read(path(environ))
    found = [Kept(name, "file") for name in kept["keys"]] + [Kept(name, "keyring") for name in kept["keyring"]]
    return sorted(found, key=lambda each: each.name)


def remove(name: str, environ: Mapping[str, str]) -> bool:
    """Forget a key; False where there was none."""
    with _changing(environ) as kept:
        known = name in kept["keys"] or name in kept["keyring"]
        _forget(kept, name)
    return _drop_from_keyring(name) or known


def check_name(name: str) -> None:
    """Raises UsageError, which never quotes, where `name` could not stand behind `keyring:` in a policy."""
    from hroute.terms.secret import is_reference, looks_literal

    if looks_literal(name):
        raise UsageError(
            "that looks like the key itself, not like a name for it",
            help="a key never belongs on a command line: revoke it, then hroute keys set NAME and paste the new one",
        )
    if not is_reference(f"keyring:{name}") or any(c.isspace() or c in "=:" for c in name):
        raise UsageError("a key's name is one word of ASCII, such as ANTHROPIC_API_KEY")


def _nothing() -> dict[str, Any]:
    return {"keys": {}, "keyring": []}


def _read(file: str) -> dict[str, Any]:
    try:
        with open(file, "rb", opener=_no_link) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
                raise UsageError(f"`{file}` is open to others and is not used", help=f"chmod 600 {file}")
            found = json.loads(stream.read())
    except FileNotFoundError:
        return _nothing()
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"`{file}` cannot be read: {getattr(error, 'strerror', None) or 'it is not what hroute wrote'}"
        ) from None
    keys, listed = (found.get("keys"), found.get("keyring")) if isinstance(found, dict) else (None, None)
    return {
        "keys": {k: v for k, v in keys.items() if isinstance(v, str)} if isinstance(keys, dict) else {},
        "keyring": [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else [],
    }


@contextmanager
def _changing(environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The content of the file, written back whole; one process at a time."""
    import fcntl

    file = path(environ)
    folder = os.path.dirname(file)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = _read(file)
        yield kept
        _write(file, kept)
    finally:
        os.close(lock)


def _write(file: str, kept: Mapping[str, Any]) -> None:
    part = f"{file}.part"
    with open(part, "wb", opener=_private) as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(json.dumps(kept, indent=1, sort_keys=True).encode())
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, file)


def _forget(kept: dict[str, Any], name: str) -> None:
    kept["keys"].pop(name, None)
    kept["keyring"] = [each for each in kept["keyring"] if each != name]


def _keyring() -> Any:
    """The `keyring` package where it is installed and has a backend worth trusting; None else."""
    from importlib import import_module

    try:
        package = import_module("keyring")
        return package if package.get_keyring().priority >= _RECOMMENDED else None
    except Exception:  # a backend may raise anything, and "no keyring" is no error
        return None


def _from_keyring(name: str) -> str | None:
    package = _keyring()
    try:
        found = package.get_password(SERVICE, name) if package else None
    except Exception:  # locked, or its service is gone: the key is as if it were not set
        return None
    return found if isinstance(found, str) else None


def _to_keyring(name: str, value: str) -> bool:
    package = _keyring()
    if package is None:
        return False
    try:
        package.set_password(SERVICE, name, value)
        return bool(package.get_password(SERVICE, name) == value)
    except Exception:  # locked or read-only: the file is what is left
        return False


def _drop_from_keyring(name: str) -> bool:
    package = _keyring()
    if package is None:
        return False
    try:
        package.delete_password(SERVICE, name)
    except Exception:  # it was not there, which some backends say by an error of their own
        return False
    return True


def _no_link(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW, 0o600)
