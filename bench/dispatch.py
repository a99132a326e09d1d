"""What a call through the router costs above the vendor's own SDK, over loopback against the sandbox, side by side.

Calls alternate, so that whatever else the machine does falls on all of them alike; server and client have a core each. The
prompts differ, so that nothing is scanned from memory. The policy is the starter's, every signal is read from the prompt.
LiteLLM's Router is measured in the same run where it is installed.

Run: python -m bench.dispatch
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from bench.figures import HEADER, Figure
from hroute.router.client import AsyncClient
from hroute.schema.load import load_text

ROOT = Path(__file__).parents[1]
STARTER = ROOT / "routing-config.yaml"
CALLS, WARM, ROUNDS, BOUND = 100, 30, 9, 0.3
PROMPT = "Explain in two sentences why the sky is blue and the sunset is red, number {n}."

Way = Callable[[str], Awaitable[object]]


def main() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "hroute", "sandbox", "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    ) as sandbox:
        assert sandbox.stdout is not None
        apart(sandbox.pid)
        url = json.loads(sandbox.stdout.readline())["url"]
        try:
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(measure(url, folder))
        finally:
            sandbox.terminate()


def apart(server: int) -> None:
    """Server and client on cores of their own, where the system knows how."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(server, cores[1:])
        os.sched_setaffinity(0, cores[:1])


async def measure(url: str, folder: str) -> None:
    print(f"\n{ROUNDS} rounds of {CALLS} calls each, in turn; the p50 of each round")
    print(HEADER)
    for vendor in ("anthropic", "openai", "ollama"):
        ways = {
            f"{vendor}: bare SDK": bare(vendor, url),
            f"{vendor}: AsyncClient.complete": routed(vendor, url),
            f"{vendor}: the same, with a ledger": routed(vendor, url, os.path.join(folder, f"{vendor}.db")),
        }
        if find_spec("litellm") is not None:
            ways[f"{vendor}: LiteLLM Router"] = litellm(vendor, url)
        found = await side_by_side(ways)
        base = next(iter(found.values()))
        for name, figure in found.items():
            print(figure.line(name, "ms"))
        for name, figure in list(found.items())[1:]:
            above = Figure(tuple(ours - theirs for ours, theirs in zip(figure.rounds, base.rounds, strict=True)))
            bound = "" if "LiteLLM" in name else f"at most {BOUND}"
            print(above.line(f"  {name.partition(': ')[2]}, above the SDK", "ms", bound))


async def side_by_side(ways: Mapping[str, Way]) -> dict[str, Figure]:
    """The p50 of every way in milliseconds, for each round; the ways take turns call by call."""
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        took: dict[str, list[float]] = {name: [] for name in ways}
        for n in range(CALLS if number else WARM):
            for name, way in ways.items():
                prompt = PROMPT.format(n=number * CALLS + n)
                start = time.perf_counter()
                await way(prompt)
                took[name].append((time.perf_counter() - start) * 1e3)
        if number:
            for name, each in took.items():
                rounds[name].append(median(each))
    return {name: Figure(tuple(each)) for name, each in rounds.items()}


def bare(vendor: str, url: str) -> Way:
    """The SDK as its own documentation calls it."""
    sdk: Any = import_module(vendor)
    if vendor == "anthropic":
        messages = sdk.AsyncAnthropic(api_key="sandbox", base_url=url, max_retries=0).messages
        return lambda text: messages.create(model="m", max_tokens=4096, messages=said(text))
    if vendor == "openai":
        chat = sdk.AsyncOpenAI(api_key="sandbox", base_url=f"{url}/v1", max_retries=0).chat.completions
        return lambda text: chat.create(model="m", max_completion_tokens=4096, messages=said(text))
    client = sdk.AsyncClient(host=url)
    return lambda text: client.chat(model="m", messages=said(text), options={"num_ctx": 8192, "num_predict": 4096})


def routed(vendor: str, url: str, ledger: str | bool = False) -> Way:
    """`AsyncClient.complete` under the starter policy; every request is written into `ledger`, where there is one."""
    address = f"{url}/v1" if vendor == "openai" else url
    entry = f"{{plugin: {vendor}, model: m, base_url: {address}, api_key: env:KEY}}"
    policy, findings, _ = load_text(f"providers:\n  claude_sonnet: {entry}\n{STARTER.read_text()}", "bench.yaml")
    assert policy is not None, findings
    return AsyncClient.from_policy(policy=policy, environ={"KEY": "sandbox"}, ledger=ledger).complete


def litellm(vendor: str, url: str) -> Way:
    """LiteLLM's Router with one model, its telemetry and its remote price list off."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    library: Any = import_module("litellm")
    library.telemetry = False
    base = {"anthropic": url, "openai": f"{url}/v1", "ollama": url}[vendor]
    model = {"anthropic": "anthropic/claude-sonnet-4-5", "openai": "openai/gpt-4o", "ollama": "ollama_chat/m"}[vendor]
    params = {"model": model, "api_key": "sandbox", "api_base": base}
    router = library.Router(model_list=[{"model_name": "m", "litellm_params": params}], num_retries=0)
    return lambda text: router.acompletion(model="m", messages=said(text), max_tokens=4096)


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


if __name__ == "__main__":
    main()
