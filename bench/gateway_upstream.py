"""An upstream that costs almost nothing, for measuring what stands before it: both vendors' wires, answers made beforehand.

Run by `bench.gateway` in a process of its own: python -m bench.gateway_upstream PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

PAUSE = 0.0005
"""Seconds between two events of a long stream: each arrives as a piece of its own."""
WORD = "a word "


def anthropic_events(count: int) -> list[bytes]:
    """`count` events in all, as the API frames them."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1}}  # fmt: skip
    frames = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORD}} for _ in range(count - 5)),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": count}},
        {"type": "message_stop"},
    ]  # fmt: skip
    return [f"event: {f['type']}\ndata: {json.dumps(f)}\n\n".encode() for f in frames]


def chat_events(count: int) -> list[bytes]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    frames = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": WORD}) for _ in range(count - 4)), chunk({}, "stop")]  # fmt: skip
    frames.append({**head, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": count, "total_tokens": 9}})  # fmt: skip
    return [*(f"data: {json.dumps(f)}\n\n".encode() for f in frames), b"data: [DONE]\n\n"]


MESSAGE = json.dumps({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hello there."}], "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5}}).encode()  # fmt: skip
COMPLETION = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}).encode()  # fmt: skip
LONG = {b"/v1/messages": anthropic_events(500), b"/chat/completions": chat_events(500)}
SHORT = {b"/v1/messages": anthropic_events(8), b"/chat/completions": chat_events(8)}
WHOLE = {b"/v1/messages": MESSAGE, b"/chat/completions": COMPLETION}


class Upstream(asyncio.Protocol):
    """Answers by the path, and by whether the body asks for a stream, and for a long one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's are no subclass
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, end, rest = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if len(rest) < length:
            return
        self.data = rest[length:]
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        door = b"/v1/messages" if path.endswith(b"/messages") else b"/chat/completions"
        if b'"stream":true' in rest[:length] or b'"stream": true' in rest[:length]:
            long = b"LONG" in rest[:length]
            self.task = asyncio.ensure_future(self.stream((LONG if long else SHORT)[door], PAUSE if long else 0.0))
        else:
            body = WHOLE[door]
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))  # fmt: skip

    async def stream(self, events: list[bytes], pause: float) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for event in events:
            self.transport.write(b"%x\r\n%s\r\n" % (len(event), event))
            if pause:
                await asyncio.sleep(pause)
        self.transport.write(b"0\r\n\r\n")


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
