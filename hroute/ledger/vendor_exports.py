"""Vendors' usage and cost exports as lines by day (UTC) and model: Anthropic, OpenAI, OpenRouter, LiteLLM.

A file is CSV, JSON (an API's pages), or JSON Lines. Its columns tell which export it is; a line that cannot be read is
counted and never fatal, and columns that nobody knows are named.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from hroute.errors import UsageError
from hroute.terms import money
from hroute.terms.usage import Usage

SHOWN: Final = 5
"""Bad lines that are kept with what is wrong with them."""

Cells = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """What a vendor says of one model on one day. `cost` is in nano-dollars; None: not said. `model` "": of all together."""

    day: str
    model: str
    requests: int | None = None
    usage: Usage | None = None
    cost: int | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """A file: `vendor` whose models it is about, `kind` in words, its lines, how many could not be read and why the first
    ones could not (line number, reason), and columns without a meaning here."""

    vendor: str
    kind: str
    lines: tuple[Line, ...]
    bad: int
    problems: tuple[tuple[int, str], ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Format:
    vendor: str
    kind: str
    needs: frozenset[str]
    read: Callable[[Cells], Line | None]
    beside: frozenset[str]  # columns that are known and not needed


def read(path: str) -> Export:
    """The export in a file. Raises UsageError where it is none that is known, OSError where it cannot be read."""
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        text = file.read()
    rows = _json_rows(text) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text)
    known: _Format | None = None
    lines, problems, bad, columns = list[Line](), list[tuple[int, str]](), 0, dict[str, None]()
    for number, cells in rows:
        try:
            if isinstance(cells, str):
                raise ValueError(cells)
            columns |= dict.fromkeys(cells)
            known = known or _format_of(cells)
            if known is not None and (line := known.read(cells)) is not None:
                lines.append(line)
        except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation, OverflowError) as error:
            bad += 1
            if len(problems) < SHOWN:
                problems.append((number, _reason(error)))
    if known is None:
        told = ", ".join(columns) or "none"
        raise UsageError(
            f"{path} is no usage export that is known; its columns: {told[:300]}",
            help="known are the usage and cost exports (CSV, or the API's JSON) of Anthropic, OpenAI, OpenRouter and LiteLLM",
        )
    unknown = tuple(name for name in columns if name not in known.needs | known.beside)
    return Export(known.vendor, known.kind, tuple(lines), bad, tuple(problems), unknown)


# rows


def _csv_rows(text: str) -> Iterator[tuple[int, Cells | str]]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    header: list[str] | None = None
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, str(error)
            continue
        if not any(cell.strip() for cell in row):
            continue
        if header is None:
            header = [cell.strip() for cell in row]
        elif len(row) > len(header):
            yield reader.line_num, f"{len(row)} cells under {len(header)} columns"
        else:
            yield reader.line_num, dict(zip(header, row, strict=False))


def _json_rows(text: str) -> Iterator[tuple[int, Cells | str]]:
    """The rows of an API's answer, of a list of them, or of one object a line."""
    try:
        yield from ((0, row) for row in _rows_in(json.loads(text)))
        return
    except (ValueError, RecursionError):
        pass
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "not JSON"
            continue
        yield from ((number, row) for row in _rows_in(found))


def _rows_in(found: Any) -> Iterator[Cells | str]:
    """Pages have `data`, buckets have `results` and their time beside them; LiteLLM's days have a breakdown by model."""
    if isinstance(found, list):
        for one in found:
            yield from _rows_in(one)
    elif not isinstance(found, dict):
        yield "not an object"
    elif isinstance(found.get("data"), list):
        yield from _rows_in(found["data"])
    elif isinstance(found.get("results"), list):
        times = {name: found[name] for name in ("start_time", "starting_at") if name in found}
        yield from ({**row, **times} if isinstance(row, dict) else row for row in _rows_in(found["results"]))
    elif isinstance(found.get("breakdown"), dict):
        models = found["breakdown"].get("models") or {}
        yield from ({**_part(one), "date": found.get("date"), "model": name} for name, one in models.items())
    else:
        yield found


def _part(one: Any) -> dict[str, Any]:
    return dict(one.get("metrics") or {}) if isinstance(one, dict) else {}


# cells


def _number(cells: Cells, name: str) -> int:
    value = cells.get(name)
    if value in (None, ""):
        return 0
    found = Decimal(str(value).replace(",", "").strip())
    if not found.is_finite() or found < 0:
        raise ValueError(f"`{name}` is no count: {str(value)[:40]}")
    return int(found)


def _money(cells: Cells, name: str, *, cents: bool = False) -> int:
    value = str(cells.get(name)).replace(",", "").strip().lstrip("$")
    found = Decimal(value)
    if not found.is_finite():
        raise ValueError(f"`{name}` is no amount: {value[:40]}")
    return money.from_usd(found / 100 if cents else found)


