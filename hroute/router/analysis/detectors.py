"""Findings about detectors that are no part of hroute: whether what they need is installed."""

from __future__ import annotations

from collections.abc import Iterator

from hroute.router.analysis.subject import Diagnostic, Subject, finding

_PRESIDIO = ("signals", "pii", "presidio")


def models(subject: Subject) -> Iterator[Diagnostic]:
    """HR024: Presidio, or the spaCy pipeline that it is to use, is not installed. Every request would count as tainted."""
    settings = subject.policy.signals.pii.presidio
    if settings is None:
        return
    from hroute.router.signals.presidio import PACKAGE, missing

    lacking = missing(settings)
    if lacking is None:
        return
    package = lacking == PACKAGE.replace("_", "-")
    message = (
        f"`presidio` needs the package `{lacking}`" if package else f"`presidio` finds no spaCy pipeline `{lacking}`"
    )
    help = (
        "from the checkout: pip install -e '.[presidio]'"
        if package
        else f"install it (python -m spacy download {lacking}), name a folder that holds one, or `model: blank`"
    )
    span = subject.source.span(_PRESIDIO) if subject.source is not None else subject.span
    yield finding("HR024", message, span, help=f"{help}; until then every request would count as personal")
