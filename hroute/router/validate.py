"""Whether a reply has the form that was asked for: not empty, not cut off, JSON, a schema, a choice, a pattern, no refusal.

A failure never quotes the reply. What a program gets of a reply that passed is the parsed value and the clean text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from hroute.router.answers import field
from hroute.router.attempts import Accepted
from hroute.router.canonical import choose
from hroute.router.json_in_text import Parsed, encodable, readings
from hroute.router.markers import declines, refuses, unsure
from hroute.schema.policy import Validate
from hroute.terms.message import Reply, Request, StopReason, ToolUse
from hroute.terms.outcome import Failure, Outcome

__all__ = ["Demand", "choose", "demand", "judge", "refuses"]


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
    if demand.rules.not_refusal and (evasion := _evasion(reply.text, reply)) is not None:
        return evasion
    if demand.json:
        return _json(reply, demand)
    return _text(reply, reply.text, demand.rules)


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
    """`choices` and markers of a JSON reply speak of the answer in it, `matches` of a plain string or of its text."""
    said = field(parsed.value)
    words = said if isinstance(said, str) else parsed.text
    if rules.not_refusal and (evasion := _evasion(words)) is not None:
        return evasion
    if rules.choices and choose(words, rules.choices) is None:
        return _bad("the reply is none of the choices", "choices")
    plain = parsed.value if isinstance(parsed.value, str) else parsed.text
    judged = _text(reply, plain, replace(rules, choices=()))
    return replace(judged, text=parsed.text, json=parsed.value) if isinstance(judged, Accepted) else judged


def _evasion(text: str, reply: Reply | None = None) -> Failure | None:
    """Why `text` is a refusal or says that the model does not know; None where it answers."""
    if declines(text) or (reply is not None and refuses(reply)):
        return _bad("the reply is a refusal", "refusal")
    return _bad("the reply says that the model does not know", "unsure") if unsure(text) else None


def _text(reply: Reply, text: str, rules: Validate) -> Accepted | Failure:
    if rules.choices:
        chosen = choose(text, rules.choices)
        if chosen is None:
            return _bad("the reply is none of the choices", "choices")
        text = chosen
    if rules.matches is not None and _pattern(rules.matches).search(encodable(text)) is None:
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
