"""An upstream for the soak: it says a request's own marker in every event, and fails one request in ten, each by its marker.

Run: python -m tests.gateway.soak_upstream
"""

from __future__ import annotations

import asyncio
import zlib
from typing import cast

from bench.gateway_upstream import WORD, anthropic_events, chat_events

MARK = b"MARK"
DIGITS = 10
SHORT, LONG = anthropic_events(20), chat_events(500)
TOGETHER = 5
"""Events of a long stream that leave as one piece."""
PAUSE = 0.002
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
REFUSALS = {0: b"500 Internal Server Error", 1: b"529 Overloaded", 2: b"429 Too Many Requests"}


def fault_of(mark: bytes) -> int | None:
    """Which fault a request meets: 0-2 an error status, 3 a cut before the first byte, 4 a cut in the middle; None: none."""
    drawn = zlib.crc32(mark)
    return (drawn // 10) % 5 if drawn % 10 == 0 else None


class Upstream(asyncio.Protocol):
    """Answers `/faulty` with faults and `/sound` without; `/chat/completions` with the long stream."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, end, rest = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(rest) < length:
            return
        self.data = rest[length:]
        at = rest.index(MARK)
        mark = rest[at : at + len(MARK) + DIGITS]
        path = head.split(b" ", 2)[1]
        if path.endswith(b"/chat/completions"):
            pieces = [b"".join(LONG[n : n + TOGETHER]) for n in range(0, len(LONG), TOGETHER)]
            self.task = asyncio.ensure_future(self.stream(mark, pieces, PAUSE))
            return
        fault = fault_of(mark) if b"/faulty" in path else None
        if fault in REFUSALS:
            self.transport.write(b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}" % REFUSALS[fault])  # fmt: skip
        elif fault == 3:
            self.transport.abort()
        else:
            self.task = asyncio.ensure_future(self.stream(mark, SHORT[:8] if fault == 4 else SHORT, 0, cut=fault == 4))

    async def stream(self, mark: bytes, pieces: list[bytes], pause: float, *, cut: bool = False) -> None:
        self.transport.write(STREAM)
        for piece in pieces:
            said = piece.replace(WORD.encode(), mark + b" ")
            self.transport.write(b"%x\r\n%s\r\n" % (len(said), said))
            await asyncio.sleep(pause)
        if cut:
            self.transport.close()
        else:
            self.transport.write(b"0\r\n\r\n")


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
