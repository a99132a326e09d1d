"""Postal addresses in the forms that a pattern can know: a number beside a street word, a flat, a post code, a cue.

A place without a number ("near the station in Leipzig") needs a language model and is not found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hroute.router.signals.kinds.detector import DIGIT, DIGITS, Candidate, Detector

_STREET: Final = r"street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|terrace|parkway|pkwy|highway|hwy|crescent|close|gardens|grove|circle|cir|trail|mews|walk|row|hill"
_WEAK: Final = (
    r"way|place|pl|square|sq|park|plaza|alley|loop|run|pass|point|view|ridge|station|green|bypass|heights|manor"
)
_NAME: Final = r"(?:[NSEW]\.? |North |South |East |West )?(?:(?-i:\p{Lu})[\pL'.-]*|\d{1,3}(?:st|nd|rd|th))(?: (?-i:\p{Lu})[\pL'.-]*){0,3}"
_UNIT: Final = r"apt|apartment|suite|ste|flat|apto|appartement|wohnung"
_STATES: Final = "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|PR|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|NSW|QLD|VIC|TAS|ACT"

_ENDS: Final = r"straße|strasse|str\.|str|weg|platz|allee|gasse|ring|ufer|damm|chaussee|straat|laan|plein|kade|gracht|singel|dreef|vej|gade|vænget|gata|gate|veien|vegen|veg|vei|svingen|bakken|gatan|vägen|gränd|stigen|katu|tie|polku|kuja|götu|stræti|vegur|braut|utca"
_BEFORE: Final = r"rue|avenue|av\.?|boulevard|bd|impasse|chemin|allée|quai|calle|c/|avenida|avda\.?|plaza|paseo|camino|viale|vicolo|piazza|largo|rua|travessa|praça|estrada|ul\.|ulica|ulice|ул\.|улица|проспект|οδός|strada"
_OF: Final = r"(?:(?:de la|de los|de las|de|du|des|del|della|delle|dei|di|do|da|dos|das|la|le|les|las|los) |d'|l'){0,2}"
_CAPITAL: Final = r"(?-i:\p{Lu})[\pL'-]*\.?"
_COUNTED: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "page",
    "chapter",
    "section",
    "step",
    "version",
    "day",
    "week",
    "room",
    "table",
    "figure",
    "python",
    "line",
    "level",
    "point",
)
_PUBLIC: Final = (
    "51 franklin",
    "59 temple",
    "675 mass",
)  # the Free Software Foundation's, in the head of many a source file
_BEHIND: Final = r"utca|út|útja|u\.|tér|tee|tn|tänav|ulica|cesta|sokak|sk\.|caddesi|cad\.|street|st\.|str\.|strasse|platz|gate|vei|laan"

_CUES: Final = r"address|addresses|adresse|anschrift|dirección|indirizzo|endereço|adres|adress|lives? (?:at|on|in)|living (?:at|on|in)|located (?:at|on)|situated (?:at|on)|resid(?:es?|ing) (?:at|in|on)|domiciled (?:at|in)|wohnhaft|wohnt (?:in|an)|habite|vive en|ship(?:ped)?(?: it| this)? to|deliver(?:ed)?(?: it| this)? to|(?:mail|send)(?: it| this)? to|sent to|return(?:ed)?(?: it| this)? to|taxi to|(?:drops?|dropped) (?:you|me|us|him|her) off at|pick (?:me|us) up (?:at|from)|moved? to|corner of"
_POST_CUES: Final = r"zip|zip ?code|postal ?code|post ?code|postcode|plz|postleitzahl|code postal|código postal|codice postale|postnummer"


def _address(found: Candidate) -> bool:
    """Alone, and its street's name begins with a capital (patterns ignore case, people do not)."""
    words = found.value.replace(",", " ").split()
    public = found.value.lower().startswith(_PUBLIC)
    return found.whole and not public and all(word[0].isupper() or not word[0].isalpha() for word in words[1:])


def _whole(found: Candidate) -> bool:
    """Street words in other languages are distinctive: only the edges are checked."""
    return found.whole


def _capital(found: Candidate) -> bool:
    return found.whole and found.value[0].isupper()


def _named(found: Candidate) -> bool:
    """A number and a name beside each other; the name begins with a capital."""
    words = [word for word in found.value.replace(",", " ").split() if not word[0].isdigit()]
    counted = words and words[-1].lower() in _COUNTED
    return found.whole and not counted and any(word[0].isupper() and len(word) > 1 for word in words)


