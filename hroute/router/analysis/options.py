"""Findings about what belongs to one plugin alone: `options`, by the plugin's own JSON Schema, and a command's keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hroute.router.analysis.subject import Diagnostic, Subject, finding
from hroute.schema.diagnostic import Span
from hroute.schema.policy import Provider
from hroute.schema.source import Source

_COMMAND: Final = "command"


def options(subject: Subject) -> Iterator[Diagnostic]:
    """HR010 to HR013: what stands in `options` and does not fit the plugin; what `plugin: command` lacks, or others have."""
    from hroute.providers import registry

    source = subject.source
    if source is None:
        return
    for provider in subject.policy.providers.values():
        if provider.catalogued or not subject.facts(provider.plugin).known:
            continue
        yield from _command(provider, source)
        if provider.options or provider.plugin not in registry.built_in():  # a third party's plugin may demand some
            yield from _options(provider, source)


def _command(provider: Provider, source: Source) -> Iterator[Diagnostic]:
    from hroute.providers import registry

    path = ("providers", provider.name)
    if provider.plugin == _COMMAND:
        if not provider.command:
            said = f"provider `{provider.name}` has no `command`"
            yield finding("HR013", said, source.key_span(path), help="command: [claude, -p]")
    elif provider.plugin in registry.built_in():
        for key, given in (("command", provider.command), ("vouched", provider.vouched)):
            if given:
                said = f"`{key}` is a key of `plugin: command`, and provider `{provider.name}` is `{provider.plugin}`"
                yield finding("HR011", said, source.key_span((*path, key)), help="delete it, or change the plugin")


def _options(provider: Provider, source: Source) -> Iterator[Diagnostic]:
    from hroute.errors import UsageError
    from hroute.providers import registry
    from hroute.schema.validate import shape_of_options

    try:
        schema = registry.facts(provider.plugin).options
    except UsageError as error:  # a third party's module that cannot be imported
        yield finding("HR020", error.message, _place(provider), help=error.help or "")
        return
    yield from shape_of_options(source, provider.name, provider.plugin, provider.options, schema)


def _place(provider: Provider) -> Span:
    place = provider.spans.get("plugin", provider.span)
    assert place is not None  # a provider of a file has one
    return place
