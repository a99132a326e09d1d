"""Say what prompt caches that lapsed have cost in a folder of Claude Code's transcripts, at today's list prices.

    python examples/claude-code/caches.py ~/.claude/projects

A vendor keeps a prompt for five minutes after it was last asked for. Whoever answers a question later, or lets another
model answer in between, pays for the whole conversation to be written to the cache again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from hroute.ledger import prices
from hroute.replay.readers.detect import opened
from hroute.replay.rows import BadLine, Row
from hroute.terms.money import show
from hroute.terms.usage import Usage

LARGE = 5_000
"""Tokens of a conversation that was in the cache, from which a lapse is worth a word."""


def report(rows: Iterable[Row | BadLine]) -> Iterator[str]:
    """The lines of the report."""
    calls = [row for row in rows if isinstance(row, Row) and row.model and prices.lookup("anthropic", row.model)]
    bill = sum(cost(row, usage(row)) for row in calls)
    lapsed = [row for row in calls if row.cache_read_tokens == 0 and came_before(row)]
    if not lapsed:
        yield f"{len(calls):,} calls, {show(bill)}; no cache of {LARGE:,} tokens or more has lapsed"
        return
    lost = [cost(row, Usage(cache_write=size)) - cost(row, Usage(cache_read=size)) for row in lapsed for size in [row.cache_write_tokens]]  # fmt: skip
    read = sum(cost(row, Usage(cache_read=row.cache_write_tokens)) for row in lapsed)
    warm = [cost(row, usage(row)) for row in calls if row.cache_read_tokens]
    each, turn = sum(lost) // len(lost), sum(warm) // len(warm)
    yield f"{len(calls):,} calls, {show(bill)}"
    yield f"caches that lapsed        {len(lapsed):,}, made again for {show(sum(lost))} more than reading them: {sum(lost) / bill:.0%} of the bill".replace("%", " %")  # fmt: skip
    yield f"one of them               {show(each)}: as much as reading it {sum(lost) / read:.1f} times, or {each / turn:.1f} whole calls from a warm cache"  # fmt: skip


def came_before(row: Row) -> bool:
    """Whether the conversation had begun before, so that a cache of it was there to lapse."""
    answered = row.request is not None and any(message.role == "assistant" for message in row.request.messages)
    return answered and row.cache_write_tokens >= LARGE


def usage(row: Row) -> Usage:
    """The tokens of a call, as its vendor counted them."""
    return Usage(row.input_tokens or 0, row.output_tokens or 0, row.cache_read_tokens, row.cache_write_tokens, cache_write_1h=row.cache_write_1h_tokens)  # fmt: skip


def cost(row: Row, used: Usage) -> int:
    """Nano-dollars of `used` at the model of `row`."""
    price = prices.lookup("anthropic", row.model or "")
    return prices.cost(price, used) if price is not None else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for line in report(opened(sys.argv[1:])):
        print(line)
