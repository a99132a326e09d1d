"""The compiler of policies as one list of stages: read the list, know what `hroute check` proves.

`check_path` finds everything there is to say about a file; `load` is what programs call: it gives the policy or raises.
Errors block loading and reloading, warnings print. The verdict on a file is cached by its content for the next start.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256

from hroute import __version__
from hroute.errors import PolicyError
from hroute.router.analysis import detectors, guarantee, options, parameters, providers, rules, schemas
from hroute.router.analysis.guarantee import Proof
from hroute.router.analysis.reach import Effort
from hroute.router.analysis.subject import PluginFacts, Stage, Subject
from hroute.router.analysis.world import World
from hroute.router.index import Index
from hroute.schema import cache
from hroute.schema import load as schema_load
from hroute.schema.diagnostic import Diagnostic, Level, Span, from_data, to_data
from hroute.schema.policy import Policy
from hroute.schema.source import Source

BUDGET = 2.0
"""Seconds that the proofs may take together; past it they say "not proven" (DESIGN 6)."""

STAGES: tuple[Stage, ...] = (
    providers.plugins,
    detectors.models,
    options.options,
    parameters.parameters,
    providers.unused,
    providers.localities,
    rules.contradictions,
    guarantee.said_by_callers,
    guarantee.nobody_left,
    rules.unreachable,
    rules.gaps,
    providers.endpoints,
    providers.deadlines,
    providers.sizes,
    providers.prices,
    providers.bands,
    providers.models,
    schemas.replies,
    rules.always_true,
    rules.changes_nothing,
)
"""What is looked at, in this order, once a policy is built; `guarantee.leaks` runs before them all."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` knows of one file. `policy` is None where it could not be built; `proven` has one entry a guarantee;
    `kept` are the warnings that the author keeps on purpose, by a comment with a reason."""

    policy: Policy | None
    source: Source
    findings: tuple[Diagnostic, ...]
    proven: tuple[Proof, ...] = ()
    kept: tuple[Diagnostic, ...] = ()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(f for f in self.findings if f.level is Level.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(f for f in self.findings if f.level is Level.WARNING)


def check_path(path: str, *, clock: Callable[[], float] = time.monotonic) -> Checked:
    """Everything there is to say about the policy at `path`. Never raises for what the file holds."""
    return _check(*schema_load.load(path), clock)


def check_text(text: str | bytes, name: str = "policy.yaml", *, clock: Callable[[], float] = time.monotonic) -> Checked:
    """The same for a text; `name` stands in the findings."""
    return _check(*schema_load.load_text(text, name), clock)


def load(path: str) -> Policy:
    """The policy at `path`, warnings attached. Raises PolicyError with the findings where there is an error.

    The second start on the same content skips the proofs: the verdict is cached.
    """
    policy, findings, source = schema_load.load(path)
    key = _verdict_key(policy, source) if policy is not None else ""
    if policy is not None and (kept := _kept_verdict(key)) is not None:
        return replace(policy, warnings=kept)
    checked = _check(policy, findings, source, time.monotonic)
    if checked.policy is None or checked.errors:
        raise PolicyError(_summary(path, checked.errors), checked.findings)
    cache.put(key, {"warnings": [to_data(w) for w in checked.warnings]})
    return replace(checked.policy, warnings=checked.warnings)


def subject_of(
    policy: Policy,
    *,
    source: Source | None = None,
    clock: Callable[[], float] = time.monotonic,
    seconds: float = BUDGET,
) -> Subject:
    """A built policy ready for the stages; `source` is the file that it was built from."""
    index = Index(policy)
    end = clock() + seconds
    start = Span(policy.path, 1, 1, 1, 1)
    world, effort = World((policy,), (index,)), Effort(lambda: clock() > end)
    return Subject(policy, index, world, effort, start, plugin_facts, source)


def analyse(subject: Subject) -> tuple[list[Diagnostic], list[Proof]]:
    """All findings about a built policy, and what is proved of its guarantees."""
    proofs: list[Proof] = []
    found = list(guarantee.leaks(subject, proofs))
    for stage in STAGES:
        found += stage(subject)
    return found, proofs


def plugin_facts(plugin: str) -> PluginFacts:
    """What the registry says of a plugin, without importing an SDK."""
    from hroute.errors import UsageError
    from hroute.providers import registry

    if not registry.exists(plugin):
        try:
            registry.load(plugin)
        except UsageError as error:
            return PluginFacts(False, error.help or "")
    return PluginFacts(True, missing_package=_missing_package(plugin))


def _missing_package(plugin: str) -> str | None:
    from importlib.util import find_spec

    package = {"anthropic": "anthropic", "openai": "openai", "ollama": "ollama"}.get(plugin)
    return package if package is not None and find_spec(package) is None else None


def _check(policy: Policy | None, findings: list[Diagnostic], source: Source, clock: Callable[[], float]) -> Checked:
    proofs: list[Proof] = []
    found = list(findings)
    if policy is not None and not any(f.level is Level.ERROR for f in findings):
        more, proofs = analyse(subject_of(policy, source=source, clock=clock))
        found += more
    found.sort(key=lambda f: f.sort_key)
    kept = tuple(f for f in found if source.kept(f) is not None)
    return Checked(policy, source, tuple(f for f in found if f not in kept), tuple(proofs), kept)


def _verdict_key(policy: Policy, source: Source) -> str:
    """What a verdict rests on: this program, the day (models retire), the place and the content of every file read."""
    content = [source.text, sorted(policy.sources.items())]
    basis = [__version__, date.today().isoformat(), policy.path, policy.hash, content]
    return "verdict" + sha256(json.dumps(basis).encode()).hexdigest()


def _kept_verdict(key: str) -> tuple[Diagnostic, ...] | None:
    kept = cache.get(key)
    if kept is None:
        return None
    try:
        return tuple(from_data(item) for item in kept["warnings"])
    except (KeyError, TypeError, ValueError):
        return None


def _summary(path: str, errors: tuple[Diagnostic, ...]) -> str:
    first = errors[0]
    more = f" (+{len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{path}: {first.code} {first.message}, {first.primary.span}{more}"