def _day(value: Any) -> str:
    """A date, an instant or seconds since 1970 as a day in UTC; a clock time without a zone is UTC."""
    written = str(value if value is not None else "").strip()
    if written.replace(".", "", 1).isdigit():
        return datetime.fromtimestamp(float(written), UTC).date().isoformat()
    plain = written.replace("/", "-")
    parts = plain.split("-")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        return date(*(int(part) for part in parts)).isoformat()
    moment = datetime.fromisoformat(plain.replace(" UTC", "+00:00"))
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).date().isoformat()


def _in_usd(currency: Any) -> None:
    if str(currency or "usd").strip().lower() != "usd":
        raise ValueError(f"an amount in {str(currency)[:10]}, not in USD")


def _text(cells: Cells, *names: str) -> str:
    return next((str(cells[name]).strip() for name in names if cells.get(name) not in (None, "")), "")


# the exports


def _anthropic_usage_csv(cells: Cells) -> Line:
    hour = _number(cells, "usage_input_tokens_cache_write_1h")
    written = _number(cells, "usage_input_tokens_cache_write_5m") + _number(cells, "usage_input_tokens_cache_write")
    usage = Usage(
        input=_number(cells, "usage_input_tokens_no_cache"),
        output=_number(cells, "usage_output_tokens"),
        cache_read=_number(cells, "usage_input_tokens_cache_read"),
        cache_write=written + hour,
        cache_write_1h=hour,
    )
    return Line(_day(cells["usage_date_utc"]), _text(cells, "model_version", "model"), usage=usage)


def _anthropic_cost_csv(cells: Cells) -> Line:
    return Line(_day(cells["usage_date_utc"]), _text(cells, "model"), cost=_money(cells, "cost_usd"))


def _anthropic_usage(cells: Cells) -> Line:
    made = cells.get("cache_creation") or {}
    hour, short = (_number(made, f"ephemeral_{span}_input_tokens") for span in ("1h", "5m"))
    usage = Usage(
        input=_number(cells, "uncached_input_tokens"),
        output=_number(cells, "output_tokens"),
        cache_read=_number(cells, "cache_read_input_tokens"),
        cache_write=hour + short,
        cache_write_1h=hour,
    )
    return Line(_day(cells["starting_at"]), _text(cells, "model"), usage=usage)


def _anthropic_cost(cells: Cells) -> Line:
    """The API's amounts are decimal strings in cents."""
    _in_usd(cells.get("currency"))
    return Line(_day(cells["starting_at"]), _text(cells, "model"), cost=_money(cells, "amount", cents=True))


def _openai_usage(cells: Cells) -> Line | None:
    """Input counts what was read from the cache, too. A bucket without a request is an empty row."""
    if not _text(cells, "num_model_requests", "input_tokens"):
        return None
    cached = _number(cells, "input_cached_tokens")
    usage = Usage(max(0, _number(cells, "input_tokens") - cached), _number(cells, "output_tokens"), cached)
    return Line(_bucket(cells), _text(cells, "model"), _number(cells, "num_model_requests"), usage)


def _openai_cost_csv(cells: Cells) -> Line | None:
    if not _text(cells, "amount_value"):
        return None
    _in_usd(cells.get("amount_currency"))
    return Line(_bucket(cells), _item(cells), cost=_money(cells, "amount_value"))


def _openai_cost(cells: Cells) -> Line:
    amount = cells["amount"]
    _in_usd(amount.get("currency"))
    return Line(_bucket(cells), _item(cells), cost=_money(amount, "value"))


def _openrouter_generations(cells: Cells) -> Line:
    cached = _number(cells, "tokens_cached")
    usage = Usage(max(0, _number(cells, "tokens_prompt") - cached), _number(cells, "tokens_completion"), cached)
    model = _text(cells, "model_permaslug", "model")
    return Line(_day(cells["created_at"]), model, 1, usage, _money(cells, "cost_total"))


def _openrouter_activity(cells: Cells) -> Line:
    usage = Usage(_number(cells, "prompt_tokens"), _number(cells, "completion_tokens"))
    model = _text(cells, "model_permaslug", "model")
    return Line(_day(cells["date"]), model, _number(cells, "requests"), usage, _money(cells, "usage"))


def _litellm_spend(cells: Cells) -> Line:
    usage = Usage(_number(cells, "prompt_tokens"), _number(cells, "completion_tokens"))
    return Line(_day(cells["startTime"]), _text(cells, "model"), 1, usage, _money(cells, "spend"))


