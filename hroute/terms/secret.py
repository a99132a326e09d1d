"""Credentials by reference: `env:NAME` and `keyring:NAME`, how they resolve, and how a literal one is kept off every page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from math import log2
from typing import Any, Final

REDACTED: Final = "[secret]"

NO_LOGIN: Final = "hroute"
"""What a program without a login of its own may send in its place, since many want one before they ask anybody: it is
nobody's, and opens nothing."""

# Shapes of credentials that vendors publish; each is a whole word of at least the given length.
_PREFIXES: Final = (
    "sk-ant-", "sk-proj-", "sk-or-", "sk-", "sk_live_", "sk_test_", "rk_live_", "pk_live_", "ghp_", "gho_", "ghs_", "ghu_", "github_pat_",
    "glpat-", "xoxb-", "xoxp-", "xapp-", "AKIA", "ASIA", "AIza", "gsk_", "hf_", "r8_", "xai-", "pplx-", "nvapi-", "tvly-", "fw_",
)  # fmt: skip
_SHORTEST: Final = 16
_WORD: Final = "A-Za-z0-9_\\-"


def is_reference(text: str) -> bool:
    """Whether `text` names a secret (`env:NAME`, `keyring:NAME`) instead of being one."""
    kind, separator, name = text.partition(":")
    if not separator or not name.isascii():
        return False
    if kind == "env":
        return name.replace("_", "a").isalnum() and not name[0].isdigit()
    return kind == "keyring" and bool(name.strip()) and name.isprintable()


def resolve(
    reference: str, environ: Mapping[str, str], keyring: Callable[[str], str | None] | None = None
) -> str | None:
    """What `reference` stands for; None where it is not set or empty. A text that is no reference is itself."""
    if not is_reference(reference):
        return reference
    kind, _, name = reference.partition(":")
    found = environ.get(name) if kind == "env" else keyring(name) if keyring else _kept(name, environ)
    return found.strip() or None if found else None


def looks_literal(text: str) -> bool:
    """Whether `text` is probably a credential pasted in clear (HR307): a vendor's shape, or one long random word."""
    text = text.strip().removeprefix("Bearer ").strip()
    if is_reference(text) or not text.isascii() or any(c.isspace() for c in text) or "://" in text:
        return False
    if any(text.startswith(p) and len(text) >= max(_SHORTEST, len(p) + 8) for p in _PREFIXES):
        return True
    longest = max(_runs(text), key=len, default="")
    mixed = any(c.isdigit() for c in longest) and any(c.isalpha() for c in longest)
    return len(longest) >= 20 and mixed and _bits_per_character(longest) >= 3.0


def redact(text: str) -> str:
    """`text` with everything that looks like a credential replaced by `[secret]`."""
    for pattern, mend in _patterns():
        text = pattern.sub(mend, text)
    return text


@cache
def _patterns() -> tuple[tuple[Any, str], ...]:
    import re2  # type: ignore[import-untyped,unused-ignore]

    prefixes = "|".join(p.replace("-", "\\-") for p in _PREFIXES)
    return (
        (re2.compile(rf"\b(?:{prefixes})[{_WORD}]{{8,}}"), REDACTED),
        (re2.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/\-]{8,}=*"), rf"\1 {REDACTED}"),
        (re2.compile(r"(?i)\b((?:x-)?api[_\-]?key|authorization|token|password|secret)(\s*[=:]\s*)[^\s,;&\"']{6,}"), rf"\1\2{REDACTED}"),
        (re2.compile(r"(://)[^/@\s]+:[^/@\s]+@"), rf"\1{REDACTED}@"),
        (re2.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"), REDACTED),
    )  # fmt: skip


def _kept(name: str, environ: Mapping[str, str]) -> str | None:
    """What `hroute keys set NAME` stored, or another program in the system's keyring under our service."""
    from hroute.terms import keystore

    return keystore.find(name, environ)


def _runs(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text).split()


def _bits_per_character(text: str) -> float:
    """Shannon entropy of the characters of `text`, in bits."""
    shares = [text.count(c) / len(text) for c in set(text)]
    return -sum(share * log2(share) for share in shares)
