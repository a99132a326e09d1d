"""Guarantees and budgets: what may never happen, and what happens once money is spent."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, Literal

from hroute.schema import condition as c
from hroute.schema import parse
from hroute.schema.condition import ALWAYS, Condition, OneOf, Test, TextTest
from hroute.schema.diagnostic import Label, Span
from hroute.schema.draft import Draft
from hroute.schema.policy import Budget, Guarantee, Threshold
from hroute.schema.quantities import dollars, percent, show_dollars, show_percent
from hroute.schema.selectors import permitted, read_selector, selects
from hroute.schema.source import Path
from hroute.schema.wants import did_you_mean
from hroute.schema.zones import zone_name

_PERIODS: Final = ("hour", "day", "week", "month")
_WHERE: Final = ("cost_center", "tenant", "user", "client", "session", "provider", "plugin", "rule")
_SIGNALS: Final = _WHERE[:5]
_ACTIONS: Final = ("alert", "refuse")
_MOST: Final = 1000
"""Percent of its limit at which a budget may still act."""


def read_guarantees(draft: Draft) -> tuple[Guarantee, ...]:
    """The guarantees in order, each with the providers that it permits."""
    guarantees: list[Guarantee] = []
    seen: dict[str, Path] = {}
    for at in range(len(draft.typed(("guarantees",), list, []))):
        path: Path = ("guarantees", at)
        if not isinstance(draft.get(path), dict):
            draft.find(
                "HR010", "a guarantee is a mapping", path, help="- {name: ..., when: {...}, only: {local: true}}"
            )
            continue
        name = _name(draft, path, "guarantee", seen)
        if not draft.has((*path, "only")) and not draft.has((*path, "never")):
            draft.find("HR013", f"guarantee `{name}` says neither `only` nor `never`", path, help="only: {local: true}")
        when = draft.condition((*path, "when")) if draft.has((*path, "when")) else ALWAYS
        unless = draft.condition((*path, "unless")) if draft.has((*path, "unless")) else None
        only, never = _raw(draft, (*path, "only")), _raw(draft, (*path, "never"))
        allowed = permitted(draft, path)
        region = draft.region(_and_not(when, unless), (*path, "when") if draft.has((*path, "when")) else path)
        guarantees.append(Guarantee(name, when, unless, region, allowed, only, never, _spans(draft, path)))
    return tuple(guarantees)


def read_budgets(draft: Draft, rules: tuple[str, ...]) -> tuple[Budget, ...]:
    """The budgets in order; `rules` are the names that `where: {rule: ...}` may use."""
    budgets: list[Budget] = []
    seen: dict[str, Path] = {}
    for at in range(len(draft.typed(("budgets",), list, []))):
        path: Path = ("budgets", at)
        if not isinstance(draft.get(path), dict):
            draft.find("HR010", "a budget is a mapping", path, help="- {name: daily, limit_usd: 20, per: day}")
            continue
        name = _name(draft, path, "budget", seen)
        for key in ("limit_usd", "per"):
            if not draft.has((*path, key)):
                draft.find("HR013", f"budget `{name}` has no `{key}`", path, help="limit_usd: 20, per: day")
        where = _where(draft, (*path, "where"), rules)
        thresholds, places = _thresholds(draft, path, where)
        budgets.append(
            Budget(
                name,
                draft.measure((*path, "limit_usd"), dollars, 0),
                draft.choice((*path, "per"), _PERIODS, "day"),  # type: ignore[arg-type]
                zone_name(draft, (*path, "timezone")),
                where,
                thresholds,
                _spans(draft, path) | places,
            )
        )
    return tuple(budgets)


def plain_guarantee(guarantee: Guarantee, texts: dict[str, TextTest]) -> dict[str, Any]:
    """The guarantee as it would stand in a policy."""
    written: dict[str, Any] = {"name": guarantee.name, "when": parse.plain(guarantee.when, texts)}
    if guarantee.unless is not None:
        written["unless"] = parse.plain(guarantee.unless, texts)
    if guarantee.only is not None:
        written["only"] = dict(guarantee.only)
    if guarantee.never is not None:
        written["never"] = dict(guarantee.never)
    return written


def plain_budget(budget: Budget, texts: dict[str, TextTest]) -> dict[str, Any]:
    """The budget as it would stand in a policy."""
    written: dict[str, Any] = {
        "name": budget.name,
        "limit_usd": show_dollars(budget.limit),
        "per": budget.per,
        "timezone": budget.timezone,
    }
    if budget.where:
        written["where"] = {key: list(names) for key, names in budget.where.items()}
    written["at"] = {show_percent(t.share): _plain_action(t, texts) for t in budget.at}
    return written


def _name(draft: Draft, path: Path, what: str, seen: dict[str, Path]) -> str:
    place = (*path, "name")
    name = draft.text(place)
    if not name:
        if isinstance(draft.get(place), (str, type(None))):
            draft.find("HR013", f"a {what} needs a name", path, help="name: what_it_is_for")
        return f"{what} {int(path[1]) + 1}"
    if name in seen:
        others = [Label(draft.span(seen[name]), "first used here")]
        draft.find("HR022", f"two {what}s are named `{name}`", place, others=others)
    seen.setdefault(name, place)
    return name


def _and_not(when: Condition, unless: Condition | None) -> Condition:
    return when if unless is None else c.conjunction((when, c.negation(unless)))


def _raw(draft: Draft, path: Path) -> dict[str, Any] | None:
    value = draft.get(path)
    return dict(value) if isinstance(value, dict) else None


def _where(draft: Draft, path: Path, rules: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    where: dict[str, tuple[str, ...]] = {}
    for key in draft.mapping(path):
        place = (*path, key)
        if key not in _WHERE:
            help = did_you_mean(key, _WHERE, "one of " + ", ".join(_WHERE))
            draft.find("HR011", f"a budget cannot be limited by `{key}`", place, at_key=True, help=help)
            continue
        where[key] = draft.texts(place)
        for name in where[key]:
            if key == "provider":
                draft.provider(name, place, "the budget names")
            elif key == "rule" and name not in rules:
                draft.find("HR021", f"there is no rule `{name}`", place, help=did_you_mean(name, rules))
    return where


def _thresholds(
    draft: Draft, path: Path, where: dict[str, tuple[str, ...]]
) -> tuple[tuple[Threshold, ...], dict[str, Span]]:
    if not draft.has((*path, "at")):
        return (_threshold(draft, (*path, "at"), 1.0, where, "refuse"),), {}
    found: list[tuple[Threshold, Path]] = []
    for key in draft.mapping((*path, "at")):
        place = (*path, "at", key)
        try:
            share = percent(key, _MOST)
        except ValueError as error:
            draft.find("HR012", f"`{key}`: {error}", place, at_key=True, help="at: {50%: alert, 100%: refuse}")
            continue
        found.append((_threshold(draft, place, share, where, draft.get(place)), place))
    found.sort(key=lambda pair: pair[0].share)
    for (one, _), (other, place) in pairwise(found):
        if one.share == other.share:
            draft.find("HR022", f"two actions stand at {show_percent(one.share)}", place, at_key=True)
    return tuple(t for t, _ in found), {f"at.{at}": draft.span(place) for at, (_, place) in enumerate(found)}


def _threshold(draft: Draft, path: Path, share: float, where: dict[str, tuple[str, ...]], action: Any) -> Threshold:
    span = draft.span(path)
    tests = [Test(key, OneOf(names)) for key, names in where.items() if key in _SIGNALS]
    if not isinstance(action, dict):
        if action not in _ACTIONS:
            draft.find(
                "HR012",
                f"`{action}` is not an action of a budget",
                path,
                help="alert, refuse, {only: ...} or {reroute_to: NAME}",
            )
        kind: Literal["alert", "refuse"] = "refuse" if action == "refuse" else "alert"
        return Threshold(share, kind, region=draft.region(c.conjunction(tests), path), span=span)
    _check_action(draft, path, action)
    unless = draft.condition((*path, "unless")) if draft.has((*path, "unless")) else None
    region = draft.region(_and_not(c.conjunction(tests), unless), path)
    only = _only(draft, path)
    if only is None:
        return Threshold(share, "refuse", unless=unless, region=region, span=span)
    names = frozenset(name for name, provider in draft.providers.items() if selects(only, provider, draft.tiers))
    return Threshold(share, "only", names, only, unless, region, span)


def _check_action(draft: Draft, path: Path, action: dict[str, Any]) -> None:
    for key in action:
        if key not in ("only", "unless", "reroute_to"):
            draft.find(
                "HR011",
                f"`{key}` is not part of a budget's action",
                (*path, key),
                at_key=True,
                help="only, reroute_to, unless",
            )
    if ("only" in action) == ("reroute_to" in action):
        draft.find(
            "HR013",
            "a budget's action says `only` or `reroute_to`, one of them",
            path,
            help="100%: {only: {tier: cheap}}",
        )


def _only(draft: Draft, path: Path) -> dict[str, Any] | None:
    """What `only`, or its short form `reroute_to: NAME`, says."""
    if not draft.has((*path, "reroute_to")):
        return read_selector(draft, (*path, "only"))
    name = draft.get((*path, "reroute_to"))
    if not isinstance(name, str):
        draft.find("HR010", "`reroute_to` takes the name of a provider or a tier", (*path, "reroute_to"))
        return {}
    draft.provider(name, (*path, "reroute_to"), "the budget reroutes to")
    return {"tier" if name in draft.tiers else "name": name}


def _plain_action(threshold: Threshold, texts: dict[str, TextTest]) -> Any:
    if threshold.action != "only":
        return threshold.action
    written: dict[str, Any] = {"only": dict(threshold.only or {})}
    if threshold.unless is not None:
        written["unless"] = parse.plain(threshold.unless, texts)
    return written


def _spans(draft: Draft, path: Path) -> dict[str, Span]:
    return {key: draft.span((*path, key)) for key in draft.mapping(path)}
