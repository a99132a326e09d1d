"""Routing rules and the default: names, conditions, routes with their chains resolved, and how a reply is judged."""

from __future__ import annotations

from typing import Any, Final

from hroute.schema import condition as c
from hroute.schema import parse
from hroute.schema.condition import ALWAYS, Condition, OneOf, Test
from hroute.schema.diagnostic import Label, Span
from hroute.schema.draft import Draft
from hroute.schema.policy import DEFAULT, Route, Rule, Shadow
from hroute.schema.providers import find_secrets
from hroute.schema.quantities import duration, percent, show_duration, show_percent
from hroute.schema.region import EVERYTHING
from hroute.schema.replies import plain_validate, read_validate
from hroute.schema.source import Path

RESERVED: Final = (DEFAULT, "requested")
_NOWHERE: Final = "claude_sonnet"
"""Where a policy without `default:` sends what no rule takes."""


def read_rules(draft: Draft) -> tuple[Rule, ...]:
    """The enabled rules in order."""
    rules: list[Rule] = []
    seen: dict[str, Path] = {}
    for at in range(len(draft.typed(("routing_rules",), list, []))):
        path: Path = ("routing_rules", at)
        if not isinstance(draft.get(path), dict):
            draft.find("HR010", "a rule is a mapping", path, help="- {name: ..., condition: {...}, route_to: ...}")
        elif draft.typed((*path, "enabled"), bool, True):
            rules.append(_rule(draft, path, _name(draft, path, seen)))
    return tuple(rules)


def read_default(draft: Draft) -> Rule:
    """The rule that stands for "no rule matched"."""
    path: Path = ("default",)
    value = draft.get(path)
    if isinstance(value, str):
        chain = draft.provider(value, path, "the default routes to")
        route = Route(chain or (value,), value)
        return Rule(
            DEFAULT, region=EVERYTHING, route=route, spans=_spans(draft, path, {"route_to": path, "chain.0": path})
        )
    if value is None:
        chain = draft.tiers.get(_NOWHERE, (_NOWHERE,))
        return Rule(DEFAULT, region=EVERYTHING, route=Route(chain, _NOWHERE))
    return _rule(draft, path, DEFAULT)


def plain(rule: Rule, texts: dict[str, c.TextTest]) -> dict[str, Any]:
    """The rule as it would stand in a policy, tiers and definitions resolved."""
    written: dict[str, Any] = {"name": rule.name} if rule.name != DEFAULT else {}
    if rule.description:
        written["description"] = rule.description
    if rule.name != DEFAULT:
        written["condition"] = parse.plain(rule.condition, texts)
    if rule.route is not None:
        written.update(_plain_route(rule.route))
    if rule.refuse is not None:
        written["refuse"] = rule.refuse
    if rule.validate is not None:
        written["validate"] = plain_validate(rule.validate)
    if rule.params:
        written["params"] = dict(rule.params)
    if rule.deadline is not None:
        written["deadline"] = show_duration(rule.deadline)
    if rule.attempts is not None:
        written["attempts"] = rule.attempts
    if rule.on_all_failed != "fail":
        written["on_all_failed"] = rule.on_all_failed
    if rule.hold is not None:
        written["hold"] = rule.hold
    if rule.rollout != 1.0:
        written["rollout"] = show_percent(rule.rollout)
    if rule.holdout:
        written["holdout"] = show_percent(rule.holdout)
    if rule.shadow is not None:
        written["shadow"] = {"to": rule.shadow.to, "sample": show_percent(rule.shadow.sample)}
    return written


def _name(draft: Draft, path: Path, seen: dict[str, Path]) -> str:
    place = (*path, "name")
    name = draft.text(place)
    if not name:
        if isinstance(draft.get(place), (str, type(None))):
            draft.find("HR013", "a rule needs a name", place if name == "" else path, help="name: what_it_is_for")
        return f"rule {int(path[1]) + 1}"
    if name in RESERVED:
        draft.find("HR022", f"a rule cannot be named `{name}`: the name is reserved", place)
    elif name in seen:
        others = [Label(draft.span(seen[name]), "first used here")]
        draft.find("HR022", f"two rules are named `{name}`", place, others=others)
    else:
        seen[name] = place
    return name


