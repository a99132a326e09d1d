"""Numbers that look like any other: they count only behind a cue word that names them, in some European languages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hroute.router.signals.kinds.detector import DIGIT, DIGITS, Candidate, Detector, touches
from hroute.router.signals.kinds.identity import luhn

_FILLERS: Final = r"number|numbers|num|nummer|numéro|numero|número|nr|no|id|ids|code|is|was|are|reads|ending|in|with|of|for|the|my|our|your|his|her|their|it|its|it's|card|es|ist|est|lautet|n[º°o]"
_JOIN: Final = rf"[^a-z\d]{{1,6}}(?:(?:{_FILLERS})[^a-z\d]{{1,4}}){{0,4}}"
_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|januar|februar|märz|mai|juni|juli|okt|dez|enero|abril|agosto|diciembre|janv|févr|avril|juin|juil|août|déc|gennaio|giugno|luglio|dicembre)[a-zéû]*"
_ORDINAL: Final = r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|(?:thir|four|fif|six|seven|eigh|nine)teenth|twentieth|twenty[- ](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|thirtieth|thirty[- ]first)"
_YEAR: Final = r"(?:\d{4}|nineteen[- ][a-z]+(?:[- ][a-z]+)?|two thousand(?: and)?(?: [a-z]+)?|twenty[- ](?:oh|ten|eleven|twelve|[a-z]+teen)(?:[- ][a-z]+)?)"
_DATE: Final = (
    rf"\d{{4}}[-/.年] ?\d{{1,2}}[-/.月] ?\d{{1,2}}日?|(?:19|20)\d{{6}}|\d{{1,2}}[- ]?{_MONTH}[- ]?(?:\d{{4}}|\d{{2}}\b)|(?:the )?{_ORDINAL}(?: day)?(?: of)? {_MONTH},? {_YEAR}|{_MONTH} (?:the )?{_ORDINAL},? {_YEAR}|\d{{1,2}}[-/.] ?\d{{1,2}}[-/.] ?\d{{2,4}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.|º)?(?: of| de)? {_MONTH},?(?: de)? \d{{4}}|{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
)
_CODE: Final = r"(?:[a-z]{1,4}[ -])?[a-z]{0,5}\d[a-z0-9]*(?:[ ./-]?[a-z]{0,2}\d[a-z0-9]*){0,6}"
_PLAIN: Final = r"\d(?:[ .-]?\d){4,18}"


def _long_enough(found: Candidate) -> bool:
    """At least five digits (or six letters and digits with three digits), so that `account no 2` is nothing."""
    digits, value = len(found.digits), [c for c in found.value if c.isalnum()]
    return not touches(found.after(1)) and (digits >= 5 or (digits >= 3 and len(value) >= 6))


def _whole(found: Candidate) -> bool:
    return not touches(found.after(1))


def _living(found: Candidate) -> bool:
    """A day on which somebody alive may have been born; Mozart's birthday is no personal data."""
    years = [int(group) for group in "".join(c if c.isdigit() else " " for c in found.value).split() if len(group) == 4]
    return _whole(found) and all(1905 <= year <= 2100 for year in years)


def _card_length(found: Candidate) -> bool:
    """As long as a card's number is, or the twelve digits of old Maestro cards; beside `card` also without a check digit."""
    digits = found.digits
    return _whole(found) and (12 <= len(digits) <= 19) and len(set(digits)) > 1


def _routing(found: Candidate) -> bool:
    """Nine digits with the check digit of the American Bankers Association, 3 7 1 by turns, or a British sort code."""
    digits = found.digits
    if len(digits) == 6:
        return _whole(found)
    weights = (3, 7, 1) * 3
    return (
        _whole(found) and len(digits) == 9 and sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 10 == 0
    )


def _npi(found: Candidate) -> bool:
    return _whole(found) and len(found.digits) == 10 and (luhn("80840" + found.digits) or "npi" in found.before(12))


