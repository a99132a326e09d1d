"""A recorded request as `hroute explain --id` shows it: what was done, and what both policies say to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hroute.cli.render import decision as decisions
from hroute.cli.render import values
from hroute.cli.render.table import rows
from hroute.cli.render.text import visible
from hroute.cli.streams import paint
from hroute.ledger.export import moment
from hroute.replay.recalled import Judged, Recalled
from hroute.router.switching import Switch
from hroute.schema.policy import Policy
from hroute.terms import money
from hroute.terms.ids import short


def text(found: Recalled, switch: Switch | None, *, zone: str, verbose: bool, colour: bool) -> str:
    """The whole answer for a person."""
    blocks = [[_head(found.row, zone)], _table(found, colour)]
    judged = [("under the policy of today", found.now)]
    if found.then is not None and not found.same_policy:
        judged.insert(0, ("under the policy of that day", found.then))
    for title, one in judged:
        if one.steps and (verbose or len(judged) == 1 or found.differs):
            blocks.append([title, *decisions.walked(one.policy, one.steps, placed=one is found.now, colour=colour)])
    facts = list(_facts(found, switch))
    if verbose:
        facts += [
            "",
            *(
                decisions.fact(name, visible(values.shown(_value(value))))
                for name, value in sorted(found.row["signals"].items())
            ),
        ]
    blocks.append(facts)
    return "\n\n".join("\n".join(block) for block in blocks if block)


def as_json(found: Recalled, switch: Switch | None) -> dict[str, Any]:
    """The keys of `explain` for today's policy, with what was recorded and what the policy of that day says beside them."""
    row, now = found.row, found.now
    today = _judged_json(now)
    return {
        "id": row["id"],
        **{key: today[key] for key in ("rule", "route_to", "fallback")},
        "signals": row["signals"],
        "score": row["score"],
        "confidence": row["confidence"],
        "policy": now.policy.hash,
        "steps": today["steps"],
        "nearest": None,
        "cost_usd": {
            "estimate": money.to_json(now.cost),
            "basis": "the tokens that were billed, at the prices of today's policy",
        },
        "lost_cache": None if switch is None else decisions.switch_json(switch),
        "unknown": today["unknown"],
        "recorded": {
            "ts": moment(row["ts"]),
            "rule": row["rule"],
            "route_to": row["routed_to"] or None,
            "variant": row["variant"] or None,
            "actual_provider": row["provider"] or None,
            "actual_model": row["model"] or None,
            "escalation": row["escalation"] or None,
            "outcome": row["outcome"],
            "cost_usd": money.to_json(row["cost"]),
            "policy": row["policy"],
        },
        "then": None if found.then is None else _judged_json(found.then),
        "then_missing": found.why_not or None,
        "same_policy": found.same_policy,
        "differs": list(found.differs),
    }


def _judged_json(judged: Judged) -> dict[str, Any]:
    one = judged.decision
    return {
        "policy": judged.policy.hash,
        "rule": None if one is None else one.rule.name,
        "route_to": None if one is None or judged.by_session else one.route_to,
        "fallback": [] if one is None else list(one.fallback),
        "steps": [decisions.step_json(judged.policy, step) for step in judged.steps],
        "cost_usd": money.to_json(judged.cost),
        "unknown": [*judged.unknown, *(("session",) if judged.by_session else ())],
        "possible": [{"rule": d.rule.name, "route_to": d.route_to} for d in judged.decisions],
    }


def _head(row: Mapping[str, Any], zone: str) -> str:
    when = datetime.fromtimestamp(row["ts"] / 1000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")
    cost = decisions.price(row["cost"])
    served = f"served by {visible(row['provider'])} ({visible(row['model'])})" if row["provider"] else "nobody answered"
    why = f", after {row['escalation']}" if row["escalation"] else ""
    return (
        f"{short(row['id'])}  {when} {zone}  {row['outcome']}  {row['latency_ms'] / 1000:.1f} s  {cost}  {served}{why}"
    )


def _table(found: Recalled, colour: bool) -> list[str]:
    row = found.row
    variant = f", {row['variant']}" if row["variant"] else ""
    lines = [
        [
            "  recorded",
            row["policy"][:7] or "-",
            visible(row["routed_to"] or "refused"),
            f"by rule {visible(row['rule'])}{variant}",
            "",
        ]
    ]
    if found.then is None:
        lines.append(
            ["  policy of that day", row["policy"][:7] or "-", "-", f"not known: {visible(found.why_not)}", ""]
        )
    elif not found.same_policy:
        lines.append(["  policy of that day", found.then.policy.hash[:7], *_said(found.then), ""])
    label = "  policy, then and today" if found.same_policy else "  policy of today"
    verdict = "" if not found.differs else paint("DIFFERS: " + ", ".join(_named(found.differs)), "yellow", colour)
    lines.append([label, found.now.policy.hash[:7], *_said(found.now), verdict])
    return rows(lines)


def _named(differs: tuple[str, ...]) -> Iterator[str]:
    words = {"rule": "the rule", "route_to": "the route", "fallback": "the fallback", "unknown": "perhaps"}
    return (words[name] for name in differs)


def _said(judged: Judged) -> tuple[str, str]:
    one = judged.decision
    if one is None:
        chains = ", ".join(
            f"{visible(d.route_to or 'refused')} by {visible(d.rule.name)}" for d in judged.decisions[:4]
        )
        return "cannot tell", f"one of: {chains}"
    route = visible(one.route_to or "refused")
    if judged.by_session:
        route = f"{route}, or another arm"
    then = f", then {', '.join(map(visible, one.fallback))}" if one.fallback else ""
    return route, f"{decisions.by_rule_name(one.rule)}{then}"


def _facts(found: Recalled, switch: Switch | None) -> Iterator[str]:
    now = found.now
    if now.unknown:
        yield decisions.fact("not recorded", ", ".join(visible(_feature(now.policy, name)) for name in now.unknown))
    if now.by_session:
        yield decisions.fact("rollout", "goes by the session's name, of which only a hash was kept")
    if now.decision is not None and now.decision.route_to is not None and not now.by_session:
        yield decisions.fact(
            "cost",
            f"{decisions.price(found.row['cost'])} as billed; {decisions.price(now.cost)} today, with the same tokens",
        )
    if switch is not None:
        yield from decisions.switch_lines(switch)


def _feature(policy: Policy, name: str) -> str:
    from hroute.cli.render.policy import feature_name

    return feature_name(policy, name) if "~" in name and name in policy.texts else name


def _value(raw: Any) -> Any:
    return frozenset(raw) if isinstance(raw, list) else raw
