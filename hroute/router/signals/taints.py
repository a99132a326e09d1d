"""What the scanners find in everything that would be sent: kinds of personal data, where they stood, and credentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from hroute.router.signals.blocks import Block, BlockCache, Sent, Where, scanned
from hroute.router.signals.pii import scanner_for
from hroute.router.signals.scanner import Place
from hroute.router.signals.secrets import SECRETS
from hroute.schema.policy import SignalSettings
from hroute.terms.signal import ABSENT, UNSPECIFIED, Value

NAMES: Final = ("pii", "contains_pii", "contains_secret", "pii_in")


class Scanner(Protocol):
    """Reads one text. `version` names what it looks for, so that its answers can be kept."""

    @property
    def version(self) -> str: ...

    def scan(self, text: str) -> tuple[Place, ...]: ...


WITHOUT_NUMBERS: Final = frozenset(("email", "username"))
"""What a tool's schema is searched for: below its description stand limits and patterns, and no number is anybody's."""


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


@dataclass(frozen=True, slots=True)
class Detectors:
    """The scanners of taints; None: the built-in ones with the policy's settings."""

    pii: Scanner | None = None
    secrets: Scanner | None = None


class Taints:
    """The taints of one request, each scan made when it is first asked for.

    They follow from what was found and from what the caller raises (`given`); `sent` has every block, none where there
    is no text.
    """

    def __init__(
        self,
        settings: SignalSettings,
        sent: Sent,
        given: Mapping[str, Value],
        cache: BlockCache | None,
        detectors: Detectors,
    ) -> None:
        self._settings = settings
        self._sent = sent
        self._given = given
        self._cache = cache
        self._detectors = detectors
        self._personal: Found | None = None
        self._secret: Found | None = None

    def of(self, name: str) -> Value:
        """The value of one of NAMES."""
        match name:
            case "contains_secret":
                return self._given.get(name) is True or bool(self.secret.findings or self.secret.unsure)
            case "pii_in":
                return self._places()
            case _:
                kinds, contains = personal(self.personal, self._given, self._settings)
                return kinds if name == "pii" else contains

    def is_assumed(self, name: str) -> bool:
        """Whether, without a text, nobody has said anything about it (SEMANTICS 1.3)."""
        twins = ("pii", "contains_pii") if name in ("pii", "contains_pii") else (name,)
        return not any(twin in self._given for twin in twins)

    @property
    def personal(self) -> Found:
        """Personal data, by kind and place."""
        if self._personal is None:
            sent = self._sent.blocks()
            scanner = self._detectors.pii or scanner_for(self._settings.pii)
            found = look(sent, scanner, self._cache, self._settings.pii.counts)
            hidden = unread(sent) if self._settings.unread_taints else frozenset()
            also = self._by_model(sent)
            self._personal = Found((*found.findings, *also.findings), found.unsure | also.unsure | hidden)
        return self._personal

    @property
    def secret(self) -> Found:
        """Credentials, by kind and place."""
        if self._secret is None:
            self._secret = look(self._sent.blocks(), self._detectors.secrets or SECRETS, self._cache)
        return self._secret

    def _by_model(self, sent: Iterable[Block]) -> Found:
        """What a language model finds beside the patterns, where the policy asks one: kinds that it looks for, and no value
        that it calls nothing."""
        settings = self._settings.pii
        if settings.presidio is None or self._detectors.pii is not None:
            return Found()
        from hroute.router.signals.presidio import Hurried
        from hroute.router.signals.presidio import scanner_for as presidio_for

        hurried = Hurried(presidio_for(settings.presidio, settings.allow), settings.presidio.timeout)
        found = look((block for block in sent if not block.schema), hurried, self._cache)
        return Found(tuple(f for f in found.findings if f.kind in settings.kinds), found.unsure)

    def _places(self) -> frozenset[str]:
        """Where it stood; what the caller says is added, as for the taints that this belongs to."""
        found, said = self.personal, self._given.get("pii_in", ABSENT)
        kept = personal(found, self._given, self._settings)[0]
        return (
            frozenset(finding.where for finding in found.findings if finding.kind in kept)
            | (found.unsure if UNSPECIFIED in kept else frozenset())
            | (said if isinstance(said, frozenset) else frozenset())
        )


def look(
    blocks: Iterable[Block], scanner: Scanner, cache: BlockCache | None, in_tools: frozenset[str] | None = None
) -> Found:
    """Runs `scanner` over every block; one that raises makes its block unsure, which counts as found.

    `in_tools`, where given, are the kinds that count in what a tool is said to do; in its schema only WITHOUT_NUMBERS do.
    """
    findings: list[Finding] = []
    unsure: set[str] = set()
    for block in blocks:
        places = _scan(block, scanner, cache)
        if places is None:
            unsure.add(block.where)
        elif places:
            if in_tools is not None and block.schema:
                said = len(block.head)
                places = tuple(p for p in places if p.kind in (in_tools if p.end <= said else WITHOUT_NUMBERS))
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
