"""How fast the signals of a request are read: the gate of taints, the starter policy, a conversation seen before.

Run: python -m bench.signals
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from random import Random

from bench.figures import HEADER, per_item
from hroute.router.signals.extract import BlockCache, Extraction
from hroute.router.signals.pii import scanner_for
from hroute.router.signals.secrets import SECRETS
from hroute.schema.load import load
from hroute.schema.policy import PresidioSettings
from hroute.terms.message import Message, Request, Text, Tool, prompt

POLICY = Path(__file__).parents[1] / "routing-config.yaml"
STARTER = (
    "contains_pii",
    "intent",
    "clarifying_turns",
    "task_type",
    "batch_size",
    "complexity",
    "score",
    "confidence",
    "context_tokens",
)
PROSE = (
    "the a report from last week shows that our customers like the new table layout but please explain why one row is missing and how we "
    "could improve the export before the meeting, which every team of the house will join; nobody knows yet what it takes"
)
WORDS = tuple(PROSE.split(" "))


def main() -> None:
    policy, findings, _ = load(POLICY)
    assert policy is not None, findings
    pii = scanner_for(policy.signals.pii)
    print("the gate: one pass for personal data and one for credentials, nothing found")
    print(HEADER)
    for size, bound in ((40, 5.0), (1_000, 25.0)):
        texts = some(size)
        gate = per_item(lambda text: (pii.scan(text), SECRETS.scan(text)), texts)
        print(gate.line(f"{size:,} characters", "us", f"at most {bound:g}"))
    source = Path(__file__).read_text(encoding="utf-8")
    pieces = [source[at : at + 1_000] for at in range(0, len(source) - 1_000, 250)]
    print(
        per_item(lambda text: (pii.scan(text), SECRETS.scan(text)), pieces).line(
            "1,000 characters of source code", "us"
        )
    )
    print("\nthe starter policy's signals")
    print(HEADER)
    for size, bound in ((1_000, 100.0), (10_000, 1_000.0), (100_000, 10_000.0)):
        requests = [prompt(text) for text in some(size, 400_000 // size)]
        line = per_item(lambda request: starter(Extraction(policy, request, {})), requests)
        print(line.line(f"{size:,} characters", "us", f"at most {bound:,.0f}"))
    request, cache = conversation(90_000), BlockCache()
    Extraction(policy, request, {}, cache=cache).all()
    print("\na conversation of 90 kB whose blocks were seen before")
    print(HEADER)
    print(
        per_item(lambda seen: taints(Extraction(policy, seen, {}, cache=cache)), [request] * 20).line(
            "taints", "us", "at most 200"
        )
    )
    beside = others()
    if not beside:
        print("\nneither LiteLLM nor Presidio is installed here: nothing to stand beside")
        return
    ours = {
        "the score and all that it rests on, ours": lambda text: Extraction(policy, prompt(text), {}).ask("complexity"),
        "the gate, ours": lambda text: (pii.scan(text), SECRETS.scan(text)),
    }
    for name, judge in {**ours, **beside}.items():
        print(f"\nside by side: {name}")
        print(HEADER)
        for size in (40, 1_000, 8_000):
            print(per_item(judge, some(size, 10), rounds=5).line(f"{size:,} characters", "us", ""))


def starter(extraction: Extraction) -> None:
    for name in STARTER:
        extraction.ask(name)


def taints(extraction: Extraction) -> None:
    extraction.ask("contains_pii")
    extraction.ask("contains_secret")


def some(size: int, count: int = 200) -> list[str]:
    random = Random(size)
    return [" ".join(random.choices(WORDS, k=size // 4))[:size] for _ in range(max(4, count))]


def conversation(size: int) -> Request:
    """System text, two dozen tools and turns, as a coding agent sends them."""
    texts = some(size // 40, 20)
    turns = tuple(Message("user" if n % 2 else "assistant", (Text(text),)) for n, text in enumerate(texts, 1))
    schema = {
        "type": "object",
        "properties": {f"p{n}": {"type": "string", "description": texts[0][:90]} for n in range(8)},
    }
    tools = tuple(Tool(f"tool{n}", texts[n % 20][:600], schema) for n in range(24))
    return Request(turns, system=texts[0] * 4, tools=tools)


def others() -> dict[str, Callable[[str], object]]:
    """What else reads prompts, where it is installed: for the comparison only, and without a network."""
    found: dict[str, Callable[[str], object]] = {}
    if find_spec("litellm"):
        found["LiteLLM's complexity classifier"] = _litellm()
    if find_spec("presidio_analyzer"):
        from hroute.router.signals import presidio

        settings = PresidioSettings(model=presidio.BLANK, entities=tuple(presidio.KINDS))
        found["Presidio's pattern recognisers, no model"] = presidio.scanner_for(settings).load()
    return found


def _litellm() -> Callable[[str], object]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from litellm import Router
    from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

    nobody = {"model": "openai/nobody", "api_key": "none", "api_base": "http://127.0.0.1:9"}
    tiers = dict.fromkeys(("SIMPLE", "MEDIUM", "COMPLEX", "REASONING"), "m")
    router = Router(model_list=[{"model_name": "m", "litellm_params": nobody}])
    made = ComplexityRouter("auto", router, complexity_router_config={"tiers": tiers}, default_model="m")
    return lambda text: made.classify(text)


if __name__ == "__main__":
    main()
