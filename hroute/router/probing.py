"""Asking each provider of a policy whether it is there: key, model, and what a local server has loaded.

No prompt is sent and nothing is paid for. Whom a guarantee keeps from every request is not asked either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hroute.errors import HrouteError
from hroute.providers import registry
from hroute.providers.probe import Probe, Probing
from hroute.providers.protocol import Plugin, Target
from hroute.router import egress
from hroute.router.egress import Forbidden, Guard
from hroute.router.engine import Engine
from hroute.router.plan import Skipped
from hroute.router.reference import asker
from hroute.schema.policy import Policy, Provider
from hroute.terms.outcome import Outcome

PATIENCE: Final = 10.0
"""Seconds that one provider is waited for."""
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of asking one provider. `problem` says in one line what is wrong ("" nothing), `notes` what to know
    besides; `asked` is false where nobody was asked, `probe` then None."""

    provider: str
    probe: Probe | None
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problem

    def as_json(self) -> dict[str, Any]:
        probe = self.probe
        loaded = probe.loaded if probe else None
        return {
            "provider": self.provider,
            "ok": self.ok,
            "problem": self.problem or None,
            "notes": list(self.notes),
            "ms": round(probe.ms, 1) if probe else None,
            "model_present": probe.listed if probe else None,
            "trained_context": probe.trained if probe else None,
            "served_by": probe.remote or None if probe else None,
            "loaded": None
            if loaded is None
            else {"context": loaded.context, "bytes": loaded.size, "vram_share": loaded.vram_share},
        }


def probe(
    policy: Policy,
    providers: Iterable[Provider],
    environ: Mapping[str, str],
    load: Callable[[str], Plugin] = registry.load,
) -> list[Probed]:
    """Ask `providers`, several at a time, in their order."""
    from concurrent.futures import ThreadPoolExecutor

    engine = Engine(policy, environ=environ, load=load)
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda provider: _one(engine, provider, load), providers))
    finally:
        engine.close()


def _one(engine: Engine, provider: Provider, load: Callable[[str], Plugin]) -> Probed:
    target = engine.target(provider)
    if isinstance(target, Skipped):
        return Probed(provider.name, None, target.detail)
    around = engine.surroundings()
    try:
        leave = egress.permit(Guard(engine.policy, asker(engine.policy, {})), provider, around.locate(provider, target))
    except Forbidden as forbidden:
        return Probed(provider.name, None, notes=(f"not asked: {forbidden}",))
    try:
        plugin = load(provider.plugin)
        if not isinstance(plugin, Probing):
            return Probed(provider.name, None, notes=(f"not asked: plugin {provider.plugin} has no way to",))
        if (warm := getattr(plugin, "warm", None)) is not None:
            warm()
    except HrouteError as error:
        return Probed(provider.name, None, error.message)
    try:
        found = plugin.probe(replace(target, total=min(target.total, PATIENCE), first_token=PATIENCE), leave)
    finally:
        if (close := getattr(plugin, "close", None)) is not None:
            close()
    return Probed(provider.name, found, _problem(target, found), tuple(_notes(provider, target, found)))


def _problem(target: Target, found: Probe) -> str:
    failure = found.failure
    if failure is not None:
        rejected = failure.outcome is Outcome.CREDENTIAL and failure.status in (401, 403)
        return f"its key is rejected ({failure.status})" if rejected else failure.message
    if found.listed is False:
        return f"it has no model `{target.model}`"
    if found.remote and target.local:
        return f"`{target.model}` is served by {found.remote}, and the policy says that it is local"
    return ""


def _notes(provider: Provider, target: Target, found: Probe) -> Iterator[str]:
    """What a person should know of a model that is there."""
    if found.failure is None and found.listed is None and provider.plugin != "command":
        yield f"it does not say whether it has `{target.model}`"
    window = provider.context_window
    if found.trained is not None:
        more = f", and the policy counts on {window}" if window is not None and window > found.trained else ""
        yield f"trained for {found.trained} tokens{more}"
    loaded = found.loaded
    if loaded is not None:
        context = f"loaded with {loaded.context} tokens" if loaded.context else "loaded"
        size = f", {loaded.size / 1e9:.1f} GB" if loaded.size else ""
        share = "" if loaded.vram_share is None else f", {loaded.vram_share:.0%} of it in VRAM".replace("%", " %")
        yield f"{context}{size}{share}"
    elif found.trained is not None:
        yield "not loaded"
