"""Sizes of a request: tokens of what is sent, of what is context, and parts that nobody reads."""

from __future__ import annotations

from collections.abc import Iterable

from hroute.router.signals import tokens
from hroute.router.signals.blocks import Block, BlockCache
from hroute.terms.message import Request, Unread

EXPECTED_OUTPUT = 500
"""What an answer is expected to take, unless less is allowed (SEMANTICS 1.12)."""


def context_tokens(request: Request, sent: Iterable[Block], cache: BlockCache | None = None) -> int:
    """Tokens of files, of messages that a program put there, and of tools' results, which are among what is `sent`."""
    of_files = tokens.estimate_all(text for file in request.files for text in file)
    of_messages = sum(tokens.estimate(m.text) for m in request.messages if m.context)
    return of_files + of_messages + sum(_tokens(block, cache) for block in sent if block.result)


def prompt_tokens(request: Request, sent: Iterable[Block], cache: BlockCache | None = None) -> int:
    """Tokens of all that is `sent` of `request`, with what a dialect spends around each message."""
    hidden = sum(tokens.UNREAD[part.kind] for part in _unread(request))
    return sum(_tokens(block, cache) for block in sent) + hidden + tokens.FRAME * len(request.messages)


def expected_tokens(prompt: int, most: int | None) -> int:
    """The prompt and an answer of at most `most` tokens."""
    return prompt + min(EXPECTED_OUTPUT if most is None else most, EXPECTED_OUTPUT)


def images(request: Request) -> int:
    return sum(part.kind == "image" for part in _unread(request))


def _unread(request: Request) -> Iterable[Unread]:
    return (part for m in request.messages for part in m.parts if isinstance(part, Unread))


def _tokens(block: Block, cache: BlockCache | None) -> int:
    return tokens.estimate(block.text) if cache is None else cache.tokens(tokens.VERSION, block, tokens.estimate)
