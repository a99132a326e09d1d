"""A source -> the Policy: everything resolved, every mistake a finding, and the hash of what it means."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal, cast

from hroute.schema import promises, providers, rules, settings
from hroute.schema.catalogue import CATALOGUE_VERSION
from hroute.schema.diagnostic import Diagnostic, Level
from hroute.schema.draft import Draft
from hroute.schema.parse import Vocabulary, definitions_of, parse_definitions
from hroute.schema.policy import CHAIN_ATTEMPTS, Policy
from hroute.schema.quantities import duration, show_duration
from hroute.schema.source import Source
from hroute.terms.signal import BUILT_IN_INTENTS, PII_KINDS

VERSION: Final = 1
"""The version of the policy language."""

_OPEN_ENDED: Final = ("ledger", "alerts", "gateway")


def build(source: Source, environ: Mapping[str, str] | None = None) -> tuple[Policy | None, list[Diagnostic]]:
    """The policy that `source` holds, None where an error was found; and all findings, those of the source included.

    Reads the files that the policy names (relative to it) and, for numbers given as `env:NAME`, the environment.
    """
    findings = list(source.findings)
    if not isinstance(source.data, dict):
        return None, findings
    draft = _draft(source, os.environ if environ is None else environ)
    policy = _policy(draft)
    findings += draft.findings
    if any(found.level is Level.ERROR for found in findings):
        return None, findings
    return policy, findings


def short_hash(hash: str) -> str:
    """The seven digits by which people call a policy."""
    return hash[:7]


def _draft(source: Source, environ: Mapping[str, str]) -> Draft:
    draft = Draft(source, definitions_of(source), Vocabulary(), environ)
    own = settings.names_of(draft, ("intents",))
    custom = settings.names_of(draft, ("signals", "pii", "custom"))
    draft.vocabulary.intents = tuple(dict.fromkeys((*own, *BUILT_IN_INTENTS)))
    draft.vocabulary.kinds = tuple(dict.fromkeys((*PII_KINDS, *custom)))
    return draft


def _policy(draft: Draft) -> Policy:
    providers.read_providers(draft)
    providers.read_tiers(draft)
    draft.mapping(("define",))
    parse_definitions(draft.source, draft.definitions, draft.vocabulary, draft.findings)
    intents = settings.read_intents(draft)
    routing = rules.read_rules(draft)
    for key in _OPEN_ENDED:
        providers.find_secrets(draft, (key,))
    policy = Policy(
        path=draft.source.name,
        hash="",
        mode=cast(Literal["enforce", "observe"], draft.choice(("mode",), ("enforce", "observe"), "enforce")),
        baseline=draft.one_provider(("baseline",), "`baseline` names"),
        providers=draft.providers,
        tiers=draft.tiers,
        rules=routing,
        default=rules.read_default(draft),
        guarantees=promises.read_guarantees(draft),
        budgets=promises.read_budgets(draft, (*(rule.name for rule in routing), *rules.RESERVED)),
        intents=intents,
        scoring=settings.read_scoring(draft),
        signals=settings.read_signals(draft),
        texts=draft.vocabulary.texts,
        deadline=draft.measure(("deadline",), duration, 120.0),
        attempts=draft.whole(("attempts",)) or CHAIN_ATTEMPTS,
        on_all_open=settings.read_on_all_open(draft),
        ledger=settings.read_ledger(draft),
        log_text=settings.read_log_text(draft),
        alerts=settings.read_alerts(draft),
        gateway=draft.mapping(("gateway",)),
        warnings=tuple(found for found in (*draft.source.findings, *draft.findings) if found.level is not Level.ERROR),
        sources=draft.sources,
    )
    if policy.mode == "observe" and draft.get(("baseline",)) is None:
        draft.find(
            "HR013",
            "`mode: observe` needs a baseline, which serves every request",
            ("mode",),
            help="baseline: PROVIDER",
        )
    if any(found.level is Level.ERROR for found in (*draft.source.findings, *draft.findings)):
        return policy
    return _resolved(policy)


def _resolved(policy: Policy) -> Policy:
    from dataclasses import replace

    data = plain(policy)
    return replace(policy, data=data, hash=hash_of(data))


def plain(policy: Policy) -> dict[str, Any]:
    """The resolved form as plain data: a policy that means the same and needs nothing filled in."""
    texts = dict(policy.texts)
    written: dict[str, Any] = {"version": VERSION, "mode": policy.mode}
    if policy.baseline is not None:
        written["baseline"] = policy.baseline
    written["providers"] = {name: providers.plain(provider) for name, provider in policy.providers.items()}
    if policy.tiers:
        written["tiers"] = {name: list(members) for name, members in policy.tiers.items()}
    written["routing_rules"] = [rules.plain(rule, texts) for rule in policy.rules]
    written["default"] = rules.plain(policy.default, texts)
    if policy.guarantees:
        written["guarantees"] = [promises.plain_guarantee(guarantee, texts) for guarantee in policy.guarantees]
    if policy.budgets:
        written["budgets"] = [promises.plain_budget(budget, texts) for budget in policy.budgets]
    if policy.intents:
        written["intents"] = {name: settings.plain_intent(intent) for name, intent in policy.intents.items()}
    written["scoring"] = settings.plain_scoring(policy.scoring)
    written["signals"] = settings.plain_signals(policy.signals)
    written["deadline"] = show_duration(policy.deadline)
    written["attempts"] = policy.attempts
    written["on_all_open"] = policy.on_all_open
    written["log_text"] = policy.log_text
    for key in _OPEN_ENDED:
        if getattr(policy, key):
            written[key] = dict(getattr(policy, key))
    return written


def hash_of(data: Mapping[str, Any]) -> str:
    """The SHA-256 of a resolved form: of what the policy means, not of how it is written.

    Files that the policy names are in the resolved form by content. The order of intents counts (SEMANTICS 4.5).
    """
    meant = {**data, "catalogue": CATALOGUE_VERSION, "intents": list(data.get("intents", {}).items())}
    canonical = json.dumps(meant, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
