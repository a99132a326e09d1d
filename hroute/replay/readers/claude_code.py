"""Claude Code's transcripts (`~/.claude/projects/DIRECTORY/SESSION.jsonl`): one row for each call that it made.

A transcript holds what was said, not what was sent: instructions, tools and the calls for titles and summaries are not
in it. A call's conversation is what stands before it in its thread, and its tokens are the vendor's own counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hroute.replay.messages import NotMessages, request_of
from hroute.replay.readers.jsonl import Log, objects
from hroute.replay.rows import BadLine, Row, moment
from hroute.terms.message import Message, Request
from hroute.terms.signal import Value

FORMAT: Final = "Claude Code transcripts"
_OURS: Final = frozenset(("user", "assistant", "system", "summary", "attachment", "mode", "queue-operation", "last-prompt", "file-history-snapshot", "ai-title"))  # fmt: skip
_NOBODY: Final = "<synthetic>"
"""The model of a message that Claude Code wrote itself: an error, an interruption."""


def is_transcript(found: Mapping[str, Any]) -> bool:
    """Whether an object is a line of a transcript."""
    return found.get("type") in _OURS and ("sessionId" in found or "leafUuid" in found)


def files_below(folder: str) -> list[str]:
    """The transcripts in a folder and below it, the subagents' too."""
    return sorted(str(path) for path in Path(folder).rglob("*.jsonl"))


class Transcripts(Log):
    """The calls of several transcripts. One that stands twice, since a session was taken up again, is one."""

    format = FORMAT

    def __iter__(self) -> Iterator[Row | BadLine]:
        seen: set[tuple[str, str]] = set()
        for path, stream in self.streams():
            for row in _rows(objects(stream, path), seen):
                self.reached()
                yield row


@dataclass(slots=True)
class _Call:
    """One answer, as its lines add up: text, thinking and each tool call have a line of their own."""

    number: int
    said: Mapping[str, Any]
    line: Mapping[str, Any]
    before: tuple[Message, ...]
    blocks: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _Thread:
    """A conversation under way: the session's own, or a subagent's."""

    said: list[Message] = field(default_factory=list)
    open: _Call | None = None


def _rows(
    lines: Iterable[tuple[int, Mapping[str, Any]] | BadLine], seen: set[tuple[str, str]]
) -> Iterator[Row | BadLine]:
    threads: dict[str, _Thread] = {}
    for entry in lines:
        if isinstance(entry, BadLine):
            yield entry
            continue
        number, line = entry
        message = line.get("message")
        if line.get("type") not in ("user", "assistant") or not isinstance(message, Mapping):
            continue
        side = line.get("isSidechain") is True
        thread = threads.setdefault(str(line.get("agentId") or ("side" if side else "")), _Thread())
        if line["type"] == "assistant":
            if thread.open is not None and thread.open.said.get("id") == message.get("id"):
                _more(thread.open, number, message)
                continue
            yield from _closed(thread, seen)
            thread.open = _Call(number, message, line, tuple(thread.said), _blocks(message))
        else:
            yield from _closed(thread, seen)
            if line.get("isCompactSummary") is True or (side and line.get("parentUuid") is None):
                thread.said.clear()
            thread.said += _messages("user", message.get("content"))
    for thread in threads.values():
        yield from _closed(thread, seen)


def _more(call: _Call, number: int, message: Mapping[str, Any]) -> None:
    """A further line of the same answer; the largest counts are those of the end."""
    call.blocks += _blocks(message)
    if _output(message) >= _output(call.said):
        call.said, call.number = message, number


def _closed(thread: _Thread, seen: set[tuple[str, str]]) -> Iterator[Row]:
    """The row of the answer that is complete, unless it was seen before."""
    call, thread.open = thread.open, None
    if call is None:
        return
    thread.said += _messages("assistant", call.blocks)
    name = (str(call.said.get("id")), str(call.line.get("requestId")))
    if call.said.get("model") == _NOBODY or name in seen or not call.before:
        return
    seen.add(name)
    yield _row(call)


def _row(call: _Call) -> Row:
    usage = call.said.get("usage")
    counts = usage if isinstance(usage, Mapping) else {}
    kept = counts.get("cache_creation")
    hour = _count(kept.get("ephemeral_1h_input_tokens")) if isinstance(kept, Mapping) else 0
    read, written = _count(counts.get("cache_read_input_tokens")), _count(counts.get("cache_creation_input_tokens"))
    model = call.said.get("model")
    fresh = _count(counts.get("input_tokens")) if counts else None
    return Row(
        number=call.number,
        id=str(call.said.get("id") or call.line.get("uuid") or call.number),
        ts=moment(call.line.get("timestamp")),
        request=Request(call.before, stream=True),
        signals=_signals(call.line, model, None if fresh is None else fresh + read + written),
        model=model if isinstance(model, str) else None,
        input_tokens=fresh,
        output_tokens=_count(counts.get("output_tokens")) if counts else None,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(hour, written),
    )


def _signals(line: Mapping[str, Any], model: Any, prompt: int | None) -> dict[str, Value]:
    """What a request of Claude Code says of itself on the wire."""
    found: dict[str, Value] = {"client": "claude-cli", "stream": True, "tools": True}
    found["purpose"] = "subagent" if line.get("isSidechain") is True else "turn"
    for name, value in (("session", line.get("sessionId")), ("requested_model", model)):
        if isinstance(value, str) and value:
            found[name] = value
    return found if prompt is None else {**found, "prompt_tokens": prompt}


def _messages(role: str, content: Any) -> tuple[Message, ...]:
    """One turn; what cannot be read is left out, as its vendor would refuse it."""
    try:
        return request_of([{"role": role, "content": content}]).messages if content else ()
    except NotMessages:
        return ()


def _blocks(message: Mapping[str, Any]) -> list[Any]:
    content = message.get("content")
    return list(content) if isinstance(content, list) else [content] if isinstance(content, str) else []


def _output(message: Mapping[str, Any]) -> int:
    usage = message.get("usage")
    return _count(usage.get("output_tokens")) if isinstance(usage, Mapping) else 0


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
