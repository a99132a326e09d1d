"""jsonschema's errors in words that a person understands: one finding each, at its place, with what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from hroute.schema.codes import finding
from hroute.schema.diagnostic import Diagnostic
from hroute.schema.source import Path, Source
from hroute.schema.wants import did_you_mean, near
from hroute.terms.signal import SIGNALS

ShapeError = Any
"""jsonschema's ValidationError; its own annotations allow "unset" for every field, which it never is here."""

_MOST_LISTED: Final = 14

_ITEMS: Final = {
    "routing_rules": "rule", "guarantees": "guarantee", "budgets": "budget", "cases": "case",
    "providers": "provider", "tiers": "tier", "define": "definition", "intents": "intent",
}  # fmt: skip

_MEANT: Final = {
    "rules": "routing_rules", "routes": "routing_rules", "models": "providers", "groups": "tiers", "definitions": "define",
    "conditions": "condition", "if": "condition", "match": "condition", "where": "condition", "when": "condition",
    "to": "route_to", "route": "route_to", "target": "route_to", "provider": "route_to", "then": "route_to", "model_name": "model",
    "fallbacks": "fallback", "backup": "fallback", "deny": "refuse", "reject": "refuse", "block": "refuse",
    "key": "api_key", "apikey": "api_key", "token": "api_key", "url": "base_url", "endpoint": "base_url", "api_base": "base_url",
    "type": "plugin", "kind": "plugin", "vendor": "plugin", "tags": "labels", "context": "context_window", "num_ctx": "context_window",
    "retries": "retry", "timeouts": "timeout", "circuit_breaker": "breaker", "rate_limit": "limits", "max_parallel": "concurrency",
    "limit": "limit_usd", "usd": "limit_usd", "period": "per", "tz": "timezone", "disabled": "enabled", "tests": "cases",
    "input": "given", "signals": "given", "output": "expect", "expected": "expect", "text": "prompt", "message": "prompt",
}  # fmt: skip
"""What other programs call it."""

