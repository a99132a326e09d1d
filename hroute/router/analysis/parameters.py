"""Findings about `params`: names that no plugin which gets them carries, and values that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hroute.router.analysis.subject import Diagnostic, Subject, finding
from hroute.schema.policy import Rule
from hroute.schema.source import Source
from hroute.terms.secret import is_reference

if TYPE_CHECKING:
    from hroute.providers.parameters import Parameters

Path = tuple[str | int, ...]


def parameters(subject: Subject) -> Iterator[Diagnostic]:
    """HR010 to HR012: a parameter of a provider that its plugin does not carry; one of a rule that nobody in its chain does."""
    source, policy = subject.source, subject.policy
    if source is None:
        return
    for provider in policy.providers.values():
        if provider.params and (known := _known(provider.plugin)) is not None:
            yield from _of_provider(source, ("providers", provider.name, "params"), provider.params, known)
    for path, rule in _rules(subject, source):
        if rule.route is not None and rule.params:
            yield from _of_rule(source, path, rule.params, [policy.providers[name].plugin for name in rule.route.chain])


def _of_provider(source: Source, path: Path, params: Mapping[str, Any], known: Parameters) -> Iterator[Diagnostic]:
    from hroute.schema.validate import shape_at

    for name in params.keys() & known.elsewhere.keys():
        said = f"plugin `{known.plugin}` does not take the parameter `{name}`"
        yield finding("HR011", said, source.key_span((*path, name)), help=known.elsewhere[name])
    written = {
        n: v for n, v in params.items() if n not in known.elsewhere and not (isinstance(v, str) and is_reference(v))
    }
    yield from shape_at(source, path, written, known.schema)


def _of_rule(source: Source, path: Path, params: Mapping[str, Any], plugins: Sequence[str]) -> Iterator[Diagnostic]:
    """Where somebody in the chain carries it, that one serves: only what nobody carries is a mistake."""
    tables = [_known(plugin) for plugin in dict.fromkeys(plugins)]
    known = [table for table in tables if table is not None]
    if not known or len(known) < len(tables):
        return
    for name, value in params.items():
        carrying = next((table for table in known if name in table.schema["properties"]), known[0])
        yield from _of_provider(source, path, {name: value}, carrying)


def _rules(subject: Subject, source: Source) -> Iterator[tuple[Path, Rule]]:
    """The rules of the file with the place of their parameters."""
    rules = {rule.name: rule for rule in subject.policy.all_rules}
    data = source.data if isinstance(source.data, Mapping) else {}
    for at, raw in enumerate(data.get("routing_rules") or ()):
        if isinstance(raw, Mapping) and raw.get("name") in rules:
            yield ("routing_rules", at, "params"), rules[raw["name"]]
    if "default" in rules and "default" in data:
        yield ("default", "params"), rules["default"]


def _known(plugin: str) -> Parameters | None:
    """What a plugin carries; None for one that does not say."""
    from hroute.providers import registry

    return registry.parameters(plugin)
