"""Whether a reply is what was asked for: not empty, not cut off, JSON, a schema, a choice, a pattern, no refusal.

A failure never quotes the reply. What a program gets of a reply that passed is the parsed value and the clean text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from hroute.router.attempts import Accepted
from hroute.router.json_in_text import Parsed, readings
from hroute.schema.policy import Validate
from hroute.terms.message import Reply, Request, StopReason, ToolUse
from hroute.terms.outcome import Failure, Outcome

_REFUSALS: Final = (
    "i can't", "i cannot", "i can not", "i won't", "i'm sorry, but", "i am sorry, but", "sorry, but i", "i'm unable", "i am unable",
    "i'm not able to", "i am not able to", "i don't have the ability", "as an ai", "i must decline", "i have to decline",
    "ich kann nicht", "ich kann dir", "ich kann ihnen", "es tut mir leid, aber", "als ki", "je ne peux pas", "je suis désolé", "désolé, mais",
    "no puedo", "lo siento, pero", "non posso", "mi dispiace, ma", "я не можу", "вибачте, але", "я не могу", "извините, но",
)  # fmt: skip
_HEAD: Final = 160
"""Characters at the start of a reply in which a refusal shows: later ones quote somebody, or weigh what was answered."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a reply must satisfy: the rule's `validate` united with the form that the request itself asks for."""

    rules: Validate
    json: bool
    schema: Mapping[str, Any] | None
    tools: frozenset[str]

    @property
    def holds_back(self) -> bool:
        """Whether a stream must be read to its end before the first word may be passed on."""
        r = self.rules
        asked = r.choices or r.matches or r.not_refusal or r.min_certainty is not None or r.agree_with or r.judge
        return bool(asked or self.json)


def demand(rules: Validate | None, request: Request) -> Demand:
    """What a reply to `request` must satisfy under a rule's `validate`."""
    own = rules or Validate()
    schema = own.schema if own.schema is not None else request.json_schema
    wants_json = own.format == "json" or schema is not None or request.response_format != "text"
    return Demand(own, wants_json, schema, frozenset(tool.name for tool in request.tools))


def judge(reply: Reply, demand: Demand) -> Accepted | Failure:
    """`reply` as accepted, or why it is not what was asked for."""
    calls = [part for part in reply.parts if isinstance(part, ToolUse)]
    if reply.stop is StopReason.TRUNCATED:
        return _bad("the reply was cut off", "cut_off")
    if any(call.name not in demand.tools for call in calls):
        return _bad("the reply calls a tool that was not offered", "unknown_tool")
    if any(call.broken for call in calls):
        return _bad("the reply calls a tool with input that is no JSON object", "tool_input")
    if calls:
        return Accepted(reply, reply.text)
    if not reply.text.strip():
        return _bad("the reply is empty", "empty")
    if demand.rules.not_refusal and refuses(reply):
        return _bad("the reply is a refusal", "refusal")
    if demand.json:
        return _json(reply, demand)
    return _text(reply, reply.text, demand.rules)


def refuses(reply: Reply) -> bool:
    """Whether `reply` declines: by its stop reason, or by a phrase at its start."""
    head = reply.text.strip()[:_HEAD].casefold().replace("’", "'")
    return reply.stop is StopReason.REFUSAL or any(marker in head for marker in _REFUSALS)


def choose(text: str, choices: Iterable[str]) -> str | None:
    """The choice that `text` is, give or take case, quotes, markup, a full stop, and a label before a colon."""
    wanted = {choice.casefold(): choice for choice in choices}
    for form in (text, text.rpartition(":")[2]):
        found = wanted.get(form.strip().strip("\"'`*_.!“”„«»() \n\t").casefold())
        if found is not None:
            return found
    return None


def _json(reply: Reply, demand: Demand) -> Accepted | Failure:
    problems: int | None = None
    for parsed in readings(reply.text):
        errors = _schema_errors(parsed.value, demand.schema)
        if not errors:
            return _named(reply, parsed, demand.rules)
        problems = errors if problems is None else min(problems, errors)
    if problems is not None:
        return _bad(f"the JSON does not fit the schema ({problems} errors)", "schema")
    cut = reply.stop is StopReason.LENGTH
    return _bad("the reply was cut off before its JSON ended" if cut else "the reply is not JSON", "not_json")


def _named(reply: Reply, parsed: Parsed, rules: Validate) -> Accepted | Failure:
    """`choices` and `matches` of a JSON reply speak of a plain string value, else of its text."""
    words = parsed.value if isinstance(parsed.value, str) else parsed.text
    judged = _text(reply, words, rules)
    return replace(judged, text=parsed.text, json=parsed.value) if isinstance(judged, Accepted) else judged


def _text(reply: Reply, text: str, rules: Validate) -> Accepted | Failure:
    if rules.choices:
        chosen = choose(text, rules.choices)
        if chosen is None:
            return _bad("the reply is none of the choices", "choices")
        text = chosen
    if rules.matches is not None and _pattern(rules.matches).search(text) is None:
        return _bad("the reply does not match the pattern", "matches")
    return Accepted(reply, text)


def _schema_errors(value: Any, schema: Mapping[str, Any] | None) -> int:
    if schema is None:
        return 0
    from hroute.schema.reply_schema import json_errors

    return len(json_errors(value, schema))


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> Any:
    import re2  # type: ignore[import-untyped,unused-ignore]

    return re2.compile(pattern)


def _bad(message: str, code: str) -> Failure:
    return Failure(Outcome.BAD_CONTENT, message, code=code)
