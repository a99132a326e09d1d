"""Which plugins exist and what they can carry; nothing is imported, and no package metadata read, before it must be."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from hroute.errors import UsageError
from hroute.providers.openai_options import OPTIONS as OPENAI_OPTIONS
from hroute.providers.programs.terms import OPTIONS
from hroute.providers.protocol import Capabilities, Plugin

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from hroute.providers.parameters import Parameters

GROUP: Final = "hroute.providers"
"""The entry point group in which a package announces its plugins: `name = "module:Class"`."""

_METHODS: Final = ("send", "stream", "asend", "astream")

# name -> (module:Class, what it can carry). Stated here so that checking a policy imports no SDK.
_BUILT_IN: Final[dict[str, tuple[str, Capabilities]]] = {
    "anthropic": (
        "hroute.providers.anthropic:AnthropicPlugin",
        Capabilities(thinking=True, default_base_url="https://api.anthropic.com"),
    ),
    "openai": (
        "hroute.providers.openai:OpenAIPlugin",
        Capabilities(default_base_url="https://api.openai.com/v1", logprobs=True, options=OPENAI_OPTIONS),
    ),
    "ollama": (
        "hroute.providers.ollama:OllamaPlugin",
        Capabilities(thinking=True, needs_key=False, default_base_url="http://127.0.0.1:11434", logprobs=True),
    ),
    "command": (
        "hroute.providers.command:CommandPlugin",
        Capabilities(tools=False, images=False, json_schema=False, stream=False, needs_key=False, options=OPTIONS),
    ),
    "sandbox": (
        "hroute.providers.sandbox.provider:SandboxPlugin",
        Capabilities(thinking=True, needs_key=False),
    ),
}


def built_in() -> tuple[str, ...]:
    """The plugins of this package; costs nothing."""
    return tuple(_BUILT_IN)


def names() -> tuple[str, ...]:
    """Every plugin, the built-in ones first. Reads the metadata of all installed packages."""
    return (*_BUILT_IN, *sorted(n for n in _announced() if n not in _BUILT_IN))


def exists(plugin: str) -> bool:
    """Whether a plugin of that name is built in or announced by an installed package."""
    return plugin in _BUILT_IN or plugin in _announced()


def facts(plugin: str) -> Capabilities:
    """What `plugin` can carry. Imports a third party's module, never an SDK for a built-in one. Raises UsageError."""
    known = _BUILT_IN.get(plugin)
    return known[1] if known else load(plugin).capabilities


def parameters(plugin: str) -> Parameters | None:
    """Which parameters of a model `plugin` carries; None for one that does not say, or is not there."""
    from hroute.providers.parameters import Parameters

    if plugin in _BUILT_IN:
        module = _import(plugin, f"{_BUILT_IN[plugin][0].partition(':')[0]}:__dict__")
        found = module.get("PARAMETERS")
    else:
        try:
            found = getattr(load(plugin), "parameters", None)
        except UsageError:
            return None
    return found if isinstance(found, Parameters) else None


def load(plugin: str) -> Plugin:
    """A new instance of `plugin`. Raises UsageError naming the plugin, and its package, where it cannot be made."""
    if plugin in _BUILT_IN:
        return _build(plugin, _import(plugin, _BUILT_IN[plugin][0]), "built in")
    entry = _announced().get(plugin)
    if entry is None:
        raise UsageError(f"there is no provider plugin `{plugin}`", help=_did_you_mean(plugin))
    origin = _origin(entry)
    try:
        factory = entry.load()
    except Exception as error:  # a third party's import may raise anything
        raise _broken(plugin, origin, error) from error
    return _build(plugin, factory, origin)


def _build(plugin: str, factory: Any, origin: str) -> Plugin:
    try:
        made = factory()
    except Exception as error:  # a third party's constructor may raise anything
        raise _broken(plugin, origin, error) from error
    for problem in _problems(made):
        raise UsageError(f"plugin `{plugin}` ({origin}) is not a provider plugin: {problem}", help=_HELP)
    checked: Plugin = made
    return checked


_HELP: Final = "hroute.providers.protocol.Plugin says what a plugin must have; hroute.providers.testing checks one"


def _problems(made: Any) -> Iterator[str]:
    if not isinstance(getattr(made, "name", None), str):
        yield "it has no `name`"
    if not isinstance(getattr(made, "capabilities", None), Capabilities):
        yield "its `capabilities` are not hroute.providers.protocol.Capabilities"
    for method in _METHODS:
        if not callable(getattr(made, method, None)):
            yield f"it has no `{method}`"


def _import(plugin: str, place: str) -> Any:
    from importlib import import_module

    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ImportError as error:
        if error.name == module:
            raise UsageError(f"plugin `{plugin}` is not part of this version of hroute") from error
        raise UsageError(
            f"plugin `{plugin}` needs the Python package `{error.name}`, which is not installed", code="HR024"
        ) from error


@cache
def _announced() -> dict[str, EntryPoint]:
    """Entry points by name; of two packages that announce one name the first by package name wins."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=_origin):
        found.setdefault(entry.name, entry)
    return found


def _origin(entry: EntryPoint) -> str:
    return f"package {entry.dist.name} {entry.dist.version}" if entry.dist else f"entry point {entry.value}"


def _broken(plugin: str, origin: str, error: Exception) -> UsageError:
    from hroute.terms.secret import redact

    return UsageError(f"plugin `{plugin}` ({origin}) cannot be loaded: {type(error).__name__}: {redact(str(error))}")


def _did_you_mean(plugin: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(plugin, names(), 1)
    return f"did you mean `{near[0]}`?" if near else f"installed plugins: {', '.join(names())}"
