"""Makes hroute/ledger/prices.json from the genai-prices package and the retirement dates kept beside this file.

python tools/compile_prices.py            write the table, dated today
python tools/compile_prices.py --check    fail when the table differs from what the installed package gives
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from datetime import date, time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data import providers
from genai_prices.types import ModelPrice

from hroute.ledger import price_source

TABLE = Path(__file__).parents[1] / "hroute" / "ledger" / "prices.json"
RETIREMENTS = Path(__file__).with_name("model_retirements.json")


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
    known = {name: {"retirements": facts["models"]} for name, facts in retirements.items()}
    table = price_source.table([plain(provider) for provider in providers], dated=dated, known=known)
    return price_source.checked({**table, "source": f"genai-prices {version('genai-prices')}"})


def plain(value: Any) -> Any:
    """An object of the package as its own data file has it."""
    if isinstance(value, ModelPrice):
        return {name: plain(amount) for name, amount in vars(value).items() if amount is not None}
    if dataclasses.is_dataclass(value):
        fields = ((f.name.removesuffix("_"), getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: plain(inner) for name, inner in fields if inner is not None}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, (date, time)):
        return value.isoformat()
    return value if isinstance(value, (str, int, float, bool, Decimal, type(None))) else str(value)


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
