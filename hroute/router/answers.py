"""Where the answer stands in what a model wrote: a field of its JSON, a marked line, its conclusion, or all of it.

Small models wrap, half-break and comment what they are asked for. What is found here is read by `canonical`; where no
answer can be told from the words around it, that is said (`Unclear`), and nothing is compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from hroute.router import canonical
from hroute.router.canonical import REASONS, Canonical
from hroute.router.json_in_text import Parsed, encodable, readings

READ: Final = 20_000
"""Characters at the end of a reply in which an answer is looked for."""

KEYS: Final = ("final_answer", "finalanswer", "final answer", "answer", "result", "solution")
"""Keys of a JSON object that hold the answer, the surest first."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """No answer that could be compared; `why` quotes nothing."""

    why: str


@dataclass(frozen=True, slots=True)
class _Found:
    """What is the answer: a JSON value, or words. `sure` where the model marked it as such."""

    value: Any
    sure: bool = True


NOTHING: Final = Unclear("no answer can be told from the words around it")
NO_ANSWER: Final = Unclear("it says that there is no answer")


def answer(
    text: str, *, on: str = "answer", choices: Iterable[str] = (), json_of: Parsed | None = None
) -> Canonical | Unclear:
    """The answer in `text`, made canonical.

    `on` is what is compared (`answer`: whatever is found; number, choice, label, json, text), `choices` are the words
    that may be chosen from, `json_of` is the JSON that was already read from the text.
    """
    wanted, text = tuple(choices), encodable(text)
    if on == "json":
        parsed = json_of or next(iter(readings(text)), None)
        found = canonical.json_value(parsed.value) if parsed else None
        return found or Unclear("there is no JSON in it")
    said = _in_json(json_of.value) if json_of else _find(text)
    if said is None:
        return _whole(text, on, wanted)
    if isinstance(said.value, str) and says_unknown(said.value):
        return NO_ANSWER
    return _canonical(said.value, on, wanted) or Unclear(_LACKING.get(on, NOTHING.why))


def field(value: Any) -> Any:
    """The answer in a JSON value: the one that its key names, else the only one that is no reason; else all of it."""
    found = _in_json(value)
    return value if found is None else found.value


def says_unknown(text: str) -> bool:
    """Whether a short answer says that there is none: "cannot be determined"."""
    return len(text) <= canonical.LONGEST and _re(_UNKNOWN).search(encodable(text)) is not None


def _canonical(value: Any, on: str, choices: tuple[str, ...]) -> Canonical | None:
    """`value` as what `on` asks for; for `answer` the first form that it fits, the narrowest first."""
    if isinstance(value, bool) or value is None:
        value = json.dumps(value)
    if isinstance(value, (int, float)):
        value = str(value)
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        parsed = next(iter(readings(value, mend=False)), None)
        value = parsed.value if parsed and parsed.text == value.strip() else value
    if not isinstance(value, str):
        return canonical.json_value(value) if on in ("answer", "text") else None
    match on:
        case "number":
            return canonical.number(value) or canonical.only_number(value)
        case "choice":
            return canonical.choice(value, choices)
        case "label":
            return canonical.label(value)
        case "text":
            return canonical.short_text(value)
    if choices:
        return canonical.choice(value, choices)
    forms = (canonical.choice, canonical.number, canonical.total, canonical.symbols, canonical.short_text)
    return next((found for form in forms if (found := form(value)) is not None), None)


def _whole(text: str, on: str, choices: tuple[str, ...]) -> Canonical | Unclear:
    """A reply in which nothing is marked: all of it where it is short, else the number it concludes with."""
    said = text.strip()
    if not said:
        return Unclear("it is empty")
    if says_unknown(said):
        return NO_ANSWER
    if said.startswith("```") or (said.startswith("{") and '"' in said):
        return Unclear("its JSON or its code block is broken off")
    short = len(said) <= canonical.LONGEST
    if on == "answer" and not choices and (found := _conclusion(said, on)) is not None:
        return found
    said = _re(_FRAME).sub("", said, count=1) if short else said
    if short and (found := _canonical(said, on, choices)) is not None:
        return found
    if on == "number" and (found := _conclusion(said, on)) is not None:
        return found
    return Unclear(_LACKING.get(on, NOTHING.why)) if short else Unclear(f"{NOTHING.why}: it is too long to be compared")


def _conclusion(text: str, on: str) -> Canonical | None:
    """The only number of the last sentence, where that draws a conclusion (`therefore`, a sum, a number in bold), or where
    a number is asked for."""
    last = [line for line in text.splitlines() if line.strip()][-1]
    ends = [found.start() + 1 for found in _re(_SENTENCE_END).finditer(last)]
    sentence = last[ends[-1] if ends else 0 :]
    if len(sentence) > 2 * canonical.LONGEST or (on != "number" and _re(_THEREFORE).search(sentence) is None):
        return None
    return canonical.only_number(sentence)


def _find(text: str) -> _Found | None:
    """The answer where it is marked: in JSON, in JSON that is broken, in a box, after "the answer is"."""
    tail = text[-READ:]
    return _in_some_json(tail) or _in_broken_json(tail) or _boxed(tail) or _marked(tail)


def _in_some_json(text: str) -> _Found | None:
    if "{" not in text:
        return None
    found = [said for parsed in readings(text, mend=False) if (said := _in_json(parsed.value)) is not None]
    one = found[0] if found and all(said == found[0] for said in found) else None
    return next((said for said in found if said.sure), one)


def _in_json(value: Any) -> _Found | None:
    """`sure` where a key names it; else the only value that is no reason."""
    if not isinstance(value, Mapping):
        return None if isinstance(value, list) else _Found(value)
    keys = {str(key).casefold(): key for key in value}
    named = next((keys[name] for name in KEYS if name in keys), None)
    if named is not None:
        return _Found(value[named])
    rest = [key for key in value if str(key).casefold() not in REASONS]
    return _Found(value[rest[0]], False) if len(rest) == 1 else _Found(dict(value), False)


def _in_broken_json(text: str) -> _Found | None:
    """The value after the last `"answer":`, read as far as it is whole."""
    places = list(_re(_KEY).finditer(text))
    if not places:
        return None
    rest = text[places[-1].end() :].lstrip()
    if rest.startswith(('"', "'")):
        end = _re(_STRING).match(rest)
        return _Found(end.group(1)) if end else None
    if rest.startswith(("[", "{")):
        inner = next(iter(readings(rest, mend=False)), None)
        return _Found(inner.value) if inner else None
    bare = _re(_BARE).match(rest)
    return _Found(bare.group(1)) if bare else None


def _boxed(text: str) -> _Found | None:
    """The inside of the last `\\boxed{...}`, or what follows the last `####`."""
    at = text.rfind("\\boxed{")
    if at >= 0:
        depth, start = 0, at + len("\\boxed")
        for end in range(start, len(text)):
            depth += (text[end] == "{") - (text[end] == "}")
            if depth == 0:
                return _Found(text[start + 1 : end])
        return None
    before, marks, rest = text.rpartition("####")
    line = rest.strip().partition("\n")[0]
    return _Found(line) if marks and line and not before.endswith("#") else None


def _marked(text: str) -> _Found | None:
    """The rest of the last line that says "the answer is" or `Answer:`; the next one where that is empty."""
    places = list(_re(_MARK).finditer(text))
    if not places:
        return None
    rest = text[places[-1].end() :].strip(" *_:$\n\t`")
    line = rest.partition("\n")[0]
    end = _re(_SENTENCE_END).search(line)
    line = line[: end.start()] if end else line
    return _Found(line) if line.strip() and len(line) <= canonical.LONGEST else None


@lru_cache(maxsize=32)
def _re(pattern: str) -> Any:
    import re2  # type: ignore[import-untyped,unused-ignore]

    return re2.compile(pattern)


_KEY: Final = r"""(?i)["'](?:final[_ ]?answer|answer)["']\s*:\s*"""
_STRING: Final = r"""(?s)["'](.*?)["']\s*(?:[,}\]`]|$)"""
_BARE: Final = r"([^\s,}\]\"]+)"
_MARK: Final = (
    r"(?i)(?:\b(?:the )?(?:final |correct |right )*answer(?:\*\*|__)?(?: is(?: therefore| thus)?\b|\s?[:=])"
    r"|(?:^|[^\p{L}])(?:antwort|réponse|respuesta|risposta|resposta|odpowiedź|antwoord|відповідь|ответ)(?:\*\*)?(?: ist| est| es| è| é| jest)?\s?[:=]"
    r"|(?:^|\n)\W*(?:label|category|class|sentiment|result|output|total|solution)(?:\*\*)?\s?:)(?:\*\*|__)?:?"
)
_SENTENCE_END: Final = r"[.!?]\s+(?:\p{Lu}|\p{Lo})"
_THEREFORE: Final = (
    r"(?i)\b(?:therefore|thus|hence|so|in total|altogether|in conclusion)\b|=\s*\S|\*\*[^*\n]*\d[^*\n]*\*\*"
)
_FRAME: Final = r"(?i)^(?:it is|it's|it’s|that is|that's|that’s|this is|there are|there is)\s+"
_UNKNOWN: Final = (
    r"(?i)(?:cannot|can't|can not|could not|impossible to|not possible to|unable to) (?:be )?(?:determine|calculate|say|tell|know|answer)"
    r"|not enough information|insufficient information|more information|error in the (?:problem|question)"
    r"|^(?:it is )?unknown\W*$|^i(?: do not|'m not sure| am not sure| don't know)"
)
_LACKING: Final = {
    "number": "it holds no single number",
    "choice": "it is none of the choices",
    "label": "it is no label",
    "text": "it is too long to be compared",
}
