"""A provider of the policy, as a plugin can use it: references looked up, or what is missing to use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hroute.providers.protocol import Capabilities, Target
from hroute.router.plan import Skipped, Why
from hroute.schema.policy import Provider
from hroute.terms.secret import is_reference, resolve

Keyring = Callable[[str], str | None]


def target_of(
    provider: Provider, facts: Capabilities, environ: Mapping[str, str], keyring: Keyring | None = None
) -> Target | Skipped:
    """`provider` with `env:` and `keyring:` references resolved, or why it cannot be used."""
    key = None if provider.api_key is None else resolve(provider.api_key, environ, keyring)
    model = resolve(provider.model, environ, keyring)
    base_url = _base_url(provider, facts, environ)
    if base_url is None and provider.base_url is not None:
        return Skipped(provider.name, Why.ADDRESS, f"{_shown(provider.base_url)} (its base_url) is not set")
    if model is None:
        return Skipped(provider.name, Why.ADDRESS, f"{_shown(provider.model)} (its model) is not set")
    if key is None and provider.api_key is not None:
        return Skipped(provider.name, Why.KEY, f"{_shown(provider.api_key)} is not set")
    if key is None and facts.needs_key and base_url == facts.default_base_url:
        return Skipped(provider.name, Why.KEY, "has no api_key in the policy")
    missing: list[str] = []

    def look(text: str) -> str:
        found = resolve(text, environ, keyring)
        if found is None:
            missing.append(text)
        return found or ""

    target = _looked_up(_target(provider, model, base_url, key), look)
    if missing:
        return Skipped(provider.name, Why.ADDRESS, f"{_shown(missing[0])} (named by its settings) is not set")
    return target


def stand_in(provider: Provider, facts: Capabilities, environ: Mapping[str, str]) -> Target:
    """`provider` as the sandbox plays it: no key is looked up, and what is not set does not matter."""
    model = resolve(provider.model, environ) or provider.model
    return _target(provider, model, _base_url(provider, facts, environ), None)


def _base_url(provider: Provider, facts: Capabilities, environ: Mapping[str, str]) -> str | None:
    """The address; an `env:` that is not set falls back to the plugin's own only where that is on this machine."""
    if provider.base_url is None:
        return facts.default_base_url
    return resolve(provider.base_url, environ) or (None if facts.needs_key else facts.default_base_url)


def _target(provider: Provider, model: str, base_url: str | None, key: str | None) -> Target:
    return Target(
        name=provider.name,
        model=model,
        base_url=base_url,
        api_key=key,
        local=provider.local,
        context_window=provider.context_window,
        connect=provider.timeout.connect,
        first_token=provider.timeout.first_token,
        idle=provider.timeout.idle,
        total=provider.timeout.total,
        params=provider.params,
        options=provider.options,
        command=provider.command,
    )


def _looked_up(target: Target, look: Callable[[str], str]) -> Target:
    """`target` with every reference in its parameters, options and command replaced by what it stands for, as text."""

    def of(value: Any) -> Any:
        if isinstance(value, str):
            return look(value) if is_reference(value) else value
        if isinstance(value, Mapping):
            return {key: of(item) for key, item in value.items()}
        return [of(item) for item in value] if isinstance(value, list) else value

    if not (target.params or target.options or target.command):
        return target
    command = tuple(of(word) for word in target.command)
    return replace(target, params=of(target.params), options=of(target.options), command=command)


def _shown(reference: str) -> str:
    """A reference for a person: `$NAME` for the environment; never a literal."""
    if not is_reference(reference):
        return "a value"
    kind, _, name = reference.partition(":")
    return f"${name}" if kind == "env" else f"{name} in the keyring"
