"""JSON files that only their owner reads, each written whole or not at all."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

STALE: Final = 3600.0
"""Seconds after which a half-written file was left by somebody who died."""


def write(file: Path, content: Mapping[str, Any]) -> None:
    """The whole of `content` or nothing of it, on the disk before this returns."""
    part = draft(file, content)
    try:
        os.replace(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(file.parent)


def draft(file: Path, content: Mapping[str, Any]) -> Path:
    """`content` beside `file`, under a name of this thread's own, to be renamed or linked to it."""
    part = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        with open(part, "w", encoding="utf-8", errors="surrogatepass", opener=private) as stream:
            json.dump(content, stream, ensure_ascii=False, separators=(",", ":"))
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part


def read(file: Path) -> dict[str, Any] | None:
    """The content; None where there is no such file. Raises OSError, also where it is no JSON object."""
    try:
        found = json.loads(file.read_text(encoding="utf-8", errors="surrogatepass"))
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise OSError(f"{file.name} is not what was written there")
    return found


def tidy(folder: Path, *, now: float, unwanted: Callable[[str], bool]) -> None:
    """Remove files whose stem is `unwanted`, and what was left half-written. `now` is Unix time in seconds."""
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            stem, left = file.name.partition(".")[0], file.name.endswith(".part")
            if (left and file.stat().st_mtime < now - STALE) or (not left and unwanted(stem)):
                file.unlink()


def sync(folder: Path) -> None:
    """What was renamed or linked in `folder` survives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private(name: str, flags: int) -> int:
    """An opener: mode 0600, and never through a link."""
    return os.open(name, flags | os.O_NOFOLLOW, 0o600)
