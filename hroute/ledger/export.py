"""The ledger as a log that any tool reads: JSON Lines or CSV in the canonical keys, Parquet by pyarrow or duckdb.

Text is in it only where it was kept by consent and is asked for; labels are verdicts beside their prompts.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from tempfile import NamedTemporaryFile
from typing import IO, Any, Final

from hroute.errors import UsageError
from hroute.terms import money

COLUMNS: Final = (
    "id", "ts", "outcome", "error", "rule", "variant", "mode", "routed_to", "actual_provider", "actual_model",
    "escalation", "cost_center", "tenant", "client", "session", "intent", "purpose", "input_tokens", "output_tokens",
    "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_usd", "would_cost_usd", "estimated",
    "latency_ms", "ttft_ms", "policy", "prices", "tainted", "signals", "attempts",
)  # fmt: skip
TEXT: Final = ("system", "messages", "answer", "redacted")
"""Empty unless text was kept, and asked for."""


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
        **_text(row),
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
    writer.writerow((*COLUMNS, *TEXT))
    number = 0
    for row in _rows(pages):
        writer.writerow([_cell(row.get(name)) for name in (*COLUMNS, *TEXT)])
        number += 1
    return number


def to_parquet(pages: Iterable[list[dict[str, Any]]], path: str) -> int:
    """A Parquet file, signals and attempts as JSON texts; gives how many rows. Raises UsageError without pyarrow and
    duckdb."""
    rows = ([{k: _flat(v) for k, v in canonical(row).items()} for row in page] for page in pages)
    for write, package in ((_by_pyarrow, "pyarrow"), (_by_duckdb, "duckdb")):
        try:
            import_module(package)
        except ImportError:
            continue
        return write(rows, path)
    raise UsageError(
        "Parquet needs the package pyarrow or duckdb",
        help="write .jsonl or .csv, or from the checkout: uv sync --extra replay",
    )


def labels(pages: Iterable[list[dict[str, Any]]], out: IO[str]) -> int:
    """A log for `hroute tune`: the prompts of answers that cost nothing and were called good or bad; gives how many.

    Of such a request it is known what the cheap answer was worth. That the dear one would have been good is assumed.
    """
    number = 0
    for row in (row for page in pages for row in page):
        verdict, prompt = _verdict(row), _prompt(row.get("said"))
        if verdict is not None and prompt and row["cost"] == 0:
            out.write(
                json.dumps({"id": row["id"], "prompt": prompt, "cheap": verdict, "dear": 1}, ensure_ascii=False) + "\n"
            )
            number += 1
    return number


def _by_pyarrow(pages: Iterable[list[dict[str, Any]]], path: str) -> int:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    kinds = {float: arrow.float64(), int: arrow.int64(), bool: arrow.bool_(), str: arrow.string()}
    schema = arrow.schema([(name, kinds[kind]) for name, kind in _kinds().items()])
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    number = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for page in pages:
            writer.write_table(arrow.Table.from_pylist(page, schema=schema))
            number += len(page)
    return number


def _by_duckdb(pages: Iterable[list[dict[str, Any]]], path: str) -> int:
    """Through a file of JSON Lines beside it, which duckdb reads by itself: row by row it takes a thousand times longer."""
    kinds = {float: "DOUBLE", int: "BIGINT", bool: "BOOLEAN", str: "VARCHAR"}
    columns = ", ".join(f"{name}: '{kinds[kind]}'" for name, kind in _kinds().items())
    number = 0
    with NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl", dir=os.path.dirname(path) or ".") as lines:
        for page in pages:
            for row in page:
                lines.write(json.dumps({name: row.get(name) for name in COLUMNS}, ensure_ascii=False) + "\n")
            number += len(page)
        lines.flush()
        source, target = (name.replace("'", "''") for name in (lines.name, path))
        with import_module("duckdb").connect() as database:
            database.execute(
                f"COPY (SELECT * FROM read_json('{source}', format = 'newline_delimited', columns = {{{columns}}})) "
                f"TO '{target}' (FORMAT parquet)"
            )
    os.chmod(path, 0o600)
    return number


def _text(row: Mapping[str, Any]) -> dict[str, Any]:
    """The text of a request, where its row was read with it."""
    said = row.get("said")
    if not isinstance(said, Mapping):
        return {}
    system, turns = messages(said)
    return {"system": system or None, "messages": turns, "answer": said["answer"], "redacted": said["redacted"]}


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


def _kinds() -> dict[str, type]:
    """What each column of a Parquet file holds."""
    numbers = ("cost_usd", "would_cost_usd", "latency_ms", "ttft_ms")
    return {
        name: float if name in numbers else int if name.endswith("_tokens") else bool if name in _FLAGS else str
        for name in COLUMNS
    }


_FLAGS: Final = ("estimated", "tainted")


def _verdict(row: Mapping[str, Any]) -> int | None:
    """1 where everybody who said something called the answer good, 0 where anybody called it bad."""
    said = [one["verdict"] for one in row.get("feedback") or ()]
    return None if not said else int("bad" not in said)


def _prompt(said: Mapping[str, Any] | None) -> str:
    """What the user asked last, of the text that was kept."""
    turns = messages(said)[1]
    return next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")


def messages(said: Mapping[str, Any] | None) -> tuple[str, list[dict[str, str]]]:
    """System prompt and turns of a text that was kept, as a dry-run reads them."""
    try:
        told = json.loads((said or {}).get("prompt") or "{}")
        return str(told.get("system") or ""), [
            {"role": m["role"], "content": m["text"]} for m in told.get("messages", ())
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", []


Writer = Callable[[Iterable[list[dict[str, Any]]], IO[str]], int]
WRITERS: Final[dict[str, Writer]] = {".jsonl": to_jsonl, ".csv": to_csv}
"""How each kind of text file is written, by the ending of its name."""
