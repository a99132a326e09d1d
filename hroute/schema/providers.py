"""Providers and tiers of a policy: the catalogue, what the policy says over it, and the policy's own defaults below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from hroute.schema import behaviour
from hroute.schema.catalogue import CATALOGUE
from hroute.schema.diagnostic import Label
from hroute.schema.draft import Draft
from hroute.schema.policy import Provider
from hroute.schema.prices import plain_price, read_price
from hroute.schema.quantities import dollars, show_dollars
from hroute.schema.source import Path
from hroute.terms import secret

_CLIENT: Final = "client"
"""`api_key: client`: the caller's own credential, passed on (SEMANTICS 3.10)."""


def read_providers(draft: Draft) -> None:
    """Fill `draft.providers`: the declared ones in order, then the rest of the catalogue."""
    defaults = behaviour.read_defaults(draft)
    declared = draft.mapping(("providers",))
    for name in declared:
        path: Path = ("providers", name)
        if isinstance(draft.get(path), dict):
            provider = _provider(draft, name, path, defaults)
            if provider is None:
                draft.broken.add(name)
            else:
                draft.providers[name] = provider
        elif draft.get(path) is None and name in CATALOGUE:
            draft.providers[name] = _catalogued(name, defaults)
        else:
            draft.broken.add(name)
            draft.typed(path, dict, {})
            if draft.get(path) is None:
                draft.find("HR013", f"provider `{name}` has no `plugin` and no `model`", path, at_key=True)
    for name in CATALOGUE:
        if name not in draft.providers and name not in draft.broken:
            draft.providers[name] = _catalogued(name, defaults)


def read_tiers(draft: Draft) -> None:
    """Fill `draft.tiers`. HR021 for a provider that does not exist, HR022 for a provider's name, HR012 for a repetition."""
    for tier in draft.mapping(("tiers",)):
        path: Path = ("tiers", tier)
        if tier in draft.providers:
            others = (
                [Label(draft.source.key_span(("providers", tier)), "a provider here")]
                if draft.has(("providers", tier))
                else []
            )
            help = "" if others else f"`{tier}` is a provider of the built-in catalogue"
            draft.find(
                "HR022", f"tier `{tier}` has the name of a provider", path, at_key=True, others=others, help=help
            )
            continue
        names = draft.get(path)
        members: list[str] = []
        if not isinstance(names, list):
            draft.broken.add(tier)
            draft.find(
                "HR010", f"tier `{tier}` takes a list of providers", path, help=f"{tier}: [claude_sonnet, gpt4o]"
            )
            continue
        for at in range(len(names)):
            place = (*path, at)
            name = draft.text(place) or ""
            if name in members:
                draft.find("HR012", f"tier `{tier}` names provider `{name}` twice", place)
            elif name in draft.mapping(("tiers",)) and name not in draft.providers:
                draft.find("HR012", f"tier `{tier}` names tier `{name}`; a tier lists providers", place)
            elif draft.provider(name, place, f"tier `{tier}` names"):
                members.append(name)
        if members:
            draft.tiers[tier] = tuple(members)
        else:
            draft.broken.add(tier)
            if not names:
                draft.find("HR012", f"tier `{tier}` is empty", path, help="name at least one provider")


def plain(provider: Provider) -> dict[str, Any]:
    """The provider as it would stand in a policy, every default written out."""
    written: dict[str, Any] = {"plugin": provider.plugin, "model": provider.model}
    for key in ("base_url", "api_key", "local", "context_window", "max_output", "vouched"):
        value = getattr(provider, key)
        if value is not None or key in CATALOGUE.get(provider.name, {}):
            written[key] = value
    for key in ("labels", "params", "options"):
        if getattr(provider, key):
            written[key] = dict(getattr(provider, key))
    if provider.command:
        written["command"] = list(provider.command)
    written |= behaviour.plain(provider)
    if provider.price is not None:
        written["price"] = plain_price(provider.price)
    if provider.usd_per_hour is not None:
        written["usd_per_hour"] = show_dollars(provider.usd_per_hour)
    return written


def find_secrets(draft: Draft, path: Path) -> None:
    """HR307 for every text below `path` that looks like a credential; the finding never shows it."""
    for place, text in _texts(draft.get(path), path):
        if place[-1] not in ("api_key", "model", "signing_key") and _holds_secret(text):
            find_secret(draft, place)


def _catalogued(name: str, defaults: behaviour.Defaults) -> Provider:
    entry = CATALOGUE[name]
    timeout, retry, breaker, limits = defaults
    return Provider(
        name, **entry, labels={}, timeout=timeout, retry=retry, breaker=breaker, limits=limits, params={}, options={}, catalogued=True
    )  # fmt: skip


