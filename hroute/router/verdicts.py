"""A verdict on an answer as it is kept: good or bad, who says so, and a note without personal data."""

from __future__ import annotations

import time
from typing import Final, Literal, cast

from hroute.errors import UsageError
from hroute.ledger.feedback import VERDICTS
from hroute.ledger.records import Feedback
from hroute.router.signals.pii import scanner_for
from hroute.router.signals.secrets import SECRETS
from hroute.schema.policy import PiiSettings
from hroute.terms.signal import PERSONAL_KINDS

LONGEST: Final = 1_000
"""Characters of a note."""


def verdict(request: str, word: str, note: str = "", source: str = "") -> Feedback:
    """What somebody thinks of the answer to a request, now. Raises UsageError where it is no verdict, or where the note
    holds personal data or a secret: the ledger keeps none."""
    if word not in VERDICTS:
        raise UsageError(f"`{word}` is no verdict", help=" or ".join(VERDICTS))
    if len(note) > LONGEST:
        raise UsageError(f"a note has at most {LONGEST:,} characters, this one {len(note):,}")
    found = sorted({kind for kind, _, _ in scanner_for(_EVERYTHING).scan(note)})
    if found or SECRETS.scan(note):
        raise UsageError(
            f"the note holds what the ledger does not keep: {', '.join(found) or 'a secret'}", help="say it without"
        )
    plain = note.encode("utf-8", "replace").decode().replace("\0", "")
    return Feedback(request, int(time.time() * 1000), cast(Literal["good", "bad"], word), source, plain)


_EVERYTHING: Final = PiiSettings(frozenset(PERSONAL_KINDS), frozenset(PERSONAL_KINDS))
