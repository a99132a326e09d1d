"""The JSON Schemas as data: the one for editors with every signal explained, the one that shapes are checked by.

`policy.schema.json` holds the language; its part about conditions is generated from the table of signals
(`condition_definitions`, kept equal by a test), so that the two cannot drift.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final

from hroute.terms.signal import SIGNALS, TEXT_TESTABLE, Kind, Signal, domain_text

Schema = dict[str, Any]

_COMPARISON: Final = r"^\s*(>=|<=|>|<|!=)?\s*[0-9.]+\s*$|^\s*[0-9.]+\s*\.\.\s*[0-9.]+\s*$"
_CONDITION: Final = {"$ref": "#/$defs/condition"}


def policy_schema() -> Schema:
    """`policy.schema.json`: the whole language, for editors."""
    return deepcopy(_read("policy.schema.json"))


def case_schema() -> Schema:
    """`case.schema.json`: `*.test.yaml`, for editors."""
    return deepcopy(_read("case.schema.json"))


def editor_schema(
    providers: Collection[str], tiers: Collection[str], definitions: Collection[str], intents: Collection[str]
) -> Schema:
    """The schema of one policy: its own names are offered where a name is wanted (and others are not forbidden)."""
    schema = policy_schema()
    offered = {
        "provider_name": providers,
        "tier_name": tiers,
        "target_name": [*tiers, *providers],
        "definition_name": definitions,
        "intent_name": [*intents, *(i for i in SIGNALS["intent"].values if i not in intents)],
    }
    for kind, names in offered.items():
        known = schema["$defs"][kind]
        title = known.pop("title")
        schema["$defs"][kind] = (
            {"title": title, "anyOf": [{"enum": list(dict.fromkeys(names))}, known]}
            if names
            else {"title": title, **known}
        )
    return schema


@cache
def shape_schema() -> Schema:
    """The policy's schema without what conditions hold (`hroute.schema.parse` says that better), references inlined."""
    schema = policy_schema()
    definitions = schema.pop("$defs")
    definitions["condition"] = {"title": "a mapping of signals to values", "type": "object"}
    inlined = _inline(schema, definitions)
    assert isinstance(inlined, dict)
    return inlined


@cache
def case_shape_schema() -> Schema:
    """The schema of `*.test.yaml`, references inlined."""
    schema = case_schema()
    inlined = _inline(schema, schema.pop("$defs"))
    assert isinstance(inlined, dict)
    return inlined


def given_properties() -> dict[str, Schema]:
    """One property a signal: what a case of `*.test.yaml` may give, or expect to be read.

    `files` is missing: it is also the documents that a case sends along, and the schema says so itself.
    """
    rows = [(name, row) for name, row in SIGNALS.items() if row.kind is not Kind.TEXT and name != "files"]
    return {name: {"description": describe(row)} for name, row in rows}


def condition_definitions() -> dict[str, Schema]:
    """`$defs` for conditions: one property a signal, with its meaning and its values, and the four operators."""
    return {"condition": _condition(), **{f"signal_{name}": _test(row) for name, row in SIGNALS.items()}}


def _condition() -> Schema:
    several = {"type": "array", "items": _CONDITION}
    operators: dict[str, Schema] = {
        "all": {**several, "description": "All of these conditions hold."},
        "any": {**several, "description": "At least one of these conditions holds."},
        "not": {**_CONDITION, "description": "This condition does not hold."},
        "is": {
            "description": "A condition from `define:`, by its name.",
            "anyOf": [
                {"$ref": "#/$defs/definition_name"},
                {"type": "array", "items": {"$ref": "#/$defs/definition_name"}},
            ],
        },
    }
    return {
        "title": "a mapping of signals to values",
        "description": "Signals and what they must be; all of them must fit. `{}` always holds.",
        "type": "object",
        "additionalProperties": False,
        "properties": {**{name: {"$ref": f"#/$defs/signal_{name}"} for name in SIGNALS}, **operators},
    }


def describe(signal: Signal) -> str:
    """A signal in two sentences: what it is, what it takes."""
    values = domain_text(signal)
    if signal.kind is Kind.SET:
        values = f"any of {', '.join(signal.values)}" + (", or your own" if signal.name in ("intent", "pii") else "")
    elif signal.kind is Kind.TEXT:
        values = "a mapping of any_of, all_of, matches, unless"
    return f"{signal.doc} Takes {values}{_FORMS[signal.kind]}."


_FORMS: Final = {
    Kind.BOOL: "",
    Kind.ENUM: '; a list means any of them, "!=x" anything else',
    Kind.STRING: '; `*` stands for anything, a list means any of them, "!=x" anything else, null that there is none',
    Kind.INTEGER: '; compare with ">100", "<=5", "100..500"',
    Kind.FRACTION: '; compare with ">0.35", "<=0.6", "0.2..0.4"',
    Kind.SET: '; a list means any of them, "!=x" that it is not among them, null that there are none',
    Kind.TEXT: "",
}


def _test(signal: Signal) -> Schema:
    return {"description": describe(signal), "anyOf": _forms(signal)}


def _forms(signal: Signal) -> list[Schema]:
    absent: Schema = {"type": "null"}
    match signal.kind:
        case Kind.BOOL:
            return [{"type": "boolean"}, {"type": "array", "items": {"type": "boolean"}}, absent]
        case Kind.ENUM:
            values = list(signal.values)
            return [
                {"enum": values},
                {"type": "array", "items": {"enum": values}},
                {"type": "string", "pattern": r"^!=|\*"},
                absent,
            ]
        case Kind.INTEGER | Kind.FRACTION:
            number: Schema = {"type": "integer" if signal.kind is Kind.INTEGER else "number", "minimum": 0}
            top = 1 if signal.kind is Kind.FRACTION else signal.top
            if top is not None:
                number["maximum"] = top
            text = {"type": "string", "pattern": _COMPARISON}
            return [number, text, {"type": "array", "items": {"anyOf": [number, text]}}, absent]
        case Kind.SET:
            if signal.name == "intent":
                name: Schema = {"$ref": "#/$defs/intent_name"}
            elif signal.name == "pii":
                name = {"anyOf": [{"enum": list(signal.values)}, {"type": "string"}]}
            else:
                name = {"enum": list(signal.values)}
            return [name, {"type": "array", "items": name}, {"type": "string", "pattern": "^!="}, absent]
        case Kind.TEXT:
            return [{"$ref": "#/$defs/text_test"}]
        case Kind.STRING:
            forms: list[Schema] = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, absent]
            return [*forms, {"$ref": "#/$defs/text_test"}] if signal.name in TEXT_TESTABLE else forms


def _inline(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    target = schema.get("$ref")
    if isinstance(target, str):
        schema = {**definitions[target.removeprefix("#/$defs/")], **{k: v for k, v in schema.items() if k != "$ref"}}
    return {key: _inline(value, definitions) for key, value in schema.items()}


@cache
def _read(name: str) -> Schema:
    schema: Schema = json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return schema
