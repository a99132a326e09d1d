"""Numbers that a bank or the United States give to one person, known by checksum or by the format they are written in."""

from __future__ import annotations

from typing import Final

from hroute.router.signals.kinds.detector import Candidate, Detector, formatted

_CARD_CUES: Final = ("card", "credit", "debit", "visa", "master", "amex", "american express", "discover", "diners", "maestro", "cvv", "cvc", "kreditkarte", "karte", "carte", "tarjeta", "carta di", "cc", "cartão", "kaart")  # fmt: skip
_CARD_LENGTHS: Final = (
    # (first digits from, to, lengths): the issuers' published ranges
    (300, 305, (14,)), (36, 36, (14, 15, 16, 17, 18, 19)), (38, 39, (14, 16)), (34, 34, (15,)), (37, 37, (15,)), (4, 4, (16, 19)), (51, 55, (16,)),
    (2221, 2720, (16,)), (2200, 2204, (16, 19)), (6011, 6011, (16, 19)), (644, 649, (16, 19)), (65, 65, (16, 19)), (62, 62, (16, 17, 18, 19)), (3528, 3589, (16, 19)),
)  # fmt: skip
_USUAL: Final = (14, 15, 16)  # of the others one integer in ten would pass
_IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18,
    "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + index % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0 and any(d != "0" for d in digits)


def mod97(iban: str) -> bool:
    """ISO 7064 MOD 97-10, as an IBAN uses it (ISO 13616)."""
    moved = iban[4:] + iban[:4]
    return moved.isascii() and moved.isalnum() and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def _known_card(digits: str) -> bool:
    return any(
        low <= int(digits[: len(str(low))]) <= high and len(digits) in lengths for low, high, lengths in _CARD_LENGTHS
    )


def _card(found: Candidate) -> bool:
    """A valid number of a known issuer, grouped or of a usual length; else one beside a cue word, or grouped as cards are."""
    digits = found.digits
    if not found.whole or not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    known, valid, cued = _known_card(digits), luhn(digits), found.near(_CARD_CUES)
    if not cued and _in_a_table(found):
        return False
    if known and valid and (len(digits) in _USUAL or not found.value.isdigit()):
        return True
    if valid and cued:
        return True
    groups = [len(group) for group in found.value.replace("-", " ").replace(".", " ").split()]
    in_format = groups in ([4, 4, 4, 4], [4, 6, 5], [4, 6, 4], [4, 4, 4, 4, 3])
    return cued and len(digits) >= 14 if not in_format else known or cued


def _in_a_table(found: Candidate) -> bool:
    """Whether two more groups of four digits stand beside it: of numbers in a row one in a hundred is a card's."""
    before = found.before(10).rsplit(None, 2)[-2:] if found.before(1) == " " else []
    after = found.after(10).split(None, 2)[:2] if found.after(1) == " " else []
    return sum(len(group) == 4 and group.isdigit() for group in (*before, *after)) >= 2


def _spaced_card(found: Candidate) -> bool:
    """Every digit by itself: an evasion, or a list of numbers, which is no valid number of a known issuer."""
    return found.whole and len(set(found.digits)) > 1 and _known_card(found.digits) and luhn(found.digits)


def _iban(found: Candidate) -> bool:
    compact = found.compact
    if not found.stands_alone or len(compact) != _IBAN_LENGTHS.get(compact[:2], 0):
        return False
    if mod97(compact):
        return True
    grouped = all(len(group) == 4 for group in found.value.replace("-", " ").split(" ")[:-1]) and " " in found.value
    return grouped or found.near(("iban", "bank", "konto", "compte", "cuenta"))


def _iban_alone(found: Candidate) -> Candidate:
    """Cut to the country's length: the groups that follow an IBAN are words."""
    left = _IBAN_LENGTHS.get(found.value[:2].upper(), 0)
    for index, character in enumerate(found.value):
        left -= character.isalnum()
        if left == 0:
            return Candidate(found.text, found.start, found.start + index + 1)
    return found


def _ssn(found: Candidate) -> bool:
    digits = found.digits
    whole = found.stands_alone and found.before(1) not in "-." and found.after(1) != "-"
    return whole and digits[:3] != "000" and digits[3:5] != "00" and digits[5:] != "0000"


def _spaced_ssn(found: Candidate) -> bool:
    return _ssn(found) and found.near(("ssn", "social security", "social-security", "itin"))


IDENTITY: Final[tuple[Detector, ...]] = (
    Detector("iban", r"[a-z]{2}\d{2}(?:[ .-]?[a-z0-9]{4}){2,7}(?:[ .-]?[a-z0-9]{1,3})?", (r"[a-z]{2}\d{2}",), _iban, _iban_alone),
    Detector("payment_card", r"\d{13,19}|\d{4}[ .-]{1,2}\d{4}[ .-]{1,2}\d{4}[ .-]{1,2}\d{4}(?:[ .-]\d{3})?|\d{4}[ .-]{1,2}\d{6}[ .-]{1,2}\d{4,5}", (r"\d{13}|\d{4}[ .-]{1,2}\d{4}[ .-]|\d{4}[ .-]{1,2}\d{6}",), _card),
    Detector("payment_card", r"\d(?:[ ._-]\d){12,18}", (r"(?:\d[ ._-]){9}",), _spaced_card),
    formatted("us_ssn", r"\d{3}-\d{2}-\d{4}", _ssn),
    formatted("us_ssn", r"\d{3}[ .]\d{2}[ .]\d{4}", _spaced_ssn),
)  # fmt: skip