def _british(found: Candidate) -> bool:
    """A British driving licence: behind five letters of the name a year's digit, a month (a woman's plus 50), a day, a year's digit."""
    digits = found.value[5:11]
    month, day = int(digits[1:3]), int(digits[3:5])
    return found.whole and (1 <= month <= 12 or 51 <= month <= 62) and 1 <= day <= 31


_IS_MY: Final = r"[^a-z\d]{1,3}(?:is|ist|est|es|è|é)[^a-z\d]{1,3}(?:my|our|his|her|their|the|mein|meine|unsere|ma|mon|mi|su|il mio|la mia|meu|minha|mijn) (?:[\pL-]+ ){0,2}"
_NAMED_BEHIND: Final = r"\d (?:is|ist|est|es|è|é) [a-z]"
_BEHIND: Final = r"national insurance|national id|identity card|id card|id number|tax id|tax number|taxpayer id|social security|steuer-?id|steuernummer|ausweisnummer|personalausweis|aadhaar|aadhar|pan card|codice fiscale|numéro fiscal|dni|nif|cpf|pesel|bsn|personnummer|teudat zehut|kimlik"


def _cued(
    kind: str,
    cues: str,
    value: str = _CODE,
    accept: Callable[[Candidate], bool] = _long_enough,
    join: str = _JOIN,
    least: str = DIGITS,
) -> Detector:
    """`cues` are alternatives; a blank in one also stands for `_`, `-` or nothing, as names of fields are written."""
    named = "|".join(cue.replace(" ", "[ _-]?") for cue in cues.split("|"))
    return Detector(kind, rf"(?:^|[^a-z\d])(?:{named}){join}({value})", (named, least), accept)


