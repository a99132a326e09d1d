"""Telephone numbers: in a telephone's own format, or any groups of digits beside a cue word.

Digits are everywhere and most are no telephone: a date, an amount, an order. So a number counts in a form that only
telephones have; with a country code only where the `phonenumbers` library finds it possible (imported when the first one turns up).
"""

from __future__ import annotations

from typing import Final

from hroute.router.signals.kinds.detector import DIGITS, Candidate, Detector

_EXTENSION: Final = r"(?: ?(?:x|ext\.?) ?\d{1,6})?"
_AMERICAN: Final = rf"\(\d{{3}}\)[ -]?\d{{3}}[-. ](?:\d{{4}}{_EXTENSION}|\d{{2}}[-. ]\d{{2}})|\d{{3}}[-.]\d{{3}}[-.]\d{{4}}{_EXTENSION}|\b[78][ -]?\d{{3}}[ -]\d{{3}}-\d{{2}}-\d{{2}}|\b1[-. ]\d{{3}}[-. ]\d{{3}}[-. ]\d{{4}}{_EXTENSION}"
_EUROPEAN: Final = r"0[1-9](?:[ .]\d{2}){4}|0\d{2,4} \d{3,4} \d{3,4}|07\d{3} ?\d{6}|\(0\d{1,4}\) ?\d{3,4}[ -]?\d{3,5}|0\d{2,4}[/-]\d{6,8}|01[5-7]\d{1,2} ?\d{7,8}"
_ABROAD: Final = (
    rf"(?:\+\d|00[1-9])\d{{0,2}}(?:[ .()/-]{{0,3}}\d{{1,5}}){{1,6}}{_EXTENSION}|00[1-9]\d(?:[ .-]\d{{1,5}}){{2,5}}"
)
_ANY: Final = r"\(?\+?\d(?:[ ./()-]{0,2}\d){5,14}" + _EXTENSION

_BEFORE: Final = r"phone|telephone|tel|tel\.|call|calls|called|mobile|cell|cellphone|fax|whatsapp|contact|contacts|reach|text me|sms|messages? to|number is|number:|my number|his number|her number|handy|handynummer|rufnummer|telefon|telefonnummer|mobil|mobilnummer|téléphone|portable|numéro|móvil|teléfono|celular|cel|telefono|mio numero|mi número|mi numero|meu número|meine nummer|mijn nummer|телефон|тел\.|моб\.|cellulare|telefone|telemóvel|telefoon|mobiel|puhelin|ring|dial|hotline|pager|电话|手机|電話|전화"
_BEHIND: Final = r"office|fax|mobile|cell|home|work"


def _plain(found: Candidate) -> bool:
    """A telephone's length, nothing beside it that makes it a part of something else, and no date."""
    digits = found.digits
    beside = found.before(1) in ("-", "/", ".", "$", "€", "£", "#", "_", "=") or found.after(1) in ("-", "/", "%", "_")
    return (
        found.whole
        and not beside
        and 7 <= len(digits) <= 20
        and len(set(digits)) > 1
        and not looks_like_a_date(found.value)
    )


def _abroad(found: Candidate) -> bool:
    """With a country code that there is, and as many digits as numbers of that country have."""
    import phonenumbers

    if not found.whole or found.before(1) in (".", "/", "-", "$") or not _plain_length(found):
        return False
    digits = found.digits.removeprefix("00")
    if not any(int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE for length in (1, 2, 3)):
        return False
    value = found.value.lower().partition("x")[0].replace("e", "")
    try:
        number = phonenumbers.parse("+" + value[2:] if value.startswith("00") else value)
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_possible_number(number))


def _plain_length(found: Candidate) -> bool:
    return 8 <= len(found.digits) <= 20 and len(set(found.digits)) > 2


def _cued(found: Candidate) -> bool:
    """Groups of digits that a cue word stands before; too short ones are too often something else."""
    digits = found.digits
    if digits in "01234567890":
        return False
    short = len(digits) < 7 and found.value.isdigit()
    return (
        found.whole
        and not short
        and 6 <= len(digits) <= 20
        and len(set(digits)) > 1
        and not looks_like_a_date(found.value)
    )


def looks_like_a_date(value: str) -> bool:
    """Whether digits in three groups are as long as those of a date, or begin with an ISO date, with its signs or without."""
    if len(value) == 8 and value.isdigit() and value[:2] in ("19", "20"):
        return 1 <= int(value[4:6]) <= 12 and 1 <= int(value[6:]) <= 31
    groups = value.replace("/", "-").replace(".", "-").replace(" ", "-").split("-")
    sizes = [len(group) for group in groups]
    if len(groups) >= 3 and sizes[:3] == [4, 2, 2] and groups[0][:2] in ("19", "20"):
        return True
    return len(groups) == 3 and sorted(sizes) in ([1, 1, 4], [1, 2, 4], [2, 2, 4], [2, 2, 2])


PHONE: Final[tuple[Detector, ...]] = (
    Detector("phone", _AMERICAN, (r"\(\d{3}\)|\d{3}[-. ]\d{3}[-. ]\d{4}",), _plain),
    Detector("phone", _ABROAD, (r"\+\d|00[1-9]",), _abroad),
    Detector("phone", _EUROPEAN, (r"0\d{1,4}[ )./-]|07\d{3}",), _plain),
    Detector("phone", rf"(?:^|[^a-z\d])(?:{_BEFORE})(?:[^\d\n]{{0,2}}|[^a-z\d\n_][^\d\n_]{{0,24}})({_ANY})", (_BEFORE, DIGITS), _cued),
    Detector("phone", rf"({_ANY})[^\pL\d\n]{{1,4}}(?:{_BEHIND})\b", (_BEHIND, DIGITS), _cued),
)  # fmt: skip
