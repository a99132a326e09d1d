"""One row of a log, in canonical keys (SEMANTICS 5), whatever file it stood in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from hroute.errors import UsageError
from hroute.replay.messages import NotMessages, request_of
from hroute.terms.message import Request
from hroute.terms.money import from_usd
from hroute.terms.signal import ABSENT, SIGNALS, Kind, Value, coerce

COLUMNS: Final = (
    "ts", "id", "session", "cost_center", "model", "routed_to", "prompt", "messages", "system", "tools", "max_tokens",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "latency_ms",
    "ttft_ms", "cost_usd", "outcome", "error", "signals", "usage",
)  # fmt: skip
"""What a row may have besides signals by name."""

_COUNTS: Final = {
    "input_tokens": ("input_tokens", "input", "prompt_tokens"),
    "output_tokens": ("output_tokens", "output", "completion_tokens"),
    "cache_read_tokens": ("cache_read_tokens", "cache_read", "cache_read_input_tokens"),
    "cache_write_tokens": ("cache_write_tokens", "cache_write", "cache_creation_input_tokens"),
    "reasoning_tokens": ("reasoning_tokens", "reasoning"),
}
"""Each count, and the names that it may have inside `usage`."""

_NEVER_RECORDED: Final = frozenset(name for name, signal in SIGNALS.items() if signal.kind is Kind.TEXT)
_MILLISECONDS_FROM: Final = 1e11
_MOST_TOKENS: Final = 10**12  # more is no count of one request, and no sum of money that can be shown


@dataclass(frozen=True, slots=True)
class Row:
    """A request as it was logged. `number` is its line; counts are tokens, None where the log does not say.

    `input_tokens` excludes what a prompt cache read or wrote, `cache_write_1h_tokens` are those of the latter that are
    kept for an hour. `signals` are the recorded ones (and answers to text
    tests, by key); `misfits` names recorded values that their signal cannot hold, and which count as not recorded.
    """

    number: int
    id: str
    ts: datetime | None = None
    request: Request | None = None
    signals: Mapping[str, Value] = field(default_factory=dict)
    model: str | None = None
    routed_to: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    max_tokens: int | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    cost: int | None = None
    outcome: str | None = None
    error: str | None = None
    misfits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no row: where it stands and why, without any of its text."""

    file: str
    number: int
    reason: str


class NotARow(ValueError):
    """The data cannot be a row; its text says why and quotes nothing."""


def parse_map(text: str) -> dict[str, str]:
    """`ts=TIMESTAMP,input_tokens=ContextTokens` as canonical key -> foreign column (dots reach into objects).

    Raises UsageError where a key is neither a column of SEMANTICS 5 nor a signal.
    """
    columns: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, foreign = (part.strip() for part in item.partition("="))
        if not (name and equals and foreign):
            raise UsageError(
                f"`{item}` is not of the form NAME=COLUMN",
                help="for example: --map ts=TIMESTAMP,input_tokens=ContextTokens",
            )
        if name not in COLUMNS and name not in SIGNALS:
            raise UsageError(
                f"`{name}` is neither a column of a log nor a signal", help=f"columns: {', '.join(COLUMNS)}"
            )
        columns[name] = foreign
    return columns


def row_from(data: Mapping[str, Any], number: int, columns: Mapping[str, str] | None = None) -> Row:
    """A row from one decoded object. Raises NotARow where no request can be read from it."""
    if columns:
        data = {**data, **{name: _reach(data, foreign) for name, foreign in columns.items()}}
    signals, misfits = _signals(data)
    counts = _counts(data)
    max_tokens = _count(data.get("max_tokens"))
    return Row(
        number=number,
        id=_text(data.get("id")) or str(number),
        ts=moment(data.get("ts")),
        request=_request(data, max_tokens),
        signals=signals,
        model=_text(data.get("model")),
        routed_to=_text(data.get("routed_to")),
        input_tokens=counts["input_tokens"],
        output_tokens=counts["output_tokens"],
        cache_read_tokens=counts["cache_read_tokens"] or 0,
        cache_write_tokens=counts["cache_write_tokens"] or 0,
        reasoning_tokens=counts["reasoning_tokens"] or 0,
        max_tokens=max_tokens,
        latency_ms=_number(data.get("latency_ms")),
        ttft_ms=_number(data.get("ttft_ms")),
        cost=_money(data.get("cost_usd")),
        outcome=_text(data.get("outcome")),
        error=_text(data.get("error")),
        misfits=tuple(misfits),
    )


