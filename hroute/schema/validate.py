"""The shape of a file: right types, known keys, allowed values, nothing missing. Every mistake becomes one finding.

What conditions hold is left to `hroute.schema.parse`, which says it better. jsonschema is imported when it is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from hroute.errors import UsageError
from hroute.schema import vocabulary
from hroute.schema.codes import finding
from hroute.schema.diagnostic import Diagnostic, Span
from hroute.schema.reply_schema import json_errors, schema_errors, validator_of
from hroute.schema.shape_errors import but_not, diagnose, entry_name
from hroute.schema.source import Path, Source
from hroute.terms.signal import SIGNALS, Kind, coerce, domain_text

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

VERSION: Final = 1
"""The version of the policy language."""

MOST: Final = 1_000
"""Findings that are told; whoever made more mistakes made them everywhere."""
_FREE_TEXTS: Final = ("name", "description", "refuse", "route_to", "fallback")
"""Keys of a rule whose texts do not matter to its shape."""


def shape(source: Source) -> list[Diagnostic]:
    """HR010 to HR014 for a policy. Nothing where the file could not be read: its own findings say why."""
    if source.data is None:
        return []
    if not isinstance(source.data, dict):
        return _tidy(source, [_no_mapping(source, "a policy", "a policy begins with `routing_rules:`")])
    data = dict(source.data)
    version = data.pop("version", VERSION)
    found = iter([_version(source)] if type(version) is not int or version != VERSION else ())
    rules = data.get("routing_rules")
    if isinstance(rules, list):
        data["routing_rules"] = []
        found = chain(found, _rules(source, rules))
    return _tidy(source, chain(found, diagnose(source, _validator("policy").iter_errors(data))))


def shape_of_cases(source: Source) -> list[Diagnostic]:
    """The same for `*.test.yaml`; the values of the signals that cases give are checked too."""
    if source.data is None:
        return []
    if not isinstance(source.data, dict):
        return _tidy(source, [_no_mapping(source, "a test file", "tests begin with `cases:`")])
    cases = source.data.get("cases")
    entries = enumerate(cases) if isinstance(cases, list) else ()
    inside = (_case(source, ("cases", at), case) for at, case in entries if isinstance(case, dict))
    found = diagnose(source, _validator("cases").iter_errors(source.data))
    return _tidy(source, chain(found, chain.from_iterable(inside)))


def shape_of_options(
    source: Source, provider: str, plugin: str, options: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> list[Diagnostic]:
    """HR010 to HR013 for the `options:` of `provider`, by the JSON Schema of its plugin; None: it takes none."""
    path: Path = ("providers", provider, "options")
    if schema is None:
        help = "what the model is to be told stands in `params`"
        text = f"plugin `{plugin}` takes no options"
        return [finding("HR011", text, source.key_span((*path, key)), help=help) for key in list(options)[:1]]
    for problem in schema_errors(dict(schema)):
        text = f"the options of plugin `{plugin}` cannot be checked: its own JSON Schema is wrong, {problem}"
        return [finding("HR012", text, source.key_span(path), help="tell whoever made the plugin")]
    return shape_at(source, path, options, schema)


def shape_at(source: Source, path: Path, value: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Diagnostic]:
    """HR010 to HR013 for a mapping that stands at `path`, by a JSON Schema of its own."""
    return _tidy(source, diagnose(source, validator_of(dict(schema)).iter_errors(dict(value)), path))


def _rules(source: Source, rules: list[Any]) -> Iterator[Diagnostic]:
    """Errors of the rules. Rules that differ in free texts only have the same shape, which is looked at once."""
    validator = _validator("rule")
    good: set[str] = set()
    for at, rule in enumerate(rules):
        key = _shape_key(rule)
        if key in good:
            continue
        before = True
        for diagnostic in diagnose(source, validator.iter_errors(rule), ("routing_rules", at)):
            before = False
            yield diagnostic
        if before:
            good.add(key)


def _shape_key(rule: Any) -> str:
    if not isinstance(rule, dict):
        return json.dumps(rule, ensure_ascii=False)
    parts = dict(rule)
    for key in _FREE_TEXTS:
        value = parts.get(key)
        if isinstance(value, list) and all(isinstance(item, str) and _plain(item) for item in value):
            parts[key] = ["x"]
        elif isinstance(value, str) and _plain(value):
            parts[key] = "x"
    if isinstance(parts.get("condition"), dict):
        parts["condition"] = {}
    return json.dumps(parts, ensure_ascii=False)


def _plain(text: str) -> bool:
    return 0 < len(text) <= 100 and text.isprintable() and text == text.strip()


def _case(source: Source, path: Path, case: dict[str, Any]) -> Iterator[Diagnostic]:
    yield from _signals(source, (*path, "given"), case.get("given"))
    variations = case.get("each")
    if not isinstance(variations, list):
        if "expect" not in case:
            help = "expect: {route_to: ollama}"
            yield finding(
                "HR013",
                f"{entry_name(source, path)} expects nothing",
                source.key_span((*path, next(iter(case), ""))),
                help=help,
            )
        return
    for at, variation in enumerate(variations):
        if isinstance(variation, dict):
            yield from _signals(source, (*path, "each", at, "given"), variation.get("given"))
            if "expect" not in case and "expect" not in variation:
                span = source.key_span((*path, "each", at, next(iter(variation), "")))
                yield finding("HR013", f"{entry_name(source, path)} expects nothing of variation {at + 1}", span)


def _signals(source: Source, path: Path, given: Any) -> Iterator[Diagnostic]:
    for name, value in given.items() if isinstance(given, dict) else ():
        signal = SIGNALS.get(name)
        if signal is None or signal.kind is Kind.TEXT or (name == "files" and isinstance(value, dict)):
            continue  # `files` is also the documents that a case sends along
        try:
            coerce(name, value)
        except UsageError as error:
            fits_not = (
                "HR012" if isinstance(value, str) or (isinstance(value, (int, float)) and signal.numeric) else "HR010"
            )
            message = f"signal `{name}` takes {domain_text(signal)}, {but_not(value)}"
            yield finding(fits_not, message, source.span((*path, name)), help=error.help or "")


def _no_mapping(source: Source, what: str, help: str) -> Diagnostic:
    held = "a list" if isinstance(source.data, list) else "a single value"
    return finding("HR010", f"{what} is a mapping, and this file holds {held}", source.span(()), help=help)


def _version(source: Source) -> Diagnostic:
    written = source.data["version"]
    newer = type(written) is int and written > VERSION
    help = "a newer hroute may read it" if newer else f"write `version: {VERSION}`, or leave it out"
    message = f"this hroute reads version {VERSION} of the policy language, not {written!r}"
    if not isinstance(written, (int, str)) or isinstance(written, bool):
        message = f"`version` is the number {VERSION}"
    return finding("HR014", message, source.span(("version",)), help=help)


def _tidy(source: Source, found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sorted, none twice, and none at a place of which the reader has already complained."""
    seen = {f.primary.span for f in source.findings}
    tidy: dict[tuple[str, Span], Diagnostic] = {}
    for one in islice(found, MOST):
        if one.primary.span not in seen:
            tidy.setdefault((one.code, one.primary.span), one)
    return sorted(tidy.values(), key=lambda f: f.sort_key)


@cache
def _validator(of: str) -> Validator:
    from jsonschema import Draft202012Validator

    if of == "cases":
        return Draft202012Validator(vocabulary.case_shape_schema())
    schema = vocabulary.shape_schema()
    return Draft202012Validator(schema["properties"]["routing_rules"]["items"] if of == "rule" else schema)


__all__ = ["VERSION", "json_errors", "schema_errors", "shape", "shape_of_cases", "shape_of_options"]
