"""The five token classes that a vendor bills, and how two counts add up."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call (or the sum of several).

    `input` excludes what was read from or written to a prompt cache; `output` includes nothing of `reasoning`.
    `cache_write_1h` is the part of `cache_write` that is kept for an hour and not for five minutes: it costs more.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cache_write_1h: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Usage)))

    def as_json(self) -> dict[str, int]:
        """The five classes; `cache_write_1h` only where there is any."""
        return {f.name: value for f in fields(Usage) if (value := getattr(self, f.name)) or f.name != "cache_write_1h"}
