"""The ledger as a log that any tool reads: JSON Lines or CSV in the canonical keys, Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import IO, Any, Final

from hroute.errors import UsageError
from hroute.terms import money

COLUMNS: Final = (
    "id", "ts", "outcome", "error", "rule", "variant", "mode", "routed_to", "actual_provider", "actual_model",
    "escalation", "cost_center", "tenant", "client", "session", "intent", "purpose", "input_tokens", "output_tokens",
    "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_usd", "would_cost_usd", "estimated",
    "latency_ms", "ttft_ms", "policy", "prices", "tainted", "signals", "attempts",
)  # fmt: skip


def canonical(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `report.logs` or `report.pages` in the keys that `dry-run` reads and that programs may rely on.

    `session` is the keyed hash: conversations can be told apart and not traced back.
    """
    tries = row.get("attempts")
    return {
        "id": row["id"],
        "ts": moment(row["ts"]),
        "outcome": row["outcome"],
        "error": row["error"] or None,
        "rule": row["rule"],
        "variant": row["variant"] or None,
        "mode": row["mode"],
        "routed_to": row["routed_to"] or None,
        "actual_provider": row["provider"] or None,
        "actual_model": row["model"] or None,
        "escalation": row["escalation"] or None,
        "cost_center": row["cost_center"] or None,
        "tenant": row["tenant"] or None,
        "client": row["client"] or None,
        "session": row["session_key"] or None,
        "intent": row["intent"] or None,
        "purpose": row["purpose"],
        "input_tokens": row["input"],
        "output_tokens": row["output"],
        "cache_read_tokens": row["cache_read"],
        "cache_write_tokens": row["cache_write"],
        "reasoning_tokens": row["reasoning"],
        "cost_usd": money.to_json(row["cost"]),
        "would_cost_usd": money.to_json(row["would_cost"]),
        "estimated": row["estimated"],
        "latency_ms": row["latency_ms"],
        "ttft_ms": row["ttft_ms"],
        "policy": row["policy"],
        "prices": row["prices"],
        "tainted": row["tainted"],
        "signals": row["signals"],
        **({} if tries is None else {"attempts": [_attempt(one) for one in tries]}),
    }


def moment(ms: int) -> str:
    """Milliseconds since 1970 as `2026-11-20T12:00:00.000Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_jsonl(pages: Iterable[list[dict[str, Any]]], out: IO[str]) -> int:
    """One object a line; gives how many."""
    number = 0
    for row in _rows(pages):
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
        number += 1
    return number


def to_csv(pages: Iterable[list[dict[str, Any]]], out: IO[str]) -> int:
    """One row a line, signals and attempts as JSON in their cells; gives how many."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    number = 0
    for row in _rows(pages):
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
        number += 1
    return number


def to_parquet(pages: Iterable[list[dict[str, Any]]], path: str) -> int:
    """A Parquet file, signals and attempts as JSON texts; gives how many rows. Raises UsageError without pyarrow."""
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("Parquet needs the package pyarrow", help="write .jsonl or .csv, or install pyarrow") from None
    number, writer = 0, None
    try:
        for page in pages:
            rows = [{k: _flat(v) for k, v in canonical(row).items()} for row in page]
            table = arrow.Table.from_pylist(rows, schema=_schema(arrow))
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
            number += len(rows)
    finally:
        if writer is not None:
            writer.close()
    return number


def _rows(pages: Iterable[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    return (canonical(row) for page in pages for row in page)


def _attempt(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "provider": row["provider"],
        "model": row["model"],
        "kind": row["kind"],
        "outcome": row["outcome"],
        "status": row["status"],
        "code": row["code"],
        "latency_ms": row["latency_ms"],
        "cost_usd": money.to_json(row["cost"]),
        "estimated": bool(row["estimated"]),
    }


def _flat(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    flat = _flat(value)
    return f"'{flat}" if isinstance(flat, str) and flat[:1] in ("=", "+", "-", "@", "\t") else flat


def _schema(arrow: Any) -> Any:
    number, flag = arrow.float64(), arrow.bool_()
    kinds: dict[str, Any] = dict.fromkeys(("cost_usd", "would_cost_usd", "latency_ms", "ttft_ms"), number)
    kinds |= {name: arrow.int64() for name in COLUMNS if name.endswith("_tokens")} | {
        "estimated": flag,
        "tainted": flag,
    }
    return arrow.schema([(name, kinds.get(name, arrow.string())) for name in COLUMNS])


Writer = Callable[[Iterable[list[dict[str, Any]]], IO[str]], int]
WRITERS: Final[dict[str, Writer]] = {".jsonl": to_jsonl, ".csv": to_csv}
"""How each kind of text file is written, by the ending of its name."""
