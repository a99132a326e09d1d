"""What the scanners find in everything that would be sent: kinds of personal data, where they stood, and credentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from hroute.router.signals.blocks import Block, BlockCache, Where, scanned
from hroute.router.signals.scanner import Place
from hroute.schema.policy import SignalSettings
from hroute.terms.signal import ABSENT, UNSPECIFIED, Value

NAMES: Final = ("pii", "contains_pii", "contains_secret", "pii_in")


class Scanner(Protocol):
    """Reads one text. `version` names what it looks for, so that its answers can be kept."""

    @property
    def version(self) -> str: ...

    def scan(self, text: str) -> tuple[Place, ...]: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """A kind of personal data or credential, found from character `start` to `end` (exclusive) of one block; no text."""

    kind: str
    start: int
    end: int
    where: Where


@dataclass(frozen=True, slots=True)
class Found:
    """What one scanner says of a whole request. `unsure` are the places of blocks where it failed or could not read."""

    findings: tuple[Finding, ...] = ()
    unsure: frozenset[str] = frozenset()


def look(blocks: Iterable[Block], scanner: Scanner, cache: BlockCache | None) -> Found:
    """Runs `scanner` over every block; one that raises makes its block unsure, which counts as found."""
    findings: list[Finding] = []
    unsure: set[str] = set()
    for block in blocks:
        places = _scan(block, scanner, cache)
        if places is None:
            unsure.add(block.where)
        else:
            findings.extend(Finding(*place, block.where) for place in places)
    return Found(tuple(findings), frozenset(unsure))


def _scan(block: Block, scanner: Scanner, cache: BlockCache | None) -> tuple[Place, ...] | None:
    if not block.head and block.value is None:
        return ()
    if cache is not None:
        return cache.scan(scanner.version, block, scanner.scan).places
    return scanned(block.text, scanner.scan).places


def personal(found: Found, given: Mapping[str, Value], settings: SignalSettings) -> tuple[frozenset[str], bool]:
    """(`pii`, `contains_pii`): what was found united with what the caller raises; each follows from the other.

    The caller can lower them only where the policy trusts it with `contains_pii`: then `contains_pii: false` takes away
    every kind that counts, and a given `pii` stands for what would be found.
    """
    counts = settings.pii.counts | {UNSPECIFIED}
    said, named = given.get("contains_pii", ABSENT), given.get("pii", ABSENT)
    kinds = frozenset(f.kind for f in found.findings) | (frozenset((UNSPECIFIED,)) if found.unsure else frozenset())
    if isinstance(named, frozenset):
        kinds = named if settings.trust_caller else kinds | named
    if said is False and settings.trust_caller:
        kinds -= counts
    elif said is True and kinds.isdisjoint(counts):
        kinds |= {UNSPECIFIED}
    return kinds, not kinds.isdisjoint(counts)


def unread(blocks: Iterable[Block]) -> frozenset[str]:
    """Where parts stand that no detector can read."""
    return frozenset(block.where for block in blocks if block.unread)