def _rule(draft: Draft, path: Path, name: str) -> Rule:
    who = "the default" if name == DEFAULT else f"rule `{name}`"
    condition = draft.condition((*path, "condition")) if draft.has((*path, "condition")) and name != DEFAULT else ALWAYS
    if name != DEFAULT and not draft.has((*path, "condition")):
        draft.find(
            "HR013",
            f"{who} has no condition",
            path,
            help="`condition: {}` holds for every request; what no rule takes is for `default:`",
        )
    hold = draft.choice((*path, "hold"), ("session",), "") or None
    refuse = draft.text((*path, "refuse"))
    places: dict[str, Path] = {}
    find_secrets(draft, (*path, "params"))
    route = _route(draft, path, who, places)
    if route is None and refuse is None and not (draft.has((*path, "route_to")) or draft.has((*path, "split"))):
        draft.find("HR013", f"{who} neither routes nor refuses", path, help="give it `route_to:` or `refuse:`")
    if refuse is not None and (route is not None or draft.has((*path, "fallback"))):
        draft.find(
            "HR012",
            f"{who} refuses, so it has no route and no fallback",
            (*path, "refuse"),
            help="delete one of the two",
        )
    rule = Rule(
        name,
        condition,
        region=_region(draft, path, condition, name, hold),
        route=route,
        refuse=refuse,
        description=draft.text((*path, "description")) or "",
        validate=read_validate(draft, (*path, "validate"), who),
        params=draft.mapping((*path, "params")),
        deadline=draft.measure((*path, "deadline"), duration, 0.0) or None,
        attempts=draft.whole((*path, "attempts")),
        on_all_failed="queue"
        if draft.choice((*path, "on_all_failed"), ("fail", "queue"), "fail") == "queue"
        else "fail",
        hold="session" if hold else None,
        rollout=_share(draft, (*path, "rollout"), 1.0),
        holdout=_share(draft, (*path, "holdout"), 0.0),
        shadow=_shadow(draft, (*path, "shadow"), who),
        spans=_spans(draft, path, places),
    )
    _needs_baseline(draft, path, rule)
    return rule


def _region(draft: Draft, path: Path, condition: Condition, name: str, hold: str | None) -> Any:
    if hold:
        condition = c.disjunction((condition, Test("held_rule", OneOf((name,)))))
    return draft.region(condition, (*path, "condition"))


def _route(draft: Draft, path: Path, who: str, places: dict[str, Path]) -> Route | None:
    place = (*path, "route_to")
    target = draft.get(place)
    if isinstance(target, dict) and set(target) == {"split"}:
        return _split(draft, path, (*place, "split"), who, places)
    if draft.has((*path, "split")):
        if target is not None:
            draft.find(
                "HR012", f"{who} has both `route_to` and `split`", (*path, "split"), help="delete one of the two"
            )
        return _split(draft, path, (*path, "split"), who, places)
    if target is None:
        if draft.has(place):
            draft.find("HR012", f"{who} routes to nothing", place, help='to refuse, write `refuse: "why"`')
        return None
    if not isinstance(target, str):
        draft.find("HR010", "`route_to` takes the name of a provider or a tier", place)
        return None
    places["chain.0"] = place
    first = draft.provider(target, place, f"{who} routes to")
    given = draft.has((*path, "fallback"))
    if not given:
        for at in range(1, len(first)):
            places[f"chain.{at}"] = place
        return Route(first, target) if first else None
    chain = _fallback(draft, path, who, list(first[:1]), places)
    return Route(chain, target, fallback_given=True) if first else None


