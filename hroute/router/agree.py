"""Agreement of two models: an answer of the first is kept only where the second, asked the same, gives the same.

After Agreement-Based Cascading (arXiv 2407.02348). It applies where an answer can be told from the words around it
(`answers`); elsewhere the failure says that nothing could be compared, and no second model is asked.
"""

from __future__ import annotations

import json
from typing import Final

from hroute.router.answers import Unclear, answer
from hroute.router.attempts import Accepted
from hroute.router.canonical import Canonical
from hroute.router.json_in_text import Parsed
from hroute.router.markers import declines, unsure
from hroute.schema.policy import Validate
from hroute.terms.message import ToolUse
from hroute.terms.outcome import Failure, Outcome

NO_ANSWER: Final = "no_answer"
DISAGREEMENT: Final = "disagreement"


def opinion(accepted: Accepted, rules: Validate) -> Canonical | Unclear:
    """What a reply says, in the form in which it can be compared. Tool calls are compared by name and input."""
    calls = [[part.name, part.input] for part in accepted.reply.parts if isinstance(part, ToolUse)]
    if calls:
        return Canonical("json", json.dumps(calls, sort_keys=True, ensure_ascii=False))
    if declines(accepted.text) or unsure(accepted.text):
        return Unclear("it declines, or says that it does not know")
    parsed = None if accepted.json is None else Parsed(accepted.json, accepted.text)
    return answer(accepted.text, on=rules.agree_on, choices=rules.choices, json_of=parsed)


def incomparable(unclear: Unclear) -> Failure:
    """The first reply holds nothing that a second one could confirm."""
    told = f"agreement does not apply to this reply: {unclear.why}"
    return Failure(Outcome.BAD_CONTENT, told, code=NO_ANSWER)


def disagreement(first: Canonical, second: Canonical | Unclear | Failure, name: str) -> Failure | None:
    """Why the answer may not be kept after what the provider `name` said; None where both agree."""
    match second:
        case Canonical():
            if first.same(second):
                return None
            told = f"{name} gives another answer"
        case Unclear(why):
            told = f"{name} gives no answer to compare: {why}"
        case Failure(message=message):
            told = f"the reply of {name} cannot be compared: {message}"
    return Failure(Outcome.BAD_CONTENT, told, code=DISAGREEMENT)
