"""A request and a provider brought together: the request as the provider is to get it, and what it demands of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from hroute.router.plan import Needs, needs_of
from hroute.router.signals.extract import Extraction
from hroute.schema.policy import Policy, Provider
from hroute.terms.message import Request

DEFAULT_MAX_TOKENS: Final = 4096
"""Output tokens where neither caller nor rule says (SEMANTICS 1.12), capped by the model."""


def fitted(request: Request, rule_params: Mapping[str, Any], provider: Provider) -> Request:
    """`request` as `provider` is to get it: the caller's parameters over the rule's, and a limit on the output."""
    params = {**rule_params, **request.params}
    asked = request.max_tokens or params.pop("max_tokens", None) or provider.params.get("max_tokens")
    limit = asked if isinstance(asked, int) else DEFAULT_MAX_TOKENS
    params.pop("max_tokens", None)
    return replace(request, params=params, max_tokens=min(limit, provider.max_output or limit))


def plainly_fitted(request: Request, provider: Provider) -> Request:
    """A request that no rule adds to, as `provider` is to get it."""
    return fitted(request, {}, provider)


def max_tokens(request: Request, rule_params: Mapping[str, Any], provider: Provider) -> int:
    """Output tokens that `provider` may write for this request."""
    return fitted(request, rule_params, provider).max_tokens or DEFAULT_MAX_TOKENS


def needs(policy: Policy, chain: Sequence[str], request: Request | None, extraction: Extraction) -> Needs:
    """What the request demands; its size is only estimated where a provider of the chain has a window."""
    tokens = None
    if any(policy.providers[name].context_window is not None for name in chain):
        sizes = [extraction.ask("expected_tokens"), extraction.ask("prompt_tokens")]
        tokens = max((size for size in sizes if isinstance(size, int)), default=None)
    return needs_of(request or Request(()), tokens)


def hour(policy: Policy) -> int:
    """Hour of arrival in the ledger's time zone (UTC where it names none)."""
    name = policy.ledger.get("timezone")
    if not isinstance(name, str):
        return datetime.now(UTC).hour
    from zoneinfo import ZoneInfo

    return datetime.now(ZoneInfo(name)).hour