def _split(draft: Draft, path: Path, place: Path, who: str, places: dict[str, Path]) -> Route | None:
    shares: list[tuple[str, float]] = []
    for name in draft.mapping(place):
        weight = _weight(draft, (*place, name))
        if name in draft.tiers:
            draft.find("HR012", f"{who} splits to tier `{name}`; a split names providers", (*place, name), at_key=True)
        elif _known(draft, name, (*place, name), f"{who} splits to"):
            shares.append((name, weight))
    if len(shares) < len(draft.mapping(place)) or not shares:
        return None
    if min(weight for _, weight in shares) < 0 or abs(sum(weight for _, weight in shares) - 100) > 1e-6:
        draft.find("HR012", "the shares of a split add up to 100", place, help="split: {claude_sonnet: 90, gpt4o: 10}")
    shares.sort(key=lambda share: (-share[1], share[0]))  # the keys of a mapping have no order
    places["chain.0"] = place
    given = draft.has((*path, "fallback"))
    chain = _fallback(draft, path, who, [shares[0][0]], places) if given else (shares[0][0],)
    return Route(chain, shares[0][0], tuple(shares), given)


def _weight(draft: Draft, path: Path) -> float:
    """A share of a split in percent: `90`, or `90%`."""
    if isinstance(draft.get(path), str):
        return round(draft.measure(path, percent, 0.0) * 100, 4)
    return draft.typed(path, float, 0.0)


def _known(draft: Draft, name: str, path: Path, what: str) -> bool:
    before = len(draft.findings)
    found = bool(draft.provider(name, path, what))
    if len(draft.findings) > before:  # the name is a key here, and the finding points at values
        from dataclasses import replace

        draft.findings[-1] = replace(draft.findings[-1], primary=Label(draft.source.key_span(path)))
    return found


def _fallback(draft: Draft, path: Path, who: str, chain: list[str], places: dict[str, Path]) -> tuple[str, ...]:
    place = (*path, "fallback")
    value = draft.get(place)
    for at, name in enumerate(value if isinstance(value, list) else [] if value is None else [value]):
        where = (*place, at) if isinstance(value, list) else place
        if isinstance(value, list):
            places[f"fallback.{at}"] = where
        if not isinstance(name, str):
            draft.find("HR010", "`fallback` takes null, a provider, a tier, or a list of them", where)
            continue
        for provider in draft.provider(name, where, f"{who} falls back to"):
            if provider not in chain:
                places[f"chain.{len(chain)}"] = where
                chain.append(provider)
            elif provider == name:
                first = draft.span(places.get(f"chain.{chain.index(provider)}", place))
                help = "a chain asks no provider twice; delete it"
                draft.find(
                    "HR302",
                    f"{who} falls back to `{name}`, which the chain already holds",
                    where,
                    help=help,
                    others=[Label(first, "already here")],
                )
    return tuple(chain)


def _share(draft: Draft, path: Path, default: float) -> float:
    return draft.measure(path, percent, default)


def _shadow(draft: Draft, path: Path, who: str) -> Shadow | None:
    if draft.get(path) is None:
        return None
    to = draft.one_provider((*path, "to"), f"{who} shadows to")
    sample = _share(draft, (*path, "sample"), 1.0)
    return Shadow(to, sample) if to is not None else None


def _needs_baseline(draft: Draft, path: Path, rule: Rule) -> None:
    for key, used in (("rollout", rule.rollout < 1.0), ("holdout", rule.holdout > 0.0)):
        if used and draft.get(("baseline",)) is None:
            help = "add `baseline: PROVIDER` at the top"
            draft.find("HR013", f"`{key}` needs a baseline, where the others go", (*path, key), help=help)
            return


def _plain_route(route: Route) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if route.split:
        written["split"] = {name: int(share) if share == int(share) else share for name, share in route.split}
    else:
        written["route_to"] = route.target
    if route.fallback_given:
        written["fallback"] = list(route.fallback) if route.fallback else None
    return written


def _spans(draft: Draft, path: Path, places: dict[str, Path]) -> dict[str, Span]:
    """The place of every key of a rule, of what `validate` and `shadow` name, and of the parts of the chain."""
    keys = {key: (*path, key) for key in draft.mapping(path)} if isinstance(draft.get(path), dict) else {}
    for key in ("validate", "shadow"):
        below = draft.get((*path, key))
        keys |= {f"{key}.{inner}": (*path, key, inner) for inner in below} if isinstance(below, dict) else {}
    return {key: draft.span(place) for key, place in (keys | places).items()}
