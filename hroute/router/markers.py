"""Words by which a reply declines or admits that it does not know, in the languages that small models answer in.

Only the first words of a reply count, and there only the start of a sentence: later ones quote somebody, or weigh what
was answered. A false alarm costs one call more, so a marker stands here only where it opens a refusal far more often
than an answer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from hroute.router.json_in_text import encodable
from hroute.terms.message import Reply, StopReason

HEAD: Final = 200
"""Characters at the start of a reply in which a marker counts."""

_REFUSALS: Final = (
    r"i(?:'m| am) (?:so |very |really )?sorry,? (?:but|i|that i)\b", r"(?:sorry|apologies),? (?:but|i)\b", r"i apologi[sz]e,? but", r"as an? (?:ai|language model|large language)",
    r"i (?:can ?not|can't|could not|couldn't|won't|will not|am unable|'m unable|must decline|have to decline|do not have the ability|don't have the ability|refuse)\b",
    r"i'm (?:unable|not able|not allowed|not permitted|not comfortable)\b", r"i am (?:not able|not allowed|not permitted|not comfortable)\b", r"(?:this|that|it) is beyond (?:my|what i)",
    r"(?:es )?tut mir leid\b", r"ich kann (?:nicht|ihnen|dir|das|leider|diese)", r"leider kann ich", r"als (?:ki|sprachmodell)",
    r"je ne (?:peux|suis pas en mesure)", r"(?:je suis )?désolée?", r"en tant qu'ia", r"no puedo", r"lo siento", r"como (?:ia|modelo de lenguaje)", r"não posso", r"desculpe", r"sinto muito",
    r"non posso", r"mi dispiace", r"nie mogę", r"przykro mi", r"я не можу", r"на жаль,? я", r"вибачте", r"перепрошую", r"я не могу", r"извините", r"к сожалению,? я",
)  # fmt: skip

_DOUBTS: Final = (
    r"i(?: do not|'m not| am not| don't)(?: really| quite| entirely| actually| completely)? (?:know|sure|certain|have (?:enough|any|that|access|this|the|real-?time|information))",
    r"i(?:'m| am) uncertain", r"i have no (?:idea|information|way)", r"(?:it|this) is (?:unclear|not clear|not possible to|impossible to)", r"it(?:'s| is) hard to (?:say|tell)", r"there is(?: not|n't) enough",
    r"not enough information", r"(?:the )?(?:text|context|document|passage|question|problem) does(?: not|n't) (?:say|mention|provide|give|contain|specify|include)", r"it cannot be (?:determined|known)", r"cannot be determined",
    r"ich (?:weiß (?:es )?nicht|bin mir nicht sicher|bin nicht sicher)", r"das weiß ich nicht", r"je ne (?:sais pas|suis pas sûre?)", r"no (?:lo sé|estoy segur[oa])", r"non (?:lo so|sono sicur[oa])", r"não (?:sei|tenho certeza)",
    r"nie (?:wiem|jestem pew)", r"я не (?:знаю|впевнен|уверен)", r"не (?:знаю|впевнен|уверен)",
)  # fmt: skip

_OPENING: Final = r"(?is)(?:^|[.!?…\n]\s*|^(?:\w+[,!.]?\s){0,2}(?:unfortunately|sorry|well|hmm+|however|but|regrettably|leider|malheureusement|lamentablemente)\W+)"
_BORDER: Final = r"(?:[^\p{L}\p{N}]|$)"


def refuses(reply: Reply) -> bool:
    """Whether `reply` declines: by its stop reason, or by the words that open it."""
    return reply.stop is StopReason.REFUSAL or declines(reply.text)


def declines(text: str) -> bool:
    """Whether `text` opens as a refusal."""
    return _opens(text, _REFUSALS)


def unsure(text: str) -> bool:
    """Whether `text` opens by saying that the model does not know."""
    return _opens(text, _DOUBTS)


def _opens(text: str, markers: tuple[str, ...]) -> bool:
    head = encodable(text.strip().lstrip("*_#>\"'“ ")[:HEAD]).replace("’", "'")
    return _compiled(markers).search(head) is not None


@lru_cache(maxsize=2)
def _compiled(markers: tuple[str, ...]) -> Any:
    import re2  # type: ignore[import-untyped,unused-ignore]

    return re2.compile(f"{_OPENING}(?:{'|'.join(markers)}){_BORDER}")
