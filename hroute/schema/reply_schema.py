"""A user's JSON Schema against a model's reply: RE2 patterns, nothing fetched, nothing of the reply quoted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

MOST: Final = 20
"""Errors that are told."""

_DEMANDS: Final = {
    "type": "must be of type {value}",
    "enum": "must be one of the allowed values",
    "const": "must be the one allowed value",
    "required": "lacks a required key",
    "additionalProperties": "has a key that is not allowed",
    "pattern": "must match the pattern {value}",
    "minimum": "must be at least {value}",
    "maximum": "must be at most {value}",
    "exclusiveMinimum": "must be more than {value}",
    "exclusiveMaximum": "must be less than {value}",
    "minLength": "must have at least {value} characters",
    "maxLength": "must have at most {value} characters",
    "minItems": "must have at least {value} items",
    "maxItems": "must have at most {value} items",
    "uniqueItems": "must not hold an item twice",
    "anyOf": "fits none of the allowed forms",
    "oneOf": "must fit exactly one of the allowed forms",
    "not": "has a form that is not allowed",
}


def json_errors(instance: Any, schema: Mapping[str, Any] | bool) -> list[str]:
    """What in `instance` does not satisfy `schema`: where, and which demand. Never quotes the instance.

    A `$ref` to elsewhere is an error, for nothing is fetched. An empty list means that it fits.
    """
    from jsonschema.exceptions import ValidationError
    from referencing.exceptions import Unresolvable

    told: list[str] = []
    try:
        for error in validator_of(schema).iter_errors(instance):
            assert isinstance(error, ValidationError)
            told.append(f"{_place(error)}: {_demand(error)}")
            if len(told) == MOST:
                break
    except Unresolvable as error:
        return [f"the schema refers to `{error.ref}`, which is not in it"]
    except RecursionError:
        return ["the schema or the reply is nested too deeply"]
    return told


def schema_errors(schema: Any) -> list[str]:
    """What is wrong with a user's JSON Schema itself; empty where it can be used."""
    if not isinstance(schema, (dict, bool)):
        return ["a JSON Schema is an object"]
    kind = type(validator_of(schema))
    try:
        for error in kind(kind.META_SCHEMA).iter_errors(schema):  # patterns are looked at below: they are RE2
            return [f"at {'/'.join(['#', *map(str, error.absolute_path)])}: {error.message[:200]}"]
    except RecursionError:
        return ["it is nested too deeply"]
    return [*_bad_patterns(schema), *_dead_references(schema, kind)]


def validator_of(schema: Any) -> Any:
    """A validator of jsonschema whose patterns are RE2 and which fetches nothing."""
    from jsonschema import Draft202012Validator, validators
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped,unused-ignore]

    kind = validators.validator_for(schema, default=Draft202012Validator)
    strict: Any = validators.extend(  # type: ignore[no-untyped-call]
        kind, {"pattern": _pattern, "patternProperties": _pattern_keys, "additionalProperties": _other_keys}
    )
    return strict(schema, registry=REGISTRY)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not _found(pattern, instance):
        yield ValidationError("does not match")


def _pattern_keys(validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, below in patterns.items():
            for key, value in instance.items():
                if _found(pattern, key):
                    yield from validator.descend(value, below, path=key, schema_path=pattern)


def _other_keys(validator: Any, below: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not isinstance(instance, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in instance.items():
        if key in known or any(_found(pattern, key) for pattern in patterns):
            continue
        if below is False:
            yield ValidationError("a key that is not allowed")
        else:
            yield from validator.descend(value, below, path=key)


def _found(pattern: str, text: str) -> bool:
    import re2  # type: ignore[import-untyped,unused-ignore]

    return re2.search(pattern, text) is not None


def _bad_patterns(schema: Any) -> Iterator[str]:
    from hroute.terms.pattern import PatternError, check

    waiting = [schema]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting += here
        elif isinstance(here, dict):
            waiting += here.values()
            keyed = here.get("patternProperties")
            for pattern in (here.get("pattern"), *(keyed if isinstance(keyed, dict) else ())):
                if isinstance(pattern, str):
                    try:
                        check(pattern)
                    except PatternError as error:
                        yield f"a pattern that RE2 does not take: {error.message}"


def _dead_references(schema: Any, kind: Any) -> Iterator[str]:
    """References that lead nowhere, seen from where each stands: nothing is fetched."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped,unused-ignore]
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    dialect = specification_with(kind.META_SCHEMA["$schema"])
    root = dialect.create_resource(schema)
    base = root.id() or ""
    waiting = [(root, REGISTRY.with_resource(base, root).resolver(base))]
    seen: set[int] = set()
    while waiting:
        here, resolver = waiting.pop()
        if id(here.contents) in seen or not isinstance(here.contents, dict):
            continue
        seen.add(id(here.contents))
        waiting += [(below, resolver.in_subresource(below)) for below in here.subresources()]
        for reference in (here.contents.get("$ref"), here.contents.get("$dynamicRef")):
            if not isinstance(reference, str):
                continue
            try:
                found = resolver.lookup(reference)
            except Unresolvable:
                yield f"it refers to `{reference[:100]}`, which is not in it, and nothing is fetched"
                continue
            if not isinstance(found.contents, (dict, bool)):
                yield f"it refers to `{reference[:100]}`, which is no schema"
                continue
            waiting.append((dialect.create_resource(found.contents), found.resolver))


def _place(error: Any) -> str:
    place = "$"
    for step in error.absolute_path:
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    return place if len(place) <= 200 else place[:200] + "..."


def _demand(error: Any) -> str:
    value = error.validator_value
    if error.validator == "required":
        return "lacks " + ", ".join(f"`{key}`" for key in value if key not in error.instance)
    if error.validator == "type" and isinstance(value, list):
        value = " or ".join(map(str, value))
    return _DEMANDS.get(str(error.validator), "does not satisfy `{name}`").format(value=value, name=error.validator)
