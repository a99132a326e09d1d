"""What the sandbox says where the script says nothing: a fixed text for each kind of prompt, marked as scripted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hroute.providers.sandbox.instance import instance
from hroute.terms.message import Request, ToolResult

MARK: Final = "[sandbox] "
REFUSAL: Final = "I'm sorry, but I can't help with that."
LOST: Final = MARK + "I see only the end of a longer text and cannot tell what is being asked."
"""What a model says when the question was cut off with the oldest part of the prompt."""

_CODE: Final = """Here is a version with the check in one place:

```python
def total(prices: list[float]) -> float:
    \"\"\"The sum of all prices.\"\"\"
    return sum(prices)
```"""

_TEXTS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("summar", "tl;dr", "key points"), "In short: the text makes one main point and gives two reasons for it."),
    (("translate", "translation"), "Bonjour, ceci est une traduction."),
    (("sentiment",), "positive"),
    (("classify", "categor", "which label"), "other"),
    (("extract",), "name: Example; amount: 42"),
    (("sky blue",), "Sunlight is scattered by the air, and blue light is scattered most."),
    (("opening hours", "are you open", "what time do you"), "We are open every day from 9:00 to 18:00."),
    (("where are you", "your address", "how do i get"), "You find us at 1 Example Street, opposite the station."),
    (("commit message",), "Keep the check in one place"),
    (("refactor", "function", "python", "code", "bug", "unit test"), _CODE),
    (("complain", "refund", "cold", "terrible"), "I am sorry about that. I have written it down, and a colleague will call you."),
    (("contract", "legal", "lawyer", "gdpr"), "Clause 4 sets the term, clause 7 the notice period; have a lawyer confirm it."),
    (("write", "draft", "compose"), "Dear reader, here is a first draft to begin with."),
    (("analyse", "analyze", "compare", "design", "architecture"), "Three points decide it: cost, risk, and who keeps it running."),
    (("title",), "A scripted title"),
    (("thank", "thanks"), "You are welcome."),
    (("hello", "good morning", "say hi"), "Hello! What can I do for you?"),
)  # fmt: skip


def default_text(request: Request) -> str:
    """The built-in answer to `request`; the same for the same request, and never a piece of its text."""
    message = request.last_user_text
    if request.response_format == "json_schema" and request.json_schema is not None:
        return as_json(instance(request.json_schema, message))
    said = message.casefold()
    text = next((text for words, text in _TEXTS if any(word in said for word in words)), _plain(request))
    return as_json({"answer": text}) if request.response_format == "json" else MARK + text


def as_json(value: Mapping[str, Any] | object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(request: Request) -> str:
    last = request.messages[-1].parts if request.messages else ()
    if any(isinstance(part, ToolResult) for part in last):
        return "The tool has answered; the task is done."
    return "This is a scripted answer; no model was asked."
