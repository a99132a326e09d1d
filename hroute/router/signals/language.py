"""The language of a text, small and honest: by script, or by its commonest words; absent where neither decides."""

from __future__ import annotations

from typing import Final

VERSION: Final = "language/2"
_READ: Final = 2_000

_SCRIPTS: Final = (
    # (first, last code point, language)
    (0x0370, 0x03FF, "el"), (0x0590, 0x05FF, "he"), (0x0600, 0x06FF, "ar"), (0x0900, 0x097F, "hi"), (0x0E00, 0x0E7F, "th"), (0x10A0, 0x10FF, "ka"), (0x0530, 0x058F, "hy"),
    (0x3040, 0x30FF, "ja"), (0xAC00, 0xD7AF, "ko"), (0x4E00, 0x9FFF, "zh"), (0x0400, 0x04FF, "ru"),
)  # fmt: skip
_WORDS: Final = {
    "en": "the and is are was you your what how why when where which of to in it that this for with do does can could would should please my me i not on at be have has a an",
    "de": "der die das und ist sind ich du sie wir nicht ein eine einen mit auf für von zu den dem wie was warum wann wo kann können bitte mein meine es haben hat im am auch",
    "fr": "le la les et est sont je tu vous nous ne pas un une des du de dans pour avec que qui quoi comment pourquoi quand où mon ma mes il elle ce cette sur au aux puis-je",
    "es": "el la los las y es son yo tú usted no un una de del en para con que qué cómo por cuándo dónde mi mis su se lo al está están quiero puede hay",
    "it": "il lo la gli e è sono io tu lei non un una di del della in per con che cosa come perché quando dove mio mia si al alla questo questa posso vorrei",
    "pt": "o a os as e é são eu você não um uma de do da em no na para com que como por quando onde meu minha se ao está isso quero pode",
    "nl": "de het een en is zijn ik je u wij niet met op voor van te in dat die dit wat hoe waarom wanneer waar kan mijn er heeft hebben ook aan",
    "pl": "i w na nie się jest są to z do jak co czy dlaczego kiedy gdzie mój moja dla o po ten ta",
    "sv": "och är jag du vi inte en ett med på för av till det den som vad hur varför när var min kan har ska",
}  # fmt: skip
_SPOKEN: Final[dict[str, list[str]]] = {}
for _language, _words in _WORDS.items():
    for _word in _words.split():
        _SPOKEN.setdefault(_word, []).append(_language)


_WITHOUT_MARKS: Final = dict.fromkeys(map(ord, '.,;:!?¿¡"()[]«»„“”'))


def detect(text: str) -> str | None:
    """An ISO 639-1 code, or None where there is too little text or no clear winner."""
    sample = text[:_READ]
    by_script = None if sample.isascii() else _by_script(sample)
    return by_script or _by_words(sample)


def _by_script(sample: str) -> str | None:
    counts: dict[str, int] = {}
    letters = 0
    for character in sample:
        if character.isalpha():
            letters += 1
            code = ord(character)
            if code >= 0x370:
                for first, last, language in _SCRIPTS:
                    if first <= code <= last:
                        counts[language] = counts.get(language, 0) + 1
                        break
    if not counts or sum(counts.values()) * 2 < letters:
        return None
    if counts.get("ja", 0) * 10 >= sum(counts.values()):
        return "ja"  # Japanese mixes its syllables into Chinese characters
    best = max(counts, key=lambda language: counts[language])
    return "uk" if best == "ru" and set("іїєґІЇЄҐ") & set(sample) else best


def _by_words(sample: str) -> str | None:
    words = sample.casefold().translate(_WITHOUT_MARKS).split()
    counts = dict.fromkeys(_WORDS, 0)
    for word in words:
        for language in _SPOKEN.get(word, ()):
            counts[language] += 1
    (best, most), (_, next_most) = sorted(counts.items(), key=lambda item: -item[1])[:2]
    return best if most >= 2 and most * 6 >= len(words) and most > next_most else None
