"""Ways to reach a person or a device: e-mail, telephone, network addresses, links, and plain dates."""

from __future__ import annotations

from typing import Final

from hroute.router.signals.kinds.detector import Candidate, Detector, formatted
from hroute.router.signals.kinds.phone import PHONE

_ENDINGS: Final = "png jpg jpeg gif svg webp ico bmp js mjs cjs ts tsx jsx css scss html htm json yaml yml toml xml py rb go rs java kt c h cpp hpp sh md txt csv pdf zip gz tar lock map"
_FILES: Final = frozenset(_ENDINGS.split())
_ROBOTS: Final = ("noreply", "no-reply", "donotreply", "do-not-reply", "git")
_LITTLE: Final = ("you", "i", "we", "they", "it", "look", "looking", "me", "us", "him", "her", "them")
_VERSION_CUES: Final = ("version", "release", "ver.", "build", "v")


def _email(found: Candidate) -> bool:
    """An address of a person: no file name (`icon@2x.png`), no login in a link, no machine that never reads."""
    local, _, domain = found.value.rpartition("@")
    ending = domain.rpartition(".")[2].lower()
    if ending in _FILES or local.strip(".").lower() in _ROBOTS:
        return False
    word = found.before(200).rsplit(None, 1)[-1] if not found.before(1).isspace() and found.start else ""
    _, scheme, rest = word.rpartition("://")
    return not (scheme and not set("/?#") & set(rest))


def _spelled(found: Candidate) -> bool:
    """`jane at example dot com`: no word of a sentence on either side of `at`, which only brackets or `dot` tell."""
    return found.stands_alone and found.value.split()[0].lower() not in _LITTLE


def _ipv4(found: Candidate) -> bool:
    """Four numbers up to 255 that are no version, and no address that every machine has."""
    parts = found.value.split(".")
    if (
        found.before(1).isalnum()
        or found.before(1) in (".", "-")
        or found.after(1).isalnum()
        or found.after(1) == "-"
        or found.inside_number
    ):
        return False
    if any(int(part) > 255 or (len(part) > 1 and part[0] == "0") for part in parts):
        return False
    if found.value.startswith(("127.", "0.")) or found.value == "255.255.255.255":
        return False
    words = found.before(20).replace(":", " ").replace("=", " ").replace('"', " ").split()
    return not (words and words[-1].endswith(_VERSION_CUES))


def _ipv6(found: Candidate) -> bool:
    from ipaddress import IPv6Address

    value = found.value
    if not found.stands_alone or found.before(1) == ":" or found.after(1) == ":" or not any(c.isdigit() for c in value):
        return False
    if len([group for group in value.split(":") if group]) < 3:
        return False
    try:
        return not IPv6Address(value).is_loopback
    except ValueError:
        return False


def _mac(found: Candidate) -> bool:
    digits = set(found.value.lower()) - set(":-")
    return (
        found.stands_alone
        and found.before(1) not in (":", "-")
        and found.after(1) not in (":", "-")
        and len(digits) > 1
    )


def _mac_of_a_switch(found: Candidate) -> bool:
    """Three groups of four, as switches print it: with a letter, else it is a number; no part of a version or an address."""
    digits = found.value.replace(".", "")
    return (
        found.whole and any(c.isalpha() for c in digits) and any(c.isdigit() for c in digits) and len(set(digits)) > 2
    )


def _spaced(found: Candidate) -> bool:
    """`jane @ example . com`: no product of matrices, which goes on as code does."""
    return found.stands_alone and found.after(1) not in ("(", "[", "_") and found.before(1) not in ("(", ".", "_")


def _date(found: Candidate) -> bool:
    """Any day but today, which programs tell a model with every request."""
    return found.whole and not found.near(("today", "current date", "now"), 24, 0)


_AT: Final = r"(?: ?[\[({<] ?(?:at|@) ?[\])}>] ?|&#64;|&commat;)"
_DOT: Final = r"(?: ?[\[({<] ?dot ?[\])}>] ?| dot )"
_ENDS: Final = r"com|org|net|edu|gov|info|io|co|me|eu|de|fr|es|it|nl|uk|ch|at|be|pl|se|no|dk|fi|us|ca|au|jp|in|br"

REACH: Final[tuple[Detector, ...]] = (
    Detector("email", r"[\pL\pN._%+'\-]+@(?:[\pL\pN](?:[\pL\pN-]*[\pL\pN])?\.)+\pL{2,24}", (r"[^\s@]@[^\s@]",), _email),
    Detector("email", rf"[a-z0-9._+-]+{_AT}[a-z0-9-]+(?:(?:{_DOT}|\.)[a-z0-9-]+)+", (_AT,), _spelled),
    Detector("email", rf"[a-z0-9._+-]+(?: at |_at_)[a-z0-9-]+(?:{_DOT}[a-z0-9-]+)*{_DOT}(?:{_ENDS})\b", (rf"{_DOT}(?:{_ENDS})",), _spelled),
    Detector("email", rf"[a-z0-9._+-]+ ?@ ?[a-z0-9-]+(?:{_DOT}[a-z0-9-]+)*{_DOT}(?:{_ENDS})\b", (rf"{_DOT}(?:{_ENDS})",), _spelled),
    Detector("email", r"[a-z0-9._+-]+ @ [a-z0-9-]+(?: ?\. ?[a-z0-9-]+)*? ?\. ?(?:com|org|net|edu|info|de|fr|uk|es|ru)\b", (r" @ ",), _spaced),
    Detector("mac", r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}", (r"\.[0-9a-f]{4}\.",), _mac_of_a_switch),
    Detector("mac", r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", (r"(?:[:-][0-9a-f]{2}){3}",), _mac),
    Detector("ip", r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", (r"\d\.\d{1,3}\.\d",), _ipv4),
    Detector("ip", r"[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}", (r":[0-9a-f]{0,4}:[0-9a-f]",), _ipv6),
    *PHONE,
    formatted("date", r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}", _date),
    Detector("url", r"https?://[\pL\d\[][^\s<>\"'`]*", (r"https?://",)),
)  # fmt: skip
