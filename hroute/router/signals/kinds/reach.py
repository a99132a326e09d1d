"""Ways to reach a person or a device: e-mail, telephone, network addresses, links, and plain dates."""

from __future__ import annotations

from typing import Final

from hroute.router.signals.kinds.detector import Candidate, Detector

_ENDINGS: Final = "png jpg jpeg gif svg webp ico bmp js mjs cjs ts tsx jsx css scss html htm json yaml yml toml xml py rb go rs java kt c h cpp hpp sh md txt csv pdf zip gz tar lock map"
_FILES: Final = frozenset(_ENDINGS.split())
_ROBOTS: Final = ("noreply", "no-reply", "donotreply", "do-not-reply", "git")
_PHONE_CUES: Final = ("phone", "tel", "call", "mobile", "cell", "fax", "whatsapp", "contact", "reach", "text me", "sms", "number is", "handy", "telefon", "portable", "móvil", "teléfono", "ring", "dial")  # fmt: skip
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


def _phone(found: Candidate) -> bool:
    """A number in a telephone format: +country, (area), or three groups with separators."""
    digits = found.digits
    if (
        not found.stands_alone
        or found.inside_number
        or found.before(1) in ("-", "/", ".")
        or found.after(1) in ("-", "/")
    ):
        return False
    return 7 <= len(digits) <= 15 and len(set(digits)) > 1


def _cued_phone(found: Candidate) -> bool:
    """A bare run of groups counts beside a cue word, and where it is no date."""
    if not _phone(found) or _looks_like_a_date(found.value):
        return False
    return found.near(_PHONE_CUES, 40, behind=0)


def _looks_like_a_date(value: str) -> bool:
    groups = value.replace("/", "-").replace(".", "-").replace(" ", "-").split("-")
    return len(groups) == 3 and sorted(map(len, groups)) in ([1, 1, 4], [1, 2, 4], [2, 2, 4])


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
    return not (words and words[-1] in _VERSION_CUES)


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


def _date(found: Candidate) -> bool:
    return found.stands_alone and not found.inside_number


_GROUPED: Final = r"\(\d{3}\)[ -]?\d{3}[-. ]\d{4}|\d{3}[-.]\d{3}[-.]\d{4}|\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,6}|00[1-9]\d(?:[ .-]\d{1,5}){2,5}|\b1[-. ]\d{3}[-. ]\d{3}[-. ]\d{4}"

REACH: Final[tuple[Detector, ...]] = (
    Detector("email", r"[^\s@]@[^\s@]", r"[\pL\pN._%+'\-]+@(?:[\pL\pN](?:[\pL\pN-]*[\pL\pN])?\.)+\pL{2,24}", _email),
    Detector("mac", r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", _mac),
    Detector("ip", r"\d\.\d{1,3}\.\d{1,3}\.\d", r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", _ipv4),
    Detector("ip", r"[0-9a-f]:[0-9a-f]{1,4}:[0-9a-f:]|[0-9a-f]::[0-9a-f]", r"[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}", _ipv6),
    Detector("phone", r"\(\d{3}\)|\d{3}[-.]\d{3}[-.]\d{4}|\+\d{1,3}[ .(-]?\d|00[1-9]\d[ .-]|1[-. ]\d{3}[-. ]\d{3}", _GROUPED, _phone),
    Detector("phone", r"\d(?:[ ./()-]{0,2}\d){6}", r"\(?\d(?:[ ./()-]{0,2}\d){6,14}", _cued_phone),
    Detector("date", r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}", r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}", _date),
    Detector("url", r"https?://", r"https?://[^\s<>\"'`]+"),
)  # fmt: skip
