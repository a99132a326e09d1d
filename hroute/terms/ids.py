"""Time-ordered request ids: UUIDv7 (RFC 9562, 5.7), and the short form that people read."""

from __future__ import annotations

import os
import time


def uuid7(now_ms: int | None = None, random: bytes | None = None) -> str:
    """A UUIDv7 as 36 characters. `now_ms` is Unix time in milliseconds, `random` ten bytes; both only for tests.

    The twelve bits behind the version hold the fraction of the millisecond (RFC 9562, 6.2, method 3), so that ids made
    one after the other sort in that order too.
    """
    now = time.time_ns() if now_ms is None else now_ms * 1_000_000
    stamp, rest = divmod(now, 1_000_000)
    noise = os.urandom(10) if random is None else random
    value = (stamp & (1 << 48) - 1) << 80 | int.from_bytes(noise, "big")
    if now_ms is None:
        value = value & ~(0xFFF << 64) | (rest << 12) // 1_000_000 << 64
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def short(id: str) -> str:
    """The last eight hex digits, as every listing shows an id (SEMANTICS 4.8)."""
    return id.replace("-", "")[-8:]
