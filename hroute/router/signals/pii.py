"""Personal data in a text: which detectors a policy asks for, and which values it calls nothing.

Names of persons and free-form places need a language model and are not found (`kinds.NOT_FOUND`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from hroute.router.signals.kinds import DETECTORS
from hroute.router.signals.kinds.detector import formatted
from hroute.router.signals.scanner import TextScanner
from hroute.schema.policy import PiiSettings

VERSION: Final = "pii/3"


def pii_scanner(kinds: Iterable[str], allow: Iterable[str] = (), custom: Iterable[tuple[str, str]] = ()) -> TextScanner:
    """The detectors of `kinds` and the `custom` ones (kind, RE2), which claim first; `allow` are values that are nothing:
    a value itself, or every address under `@domain`."""
    wanted, own, nothings = frozenset(kinds), tuple(custom), tuple(allow)
    said = repr((VERSION, sorted(wanted), nothings, own))
    detectors = (*(formatted(kind, p) for kind, p in own), *(d for d in DETECTORS if d.kind in wanted))
    digest = blake2b(said.encode("utf-8", "replace"), digest_size=6).hexdigest()
    return TextScanner(detectors, f"{VERSION}:{digest}", allowing(nothings))


def allowing(allow: Iterable[str]) -> Callable[[str], bool]:
    """Whether a value is one of `allow`, whatever its case, blanks and hyphens; `@domain` is every address under it."""
    nothings = tuple(_compact(value) for value in allow)

    def allowed(value: str) -> bool:
        compact = _compact(value)
        return any(compact == nothing or (nothing[:1] == "@" and compact.endswith(nothing)) for nothing in nothings)

    return allowed


def scanner_for(settings: PiiSettings) -> TextScanner:
    """The compiled scanner of a policy's settings; equal settings share one."""
    return _scanner(settings.kinds, settings.allow, tuple(sorted(settings.custom.items())))


@lru_cache(maxsize=16)
def _scanner(kinds: frozenset[str], allow: tuple[str, ...], custom: tuple[tuple[str, str], ...]) -> TextScanner:
    return pii_scanner(kinds, allow, custom)


def _compact(value: str) -> str:
    return "".join(c for c in value.casefold() if c not in " -")
