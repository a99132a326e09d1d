"""What kinds of personal data look like: one table of detectors, in the order in which they claim a place."""

from __future__ import annotations

from typing import Final

from hroute.router.signals.kinds.cued import CUED
from hroute.router.signals.kinds.detector import Candidate, Detector
from hroute.router.signals.kinds.identity import IDENTITY
from hroute.router.signals.kinds.national import NATIONAL
from hroute.router.signals.kinds.places import PLACES
from hroute.router.signals.kinds.reach import REACH

DETECTORS: Final[tuple[Detector, ...]] = (*CUED, *IDENTITY, *NATIONAL, *REACH, *PLACES)
"""Cued kinds first: a number that a cue word names is that kind, whatever else it looks like."""

NOT_FOUND: Final = ("person", "location")
"""Kinds that need a language model: no pattern finds a name or a free-form place."""

__all__ = ["DETECTORS", "NOT_FOUND", "Candidate", "Detector"]