_MODEL_PARAMS: Final = frozenset(
    ("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "presence_penalty", "frequency_penalty")
)

_TYPES: Final = {
    "string": "a text", "object": "a mapping", "array": "a list", "integer": "a whole number", "number": "a number",
    "boolean": "true or false", "null": "null",
}  # fmt: skip


def diagnose(source: Source, errors: Iterable[ShapeError], base: Path = ()) -> Iterator[Diagnostic]:
    """The findings for the errors of one document, whose root stands at `base`."""
    missing: dict[Path, dict[str, None]] = {}
    for error in errors:
        path = (*base, *error.absolute_path)
        if "propertyNames" in error.relative_schema_path:
            yield _bad_key(source, path, error)
        elif error.validator in ("anyOf", "oneOf"):
            alternatives = _alternatives(error)
            if alternatives is None:
                yield from _union(source, path, error, base)
            elif not isinstance(error.instance, dict):
                continue
            elif given := [key for key in alternatives if key in error.instance]:
                message = f"{entry_name(source, path)} has both `{given[0]}` and `{given[1]}`"
                yield finding("HR012", message, source.span((*path, given[1])), help="keep one of them")
            else:
                missing.setdefault(path, {})[" or ".join(f"`{key}`" for key in alternatives)] = None
        elif error.validator == "additionalProperties":
            yield from _unknown_keys(source, path, error)
        elif error.validator == "required":
            missing.setdefault(path, {}).update(
                (f"`{key}`", None) for key in error.validator_value if key not in error.instance
            )
        elif error.validator == "type":
            yield _wrong_type(source, path, error.instance, _title(error.schema))
        else:
            yield _wrong_value(source, path, error)
    for path, keys in missing.items():
        yield _missing(source, path, list(keys))


def entry_name(source: Source, path: Path) -> str:
    """What `path` lies in, as a person would call it: rule `faq`, `timeout` of provider `ollama`, the file."""
    if len(path) < 2 or path[0] not in _ITEMS:
        return f"`{path[-1]}`" if path else "the file"
    what, at = _ITEMS[str(path[0])], path[1]
    if isinstance(at, int):
        entry = source.data[path[0]][at]
        name = entry.get("name") if isinstance(entry, dict) else None
        who = f"{what} `{name}`" if isinstance(name, str) and name else f"{what} {at + 1}"
    else:
        who = f"{what} `{at}`"
    return f"`{path[-1]}` of {who}" if len(path) > 2 and isinstance(path[-1], str) else who


def shown(value: Any) -> str:
    """A value in a message: short, and never a secret."""
    if isinstance(value, str):
        from hroute.terms.secret import looks_literal, redact

        if looks_literal(value):
            return "the text [secret]"
        text = redact(value)
        return f"the text `{text if len(text) <= 40 else text[:40] + '...'}`".replace("\n", " ")
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a mapping"


def _union(source: Source, path: Path, error: ShapeError, base: Path) -> Iterator[Diagnostic]:
    branches: list[Any] = error.validator_value
    wrong: dict[int, list[ShapeError]] = {}
    for inner in error.context or ():
        wrong.setdefault(int(inner.relative_schema_path[0]), []).append(inner)
    for inners in wrong.values():
        if not any(len(i.relative_path) == 0 and i.validator in ("type", "enum") for i in inners):
            yield from diagnose(source, inners, base)
            return
    words = [_word(value) for branch in branches for value in branch.get("enum", ())]
    if isinstance(error.instance, str) and words:
        yield _not_allowed(source, path, error.instance, words)
    else:
        yield _wrong_type(source, path, error.instance, _title(error.schema))


def _alternatives(error: ShapeError) -> list[str] | None:
    """The keys one of which is demanded; None where the union is about something else."""
    branches: list[Any] = error.validator_value
    if any(set(branch) != {"required"} for branch in branches):
        return None
    return [branch["required"][0] for branch in branches]


def _missing(source: Source, path: Path, keys: list[str]) -> Diagnostic:
    first = keys[0].split("`")[1]
    help = _EXAMPLES.get((str(path[0]) if path else "", first), "") or _EXAMPLES.get(("", first), "")
    what = f"{entry_name(source, path)} has no {' and no '.join(keys)}" if path else f"{' and '.join(keys)} is missing"
    return finding("HR013", what, _head(source, path), help=help)


_EXAMPLES: Final = {
    ("", "routing_rules"): "a policy begins with `routing_rules:`; `hroute init` writes one",
    ("", "cases"): "tests begin with `cases:`",
    ("routing_rules", "name"): "name: what_it_is_for",
    ("routing_rules", "condition"): "`condition: {}` holds for every request; what no rule takes is for `default:`",
    ("routing_rules", "route_to"): 'give it `route_to: PROVIDER`, or `refuse: "why"`',
    ("default", "route_to"): "default: {route_to: claude_sonnet}",
    ("guarantees", "name"): "name: what_never_happens",
    ("guarantees", "only"): "only: {local: true}",
    ("budgets", "name"): "name: daily",
    ("budgets", "limit_usd"): "limit_usd: 20",
    ("budgets", "per"): "per: day",
    ("", "p95"): "latency: {p95: 8s}",
    ("", "input"): "price: {input: 3.0, output: 15.0}, in USD per million tokens",
    ("", "output"): "price: {input: 3.0, output: 15.0}, in USD per million tokens",
}


def _unknown_keys(source: Source, path: Path, error: ShapeError) -> Iterator[Diagnostic]:
    known = tuple(error.schema.get("properties", {}))
    for key in error.instance:
        if key not in known:
            message = (
                f"`{key}` is not a key of {entry_name(source, path)}"
                if path
                else f"`{key}` is not a key of a {_noun(known)}"
            )
            yield finding("HR011", message, source.key_span((*path, key)), help=_meant(key, known, error.instance))


def _meant(key: str, known: tuple[str, ...], given: Any) -> str:
    free = tuple(word for word in known if word not in given) or known
    if ":" in key:
        return f"a blank is missing after the `:` in `{key}`"
    guess = near(key, free) or _MEANT.get(key.lower())
    if guess in known:
        return f"did you mean `{guess}`?"
    if "condition" in known and (key in SIGNALS or key in ("all", "any", "not", "is")):
        return f"`{key}` is tested by a condition: condition: {{{key}: ...}}"
    if "params" in known and key in _MODEL_PARAMS:
        return f"parameters of the model stand in `params`: params: {{{key}: ...}}"
    if len(known) <= _MOST_LISTED:
        return "keys here: " + ", ".join(known)
    return "hroute schema lists every key, and an editor completes them"


def _noun(known: tuple[str, ...]) -> str:
    return "test file" if "cases" in known else "policy"


def _bad_key(source: Source, path: Path, error: ShapeError) -> Diagnostic:
    message = f"`{error.instance}` is not {_title(error.schema)}"
    return finding("HR012", message, source.key_span((*path, str(error.instance))))


def _wrong_type(source: Source, path: Path, value: Any, title: str) -> Diagnostic:
    return finding(
        "HR010",
        f"{_takes(path, title)}, {but_not(value)}",
        _value_span(source, path),
        help=_type_help(path, value, title),
    )


def _takes(path: Path, title: str) -> str:
    if not path:
        return f"the file is to hold {title}"
    if isinstance(path[-1], int):
        above = next((step for step in reversed(path) if isinstance(step, str)), "the list")
        return f"`{above}` is a list, and item {path[-1] + 1} takes {title}"
    return f"`{path[-1]}` takes {title}"


def but_not(value: Any) -> str:
    """What stands there instead, after "`x` takes ...,"."""
    return "and nothing stands here" if value is None else f"not {shown(value)}"


def _type_help(path: Path, value: Any, title: str) -> str:
    if isinstance(value, bool) or (value is None and "text" in title):
        written = "null" if value is None else str(value).lower()
        return f'quote it: "{written}"' if "text" in title or "name" in title else ""
    if isinstance(value, (int, float)):
        if "duration" in title:
            return f"say in what: {value}s, or {value}ms"
        if "percent" in title or "share" in title:
            return f"write it with its sign: {round(value * 100, 6) if value < 1 else value:g}%"
        return f'quote it: "{value}"' if "text" in title or "name" in title else ""
    if isinstance(value, str):
        number = value.replace(".", "", 1).isdigit()
        plain = (number and "number" in title) or value in ("true", "false")
        listed = title.startswith("a list")
        return (
            f"write it without quotes: {value}"
            if plain
            else f"write it as a list: [{value}]"
            if listed and len(value) < 40
            else ""
        )
    if isinstance(value, dict) and title.startswith("a list"):
        return "begin each entry with `- `"
    return ""


def _wrong_value(source: Source, path: Path, error: ShapeError) -> Diagnostic:
    value, keyword = error.instance, str(error.validator)
    title = _title(error.schema)
    if keyword in ("enum", "const"):
        words = [_word(word) for word in error.schema.get("enum", ())]
        if not isinstance(value, str) or not words:
            return _wrong_type(source, path, value, title)
        return _not_allowed(source, path, value, words)
    if keyword in ("minLength", "minItems", "minProperties"):
        return finding(
            "HR012", f"{_quoted(path)} is empty", _value_span(source, path), help="delete it, or say something"
        )
    if keyword == "maxLength":
        return finding(
            "HR012", f"{_quoted(path)} is longer than {error.validator_value} characters", _value_span(source, path)
        )
    return finding(
        "HR012",
        f"{_takes(path, title)}, {but_not(value)}",
        _value_span(source, path),
        help=_type_help(path, value, title),
    )


def _not_allowed(source: Source, path: Path, value: str, words: list[str]) -> Diagnostic:
    help = did_you_mean(value, words, "one of " + ", ".join(words))
    written = shown(value).removeprefix("the text ")
    return finding("HR012", f"{written} is not an allowed value of {_quoted(path)}", source.span(path), help=help)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else "null" if value is None else str(value).lower()


def _quoted(path: Path) -> str:
    name = next((step for step in reversed(path) if isinstance(step, str)), "the file")
    return f"`{name}`" if path else name


def _title(schema: Any) -> str:
    title = schema.get("title")
    if isinstance(title, str):
        return title
    types = schema.get("type", "something else")
    names = types if isinstance(types, list) else [types]
    return " or ".join(_TYPES.get(name, str(name)) for name in names)


def _value_span(source: Source, path: Path) -> Any:
    """The value; its key where nothing stands after it."""
    span = source.span(path)
    return source.key_span(path) if (span.line, span.column) == (span.end_line, span.end_column) else span


def _head(source: Source, path: Path) -> Any:
    """Where to look when something is missing in the entry at `path`: a provider's name, else the whole entry."""
    return source.key_span(path) if len(path) == 2 and path[0] == "providers" else source.span(path)
