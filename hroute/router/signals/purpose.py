"""What a client sends a request for: a turn of the conversation, or its own housekeeping (known clients' wordings)."""

from __future__ import annotations

from typing import Final

from hroute.terms.message import Request
from hroute.terms.pattern import Prepared, TextMatcher

VERSION: Final = "purpose/2"
_READ: Final = 6_000

_SUBAGENT: Final = TextMatcher(
    any_of=("cc_is_subagent=true", "you are an agent for", "you are a subagent", "you are a sub-agent", "you are a file search specialist")
)  # fmt: skip
"""Claude Code marks its subagents, also those whose instructions somebody wrote himself; others are known by theirs."""
_ASKS: Final = (
    ("topic", TextMatcher(any_of=("new conversation topic", "indicates a new topic", "isnewtopic"))),
    ("title", TextMatcher(any_of=("sentence-case title", "title generator", "title for the conversation", "title for this conversation", "conversation title", "session title", "thread title", "chat title", "title for this session", "title for this coding session"))),
    ("summary", TextMatcher(any_of=("your task is to create a detailed summary", "summarize the conversation", "summarize this conversation", "summarize this coding conversation", "summary of the conversation so far", "compact the conversation"))),
)  # fmt: skip


def read(request: Request, message: str) -> str:
    """`turn`, or `count`, `subagent`, `topic`, `title`, `summary` where the request is worded as known clients word it.

    A title or a topic is asked without tools: the same words with tools at hand are a turn.
    """
    if request.max_tokens == 1:
        return "count"
    system = Prepared(request.system[:_READ])
    if _SUBAGENT.holds(system):
        return "subagent"
    texts = (system, Prepared(message[:_READ]))
    for purpose, asks in _ASKS:
        housekeeping = purpose == "summary" or (not request.tools and (request.system or request.json_schema))
        if housekeeping and any(asks.holds(text) for text in texts):
            return purpose
    return "turn"
