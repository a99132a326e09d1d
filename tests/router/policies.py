"""Random policies and random requests over all kinds of signals, for the properties that every policy must have."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hroute.terms.signal import BUILT_IN_INTENTS, LEVELS, PERSONAL_KINDS, TASK_TYPES, UNSPECIFIED

PROVIDERS = ("ollama", "claude_haiku", "claude_sonnet", "claude_opus", "gpt4o", "deepseek")
WORDS = ("refund", "open today", "prices", "hello", "lawyer")
CENTERS = ("bot", "shop-eu", "shop-us")
KINDS = ("email", "iban", "payment_card")

_numbers = st.integers(0, 6)
_bounds = st.sampled_from([">", ">=", "<", "<=", "!=", ""])


def _comparison(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    simple = st.builds(lambda sign, n: f"{sign}{n}" if sign else n, _bounds, numbers)
    span = st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}..{max(pair)}")
    return st.one_of(simple, span, st.lists(numbers, min_size=1, max_size=3))


def _names(values: tuple[str, ...], absent: bool = True) -> st.SearchStrategy[Any]:
    one = st.sampled_from(values)
    forms = [one, one.map("!={}".format), st.lists(one, min_size=1, max_size=3, unique=True)]
    return st.one_of(*forms, st.none()) if absent else st.one_of(*forms)


_fractions = st.sampled_from([0, 0.1, 0.35, 0.350001, 0.5, 1])
_text = st.fixed_dictionaries(
    {},
    optional={
        "any_of": st.lists(st.sampled_from(WORDS), min_size=1, max_size=2, unique=True),
        "all_of": st.lists(st.sampled_from(WORDS), min_size=1, max_size=2, unique=True),
        "matches": st.lists(st.sampled_from(["refund(s)?", r"\d+", "^hello"]), min_size=1, max_size=1),
        "unless": st.lists(st.sampled_from(WORDS), min_size=1, max_size=1),
    },
).filter(lambda test: set(test) & {"any_of", "all_of", "matches"})

TESTS: dict[str, st.SearchStrategy[Any]] = {
    "task_type": _names(TASK_TYPES[:4]),
    "complexity": _names(LEVELS, absent=False),
    "batch_size": _comparison(_numbers),
    "prompt_tokens": _comparison(_numbers),
    "message_tokens": _comparison(_numbers),
    "expected_tokens": _comparison(_numbers),
    "arrival_hour": _comparison(_numbers),
    "score": _comparison(_fractions),
    "contains_pii": st.booleans(),
    "contains_secret": st.booleans(),
    "has_code": st.booleans(),
    "pii": _names(KINDS),
    "intent": _names(BUILT_IN_INTENTS),
    "cost_center": st.one_of(_names(CENTERS), st.sampled_from(["shop-*", "*"]), _text),
    "message": _text,
}

_flat = st.lists(st.sampled_from(sorted(TESTS)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: TESTS[name] for name in names})
)
conditions: st.SearchStrategy[dict[str, Any]] = st.recursive(
    _flat,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: {"any": items}),
        st.lists(inner, max_size=3).map(lambda items: {"all": items}),
        inner.map(lambda item: {"not": item}),
        st.tuples(_flat, inner).map(lambda pair: {**pair[0], "not": pair[1]}),
    ),
    max_leaves=4,
)


def _rule(number: int) -> st.SearchStrategy[dict[str, Any]]:
    routed = st.fixed_dictionaries(
        {"name": st.just(f"rule_{number}"), "condition": conditions, "route_to": st.sampled_from(PROVIDERS)},
        optional={
            "fallback": st.one_of(st.none(), st.just("gpt4o"), st.just("everything")),
            "hold": st.just("session"),
            "rollout": st.sampled_from(["10%", "95%"]),
            "holdout": st.just("5%"),
            "validate": st.just({"attempts": 2, "not_refusal": True}),
        },
    ).filter(
        lambda rule: (
            rule.get("fallback") != rule["route_to"]
            and (rule.get("fallback") != "everything" or rule["route_to"] not in ("ollama", "deepseek"))
        )
    )
    refused = st.fixed_dictionaries(
        {"name": st.just(f"rule_{number}"), "condition": conditions, "refuse": st.just("No.")}
    )
    return st.one_of(routed, routed, routed, refused)


policies: st.SearchStrategy[dict[str, Any]] = st.integers(0, 8).flatmap(
    lambda count: st.fixed_dictionaries(
        {
            "baseline": st.just("claude_sonnet"),
            "tiers": st.just({"everything": ["ollama", "deepseek"]}),
            "routing_rules": st.tuples(*(_rule(n) for n in range(count))).map(list),
            "default": st.just({"route_to": "claude_sonnet"}),
        }
    )
)
"""Plain data of a policy of up to eight rules, as YAML or JSON would hold it."""


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Signals of a request that can be sent: it has a text, and the implications of the table hold."""
    tokens = sorted(draw(st.tuples(_numbers, _numbers, _numbers)))
    kinds = frozenset(draw(st.lists(st.sampled_from((*KINDS, "ip", UNSPECIFIED)), max_size=2)))
    signals: dict[str, Any] = {
        "message": " ".join(draw(st.lists(st.sampled_from((*WORDS, "refunds", "7", "x")), max_size=3))),
        "message_tokens": tokens[0],
        "prompt_tokens": tokens[1],
        "expected_tokens": tokens[2],
        "complexity": draw(st.sampled_from(LEVELS)),
        "score": float(draw(_fractions)),
        "confidence": 0.5,
        "has_code": draw(st.booleans()),
        "pii": kinds,
        "contains_pii": bool(kinds & {*PERSONAL_KINDS, UNSPECIFIED}),
        "contains_secret": draw(st.booleans()),
        "intent": frozenset(draw(st.lists(st.sampled_from(BUILT_IN_INTENTS), max_size=2))),
    }
    optional = {
        "task_type": st.sampled_from(TASK_TYPES[:5]),
        "batch_size": _numbers,
        "arrival_hour": _numbers,
        "cost_center": st.sampled_from((*CENTERS, "shop-fr", "refund")),
        "held_rule": st.sampled_from([f"rule_{n}" for n in range(8)]),
        "session": st.sampled_from(["a", "b", "c"]),
    }
    return signals | draw(st.fixed_dictionaries({}, optional=optional))
