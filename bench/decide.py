"""How fast a policy decides, beside the naive interpreter: matching, `decide`, compiling, proving.

Run: python -m bench.decide
"""

from __future__ import annotations

import json
import tracemalloc

from bench.figures import HEADER, Figure, per_item, whole
from bench.policies import policy_data, requests
from hroute.router.analysis.guarantee import leaks
from hroute.router.check import analyse, subject_of
from hroute.router.decide import compile, decide
from hroute.router.index import Index
from hroute.router.reference import asker, first_match
from hroute.schema.load import load_text
from hroute.schema.policy import Policy

BOUNDS = {50: (1.5, 2.5), 5_000: (4.0, 5.0)}


def main() -> None:
    for rules, (match_bound, decide_bound) in BOUNDS.items():
        policy = loaded(rules)
        compiled, rows = compile(policy), requests(policy, 2_000)
        match = compiled.index.match
        print(f"\n{rules:,} rules, {len(rows):,} requests spread over them, signals given")
        print(HEADER)
        fast = per_item(match, rows)
        print(fast.line("match", "us", f"at most {match_bound}"))
        print(
            per_item(lambda row, c=compiled: decide(c, row), rows).line(
                "decide, with its Decision", "us", f"at most {decide_bound}"
            )
        )
        few = rows[: 2_000 if rules <= 50 else 100]
        naive = per_item(lambda row, p=policy: first_match(p, asker(p, row)), few, rounds=5)
        print(naive.line("naive interpreter", "us", f"{naive.median / fast.median:.0f} times the match (at least 8)"))
    large = loaded(5_000)
    print("\n5,000 rules")
    print(HEADER)
    print(whole(lambda: Index(large)).line("compile", "ms", "at most 150"))
    print(memory(large).line("memory of the compiled index", "MB", "at most 4"))
    print(
        whole(lambda: list(leaks(subject_of(large, seconds=60), []))).line(
            "prove the privacy guarantee", "ms", "under 1,000"
        )
    )
    print(whole(lambda: analyse(subject_of(large)), rounds=3).line("all findings (time-bounded at 2 s)", "ms"))


def loaded(rules: int) -> Policy:
    """The benchmark's policy, as its file would be loaded."""
    policy, findings, _ = load_text(json.dumps(policy_data(rules)), "bench.yaml")
    assert policy is not None, findings
    return policy


def memory(policy: Policy) -> Figure:
    """Megabytes that the compiled index keeps, beyond the policy itself."""
    tracemalloc.start()
    kept = Index(policy)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept.owner
    return Figure((held / 1e6,))


if __name__ == "__main__":
    main()
