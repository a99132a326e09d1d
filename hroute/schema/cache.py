"""What a start would otherwise work out again, kept as small JSON files that only their owner can read.

`HROUTE_CACHE` names the directory; empty switches caching off. Losing an entry costs time only: whatever cannot be
read, was cut off, or could have been written by somebody else is as if it were not there.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

MOST: Final = 64
"""Entries that are kept; the oldest go first."""
_LARGEST: Final = 64 << 20


def key_of(*parts: str | bytes) -> str:
    """A key for `get` and `put`: the SHA-256 of the parts."""
    hash = sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hash.update(len(raw).to_bytes(8, "big") + raw)
    return hash.hexdigest()


def get(key: str) -> dict[str, Any] | None:
    """The value kept under `key`; None where there is none that can be trusted."""
    path = _path(key)
    if path is None:
        return None
    try:
        with open(path, "rb", opener=_no_link) as file:
            if not _ours(os.fstat(file.fileno())):
                return None
            raw = file.read(_LARGEST)
        digest, _, body = raw.partition(b"\n")
        if digest.decode("ascii", "replace") != sha256(body).hexdigest():
            return None
        value = json.loads(body)
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def put(key: str, value: Mapping[str, Any]) -> None:
    """Keep `value` (JSON) under `key`. Nothing happens where that is not possible."""
    path = _path(key)
    if path is None:
        return
    part = f"{path}.{os.getpid()}.part"
    try:
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        folder = os.path.dirname(path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _drop_oldest(folder)
        with open(part, "xb", opener=_private) as file:
            file.write(sha256(body).hexdigest().encode() + b"\n" + body)
        os.replace(part, path)
    except (OSError, ValueError, TypeError, RecursionError):
        _remove(part)


def _path(key: str) -> str | None:
    if not key.isascii() or not key.isalnum():
        raise ValueError("a cache key is made of letters and digits")
    folder = os.environ.get("HROUTE_CACHE")
    if folder is None:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        folder = os.path.join(base, "hroute")
    return os.path.join(os.path.abspath(folder), "policies", f"{key}.json") if folder else None


def _ours(found: os.stat_result) -> bool:
    """Whether nobody else can have written the file."""
    if not stat.S_ISREG(found.st_mode):
        return False
    owned = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return owned and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _drop_oldest(folder: str) -> None:
    kept: list[tuple[float, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((".json", ".part")) and entry.is_file(follow_symlinks=False):
                kept.append((entry.stat(follow_symlinks=False).st_mtime, entry.path))
    for _, path in sorted(kept)[: max(0, len(kept) - MOST + 1)]:
        _remove(path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
