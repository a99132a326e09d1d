"""A policy file -> Policy, by way of source, shape and build; a file that was read before is not parsed again."""

from __future__ import annotations

import os
import sys
from typing import Any

from hroute.schema import cache
from hroute.schema.build import build
from hroute.schema.catalogue import CATALOGUE_VERSION
from hroute.schema.diagnostic import Diagnostic, Level, Span
from hroute.schema.dump import dump
from hroute.schema.policy import Policy
from hroute.schema.source import MAX_BYTES, Source, read, read_text

__all__ = ["Loaded", "dump", "load", "load_text"]

Loaded = tuple[Policy | None, list[Diagnostic], Source]


def load(path: str | os.PathLike[str]) -> Loaded:
    """The policy at `path` (None where it has an error), every finding in order of place, and the source.

    Never raises for what a file holds or for a file that is not there: that is a finding (HR001).
    """
    name = os.fspath(path)
    raw = _bytes(name)
    if raw is None:
        source = read(name)
        return None, list(source.findings), source
    key = cache.key_of(raw, name, *_versions())
    kept = _kept(key, name)
    if kept is not None:
        return _loaded(kept, [])
    policy, findings, source = load_text(raw, name)
    if not source.findings and policy is not None and not policy.warnings:
        cache.put(key, source.to_json())
    return policy, findings, source


def load_text(text: str | bytes, name: str = "policy.yaml") -> Loaded:
    """The same for a text; `name` stands for the file, and files that the policy names are relative to it."""
    from hroute.schema.validate import shape

    source = read_text(text, name)
    return _loaded(source, shape(source))


def _loaded(source: Source, shape: list[Diagnostic]) -> Loaded:
    policy, found = build(source)
    findings = sorted(_once([*source.findings, *shape, *found]), key=lambda finding: finding.sort_key)
    if any(finding.level is Level.ERROR for finding in findings):
        policy = None
    return policy, findings, source


def _once(findings: list[Diagnostic]) -> list[Diagnostic]:
    """Without repetitions: one place is blamed once for one kind of mistake, by whoever says it first."""
    kept: dict[tuple[str, Span], Diagnostic] = {}
    for finding in findings:
        kind = "HR0" if finding.code.startswith("HR0") else finding.code
        kept.setdefault((kind, finding.primary.span), finding)
    return list(kept.values())


def _bytes(name: str) -> bytes | None:
    try:
        with open(name, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        return None


def _kept(key: str, name: str) -> Source | None:
    entry: dict[str, Any] | None = cache.get(key)
    if entry is None:
        return None
    try:
        source = Source.from_json(entry)
        source.span(())
    except (KeyError, TypeError, ValueError, IndexError, StopIteration):
        return None
    return source if source.name == name else None


def _versions() -> tuple[str, ...]:
    """What besides the file's bytes decides what they mean: our version, and that of everything that reads them."""
    import hroute

    here = os.path.dirname(__file__)
    parts = [getattr(hroute, "__version__", "0"), CATALOGUE_VERSION, f"{sys.version_info[0]}.{sys.version_info[1]}"]
    for part in ("source.py", "yaml_events.py", "plain_scalars.py", "validate.py", "policy.schema.json"):
        try:
            found = os.stat(os.path.join(here, part))
        except OSError:
            continue
        parts.append(f"{part} {found.st_size} {found.st_mtime_ns}")
    return tuple(parts)