def _flat_in_india(found: Candidate) -> bool:
    """A flat or house, a name with a capital somewhere behind it, and a PIN code of six digits that begins with no zero."""
    digits = "".join(c for c in found.value[-7:] if c.isdigit())
    words = found.value.split()
    return found.stands_alone and digits[:1] != "0" and any(word[0].isupper() for word in words[1:])


def _flat(found: Candidate) -> bool:
    """A house and its flat: somewhere before the flat stands a word, and no more than a line."""
    return found.whole and any(c.isalpha() for c in found.value[:12])


def _with_post_code(found: Candidate) -> bool:
    """A name, a number, a post code and a town, which no year is."""
    digits = "".join(c if c.isdigit() else " " for c in found.value).split()
    words = found.value.replace(",", " ").split()
    code = next((run for run in digits[1:] if len(run) >= 4), "")
    a_year = len(code) == 4 and code[:2] in ("19", "20")
    return found.whole and not a_year and not any(word.lower().rstrip(".") in _COUNTED for word in words)


def _german(found: Candidate) -> bool:
    """`An der Alster 9, Hamburg`: no page, day or step that is counted."""
    words = found.value.replace(",", " ").split()
    return found.whole and not any(word.lower() in _COUNTED_IN_GERMAN for word in words)


_COUNTED_IN_GERMAN: Final = frozenset(["seite", "kapitel", "abschnitt", "schritt", "punkt", "tag", "tage", "woche", "monat", "montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag", "januar", "februar", "märz", "april", "mai", "juni", "juli", "august", "september", "oktober", "november", "dezember", "jahr", "jahre", "version", "tabelle", "abbildung", "zeile", "spalte", "raum", "zimmer", "stufe", "level", "platz", "teil", "band", "artikel", "absatz", "nummer", "nr", "klasse", "fall", "test", "bild", "folie", "aufgabe", "frage"])  # fmt: skip
_HAN: Final = r"[\p{Han}\p{Hiragana}\p{Katakana}ー]"


def _place(pattern: str, *needs: str, accept: Callable[[Candidate], bool] = _whole) -> Detector:
    return Detector("address", pattern, needs, accept)


