"""Makes hroute/ledger/prices.json from the genai-prices package and the retirement dates kept beside this file.

python tools/compile_prices.py            write the table, dated today
python tools/compile_prices.py --check    fail when the table differs from what the installed package gives
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data import providers
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

TABLE = Path(__file__).parents[1] / "hroute" / "ledger" / "prices.json"
RETIREMENTS = Path(__file__).with_name("model_retirements.json")

VENDORS = {
    "anthropic": ["api.anthropic.com"],
    "openai": ["api.openai.com"],
    "deepseek": ["api.deepseek.com"],
    "google": ["generativelanguage.googleapis.com"],
    "mistral": ["api.mistral.ai"],
    "groq": ["api.groq.com"],
    "x-ai": ["api.x.ai"],
    "moonshotai": ["api.moonshot.ai", "api.moonshot.cn"],
    "zai": ["api.z.ai"],
    "cohere": ["api.cohere.com", "api.cohere.ai"],
    "cerebras": ["api.cerebras.ai"],
    "together": ["api.together.xyz"],
    "fireworks": ["api.fireworks.ai"],
    "perplexity": ["api.perplexity.ai"],
    "minimax": ["api.minimax.io", "api.minimaxi.com"],
}
"""Vendors that the table holds, in the order in which an unnamed endpoint is guessed by model name."""

CLASSES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
}

DIGITS = re.compile(r"\\d(?:\{(\d+)\})?")
NO_SPEECH = r"^(?!.*-[tT][tT][sS](?:$|-))"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true")
    check = options.parse_args().check
    dated = json.loads(TABLE.read_text())["version"] if check else date.today().isoformat()
    text = render(compile_table(dated))
    if not check:
        TABLE.write_text(text)
    elif TABLE.read_text() != text:
        print(f"{TABLE.name} is out of date: python tools/compile_prices.py", file=sys.stderr)
        return 1
    return 0


def compile_table(dated: str) -> dict[str, Any]:
    """The table as plain data; `dated` is its version, an ISO date."""
    retirements = json.loads(RETIREMENTS.read_text())
    by_id = {p.id: p for p in providers}
    vendors = {}
    for name, hosts in VENDORS.items():
        models = [entry for model in by_id[name].models if (entry := model_entry(model)) is not None]
        vendors[name] = {"hosts": hosts, "models": models}
        if name in retirements:
            vendors[name]["retirements"] = retirements[name]["models"]
    return {"version": dated, "source": f"genai-prices {version('genai-prices')}", "vendors": vendors}


def model_entry(model: ModelInfo) -> dict[str, Any] | None:
    """One model; None where it is not billed by input and output tokens."""
    conditional = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    prices = [priced for entry in conditional if (priced := price_entry(entry)) is not None]
    if not prices or len(prices) != len(conditional):
        return None
    entry: dict[str, Any] = {"id": model.id, "match": patterns(model.match), "prices": prices}
    if model.context_window:
        entry["context_window"] = model.context_window
    if model.deprecated:
        entry["deprecated"] = True
    if "retired" in (model.description or "").lower() or "(shut down)" in (model.price_comments or "").lower():
        entry["retired"] = True
    return entry


def price_entry(entry: ConditionalPrice) -> dict[str, Any] | None:
    amounts = {ours: getattr(entry.prices, theirs, None) for theirs, ours in CLASSES.items()}
    if amounts["input"] is None or amounts["output"] is None or charged_per_call(entry.prices):
        return None
    starts = sorted({t.start for a in amounts.values() if isinstance(a, TieredPrices) for t in a.tiers})
    priced: dict[str, Any] = at_length(amounts, 0)
    if starts:
        priced["bands"] = [[start, at_length(amounts, start + 1)] for start in starts]
    match entry.constraint:
        case StartDateConstraint(start_date=start):
            priced["from"] = start.isoformat()
        case TimeOfDateConstraint(start_time=start, end_time=end):
            priced["hours_utc"] = [start.strftime("%H:%M"), end.strftime("%H:%M")]
    return priced


def charged_per_call(prices: ModelPrice) -> bool:
    """Whether tokens are only part of the bill."""
    return getattr(prices, "requests_kcount", None) is not None


def at_length(amounts: dict[str, Decimal | TieredPrices | None], prompt_tokens: int) -> dict[str, int]:
    exact = {}
    for name, amount in amounts.items():
        if isinstance(amount, TieredPrices):
            amount = ([amount.base] + [t.price for t in amount.tiers if prompt_tokens > t.start])[-1]
        if amount is not None:
            nano = amount * 1_000_000_000
            if nano != int(nano):
                raise ValueError(f"{amount} USD per million tokens is finer than a nano-dollar")
            exact[name] = int(nano)
    return exact


def patterns(clause: Any) -> list[str]:
    """A match clause as glob patterns in lower case: `*` any text, `[0-9]` a digit, a leading `!` excludes."""
    match clause:
        case ClauseEquals(equals=text):
            return [text.lower()]
        case ClauseStartsWith(starts_with=text):
            return [text.lower() + "*"]
        case ClauseEndsWith(ends_with=text):
            return ["*" + text.lower()]
        case ClauseContains(contains=text):
            return [f"*{text.lower()}*"]
        case ClauseOr(or_=items):
            return list(dict.fromkeys(p for item in items for p in patterns(item)))
        case ClauseAnd(and_=[first, ClauseRegex(regex=regex)]) if regex == NO_SPEECH:
            return ["!*-tts", "!*-tts-*", *patterns(first)]
        case ClauseRegex(regex=regex):
            body = DIGITS.sub(lambda m: "[0-9]" * int(m[1] or 1), regex.removeprefix("^").removesuffix("$"))
            glob = body.replace("\\.", ".") + ("" if regex.endswith("$") else "*")
            if not regex.startswith("^") or re.search(r"[\\(){}|+?^$]", glob):
                raise ValueError(f"{regex} is not a pattern that the table can hold")
            return [glob.lower()]
    raise ValueError(f"{clause!r} is not a clause that the table can hold")


def render(table: dict[str, Any]) -> str:
    """JSON with one model a line, so that a change of a price is a change of one line."""
    lines = [
        "{",
        f' "version": {json.dumps(table["version"])},',
        f' "source": {json.dumps(table["source"])},',
        ' "vendors": {',
    ]
    last = list(table["vendors"])[-1]
    for name, vendor in table["vendors"].items():
        lines.append(f'  {json.dumps(name)}: {{"hosts": {json.dumps(vendor["hosts"])},')
        lists = [key for key in ("retirements", "models") if key in vendor]
        for key in lists:
            rows = ",\n".join("   " + json.dumps(row) for row in vendor[key])
            lines.append(f'  "{key}": [\n{rows}\n  ]' + ("," if key != lists[-1] else ""))
        lines.append("  }" + ("," if name != last else ""))
    return "\n".join([*lines, " }", "}"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
