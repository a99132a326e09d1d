"""Selectors `only:` and `never:` of guarantees and budgets: which providers they speak of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hroute.schema.draft import Draft
from hroute.schema.policy import Provider
from hroute.schema.source import Path
from hroute.schema.wants import did_you_mean

_OWN: Final = ("local", "name", "tier", "plugin")


def selects(selector: Mapping[str, Any], provider: Provider, tiers: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether `provider` fits every key of the selector; a list means any of its items, other keys are labels."""
    return all(
        _fits(key, value if isinstance(value, list) else [value], provider, tiers) for key, value in selector.items()
    )


def permitted(draft: Draft, path: Path) -> frozenset[str]:
    """The providers, of all there are, that `only` and `never` below `path` leave."""
    only, never = read_selector(draft, (*path, "only")), read_selector(draft, (*path, "never"))
    return frozenset(
        name
        for name, provider in draft.providers.items()
        if (only is None or selects(only, provider, draft.tiers))
        and (never is None or not selects(never, provider, draft.tiers))
    )


def read_selector(draft: Draft, path: Path) -> dict[str, Any] | None:
    """The selector at `path`, its names checked; None where there is none."""
    if not draft.has(path):
        return None
    selector = draft.get(path)
    if not isinstance(selector, dict) or not selector:
        code = "HR012" if selector == {} else "HR010"
        draft.find(
            code,
            f"`{path[-1]}` says which providers: local, name, tier, plugin, or a label",
            path,
            help="{local: true}",
        )
        return {}
    return {key: _checked(draft, (*path, key), key) for key in selector}


def _checked(draft: Draft, path: Path, key: str) -> Any:
    value = draft.get(path)
    places = [(*path, at) for at in range(len(value))] if isinstance(value, list) else [path]
    for place in places:
        item = draft.get(place)
        if key == "local":
            if not isinstance(item, bool) and item != "network":
                draft.find("HR012", "`local` is true, network or false", place)
        elif item is None or isinstance(item, (dict, list)):
            draft.find("HR010", f"`{key}` takes a name or a list of names", place)
        elif key == "name" and item in draft.tiers:
            draft.find("HR021", f"`{item}` is a tier", place, help=f"write `tier: {item}`")
        elif key == "name":
            draft.provider(str(item), place, "names")
        elif key == "tier" and item not in draft.tiers and item not in draft.broken:
            help = did_you_mean(str(item), tuple(draft.tiers), "tiers stand under `tiers:`")
            draft.find("HR021", f"there is no tier `{item}`", place, help=help)
    if key not in _OWN:
        _check_label(draft, path, key)
    return value


def _check_label(draft: Draft, path: Path, key: str) -> None:
    known = {label for provider in draft.providers.values() for label in provider.labels}
    if key not in known and not draft.broken:
        help = did_you_mean(
            key, (*_OWN, *sorted(known)), "label a provider with it, or use local, name, tier or plugin"
        )
        draft.find("HR021", f"no provider has a label `{key}`", path, at_key=True, help=help)


def _fits(key: str, wanted: list[Any], provider: Provider, tiers: Mapping[str, tuple[str, ...]]) -> bool:
    match key:
        case "local":
            return any(provider.local is item or (item == "network" and provider.local == "network") for item in wanted)
        case "name":
            return provider.name in wanted
        case "tier":
            return any(provider.name in tiers.get(str(tier), ()) for tier in wanted)
        case "plugin":
            return provider.plugin in wanted
        case _:
            return provider.labels.get(key) in [_text(item) for item in wanted]


def _text(item: Any) -> str:
    return str(item).lower() if isinstance(item, bool) else str(item)
