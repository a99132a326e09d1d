"""Microsoft Presidio beside the built-in detectors, for what needs a language model: names, places without a number.

Nothing of it opens a connection: the spaCy pipeline is one that is installed here (Presidio itself would fetch a missing
one), and its recogniser of e-mail addresses, which fetches a list of domains, is never asked; the built-in detector finds
those. A model has no bound by bytes, so a request has a time: what is not read by then counts as found.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import blake2b
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Final

from hroute.router.signals.pii import allowing
from hroute.router.signals.scanner import Place
from hroute.schema.policy import PresidioSettings
from hroute.terms.signal import UNSPECIFIED

PACKAGE: Final = "presidio_analyzer"
BLANK: Final = "blank"
"""In place of a pipeline's name: no model, patterns only."""
KINDS: Final = {
    "PERSON": "person", "LOCATION": "location", "GPE": "location", "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "payment_card", "IBAN_CODE": "iban", "US_SSN": "us_ssn", "US_ITIN": "us_ssn",
    "US_PASSPORT": "passport", "UK_PASSPORT": "passport", "IN_PASSPORT": "passport", "US_DRIVER_LICENSE": "driver_license", "IT_DRIVER_LICENSE": "driver_license", "US_BANK_NUMBER": "bank_account", "IP_ADDRESS": "ip", "URL": "url",
    "DATE_TIME": "date", "MAC_ADDRESS": "mac", "MEDICAL_LICENSE": "medical_record", "UK_NHS": "medical_record", "UK_NINO": "national_id", "ES_NIF": "national_id", "IT_FISCAL_CODE": "national_id", "IN_AADHAAR": "national_id",
    "IN_PAN": "national_id", "SG_NRIC_FIN": "national_id", "AU_TFN": "national_id", "PL_PESEL": "national_id", "FI_PERSONAL_IDENTITY_CODE": "national_id", "NRP": UNSPECIFIED,
}  # fmt: skip
"""Presidio's name of an entity -> our kind; any other is `unspecified`, which always counts."""
_CONNECTING: Final = frozenset({"EMAIL_ADDRESS"})
_PIECE: Final = 50_000
"""Characters that are read at once: spaCy refuses more than a million, and a piece more is late sooner."""
_MOST: Final = 4
"""Scans that may run at once, those included that nobody waits for any longer."""


class OutOfTime(Exception):
    """The time of a request is over, and not all of it was read."""


def missing(settings: PresidioSettings) -> str | None:
    """What is not installed here: the package, or the pipeline; None where both are."""
    if find_spec(PACKAGE) is None:
        return PACKAGE.replace("_", "-")
    there = settings.model == BLANK or os.path.isdir(settings.model) or _is_installed(settings.model)
    return None if there else settings.model


@lru_cache(maxsize=4)
def scanner_for(settings: PresidioSettings, allow: tuple[str, ...] = ()) -> Presidio:
    """The scanner with these settings; equal settings share one, and its model is loaded once. `allow` are values that are
    nothing."""
    return Presidio(settings, allow)


class Presidio:
    """Scans texts with one model. Loaded at the first scan; a scan of what is not installed raises, which counts as found."""

    def __init__(self, settings: PresidioSettings, allow: tuple[str, ...] = ()) -> None:
        self._allowed = allowing(allow)
        digest = blake2b(repr((settings, allow)).encode("utf-8", "replace"), digest_size=6).hexdigest()
        self.version = f"presidio/{_version()}:{digest}"
        self._settings = settings
        self._analyze: Callable[[str], list[Any]] | None = None
        self._lock = threading.Lock()

    def scan(self, text: str) -> tuple[Place, ...]:
        """Every place, by its position, however long it takes."""
        analyze = self.load()
        found = [
            Place(KINDS.get(hit.entity_type, UNSPECIFIED), start + hit.start, start + hit.end)
            for start, piece in _pieces(text)
            for hit in analyze(piece)
            if not self._allowed(piece[hit.start : hit.end])
        ]
        return tuple(sorted(found, key=lambda place: place.start))

    def load(self) -> Callable[[str], list[Any]]:
        """The engine's call. Raises ImportError or OSError where something is not installed."""
        with self._lock:
            if self._analyze is None:
                self._analyze = _engine(self._settings)
            return self._analyze


class Hurried:
    """A scanner with the time of one request: what is scanned after it raises OutOfTime. A scan that hangs goes on in a
    thread that nobody waits for; where several hang, no further one is begun."""

    def __init__(self, scanner: Presidio, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.version = scanner.version
        self._scanner = scanner
        self._clock = clock
        self._seconds = seconds
        self._until: float | None = None

    def scan(self, text: str) -> tuple[Place, ...]:
        if self._until is None:
            self._scanner.load()  # takes seconds, once in the life of the process
            self._until = self._clock() + self._seconds
        left, running = self._until - self._clock(), _RUNNING
        if left <= 0 or not running.acquire(timeout=left):
            raise OutOfTime
        found: list[tuple[Place, ...] | BaseException] = []
        ended = threading.Event()

        def run() -> None:
            try:
                found.append(self._scanner.scan(text))
            except BaseException as error:
                found.append(error)
            finally:
                running.release()
                ended.set()

        threading.Thread(target=run, name="presidio", daemon=True).start()
        if not ended.wait(max(0.0, self._until - self._clock())):
            raise OutOfTime
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]


_RUNNING: Final = threading.BoundedSemaphore(_MOST)


def _engine(settings: PresidioSettings) -> Callable[[str], list[Any]]:
    """Presidio over a pipeline that is here, with the recognisers of the entities asked for and no other."""
    import logging

    import spacy  # type: ignore[import-not-found,unused-ignore]
    from presidio_analyzer import (  # type: ignore[import-not-found,unused-ignore]
        AnalyzerEngine,
        RecognizerRegistry,
    )
    from presidio_analyzer.nlp_engine import SpacyNlpEngine  # type: ignore[import-not-found,unused-ignore]

    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)  # what it says may hold the text
    language = settings.language
    pipeline = spacy.blank(language) if settings.model == BLANK else spacy.load(settings.model)
    nlp = SpacyNlpEngine(models=[{"lang_code": language, "model_name": settings.model}])
    nlp.nlp = {language: pipeline}
    registry = RecognizerRegistry(supported_languages=[language])
    registry.load_predefined_recognizers(languages=[language], nlp_engine=nlp)
    wanted = frozenset(settings.entities) - _CONNECTING
    registry.recognizers = [
        recognizer
        for recognizer in registry.recognizers
        if _CONNECTING.isdisjoint(recognizer.supported_entities)
        and not wanted.isdisjoint(recognizer.supported_entities)
    ]
    engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=[language])

    def analyze(text: str) -> list[Any]:
        return list(
            engine.analyze(text, language=language, entities=sorted(wanted), score_threshold=settings.score)
            if wanted
            else ()
        )

    return analyze


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """The text in pieces, each cut at a blank where there is one, with the place where it begins."""
    at = 0
    while at < len(text):
        end = at + _PIECE
        if end < len(text):
            blank = max(text.rfind(" ", at + _PIECE // 2, end), text.rfind("\n", at + _PIECE // 2, end))
            end = blank + 1 if blank > 0 else end
        yield at, text[at:end]
        at = end


def _is_installed(model: str) -> bool:
    try:
        return find_spec(model) is not None
    except (ImportError, ValueError):
        return False


def _version() -> str:
    try:
        return metadata.version(PACKAGE.replace("_", "-"))
    except metadata.PackageNotFoundError:
        return "missing"
