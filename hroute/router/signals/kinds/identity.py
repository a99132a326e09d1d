"""Numbers that a state or a bank gives to one person, known by checksum or by the format they are written in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hroute.router.signals.kinds import checksums as check
from hroute.router.signals.kinds.detector import Candidate, Detector

_CARD_CUES: Final = ("card", "credit", "debit", "visa", "master", "amex", "american express", "discover", "diners", "maestro", "cvv", "cvc", "kreditkarte", "karte", "carte", "tarjeta", "carta di")  # fmt: skip
_CARD_LENGTHS: Final = (
    # (first digits from, to, lengths): the issuers' published ranges
    (300, 305, (14,)), (36, 36, (14, 15, 16, 17, 18, 19)), (38, 39, (14, 16)), (34, 34, (15,)), (37, 37, (15,)), (4, 4, (16, 19)), (51, 55, (16,)),
    (2221, 2720, (16,)), (2200, 2204, (16, 19)), (6011, 6011, (16, 19)), (644, 649, (16, 19)), (65, 65, (16, 19)), (62, 62, (16, 17, 18, 19)), (3528, 3589, (16, 19)),
)  # fmt: skip
_IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18,
    "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def _known_card(digits: str) -> bool:
    return any(
        low <= int(digits[: len(str(low))]) <= high and len(digits) in lengths for low, high, lengths in _CARD_LENGTHS
    )


def _card(found: Candidate) -> bool:
    """A valid number of a known issuer; else one beside a cue word, or grouped as cards are."""
    digits = found.digits
    if not found.stands_alone or found.inside_number or not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    known, valid = _known_card(digits), check.luhn(digits)
    if known and valid:
        return True
    cued = found.near(_CARD_CUES)
    if valid and cued:
        return True
    groups = [len(group) for group in found.value.replace("-", " ").split(" ")]
    in_format = groups in ([4, 4, 4, 4], [4, 6, 5], [4, 6, 4], [4, 4, 4, 4, 3])
    return cued and len(digits) >= 14 if not in_format else known or cued


def _iban(found: Candidate) -> bool:
    compact = found.value.replace(" ", "").replace("-", "").upper()
    if not found.stands_alone or len(compact) != _IBAN_LENGTHS.get(compact[:2], 0):
        return False
    if check.mod97(compact):
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


def _checked(compute: Callable[[str], bool], cues: tuple[str, ...] = ()) -> Callable[[Candidate], bool]:
    """Accepts what stands alone and passes `compute` on its letters and digits (and beside a cue word, if any are given)."""

    def accept(found: Candidate) -> bool:
        if not found.stands_alone or found.inside_number:
            return False
        compact = "".join(c for c in found.value.upper() if c.isalnum())
        return compute(compact) and (not cues or found.near(cues))

    return accept


def _alone(found: Candidate) -> bool:
    return found.stands_alone and not found.inside_number


def _hetu(found: Candidate) -> bool:
    return found.stands_alone and check.hetu(found.value.upper())


def _aadhaar(digits: str) -> bool:
    return digits[0] not in "01" and check.verhoeff(digits)


def _born(digits: str) -> bool:
    """Whether digits 3 to 6 are a month and a day, as in several national numbers."""
    return 1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) <= 31


def _personnummer(digits: str) -> bool:
    short = digits[-10:]
    return _born(short) and check.luhn(short)


def _resident(value: str) -> bool:
    return 1 <= int(value[10:12]) <= 12 and 1 <= int(value[12:14]) <= 31 and check.resident(value)


def _nino(found: Candidate) -> bool:
    """No check digit: capitals, or groups of two, or a cue word."""
    return _alone(found) and (
        found.value.isupper() or " " in found.value or found.near(("national insurance", "nino", "ni number"))
    )


IDENTITY: Final[tuple[Detector, ...]] = (
    Detector("iban", r"[a-z]{2}\d{2}[ -]?[a-z0-9]{4}[ -]?[a-z0-9]{4}", r"[a-z]{2}\d{2}(?:[ -]?[a-z0-9]{4}){2,7}(?:[ -]?[a-z0-9]{1,3})?", _iban, _iban_alone),
    Detector("payment_card", r"\d{13}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d|\d{4}[ -]\d{6}[ -]\d{4}", r"\d{13,19}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}|\d{4}[ -]\d{6}[ -]\d{4,5}", _card),
    Detector("us_ssn", r"\d{3}-\d{2}-\d{4}", r"\d{3}-\d{2}-\d{4}", _ssn),
    Detector("us_ssn", r"\d{3} \d{2} \d{4}", r"\d{3} \d{2} \d{4}", _spaced_ssn),
    Detector("national_id", r"\d{3}\.\d{3}\.\d{3}-\d{2}", r"\d{3}\.\d{3}\.\d{3}-\d{2}", _alone),  # Brazil
    Detector("national_id", r"\d{8}-?[a-z]|[xyz]-?\d{7}-?[a-z]", r"\d{8}-?[a-z]|[xyz]-?\d{7}-?[a-z]", _checked(check.dni)),  # Spain
    Detector("national_id", r"[a-z]{6}\d{2}[a-ehlmprst]\d{2}[a-z]\d{3}[a-z]", r"[a-z]{6}\d{2}[a-ehlmprst]\d{2}[a-z]\d{3}[a-z]", _checked(check.codice_fiscale)),
    Detector("national_id", r"[a-ceghj-prtw-z][a-ceghj-nprtw-z] ?\d{2} ?\d{2} ?\d{2} ?[a-d]", r"[a-ceghj-prtw-z][a-ceghj-nprtw-z] ?\d{2} ?\d{2} ?\d{2} ?[a-d]", _nino),  # Britain
    Detector("national_id", r"756\.\d{4}\.\d{4}\.\d{2}", r"756\.\d{4}\.\d{4}\.\d{2}", _checked(check.ean13)),  # Switzerland
    Detector("national_id", r"\d{6}[-+a]\d{3}[0-9a-y]", r"\d{6}[-+a]\d{3}[0-9a-y]", _hetu),  # Finland
    Detector("national_id", r"\d{6}[-+]\d{4}", r"(?:19|20)?\d{6}[-+]\d{4}", _checked(_personnummer)),  # Sweden
    Detector("national_id", r"\d{6}-[1-8]\d{6}", r"\d{6}-[1-8]\d{6}", _checked(_born)),  # Korea
    Detector("national_id", r"[12] ?\d{2} ?[01]\d ?\d[\dab] ?\d{3} ?\d{3} ?\d{2}", r"[12] ?\d{2} ?[01]\d ?\d[\dab] ?\d{3} ?\d{3} ?\d{2}", _checked(check.nir)),  # France
    Detector("national_id", r"[1-8]\d{5}(?:19|20)\d{9}[\dx]", r"[1-8]\d{5}(?:19|20)\d{9}[\dx]", _checked(_resident)),  # China
    Detector("national_id", r"\d{4}[ -]\d{4}[ -]\d{4}", r"\d{4}[ -]\d{4}[ -]\d{4}", _checked(_aadhaar)),  # India
    Detector("national_id", r"\d{3}[ -]\d{3}[ -]\d{3}", r"\d{3}[ -]\d{3}[ -]\d{3}", _checked(check.luhn, ("sin", "social insurance"))),  # Canada
    Detector("national_id", r"\d{11}", r"\d{11}", _checked(check.pesel, ("pesel",))),  # Poland
    Detector("national_id", r"\d{9}", r"\d{9}", _checked(check.bsn, ("bsn", "burgerservice", "sofinummer"))),  # Netherlands
)  # fmt: skip