def _provider(draft: Draft, name: str, path: Path, defaults: behaviour.Defaults) -> Provider | None:
    entry = CATALOGUE.get(name, {})
    before = len(draft.findings)
    find_secrets(draft, path)
    api_key = _api_key(draft, (*path, "api_key")) if draft.has((*path, "api_key")) else entry.get("api_key")
    plugin = draft.text((*path, "plugin")) or entry.get("plugin")
    model = draft.text((*path, "model")) or entry.get("model")
    command = draft.texts((*path, "command"))
    if plugin is None:
        draft.find(
            "HR013",
            f"provider `{name}` has no `plugin`",
            path,
            at_key=True,
            help="anthropic, openai, ollama, command or sandbox",
        )
    if model is None and plugin not in (None, "command", "sandbox"):
        draft.find("HR013", f"provider `{name}` has no `model`", path, at_key=True)
    timeout, retry, breaker, limits = behaviour.read_behaviour(draft, path, defaults)
    provider = Provider(
        name,
        plugin or "",
        model or name,
        base_url=draft.text((*path, "base_url")) if draft.has((*path, "base_url")) else entry.get("base_url"),
        api_key=api_key,
        local=_local(draft, (*path, "local"), entry.get("local", False)),
        labels={label: draft.text((*path, "labels", label)) or "" for label in draft.mapping((*path, "labels"))},
        context_window=_size(draft, (*path, "context_window"), entry.get("context_window")),
        max_output=_size(draft, (*path, "max_output"), entry.get("max_output")),
        timeout=timeout,
        retry=retry,
        breaker=breaker,
        limits=limits,
        price=read_price(draft, (*path, "price")),
        usd_per_hour=draft.measure((*path, "usd_per_hour"), _perhaps_dollars, None),
        params=draft.mapping((*path, "params")),
        options=draft.mapping((*path, "options")),
        command=command,
        vouched=draft.text((*path, "vouched")),
        span=draft.source.key_span(path),
        spans={key: draft.span((*path, key)) for key in draft.mapping(path)},
    )
    return provider if len(draft.findings) == before else _without_key(draft, provider)


def _without_key(draft: Draft, provider: Provider) -> Provider | None:
    """A provider with a mistake in it is still a name that rules may use, so that one mistake is one finding."""
    return provider if provider.plugin else None


def _api_key(draft: Draft, path: Path) -> str | None:
    value = draft.get(path)
    if value is None:
        return None
    if not isinstance(value, str) or not (secret.is_reference(value) or value == _CLIENT):
        find_secret(draft, path)
        return None
    return value


def _holds_secret(text: str) -> bool:
    """Whether the text is a credential, or an address with one in it: a password, a query value, a webhook's path."""
    if "://" not in text:
        return secret.looks_literal(text)
    rest = text.partition("://")[2]
    login, at, _ = rest.partition("/")[0].rpartition("@")
    password = login.partition(":")[2]
    if at and password and not secret.is_reference(password):
        return True
    queries = rest.partition("?")[2].split("&")
    paths = rest.partition("?")[0].split("/")[1:] if "hooks." in rest or "webhook" in rest else []
    return any(secret.looks_literal(piece.partition("=")[2] or piece) for piece in (*queries, *paths))


def find_secret(draft: Draft, path: Path) -> None:
    """HR307 at `path`; the finding never shows what stands there."""
    from hroute.schema.codes import finding
    from hroute.schema.diagnostic import Diagnostic

    help = "put it into the environment and write `env:NAME`, or `keyring:NAME`; then revoke this one"
    bare = finding("HR307", f"`{path[-1]}` holds a secret in clear", draft.span(path), help=help)
    masked = Label(bare.primary.span, bare.primary.text, masked=True)
    draft.findings.append(Diagnostic(bare.code, bare.level, bare.message, masked, bare.others, bare.help, bare.witness))


def _local(draft: Draft, path: Path, default: bool | Literal["network"]) -> bool | Literal["network"]:
    value = draft.get(path)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    if value == "network":
        return "network"
    code = "HR012" if isinstance(value, str) else "HR010"
    draft.find(code, "`local` is true (this machine), network (an address that you vouch for) or false", path)
    return default


def _size(draft: Draft, path: Path, default: int | None) -> int | None:
    return draft.whole(path) if draft.get(path) is not None else (None if draft.has(path) else default)


def _perhaps_dollars(written: Any) -> int | None:
    return dollars(written)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _texts(item, (*path, at))
