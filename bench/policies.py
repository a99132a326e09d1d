"""Policies of any size and requests spread over all their rules, the same at every run."""

from __future__ import annotations

import random
from typing import Any

from hroute.router.analysis.world import World
from hroute.router.index import Index
from hroute.schema.policy import Policy
from hroute.terms.signal import ABSENT, BUILT_IN_INTENTS, LEVELS, TASK_TYPES

PROVIDERS = ("ollama", "claude_haiku", "claude_sonnet", "claude_opus", "gpt4o", "deepseek")


def policy_data(rules: int, seed: int = 1) -> dict[str, Any]:
    """A privacy-first policy: personal data stays home, then `rules - 1` rules over two to four signals each."""
    rng = random.Random(seed)
    first = {"name": "privacy", "condition": {"contains_pii": True}, "route_to": "ollama", "fallback": None}
    rest = [
        {"name": f"rule_{n}", "condition": _condition(rng, n), "route_to": rng.choice(PROVIDERS[1:])}
        for n in range(1, rules)
    ]
    return {
        "routing_rules": [first, *rest],
        "default": {"route_to": "claude_sonnet"},
        "guarantees": [{"name": "stays_home", "when": {"contains_pii": True}, "only": {"local": True}}],
    }


def requests(policy: Policy, count: int, seed: int = 2) -> list[dict[str, Any]]:
    """Requests whose winning rules are spread evenly over the policy: each is made to meet one rule's condition."""
    rng = random.Random(seed)
    index = Index(policy)
    world = World((policy,), (index,))
    made = []
    for _ in range(count):
        boxes = world.rule(rng.randrange(1, len(policy.rules)))
        picked = world.pick(rng.choice(boxes)) if boxes else None
        noise = {"task_type": rng.choice(TASK_TYPES), "complexity": rng.choice(LEVELS), "stream": rng.random() < 0.5}
        made.append({name: value for name, value in {**noise, **(picked or {})}.items() if value is not ABSENT})
    return made


def _condition(rng: random.Random, number: int) -> dict[str, Any]:
    choices: dict[str, Any] = {
        "task_type": rng.choice(TASK_TYPES),
        "complexity": rng.choice(LEVELS),
        "intent": rng.sample(BUILT_IN_INTENTS, 2),
        "score": f">={rng.randrange(100) / 100}",
        "prompt_tokens": f">{rng.randrange(0, 20000, 50)}",
        "batch_size": f"<{rng.randrange(2, 500)}",
        "client": f"client-{rng.randrange(40)}",
    }
    named = {"tenant": f"tenant-{number % 500}"}
    return named | {name: choices[name] for name in rng.sample(sorted(choices), rng.choice((1, 2, 2, 3)))}
