"""Numbers that look like any other: they count only behind a cue word that names them."""

from __future__ import annotations

from typing import Final

from hroute.router.signals.kinds.detector import Candidate, Detector

_JOIN: Final = r"""["'*_)\]]{0,3}(?:[\s:=#.,(>"'*|-]|number|num|nr|no|id|code|is|was|card|reads|are|ending in|n[º°o]){0,9}?["'*_(\[]{0,3}"""
_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|januar|februar|märz|mai|juni|juli|okt|dez)[a-zé]*"
_DATE: Final = rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}|\d{{1,2}}(?:st|nd|rd|th|\.)?(?: of)? {_MONTH},? \d{{4}}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
_CODE: Final = r"[a-z]{0,4}-?\d[a-z0-9]*(?:[ .-]?\d[a-z0-9]*){0,6}"


def _long_enough(found: Candidate) -> bool:
    """At least five digits (or six letters and digits with three digits), so that `account no 2` is nothing."""
    digits, value = len(found.digits), [c for c in found.value if c.isalnum()]
    return not found.after(1).isalnum() and (digits >= 5 or (digits >= 3 and len(value) >= 6))


def _any_value(found: Candidate) -> bool:
    return not found.after(1).isalnum()


def _cued(kind: str, cue: str, value: str = _CODE, join: str = _JOIN) -> Detector:
    lead = rf"(?:^|[^\pL\pN])(?:{cue})"
    accept = _any_value if value == _DATE else _long_enough
    return Detector(kind, lead, rf"{lead}{join}({value})", accept)


CUED: Final[tuple[Detector, ...]] = (
    _cued("date_of_birth", r"d\.?o\.?b\.?|date of birth|birth ?date|birthday|birth_date|date_of_birth|dateofbirth|born|geboren(?: am)?|geburtsdatum|née? le|fecha de nacimiento|nacid[oa] el|data di nascita", _DATE, r"""["'*_)\]]{0,3}(?:[\s:=,.(>"'*|-]|is|was|on|the|:){0,9}?"""),
    _cued("passport", r"passport|reisepass(?:nummer)?|passeport|pasaporte|passaporto"),
    _cued("driver_license", r"driver'?s?'? licen[cs]e|driving licen[cs]e|driver_licen[cs]e|führerschein(?:nummer)?|permis de conduire|dl(?: number| no| #)"),
    _cued("medical_record", r"mrn|medical record|patient (?:id|number|no)|health (?:insurance|plan|card)|nhs|medicare|medicaid|member id|versichertennummer|insurance (?:policy|member)"),
    _cued("bank_account", r"(?:bank |checking |savings )?account (?:number|no|#)|bank account|acct|account_number|routing|sort[ -]code|aba(?: number)?|kontonummer|kto|numéro de compte|número de cuenta|swift|bic"),
    _cued("us_ssn", r"ssn|social security", r"\d{3}[- .]?\d{2}[- .]?\d{4}"),
    _cued("national_id", r"national (?:id|identity|insurance)|id(?:entity)? card|identity number|tax(?:payer)? (?:id|identification|file)|tin|nino|personalausweis(?:nummer)?|steuer-?(?:id|identifikationsnummer)|steuernummer|aadhaar|pan(?: card| number| no)|pesel|bsn|dni|nie|nif|cpf|curp|rfc|codice fiscale|personnummer|sin(?: number| no)|national_id|government id"),
    _cued("iban", r"iban", r"[a-z]{2}\d{2}(?:[ -]?[a-z0-9]{3,4}){3,8}"),
    Detector("username", r"my (?:user ?name|login|handle)", r"my (?:user ?name|login|handle) is [\"'@]?([\pL\pN][\pL\pN._-]{2,31})"),
)  # fmt: skip
