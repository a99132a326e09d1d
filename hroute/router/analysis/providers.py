"""Findings about providers: plugins, endpoints, localities, deadlines, sizes, prices, models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from hroute.ledger.prices import retiring
from hroute.router.analysis.guarantee import doors
from hroute.router.analysis.reach import NotProven, reach
from hroute.router.analysis.subject import Diagnostic, Subject, finding
from hroute.router.decide import destinations
from hroute.router.pricing import estimate, price_of
from hroute.schema.diagnostic import Span
from hroute.schema.policy import Policy, Provider, Rule
from hroute.schema.region import INFINITY, Box, Spans, intersect
from hroute.terms.locality import classify
from hroute.terms.money import show
from hroute.terms.secret import is_reference


def plugins(subject: Subject) -> Iterator[Diagnostic]:
    """HR020: a plugin that nobody announces. HR024: one whose package is not installed."""
    for provider in subject.policy.providers.values():
        if provider.catalogued:
            continue
        facts = subject.facts(provider.plugin)
        if not facts.known:
            yield finding(
                "HR020",
                f"provider `{provider.name}` names the unknown plugin `{provider.plugin}`",
                _place(subject, provider, "plugin"),
                help=facts.suggestion,
            )
        elif facts.missing_package is not None:
            yield finding(
                "HR024",
                f"plugin `{provider.plugin}` of provider `{provider.name}` needs the package `{facts.missing_package}`",
                _place(subject, provider, "plugin"),
                help="install it into the environment that runs hroute",
            )


def unused(subject: Subject) -> Iterator[Diagnostic]:
    """HR023: a provider that the policy declares and never names."""
    used = named(subject.policy) | {d.provider for rule in subject.policy.all_rules for d in doors(subject, rule)}
    for provider in subject.policy.providers.values():
        if not provider.catalogued and provider.name not in used:
            yield finding(
                "HR023",
                f"provider `{provider.name}` is never used",
                _place(subject, provider),
                help="route to it, put it into a tier, or delete it",
            )


def localities(subject: Subject) -> Iterator[Diagnostic]:
    """HR306: `local` on an address that is not, on a model served elsewhere, or on a command nobody vouches for."""
    for provider in subject.policy.providers.values():
        if provider.local and (why := _not_local(provider)) is not None:
            yield finding(
                "HR306",
                f"provider `{provider.name}` claims to be local, but {why}",
                _place(subject, provider, "local", "base_url"),
                help="take `local` away, or point it at a loopback address (`local: network` for one that you vouch for)",
            )


def endpoints(subject: Subject) -> Iterator[Diagnostic]:
    """HR303: a fallback against outages that fails together with what it backs up."""
    for rule in subject.policy.all_rules:
        if rule.route is None or not rule.route.fallback:
            continue
        first = subject.policy.providers[rule.route.to]
        others = [subject.policy.providers[name] for name in rule.route.fallback]
        if first.local or any(_endpoint(other) != _endpoint(first) for other in others):
            continue
        yield finding(
            "HR303",
            f"fallback `{others[0].name}` of {_of(rule)} shares the endpoint of `{first.name}`: an outage takes both",
            subject.place(rule, "fallback.0", "fallback", "route_to"),
            help="add a provider of another vendor behind it",
        )


def deadlines(subject: Subject) -> Iterator[Diagnostic]:
    """HR304: a deadline in which two tries of the first provider cannot end."""
    for rule in subject.policy.all_rules:
        if rule.route is None:
            continue
        timeout = subject.policy.providers[rule.route.to].timeout
        deadline = rule.deadline if rule.deadline is not None else subject.policy.deadline
        needed = 2 * (timeout.connect + timeout.first_token)
        if deadline < needed:
            yield finding(
                "HR304",
                f"the deadline of {_of(rule)} is {deadline:g} s, two tries of `{rule.route.to}` may take {needed:g} s "
                f"(connect {timeout.connect:g} s + first token {timeout.first_token:g} s, twice)",
                subject.place(rule, "deadline", "route_to"),
                help="raise the deadline, or shorten the provider's timeouts",
            )


def sizes(subject: Subject) -> Iterator[Diagnostic]:
    """HR305: a request that the policy sends to a provider whose context window, as the policy states it, is too small.

    A window that only the catalogue knows is left to the plan: nobody would read that a million tokens are not enough.
    """
    for position, rule in enumerate(subject.policy.all_rules):
        if rule.route is None:
            continue
        first = subject.policy.providers[rule.route.to]
        if first.context_window is None or "context_window" not in first.spans:
            continue
        large: Box = {"expected_tokens": Spans(((first.context_window + 1, INFINITY),))}
        region = [both for box in subject.world.rule(position) if (both := intersect(box, large)) is not None]
        try:
            found = reach(subject.world, region, position, subject.effort).found
        except NotProven:
            return
        if found is None:
            continue
        example, shown = subject.example(found)
        yield finding(
            "HR305",
            f"{_of(rule)} sends requests of more than {first.context_window} tokens to `{first.name}`, which cannot hold them: "
            + _who_takes_them(subject.policy, rule, first.context_window),
            subject.place(rule, "route_to"),
            help=f'{example}; add `expected_tokens: "<={first.context_window}"` to the condition',
            witness=shown,
        )


def prices(subject: Subject) -> Iterator[Diagnostic]:
    """HR401: no price where a budget needs one. HR402: a budget that no reachable call fits. HR403: a price band."""
    policy = subject.policy
    used = [policy.providers[name] for name in _destinations(policy)]
    for budget in policy.budgets:
        place = budget.spans.get("limit_usd", budget.spans.get("name", subject.span))
        for provider in used:
            if price_of(provider) is None:
                yield finding(
                    "HR401",
                    f"no price is known for `{provider.name}` ({provider.model}), so budget `{budget.name}` cannot count its calls",
                    _place(subject, provider, "model"),
                    help="add `price: {input: USD, output: USD}` per million tokens to the provider",
                )
        costs = [estimate(policy, p, 1, 1) for p in used]
        known = [c for c in costs if c is not None]
        if known and len(known) == len(costs) and min(known) > budget.limit:
            yield finding(
                "HR402",
                f"budget `{budget.name}` of {show(budget.limit, 6)} is below the cheapest call that the policy can make ({show(min(known), 6)})",
                place,
                help="raise `limit_usd`",
            )


def bands(subject: Subject) -> Iterator[Diagnostic]:
    """HR403: a rule that bounds the prompt's length above the point where its provider's price jumps."""
    for position, rule in enumerate(subject.policy.rules):
        if rule.route is None:
            continue
        price = price_of(subject.policy.providers[rule.route.to])
        if price is None or not price.bands:
            continue
        above = price.bands[0][0]
        for box in subject.world.rule(position):
            part = box.get("prompt_tokens")
            if isinstance(part, Spans) and part.ranges and part.ranges[0][0] < above < part.ranges[-1][1] < INFINITY:
                yield finding(
                    "HR403",
                    f"rule `{rule.name}` admits prompts on both sides of {above} tokens, where `{rule.route.to}` becomes dearer",
                    subject.place(rule, "condition.prompt_tokens", "condition"),
                    help=f"bound it at {above} tokens, or give the longer prompts a rule of their own",
                )
                break


def models(subject: Subject, today: date | None = None) -> Iterator[Diagnostic]:
    """HR404: a model that its vendor has retired or will retire soon."""
    for name in sorted(_destinations(subject.policy)):
        provider = subject.policy.providers[name]
        url = provider.base_url if provider.base_url and not is_reference(provider.base_url) else None
        gone = retiring(provider.plugin, provider.model, base_url=url, on=today or date.today())
        if gone is not None:
            when = f" ({gone.status} on {gone.on})" if gone.on is not None else f" ({gone.status})"
            yield finding(
                "HR404",
                f"model `{provider.model}` of provider `{name}` is retired or will be soon{when}",
                _place(subject, provider, "model"),
                help=f"use `{gone.instead}`" if gone.instead else "hroute models --retiring lists what to use instead",
            )


def named(policy: Policy) -> set[str]:
    """Providers that the policy names outside of its rules: tiers, the baseline."""
    names = {name for tier in policy.tiers.values() for name in tier}
    return names | ({policy.baseline} if policy.baseline else set())


def _endpoint(provider: Provider) -> tuple[object, ...]:
    """What fails together: the same wire to the same address, or the same program."""
    return (provider.plugin, provider.base_url, provider.command[:1])


def _destinations(policy: Policy) -> set[str]:
    return {name for rule in policy.all_rules for name in destinations(policy, rule)}


def _not_local(provider: Provider) -> str | None:
    if provider.plugin == "command":
        return None if provider.vouched else 'a command is never local unless it bears `vouched: "why"`'
    if provider.plugin == "ollama" and provider.model.endswith((":cloud", "-cloud")):
        return f"`{provider.model}` is served by Ollama's cloud"
    if provider.plugin == "sandbox" or provider.base_url is None or is_reference(provider.base_url):
        return None
    where = classify(provider.base_url)
    if where == "machine" or (where == "network" and provider.local == "network"):
        return None
    return f"its address is {'on the network, not this machine' if where == 'network' else 'not on this machine'}"


def _who_takes_them(policy: Policy, rule: Rule, window: int) -> str:
    assert rule.route is not None
    for name in rule.route.fallback:
        other = policy.providers[name].context_window
        if other is None or other > window:
            return f"they go to `{name}`"
    return f"refused above {window} tokens"


def _of(rule: Rule) -> str:
    return "the default" if rule.name == "default" else f"rule `{rule.name}`"


def _place(subject: Subject, provider: Provider, *keys: str) -> Span:
    """The place of the first of `keys` that the provider states, else of its name, else of the policy."""
    for key in keys:
        if key in provider.spans:
            return provider.spans[key]
    return provider.span or subject.span