CUED: Final[tuple[Detector, ...]] = (
    _cued("date_of_birth", r"d\.?o\.?b\.?|date of birth|birth date|birthday|birthdate|born|born on|geboren|geboren am|geburtsdatum|geburtstag|né\(e\) le|geb\.|née? le|date de naissance|fecha de nacimiento|fecha nacimiento|nacid[oa] el|data di nascita|nat[oa] il|data de nascimento|nascid[oa] em|geboortedatum|geboren op|fødselsdato|födelsedatum|data urodzenia|出生日期|生年月日", _DATE, _living),
    _cued("passport", r"passport|reisepass|reisepassnummer|passnummer|passeport|pasaporte|passaporto|passaporte|paspoort|paspoortnummer|paszport|паспорт|travel document", least=DIGIT),
    _cued("driver_license", r"driver'?s? licen[cs]e|drivers'? licen[cs]e|driving licen[cs]e|driving permit|dl number|dl no|dl num|dl #|dln|führerschein|führerscheinnummer|permis de conduire|dl:|licencia de conducir|carnet de conducir|permiso de conducir|patente di guida|carta de condução|rijbewijs|rijbewijsnummer|körkort|prawo jazdy"),
    _cued("driver_license", r"licen[cs]e", r"dl[- ]?[a-z]{0,2}\d[a-z0-9-]{4,}", _long_enough),
    _cued("medical_record", r"mrn|medical record|patient id|patient number|patient no|patient #|chart number|health insurance|health plan|health card|health id|insurance id|insurance number|insurance no|insurance policy|insurance member|insurance:|nhs|nhs number|medicare|medicaid|member id|member number|subscriber id|beneficiary id|policy number|prescription number|prescription|versichertennummer|versicherungsnummer|krankenversicherung|krankenversichertennummer|numéro de sécurité sociale|carte vitale|número de seguridad social|tessera sanitaria|historia clínica|kvnr"),
    _cued("medical_record", r"npi|npi number|provider id", r"\d{10}", _npi),
    _cued("bank_account", r"account number|account no|account num|account #|acct|acct number|acct no|a/c|a/c no|bank account|checking account|savings account|account id|kontonummer|konto nr|konto|kto|kto nr|bankverbindung|numéro de compte|compte bancaire|número de cuenta|cuenta bancaria|cuenta corriente|conto corrente|numero di conto|conta bancária|conta corrente|número da conta|rekeningnummer|bankrekening|kontonr|numer konta|clabe"),
    _cued("bank_account", r"account|accounts", r"\d{8,18}"),
    _cued("bank_account", r"routing|routing number|aba|aba number|sort code|sortcode", r"\d{9}|\d{2}[ -]?\d{2}[ -]?\d{2}", _routing),
    _cued("us_ssn", r"ssn|ssns|my social|social security|social security number|social security no|itin", r"\d{3}[- .]?\d{2}[- .]?\d{4}", _whole),
    _cued("payment_card", r"credit card|debit card|card number|card no|card num|card #|card|cc|visa|mastercard|amex|maestro|kreditkarte|kreditkartennummer|carte bancaire|carte de crédit|tarjeta|tarjeta de crédito|carta di credito|cartão de crédito|kredietkaart", r"\d(?:[ ._-]?\d){11,18}", _card_length),
    _cued("national_id", r"national id|national identity|national identification|national insurance|id card|identity card|identity number|identification number|id number|government id|personal id|personal number|tax id|taxpayer id|tax identification|tax file|tax number|tin:|tfn|nino|ein:|personalausweis|personalausweisnummer|ausweisnummer|steuer id|steueridentifikationsnummer|steuernummer|sozialversicherungsnummer|svnr|aadhaar|aadhar|pan card|pan number|pan no|pesel|bsn|burgerservicenummer|dni|nif|nuss|cpf|curp|codice fiscale|cartão de cidadão|carte d'identité|numéro fiscal|documento de identidad|cédula|cedula|personnummer|fødselsnummer|cpr|cpr nr|cpr nummer|pps no|pps number|ppsn|israeli id|emirates id|personal code|abn|cnpj|снилс|инн|henkilötunnus|isikukood|asmens kodas|oib|emšo|jmbg|cnp|egn|amka|rodné číslo|rijksregisternummer|ahv|sin:|sin number|sin no|nric|mykad|tc kimlik|kimlik no|teudat zehut|cnic|visa number|身份证|主民|주민등록번호"),
    _cued("iban", r"iban", r"[a-z]{2}\d{2}(?:[ -]?[a-z0-9]{3,4}){3,8}"),
    # the label stands in the number itself
    Detector("medical_record", r"(?:^|[^a-z\d])((?:mrn|hin|ins|nh|pat|pt)-\d{5,})", (r"(?:mrn|hin|ins|nh|pat|pt)-\d{5}",), _whole),
    Detector("driver_license", r"(?:^|[^a-z\d])(dl-[a-z]?\d{5,}(?:-\d+)?)", (r"dl-[a-z]?\d{5}",), _whole),
    Detector("national_id", r"(?:^|[^a-z\d])(nid-\d{6,})", (r"nid-\d{6}",), _whole),
    Detector("driver_license", r"(?-i:[A-Z9]{5}\d{6}[A-Z9]{2}[A-Z0-9]{3})", (r"\d{6}[a-z]",), _british),
    Detector("national_id", r"(?:^|[^a-z])rfc[^a-z\d]{1,4}((?-i:[A-ZÑ&]{3,4}\d{6}[A-Z0-9]{3}))", (r"rfc", r"\d{6}[a-z]"), _whole),
    Detector("national_id", r"(?-i:EIN)(?: is| number| no\.?)?[^a-z\d]{1,4}(\d{2}-\d{7})", (r"ein", r"-\d{7}"), _whole),
    # the label stands behind it
    Detector("national_id", rf"({_CODE}){_IS_MY}(?:{_BEHIND})", (_NAMED_BEHIND, DIGITS), _long_enough),
    Detector("passport", rf"({_CODE}){_IS_MY}(?:passport|reisepass|passeport|pasaporte|passaporto)", (_NAMED_BEHIND, DIGITS), _long_enough),
    Detector("bank_account", rf"({_CODE}){_IS_MY}(?:bank account|account number|account no|kontonummer|numéro de compte|número de cuenta)", (_NAMED_BEHIND, DIGITS), _long_enough),
    Detector("username", r"my (?:user ?name|login|handle) is [\"'@]?([\pL\pN][\pL\pN._-]{2,31})", (r"my (?:user ?name|login|handle)",)),
)  # fmt: skip
