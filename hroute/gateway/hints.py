"""Names of models as hints: `hroute/auto`, a rule, a provider or a tier of the policy, or a name that the policy maps to one.

A hint names who is asked first; who may be asked at all is for rules that close a route, and for every guarantee, budget
and key, to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from hroute.errors import UsageError
from hroute.router.decision import Decision
from hroute.router.engine import Steer
from hroute.router.signals.extract import Extraction
from hroute.schema.policy import DEFAULT, Policy, Route, Rule

PREFIX: Final = "hroute/"
AUTO: Final = "auto"
RULE: Final = "requested"
"""The rule that stands in records for a provider that the client asked for."""


def hinted(policy: Policy, model: str) -> Steer | None:
    """What the name of the model asks of the decision; None where the policy decides alone. Raises UsageError where
    `hroute/NAME` is nothing of this policy."""
    name = mapped(policy, model)
    if not name.startswith(PREFIX):
        return None
    wanted = name.removeprefix(PREFIX)
    if wanted == AUTO:
        return None
    found = _rule(policy, wanted)
    if found is None:
        raise UsageError(f"there is no model `{name[:100]}` here", help="GET /v1/models lists them")
    rule = found

    def steer(decision: Decision, _: Extraction) -> Decision:
        if decision.refused or closed(decision.rule):
            return decision
        assert rule.route is not None
        chain = tuple(dict.fromkeys((*rule.route.chain, *decision.chain) if rule.name == RULE else rule.route.chain))
        return decision._replace(rule=rule, chain=chain, variant=RULE)

    return steer


def mapped(policy: Policy, model: str) -> str:
    """`model` by `gateway: {models: {...}}`: the first name or glob that fits; itself where none does."""
    names = policy.gateway.get("models")
    for pattern, name in names.items() if isinstance(names, Mapping) else ():
        if fnmatchcase(model, str(pattern)):
            text = str(name)
            return text if text.startswith(PREFIX) else PREFIX + text
    return model


def closed(rule: Rule) -> bool:
    """Whether the author said that nobody else may serve: `fallback: null`."""
    return rule.route is not None and rule.route.fallback_given and len(rule.route.chain) == 1


def _rule(policy: Policy, name: str) -> Rule | None:
    """The rule of that name, or one that sends to the provider or tier of that name first."""
    for rule in policy.all_rules:
        if rule.name == name and rule.route is not None and name != DEFAULT:
            return rule
    chain = policy.tiers.get(name) or ((name,) if name in policy.providers else ())
    return Rule(RULE, route=Route(chain, name)) if chain else None