PLACES: Final[tuple[Detector, ...]] = (
    _place(rf"\d{{1,6}}[a-z]?,? {_NAME} (?:{_STREET})\b", DIGIT, rf" (?:{_STREET})", accept=_address),
    _place(rf"(\d{{1,6}}[a-z]?,? {_NAME} (?:{_WEAK}))(?:,|\.|\n|$| apt| unit| suite| in )", DIGIT, rf" (?:{_WEAK})", accept=_address),
    _place(r"p\.? ?o\.? box:? ?#?\d{1,6}|postfach \d{1,6}|postbox \d{1,6}|apartado (?:de correos )?\d{1,6}|boîte postale \d{1,6}", r"p\.? ?o\.? box|postfach|postbox|apartado|boîte postale"),
    _place(r"(?:psc|cmr|unit) \d{1,5},? box \d{1,5}|(?:apo|fpo|dpo),? a[aep] \d{5}", r"box \d|(?:apo|fpo|dpo),? a[aep] \d"),
    _place(rf"\d{{1,6}}[^\n\d]{{0,3}}[ ,][^\n]{{2,60}}[\n,; >]{{1,6}}(?:{_UNIT})\.? ?(?:no\.? ?)?#?\d{{1,5}}[a-z]?\b", rf"(?:{_UNIT})\.? ?(?:no\.? ?)?#?\d", accept=_flat),
    _place(rf"(?-i:\p{{Lu}})[\pL.' -]{{1,30}},? (?-i:{_STATES}),? \d{{5}}(?:-\d{{4}})?\b", rf"(?:{_STATES}),? \d{{5}}"),
    _place(rf"\b[\pL-]+(?:{_ENDS}) \d{{1,4}} ?[a-z]?\b", rf"(?:{_ENDS}) \d", accept=_capital),
    _place(rf"\b((?:{_BEFORE}) {_OF}(?-i:\p{{Lu}})[\pL'. -]{{2,40}}?,? (?:n[º°.] ?)?\d{{1,5}})\b", DIGIT, rf"(?:{_BEFORE}) "),
    _place(rf"\d{{1,4}}(?: ?(?:bis|ter))?,? (?:rue|avenue|boulevard|impasse|chemin|allée|quai|cours) {_OF}(?-i:\p{{Lu}})[\pL'-]+", DIGIT, r" (?:rue|avenue|boulevard|impasse|chemin|allée|quai|cours) "),
    _place(rf"(?-i:\p{{Lu}})[\pL.' -]{{1,30}} (?:{_BEHIND}),? ?\d{{1,5}}|(?-i:\p{{Lu}})[\pL.' -]{{1,30}} \d{{1,5}}\.? (?:street|st\.)", rf"(?:{_BEHIND}),? ?\d|\d\.? st(?:reet|\.)"),
    _place(rf"(?:{_CUES})[^\pL\d]{{1,8}}(?:is |at |to |the |corner of |user: ?)*((?:\d{{1,6}}[a-z]?,? ){{1,2}}(?:[\pL][\pL.'-]*,? ?){{1,5}}\d{{0,5}}|{_CAPITAL}(?: (?:and |{_OF})?{_CAPITAL}){{0,4}} \d{{1,5}})\b", _CUES, DIGIT, accept=_named),
    _place(rf"(?:(?:^|[^a-z\d])(?:{_POST_CUES})|(?:^|[^a-z\d_])(?:cap|cep))[^a-z\d]{{1,4}}(?:(?:is|of|number|for|in|the)[^a-z\d]{{1,3}}){{0,2}}(\d{{4,6}}(?:-\d{{3,4}})?|[a-z]{{1,2}}\d[a-z\d]? ?\d[a-z]{{2}}|[a-z]\d[a-z] ?\d[a-z]\d)\b", rf"{_POST_CUES}|cap|cep", DIGITS),
    _place(r"(?-i:\p{Lu})[\pL.'’-]+(?: [\pL.'’-]+){0,4},? \d{1,4}[a-z]?(?:/\d{1,4})?,? ?(?-i:(?:[A-Z]{1,2}-)?\d{4,5} \p{Lu}[\pL-]+)", r"\d{4} [^\d ]", accept=_with_post_code),
    _place(r"\d{1,5}[a-z]?,? (?-i:\p{Lu})[\pL.'’-]+(?: [\pL.'’-]+){0,4}, (?:[\pL.'’-]+(?: [\pL.'’-]+){0,2},? )?(?-i:\d{5} \p{Lu}[\pL-]+)", r"\d{4} [^\d ]", accept=_with_post_code),
    _place(r"(?-i:(?:Unter den|Unter der|An der|An den|Am|Zum|Zur|Im|Auf der|Auf dem|In der|In den|Hinter der|Vor dem|Beim) (?:\p{Lu}[\pL-]+ ){1,2}\d{1,3}[a-z]?,? (?:\d{5} )?\p{Lu}[\pL-]{2,})", r" de[nmr] |am |im |zu[mr] ", DIGIT, accept=_german),
    _place(r"(?:flat|apartment|apt|unit|house|h|plot|door|shop|villa)\.? ?(?:no\.?|#)? ?\d[\d/-]{0,10}[a-z]?,? [^\n]{3,90}?[ -]{1,3}\d{3} ?\d{3}\b", r"(?:flat|apartment|apt|unit|house|h|plot|door|shop|villa)\.? ?(?:no\.?|#)? ?\d", r"\d{3} ?\d{3}", accept=_flat_in_india),
    _place(r"(?:ул\.|улица|проспект|пр-т|пер\.|бульвар|вул\.) (?-i:\p{Lu})[\pL .-]{2,40},? (?:д\.?|дом|буд\.) ?\d{1,4}", r"(?:д\.?|дом|буд\.) ?\d"),
    _place(rf"{_HAN}{{1,12}}(?:都|府|県|省|市|区|區|路|街|町|村){_HAN}{{0,15}}\d{{1,5}}(?:-\d{{1,4}}|号|號|番地|丁目|番|弄)[\d番地号の-]{{0,12}}", r"(?:都|府|県|省|市|区|區|路|街|町|村)", DIGIT),
    _place(r"(?-i:[A-CEGHJ-NPR-TVXY]\d[A-Z] \d[A-Z]\d)", r"[a-z]\d[a-z] \d[a-z]\d"),
)  # fmt: skip