def _signals(data: Mapping[str, Any]) -> tuple[dict[str, Value], list[str]]:
    """Signals by name beside the columns, and in `signals{}`, which win. `null` says nothing."""
    recorded = data.get("signals")
    found: dict[str, Value] = {}
    misfits: list[str] = []
    for source in (data, recorded if isinstance(recorded, dict) else {}):
        for name, raw in source.items():
            if raw is None:
                continue
            if "~" in name and isinstance(raw, bool):
                found[name] = raw
            elif name in SIGNALS and name not in _NEVER_RECORDED and not (name == "tools" and isinstance(raw, list)):
                try:
                    value = coerce(name, raw)
                except UsageError:
                    misfits.append(name)
                    continue
                if value is not ABSENT:
                    found[name] = value
    return found, misfits


def _request(data: Mapping[str, Any], max_tokens: int | None) -> Request | None:
    messages = data.get("messages")
    prompt = data.get("prompt")
    system = data.get("system")
    tools = data.get("tools")
    if messages is None and prompt is None:
        return None
    try:
        return request_of(
            prompt if messages is None else messages,
            system=system,
            tools=tools if isinstance(tools, list) else [],
            max_tokens=max_tokens,
        )
    except NotMessages as error:
        raise NotARow(f"`{'prompt' if messages is None else 'messages'}` {error}") from None


def _counts(data: Mapping[str, Any]) -> dict[str, int | None]:
    usage = data.get("usage")
    nested: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    counts = {name: _count(data.get(name)) for name in _COUNTS}
    if not nested:
        return counts
    for name, aliases in _COUNTS.items():
        if counts[name] is None:
            counts[name] = next((count for alias in aliases if (count := _count(nested.get(alias))) is not None), None)
    return _without_cached(counts, nested)


def _without_cached(counts: dict[str, int | None], usage: Mapping[str, Any]) -> dict[str, int | None]:
    """OpenAI counts cached tokens inside `prompt_tokens` and reasoning inside `completion_tokens`; here each stands alone."""
    for whole, details, part, name in (
        ("input_tokens", "prompt_tokens_details", "cached_tokens", "cache_read_tokens"),
        ("output_tokens", "completion_tokens_details", "reasoning_tokens", "reasoning_tokens"),
    ):
        inside = usage.get(details)
        count = _count(inside.get(part)) if isinstance(inside, dict) else None
        if count is not None and counts[name] is None and (total := counts[whole]) is not None and count <= total:
            counts[name], counts[whole] = count, total - count
    return counts


def _reach(data: Mapping[str, Any], path: str) -> Any:
    if path in data:
        return data[path]
    value: Any = data
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(raw: Any) -> str | None:
    if isinstance(raw, str):
        return raw or None
    return str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else None


def _number(raw: Any) -> float | None:
    if raw is None or isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        return None
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None


def _count(raw: Any) -> int | None:
    if raw is None:
        return None
    if type(raw) is int:
        return raw if 0 <= raw <= _MOST_TOKENS else None
    number = _number(raw)
    return int(number) if number is not None and number.is_integer() and number <= _MOST_TOKENS else None


def _money(raw: Any) -> int | None:
    number = _number(raw)
    return None if number is None or number > 1e12 else from_usd(number)


def moment(raw: Any) -> datetime | None:
    """ISO 8601 (no zone is UTC), or Unix time in seconds or milliseconds."""
    number = _number(raw)
    try:
        if number is not None:
            return datetime.fromtimestamp(number / 1000 if number > _MILLISECONDS_FROM else number, UTC)
        if isinstance(raw, str):
            moment = datetime.fromisoformat(raw.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
