"""The parameters of a model: what each is, which plugin carries it, and what becomes of every other name.

A parameter has a common name (`hroute.wire.requests`), which each plugin spells as its vendor does, or it is a vendor's own
and is sent as it stands. A vendor's own spelling of a common one is taken too. Whatever is neither is refused by name, never
dropped; where a vendor's parameter has its place elsewhere, that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hroute.providers.protocol import ProviderError
from hroute.terms.outcome import Failure, Outcome
from hroute.wire.openai_chat import parse_choice

Schema = Mapping[str, Any]

NUMBER: Final[Schema] = {"title": "a number", "type": "number"}
WHOLE: Final[Schema] = {"title": "a whole number", "type": "integer"}
YES: Final[Schema] = {"title": "true or false", "type": "boolean"}
TEXT: Final[Schema] = {"title": "a text", "type": "string"}
MAPPING: Final[Schema] = {"title": "a mapping", "type": "object"}
_SOME: Final[Schema] = {"title": "a whole number above 0", "type": "integer", "minimum": 1}

COMMON: Final[Mapping[str, Schema]] = {
    "max_tokens": _SOME,
    "temperature": {"title": "a number, 0 or more", "type": "number", "minimum": 0},
    "top_p": {"title": "a number from 0 to 1", "type": "number", "minimum": 0, "maximum": 1},
    "top_k": WHOLE,
    "seed": WHOLE,
    "presence_penalty": NUMBER,
    "frequency_penalty": NUMBER,
    "stop": {"title": "a text or a list of texts", "type": ["string", "array"], "items": TEXT},
    "thinking": {"title": "true, false, or a budget in tokens", "type": ["boolean", "integer", "object"]},
    "effort": {"title": "a word such as low, medium or high", "type": "string"},
    "tool_choice": {"title": "auto, none, required or tool:NAME", "type": ["string", "object"]},
    "parallel_tool_calls": YES,
    "metadata": MAPPING,
    "service_tier": TEXT,
    "logprobs": YES,
    "num_ctx": _SOME,
    "keep_alive": {"title": "a duration or a number of seconds", "type": ["string", "number"]},
}
"""Common name -> the JSON Schema of its value."""

OF_TOOLS: Final = frozenset({"tool_choice", "parallel_tool_calls"})
"""Parameters that speak of the tools of a request."""

RESERVED: Final = frozenset(
    {"model", "messages", "system", "tools", "stream", "stream_options", "n", "response_format", "options", "format", "max_tokens"}
)  # fmt: skip
"""What `extra_body` may not say: hroute itself says it, or reads the answer by it."""

EXTRA: Final[Mapping[str, Schema]] = {
    "extra_body": {
        "title": "a mapping",
        "type": "object",
        "propertyNames": {"title": "a key that hroute leaves to a policy", "not": {"enum": sorted(RESERVED)}},
    }
}
"""Further keys of the body, for a server that knows more than its dialect; they replace nothing."""

OF_THE_CALL: Final[Mapping[str, str]] = {
    "model": "the provider's `model:` says it",
    "messages": "the request says it",
    "tools": "the request says it",
    "stream": "the request says it",
    "timeout": "the provider's `timeout:` says it",
    "extra_headers": "a policy sends no headers",
    "extra_query": "the provider's `base_url:` says it",
}
"""Names that every vendor's SDK takes and no policy says as a parameter."""

_CHOICES: Final = frozenset({"auto", "none", "required", "any"})
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "number": (int, float),
    "integer": (int,),
    "string": (str,),
    "object": (Mapping,),
    "array": (list, tuple),
    "boolean": (bool,),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one plugin carries: `common` names, its vendor's `own` with their JSON Schemas (sent as they stand), its
    `spellings` of common ones. `elsewhere`: names of its vendor that are refused -> where that is said instead."""

    plugin: str
    common: frozenset[str]
    own: Mapping[str, Schema] = field(default_factory=dict)
    spellings: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The names by which `fit` gives parameters on, `max_tokens` aside."""
        return self.common | self.own.keys()

    @property
    def schema(self) -> Schema:
        """The JSON Schema of a provider's `params`."""
        known = {name: COMMON[name] for name in COMMON if name in self.common or name == "max_tokens"}
        spelled = {name: COMMON[common] for name, common in self.spellings.items()}
        return {"type": "object", "additionalProperties": False, "properties": {**known, **self.own, **spelled}}

    def fit(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` under common and own names, in one form each. Raises ProviderError (capability) for what is not carried,
        or has a value that does not fit; it names plugin and parameter."""
        made: dict[str, Any] = {}
        for written, value in given.items():
            name = self.spellings.get(written, written)
            schema = self.own.get(name) or (COMMON[name] if name in self.common or name == "max_tokens" else None)
            if schema is None:
                raise self._refused(written)
            found = _formed(name, value, schema)
            if found is None:
                said = f"the parameter `{written}` of plugin {self.plugin} takes {schema['title']}"
                raise ProviderError(Failure(Outcome.CAPABILITY, said, code="parameter"))
            made[name] = found
        return made

    def understood(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Of what a client gave: that which means the same everywhere, is carried, and has a value that fits."""
        read = {name: _formed(name, value, COMMON[name]) for name, value in given.items() if name in self.common}
        return {name: value for name, value in read.items() if value is not None}

    def _refused(self, name: str) -> ProviderError:
        where = self.elsewhere.get(name)
        said = f"plugin {self.plugin} does not know the parameter `{name}`"
        return ProviderError(
            Failure(Outcome.CAPABILITY, f"{said}: {where}" if where else said, code="unknown_parameter")
        )


def _typed(value: Any, schema: Schema) -> Any:
    """`value` where its type fits, and the number that a reference (`env:NAME`) gave as a text; else None."""
    wanted = schema["type"]
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if any(isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds):
        return value
    if not isinstance(value, str):
        return None
    try:
        return int(value) if "integer" in kinds else float(value) if "number" in kinds else None
    except ValueError:
        return None


def _formed(name: str, value: Any, schema: Schema) -> Any:
    """A parameter in the one form in which the dialects read it; None for a value that does not fit."""
    match name, _typed(value, schema):
        case "stop", str(one):
            return (one,)
        case "stop", list(several) | tuple(several):
            return tuple(several) if all(isinstance(one, str) for one in several) else None
        case "tool_choice", str(choice):
            return choice if choice.startswith("tool:") else parse_choice(choice) if choice in _CHOICES else None
        case "tool_choice", Mapping() as choice:
            return parse_choice(choice)
        case "extra_body", Mapping() as keys:
            return keys if RESERVED.isdisjoint(keys) else None
        case _, typed:
            return typed
