"""A policy that follows its file: watch the directory, read again, swap when it is good, keep the last good one else.

The *directory* is watched, since an atomic save replaces the file that a watch on the file would hold on to. What
counts is not which event came but whether the content differs, so that a rename over the file, a swapped symlink, a
slow writer and a file on a network share all look alike.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Final, Literal

from hroute.errors import PolicyError
from hroute.schema.diagnostic import Diagnostic
from hroute.schema.policy import Policy

_SETTLE: Final = 0.05
"""Seconds for which the content must stand still before it is read: a file may be half written."""
_POLL_MS: Final = 1000
"""How often the content is looked at although no event came: some file systems send none."""

Fingerprint = Mapping[str, str | None]
"""File -> SHA-256 of its content; None where there is no file."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What a change of the file led to. `serving` is the hash now in force, `new` that of a policy that was taken."""

    kind: Literal["reloaded", "rejected", "missing"]
    path: str
    serving: str
    new: str | None = None
    findings: tuple[Diagnostic, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        if self.kind == "reloaded":
            return f"policy reloaded   {self.serving[:7]} -> {(self.new or '')[:7]}"
        if self.kind == "missing":
            return (
                f"policy missing    still serving {self.serving[:7]}   {os.path.basename(self.path)} is gone; waiting"
            )
        more = f" (+{len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
        first = next(iter(self.findings), None)
        why = f"{first.code} {first.message}, {first.primary.span}{more}" if first else self.reason
        return f"policy REJECTED   still serving {self.serving[:7]}   {why}"


class Reloader:
    """Holds the policy that is in force and follows its file.

    `load` reads, checks and returns a policy or raises PolicyError; `current` is always the last good one, swapped by
    one assignment, so that a request that has begun keeps the policy it began with.
    """

    def __init__(self, path: str, load: Callable[[str], Policy]) -> None:
        self.path = path
        self._load = load
        before = fingerprint((path,))
        self.current = load(path)
        self._seen: Fingerprint = {**before, **self.current.sources}

    def refresh(self) -> Reload | None:
        """Read again where something changed; None where nothing did, or only a comment."""
        if fingerprint(self._files()) == self._seen:
            return None
        now = _settled(self._files())
        self._seen = now
        serving = self.current.hash
        if now[self.path] is None:
            return Reload("missing", self.path, serving)
        try:
            policy = self._load(self.path)
        except PolicyError as error:
            return Reload("rejected", self.path, serving, findings=error.diagnostics, reason=error.message)
        self.current = policy
        self._seen = {self.path: now[self.path], **policy.sources}
        return None if policy.hash == serving else Reload("reloaded", self.path, serving, policy.hash)

    def follow(self, stop: Event | None = None) -> Iterator[Reload]:
        """Every reload, rejection and disappearance from now on, until `stop` is set."""
        for _ in ticks(self._files, stop or Event()):
            if (event := self.refresh()) is not None:
                yield event

    def _files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.path, *self.current.sources)))


def watch(files: Callable[[], Iterable[str]], stop: Event | None = None) -> Iterator[None]:
    """One item at once, and one each time that the content of one of `files` differs from the item before.

    A deletion and a reappearance are differences. What is read between two items is compared with what stood there
    before the first of them, so that no change falls in between. The files are asked for anew each time: a policy may
    name others. Ends when `stop` is set.
    """
    seen = fingerprint(files())
    yield
    for _ in ticks(files, stop or Event()):
        now = fingerprint(files())
        changed = any(now.get(name) != known for name, known in seen.items())
        seen = _settled(files()) if changed else now
        if changed:
            yield


def ticks(files: Callable[[], Iterable[str]], stop: Event) -> Iterator[None]:
    """One item at least each second, and at once when something happens in a directory of the files."""
    import watchfiles

    yield
    while not stop.is_set():
        folders = _folders(files())
        if not folders:
            stop.wait(_POLL_MS / 1000)
            yield
            continue
        events = watchfiles.watch(
            *folders,
            recursive=False,
            stop_event=stop,
            watch_filter=None,
            rust_timeout=_POLL_MS,
            debounce=200,
            yield_on_timeout=True,
        )
        for _ in events:
            yield
            if _folders(files()) != folders:
                break


def fingerprint(files: Iterable[str]) -> Fingerprint:
    """What the files hold at this moment."""
    return {name: _hash(name) for name in files}


def _settled(files: Iterable[str]) -> Fingerprint:
    """What the files hold once it is the same twice in a row."""
    names = tuple(files)
    now = fingerprint(names)
    for _ in range(20):
        time.sleep(_SETTLE)
        before, now = now, fingerprint(names)
        if now == before:
            break
    return now


def _hash(name: str) -> str | None:
    try:
        with open(name, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return None


def _folders(files: Iterable[str]) -> tuple[str, ...]:
    """The directories that hold the files, and those that hold what they are links to."""
    names = tuple(files)
    folders = {os.path.dirname(os.path.abspath(name)) for name in names}
    folders |= {os.path.dirname(os.path.realpath(name)) for name in names}
    return tuple(sorted(folder for folder in folders if os.path.isdir(folder)))
