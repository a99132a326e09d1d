"""Numbers that a state gives to a person, known without a cue word by their format and, where they have one, their check digit.

The check digits are those of python-stdnum, which is imported when the first candidate turns up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from hroute.router.signals.kinds.detector import Candidate, Detector


@cache
def _valid(module: str) -> Callable[[str], bool]:
    from stdnum import get_cc_module

    found: Any = get_cc_module(*module.split("."))
    valid: Callable[[str], bool] = found.is_valid
    return valid


def _checked(*modules: str, cues: tuple[str, ...] = ()) -> Callable[[Candidate], bool]:
    """Accepts what stands alone (beside a cue word, if any are given) and is valid by one of python-stdnum's modules."""

    def accept(found: Candidate) -> bool:
        if not found.whole or (cues and not found.near(cues)):
            return False
        return any(_valid(module)(found.value) for module in modules)

    return accept


def _whole(found: Candidate) -> bool:
    return found.whole


def _born(found: Candidate) -> bool:
    """Whether digits 3 to 6 are a month and a day."""
    digits = found.digits
    return found.whole and 1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) <= 31


def _hetu(found: Candidate) -> bool:
    return found.stands_alone and _valid("fi.hetu")(found.value)


def _nino(found: Candidate) -> bool:
    """No check digit: capitals, or groups of two, or a cue word. Documents use the prefix QQ, which nobody has."""
    cued = found.near(("national insurance", "nino", "ni number"), 60, 40)
    if found.value[:2].upper() in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ", "QQ") or found.value[0] in "dfiquvDFIQUV":
        return found.whole and cued
    return found.whole and (found.value.isupper() or found.value.count(" ") > 2 or cued)


def _nric(found: Candidate) -> bool:
    """Singapore's, in capitals; the weights 2 7 6 5 4 3 2 and the table of letters that everybody computes it by."""
    value = found.value
    if not found.whole or (not value.isupper() and not found.near(("nric", "fin"))):
        return False
    value = value.upper()
    total = sum(int(d) * w for d, w in zip(value[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    letters = "JZIHGFEDCBA" if value[0] in "ST" else "XWUTRQPNMLK"
    return letters[(total + 4 * (value[0] in "TG")) % 11] == value[8]


def _alone(*modules: str) -> Callable[[Candidate], bool]:
    """As `_checked`, and no part of a longer row of groups: of numbers in a table one in ten is valid."""
    valid = _checked(*modules)

    def accept(found: Candidate) -> bool:
        before, after = found.before(2), found.after(2)
        in_row = (before[-1:] in " -" and before[:1].isdigit()) or (after[:1] in (" ", "-") and after[1:].isdigit())
        return not in_row and valid(found)

    return accept


def _pan(found: Candidate) -> bool:
    return found.whole and found.value.isupper()


def _national(shape: str, pattern: str, accept: Callable[[Candidate], bool]) -> Detector:
    """`shape` is `pattern` made coarse. What tells one digit from another costs the first pass dearly: it keeps track of
    every way in which a row of digits may go on."""
    return Detector("national_id", pattern, (shape,), accept)


NATIONAL: Final[tuple[Detector, ...]] = (
    _national(r"\d{3}\.\d{3}\.\d{3}-", r"\d{3}\.\d{3}\.\d{3}-\d{2}", _whole),  # Brazil
    _national(r"\d{7}-?[a-z]", r"\d{8}-?[a-z]|[xyz]-?\d{7}-?[a-z]", _checked("es.dni", "es.nie")),
    _national(r"[a-z]{6}\d{2}[a-z]\d{2}", r"[a-z]{6}\d{2}[a-ehlmprst]\d{2}[a-z]\d{3}[a-z]", _checked("it.codicefiscale")),
    _national(r"[a-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[a-d]", r"[a-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[a-d]", _nino),  # Britain
    _national(r"756\.\d{4}\.", r"756\.\d{4}\.\d{4}\.\d{2}", _checked("ch.ssn")),
    _national(r"\d{6}[-+a]\d{3}", r"\d{6}[-+a]\d{3}[0-9a-y]", _hetu),  # Finland
    _national(r"\d{6}[-+a]\d{3}", r"(?:19|20)?\d{6}[-+]\d{4}", _checked("se.personnummer")),
    _national(r"\d{6}[-+a]\d{3}", r"\d{6}-[1-8]\d{6}", _born),  # Korea
    _national(r"\d{13}|\d \d{2} \d{2} \d", r"[12] ?\d{2} ?[01]\d ?\d[\dab] ?\d{3} ?\d{3} ?\d{2}", _checked("fr.nir")),
    _national(r"\d{13}|\d \d{2} \d{2} \d", r"[1-8]\d{5}(?:19|20)\d{9}[\dx]", _checked("cn.ric")),
    _national(r"\d{4}[ .-]\d{4}[ .-]\d{4}", r"\d{4}[ -]\d{4}[ -]\d{4}", _alone("in.aadhaar")),
    _national(r"\d{7}-?[a-z]", r"[stfg]\d{7}[a-z]", _nric),
    _national(r"784-\d{4}-", r"784-(?:19|20)\d{2}-\d{7}-\d", _whole),
    _national(r"[a-z]{5}\d{4}[a-z]", r"(?-i:[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z])", _pan),  # India
    _national(r"\d{2}\.\d{2}\.\d{2}-", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", _checked("be.nn")),
    _national(r"\d{6}/\d{3}", r"\d{6}/\d{3,4}", _checked("cz.rc")),
    _national(r"\d\.\d{3}\.\d{3}-", r"\d{1,2}\.\d{3}\.\d{3}-[\dk]", _checked("cl.rut")),
    _national(r"-\d{7,8}-\d", r"\d{2}-\d{8}-\d", _checked("ar.cuit")),
    _national(r"-\d{7,8}-\d", r"\d{5}-\d{7}-\d", _checked("pk.cnic")),
    _national(r"[a-z]{4}\d{6}[hm]", r"[a-z]{4}\d{6}[hm][a-z]{5}[a-z\d]\d", _checked("mx.curp")),
    _national(r"-\d{4}-\d{5}-", r"\d-\d{4}-\d{5}-\d{2}-\d", _checked("th.pin")),
    _national(r"\d{3}-\d{2}-\d{4}", r"\d{6}-\d{2}-\d{4}", _checked("my.nric")),
    _national(r"\d{3}[ -]\d{3}[ -]\d{3}", r"\d{2} \d{3} \d{3} \d{3}", _alone("de.idnr")),
    _national(r"\d{3}[ -]\d{3}[ -]\d{3}", r"\d{3}[ -]\d{3}[ -]\d{3}", _checked("ca.sin", cues=("sin", "social insurance"))),
)  # fmt: skip
