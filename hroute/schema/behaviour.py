"""How providers are called: timeouts, retries, breakers, limits; a provider's own over the policy's over ours."""

from __future__ import annotations

from typing import Any, Final

from hroute.schema.draft import Draft
from hroute.schema.policy import Breaker, LatencyBreaker, Limits, Provider, Retry, Timeout
from hroute.schema.quantities import duration, show_duration
from hroute.schema.source import Path

_TIMEOUTS: Final = ("connect", "first_token", "idle", "total")

Defaults = tuple[Timeout, Retry, Breaker, Limits]


def read_defaults(draft: Draft) -> Defaults:
    """The policy's own defaults over ours (SEMANTICS 3.2)."""
    base = (Timeout(), Retry(), Breaker(), Limits())
    return read_behaviour(draft, (), base)


def read_behaviour(draft: Draft, path: Path, base: Defaults) -> Defaults:
    """What stands at `path`, over `base`."""
    timeout, retry, breaker, limits = base
    return (
        _timeout(draft, (*path, "timeout"), timeout),
        _retry(draft, (*path, "retry"), retry),
        _breaker(draft, (*path, "breaker"), breaker),
        _limits(draft, (*path, "limits"), limits),
    )


def plain(provider: Provider) -> dict[str, Any]:
    """The provider's behaviour as it would stand in a policy, every default written out."""
    written: dict[str, Any] = {}
    written["timeout"] = {key: show_duration(getattr(provider.timeout, key)) for key in _TIMEOUTS}
    retry, breaker, limits = provider.retry, provider.breaker, provider.limits
    written["retry"] = {"attempts": retry.attempts, "base": show_duration(retry.base), "max": show_duration(retry.max)}
    written["breaker"] = {
        "failures": breaker.failures,
        "within": show_duration(breaker.within),
        "open_for": show_duration(breaker.open_for),
        "probes": breaker.probes,
    }
    if breaker.latency is not None:
        written["breaker"]["latency"] = {
            "p95": show_duration(breaker.latency.p95),
            "samples": breaker.latency.samples,
            "within": show_duration(breaker.latency.within),
            "open_for": show_duration(breaker.latency.open_for),
        }
    given = {key: getattr(limits, key) for key in ("concurrency", "requests_per_minute", "tokens_per_minute")}
    given["wait"] = None if limits.wait is None else show_duration(limits.wait)
    if any(value is not None for value in given.values()):
        written["limits"] = {key: value for key, value in given.items() if value is not None}
    return written


def _timeout(draft: Draft, path: Path, base: Timeout) -> Timeout:
    draft.mapping(path)
    return Timeout(*(draft.measure((*path, key), duration, getattr(base, key)) for key in _TIMEOUTS))


def _retry(draft: Draft, path: Path, base: Retry) -> Retry:
    draft.mapping(path)
    return Retry(
        draft.whole((*path, "attempts")) or base.attempts,
        draft.measure((*path, "base"), duration, base.base),
        draft.measure((*path, "max"), duration, base.max),
    )


def _breaker(draft: Draft, path: Path, base: Breaker) -> Breaker:
    draft.mapping(path)
    return Breaker(
        draft.whole((*path, "failures")) or base.failures,
        draft.measure((*path, "within"), duration, base.within),
        draft.measure((*path, "open_for"), duration, base.open_for),
        draft.whole((*path, "probes")) or base.probes,
        _latency(draft, (*path, "latency"), base.latency),
    )


def _latency(draft: Draft, path: Path, base: LatencyBreaker | None) -> LatencyBreaker | None:
    if not draft.has(path):
        return base
    if draft.get(path) is None:
        return None
    draft.mapping(path)
    start = base or LatencyBreaker(0.0)
    p95 = draft.measure((*path, "p95"), duration, start.p95)
    if not p95 and isinstance(draft.get(path), dict) and not draft.has((*path, "p95")):
        draft.find(
            "HR013", "a latency breaker needs `p95`, the duration above which it opens", path, help="latency: {p95: 8s}"
        )
    return LatencyBreaker(
        p95,
        draft.whole((*path, "samples")) or start.samples,
        draft.measure((*path, "within"), duration, start.within),
        draft.measure((*path, "open_for"), duration, start.open_for),
    )


def _limits(draft: Draft, path: Path, base: Limits) -> Limits:
    draft.mapping(path)
    return Limits(
        draft.whole((*path, "concurrency")) or base.concurrency,
        draft.whole((*path, "requests_per_minute")) or base.requests_per_minute,
        draft.whole((*path, "tokens_per_minute")) or base.tokens_per_minute,
        draft.measure((*path, "wait"), _perhaps_duration, base.wait),
    )


def _perhaps_duration(written: Any) -> float | None:
    return duration(written)
