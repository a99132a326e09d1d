"""What all dialects do alike with a request: files become context, choices of tools have one spelling.

Common names of `Request.params`: `temperature`, `top_p`, `top_k`, `seed`, `stop` (a tuple), `presence_penalty`,
`frequency_penalty`, `thinking` (False, True, or a budget in tokens), `effort` ("low", "high", ...), `tool_choice`
("auto", "none", "required", "tool:NAME"), `parallel_tool_calls`, `metadata`, `service_tier`, and Ollama's `num_ctx` and
`keep_alive`, and `logprobs`. What a dialect has no word for is left out. Every other name is its vendor's own and is sent as
it stands; the keys of `extra_body` stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hroute.terms.message import Message, Request, Text

COMMON: Final = frozenset(
    {"temperature", "top_p", "top_k", "seed", "stop", "presence_penalty", "frequency_penalty", "thinking", "effort", "tool_choice",
     "parallel_tool_calls", "metadata", "service_tier", "logprobs", "num_ctx", "keep_alive"}
)  # fmt: skip
"""Parameters that mean the same everywhere and are spelled by each dialect."""

REMINDER: Final = "<system-reminder>\n{}\n</system-reminder>"
"""How a system message between the turns reads where a dialect has no place for it."""


def context_message(files: Sequence[tuple[str, str]]) -> Message:
    """Documents as a turn of their own, marked as context."""
    return Message("user", tuple(Text(_file(name, text)) for name, text in files), context=True)


def with_files(request: Request) -> tuple[Message, ...]:
    """The turns of `request`, its files in front: there they stay, and a prompt cache keeps them."""
    return (context_message(request.files), *request.messages) if request.files else request.messages


def own(params: Mapping[str, Any], body: Mapping[str, Any] = {}) -> dict[str, Any]:
    """The vendor's own among `params`, and what `extra_body` adds to `body`: it replaces nothing that stands there."""
    extra = params.get("extra_body")
    added = {k: v for k, v in extra.items() if k not in body} if isinstance(extra, Mapping) else {}
    return {**added, **{k: v for k, v in params.items() if k not in COMMON and k != "extra_body"}}


def tool_choice(kind: str, name: str = "") -> str:
    """A vendor's choice of tools by its common name."""
    if kind in ("tool", "function") and name:
        return f"tool:{name}"
    return {"any": "required", "required": "required", "none": "none"}.get(kind, "auto")


def merged(messages: Sequence[Message]) -> Iterator[Message]:
    """Neighbours of the same role as one turn, so that the results of parallel calls come together."""
    last: Message | None = None
    for message in messages:
        if last is not None and (last.role, last.context) == (message.role, message.context):
            last = Message(last.role, (*last.parts, *message.parts), last.context)
            continue
        if last is not None:
            yield last
        last = message
    if last is not None:
        yield last


def _file(name: str, text: str) -> str:
    title = f' name="{name.replace(chr(34), chr(39))}"' if name else ""
    return f"<document{title}>\n{text}\n</document>"