def _litellm_daily(cells: Cells) -> Line:
    read, written = _number(cells, "cache_read_input_tokens"), _number(cells, "cache_creation_input_tokens")
    fresh = max(0, _number(cells, "prompt_tokens") - read - written)
    usage = Usage(fresh, _number(cells, "completion_tokens"), read, written)
    requests = _number(cells, "api_requests") if "api_requests" in cells else None
    return Line(_day(cells["date"]), _text(cells, "model"), requests, usage, _money(cells, "spend"))


def _bucket(cells: Cells) -> str:
    return _day(_text(cells, "start_time", "start_time_iso"))


def _item(cells: Cells) -> str:
    """`gpt-4o-2024-08-06, input` is the model's input."""
    return _text(cells, "line_item").partition(",")[0].strip()


def _made(vendor: str, kind: str, read: Callable[[Cells], Line | None], needs: str, beside: str) -> _Format:
    return _Format(vendor, kind, frozenset(needs.split()), read, frozenset(beside.split()))


_OPENAI: Final = (
    "end_time start_time_iso end_time_iso object project_id project_name organization_id organization_name user_id "
    "user_email api_key_id api_source service_tier batch"
)
_ANTHROPIC: Final = (
    "api_key api_key_id api_key_status workspace workspace_id usage_type context_window inference_geo speed service_tier "
    "web_search_count ending_at account_id service_account_id"
)
FORMATS: Final[Sequence[_Format]] = (
    _made("anthropic", "Anthropic's usage export", _anthropic_usage_csv, "usage_date_utc usage_output_tokens",
          f"model_version model usage_input_tokens_no_cache usage_input_tokens_cache_write_5m "
          f"usage_input_tokens_cache_write_1h usage_input_tokens_cache_write usage_input_tokens_cache_read {_ANTHROPIC}"),
    _made("anthropic", "Anthropic's cost export", _anthropic_cost_csv, "usage_date_utc cost_usd",
          f"model token_type list_price_usd cost_type {_ANTHROPIC}"),
    _made("anthropic", "Anthropic's usage report", _anthropic_usage, "starting_at uncached_input_tokens",
          f"model output_tokens cache_creation cache_read_input_tokens server_tool_use {_ANTHROPIC}"),
    _made("anthropic", "Anthropic's cost report", _anthropic_cost, "starting_at amount",
          f"model currency description cost_type token_type {_ANTHROPIC}"),
    _made("openai", "OpenAI's cost export", _openai_cost_csv, "start_time amount_value",
          f"amount_currency line_item quantity quantity_unit {_OPENAI}"),
    _made("openai", "OpenAI's cost report", _openai_cost, "start_time amount", f"line_item quantity quantity_unit {_OPENAI}"),
    _made("openai", "OpenAI's usage report", _openai_usage, "start_time input_tokens",
          f"num_model_requests output_tokens input_cached_tokens model input_audio_tokens output_audio_tokens "
          f"input_uncached_tokens input_text_tokens output_text_tokens input_cached_text_tokens input_image_tokens "
          f"output_image_tokens input_cached_audio_tokens input_cached_image_tokens {_OPENAI}"),
    _made("openrouter", "OpenRouter's activity, one line a generation", _openrouter_generations, "created_at cost_total",
          "generation_id model_permaslug model tokens_prompt tokens_completion tokens_reasoning tokens_cached "
          "cost_web_search cost_cache cost_file_processing byok_usage_inference provider_name variant cancelled streamed "
          "user finish_reason_raw finish_reason_normalized generation_time_ms time_to_first_token_ms api_key_disabled "
          "api_key_name app_name"),
    _made("openrouter", "OpenRouter's activity by day", _openrouter_activity, "date usage",
          "model model_permaslug endpoint_id provider_name byok_usage_inference requests prompt_tokens completion_tokens "
          "reasoning_tokens"),
    _made("litellm", "LiteLLM's spend logs", _litellm_spend, "startTime spend",
          "request_id call_type api_key total_tokens prompt_tokens completion_tokens endTime completionStartTime model "
          "model_id model_group custom_llm_provider api_base user metadata cache_hit cache_key request_tags team_id "
          "end_user requester_ip_address messages response session_id status request_duration_ms proxy_server_request "
          "organization_id mcp_namespaced_tool_name agent_id"),
    _made("litellm", "LiteLLM's daily activity", _litellm_daily, "date spend",
          "model prompt_tokens completion_tokens cache_read_input_tokens cache_creation_input_tokens total_tokens "
          "successful_requests failed_requests api_requests"),
)  # fmt: skip
"""Every export that is read; the first whose columns are all there."""


def _format_of(cells: Cells) -> _Format | None:
    return next((one for one in FORMATS if one.needs <= cells.keys()), None)


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no `{error.args[0]}`"
    if isinstance(error, InvalidOperation):
        return "an amount or a count is no number"
    return str(error)[:120] or type(error).__name__
