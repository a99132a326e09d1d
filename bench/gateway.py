"""What the gateway adds, over loopback before an upstream that costs nothing: PII detection and the ledger are on.

Time: calls through the gateway and calls straight to the upstream take turns. CPU and memory are those of the gateway's
process, as the kernel counts them. Gateways written in Rust and Go are faster than this one, and so is any that reads
less: this one looks for personal data in everything that leaves. Peers that are installed (`bench.gateway_peers`) are
measured in the same run, before the same upstream; they keep no ledger and look for nothing.

Run: python -m bench.gateway [--alone]
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.figures import HEADER, Figure
from bench.gateway_peers import PEERS, Peer, installed, running

ROOT = Path(__file__).parents[1]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
TICKS = os.sysconf("SC_CLK_TCK")

POLICY = """
providers:
  same: {{plugin: anthropic, model: m, base_url: "http://127.0.0.1:{port}", api_key: env:BENCH_KEY}}
  other: {{plugin: openai, model: m, base_url: "http://127.0.0.1:{port}", api_key: env:BENCH_KEY}}
  home: {{plugin: ollama, model: m, local: true}}
routing_rules:
  - {{name: private, condition: {{contains_pii: true}}, route_to: home, fallback: null}}
  - {{name: secret, condition: {{contains_secret: true}}, route_to: home, fallback: null}}
  - {{name: translated, condition: {{cost_center: translated}}, route_to: other}}
  - {{name: complaint, condition: {{intent: [complaint, legal]}}, route_to: same}}
default: {{route_to: same}}
guarantees:
  - {{name: stays_home, when: {{contains_pii: true}}, only: {{local: true}}}}
ledger: {ledger}
"""


class Connection:
    """One kept connection that sends requests and reads whole answers; the time of the first byte is noted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.headers = ""

    @classmethod
    async def to(cls, port: int, headers: str = "") -> Connection:
        made = cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 22))
        made.headers = headers
        return made

    async def ask(self, body: bytes, *, path: str = "/v1/messages", extra: str = "") -> tuple[float, float]:
        """(seconds to the first byte of the body, seconds to the end). Raises where the answer is no 200."""
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nanthropic-version: 2023-06-01\r\n{self.headers}{extra}content-length: {len(body)}\r\n\r\n"  # fmt: skip
        start = time.perf_counter()
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answer[:20]:
            raise RuntimeError(answer.decode() + (await self.reader.read(500)).decode())
        lowered = answer.lower()
        if b"chunked" in lowered:
            first = 0.0
            while True:
                size = int(await self.reader.readuntil(b"\r\n"), 16)
                first = first or time.perf_counter() - start
                await self.reader.readexactly(size + 2)
                if size == 0:
                    return first, time.perf_counter() - start
        length = int(lowered.split(b"content-length:")[1].split(b"\r\n")[0])
        await self.reader.readexactly(length)
        took = time.perf_counter() - start
        return took, took

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def agent_request(seed: int, *, stream: bool = True, size: int = 90_000) -> bytes:
    """A coding agent's request of about `size` bytes: tools and instructions that stay, and a conversation that grows.

    It is written without blanks, as Claude Code and the vendors' SDKs write theirs.
    """
    fixed, fresh = random.Random(1), random.Random(seed)
    words = ["the", "file", "function", "returns", "value", "when", "called", "with", "path", "and", "writes", "result", "into", "buffer", "before", "closing", "handle"]  # fmt: skip

    def text(rng: random.Random, length: int) -> str:
        said = ""
        while len(said) < length:
            said += " ".join(rng.choices(words, k=12)).capitalize() + ".\n"
        return said[:length]

    def schema(n: int) -> dict[str, object]:
        fields = {f"field_{k}": {"type": "string", "description": text(fixed, 120)} for k in range(6)}
        return {"type": "object", "properties": fields, "required": [f"field_{n % 6}"], "additionalProperties": False}

    tools = [{"name": f"tool_{n}", "description": text(fixed, 1200), "input_schema": schema(n)} for n in range(24)]
    turns: list[dict[str, object]] = []
    for n in range(6):
        turns.append({"role": "user", "content": text(fixed, 900)})
        turns.append({"role": "assistant", "content": [{"type": "tool_use", "id": f"toolu_{n}", "name": f"tool_{n}", "input": {"field_0": text(fixed, 100)}}]})  # fmt: skip
        turns.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": text(fixed, 1500)}]})  # fmt: skip
    turns.append({"role": "user", "content": text(fresh, 1000)})
    body = {
        "model": "claude-opus-4-8",
        "max_tokens": 64000,
        "system": [{"type": "text", "text": text(fixed, 12000), "cache_control": {"type": "ephemeral"}}],
        "messages": turns,
        "tools": tools,
        "metadata": {"user_id": "user_1_account__session_2"},
        "stream": stream,
    }
    short = size - len(json.dumps(body, separators=(",", ":")))
    body["system"].append({"type": "text", "text": text(fixed, max(short, 1))})  # type: ignore[attr-defined]
    return json.dumps(body, separators=(",", ":")).encode()


def small_request(seed: int, *, stream: bool = False, mark: str = "") -> bytes:
    content = f"Say in one sentence what number {seed} is good for. {mark}"
    return json.dumps({"model": "m", "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": content}]}, separators=(",", ":")).encode()  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """CPU of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Python process and the first line that it prints."""
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, **environment}
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().decode().strip()
        finally:
            process.terminate()


def main(arguments: list[str]) -> None:
    print(f"{ROUNDS} rounds. Gateways written in Rust and Go are faster than each of these.")
    with (
        tempfile.TemporaryDirectory() as folder,
        started("-m", "bench.gateway_upstream", "0") as (_, port),
    ):
        policy = Path(folder) / "routing-config.yaml"
        policy.write_text(POLICY.format(port=port, ledger=Path(folder) / "ledger.db"))
        serve = ("-m", "hroute", "serve", "--port", "0", "--json", "-p", str(policy))
        with started(*serve, BENCH_KEY="k", XDG_STATE_HOME=folder, XDG_CACHE_HOME=folder) as (gateway, line):
            url = json.loads(line)["url"]
            print(f"\nhroute, with its ledger and the detection of personal data; {resident_mb(gateway.pid):.0f} MB at the start")  # fmt: skip
            asyncio.run(measure(gateway.pid, int(url.rpartition(":")[2]), int(port), ours=True))
        for peer in () if "--alone" in arguments else PEERS:
            measure_peer(peer, int(port))


def measure_peer(peer: Peer, upstream: int) -> None:
    executable = installed(peer)
    if executable is None:
        print(f"\n{peer.name}: not installed ({peer.package})")
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with running(peer, executable, upstream, Path(folder)) as (pid, port):
                print(f"\n{peer.name}; {resident_mb(pid):.0f} MB at the start")
                headers = peer.headers.format(upstream=upstream)
                asyncio.run(measure(pid, port, upstream, headers, streaming=peer.streams))
        except (RuntimeError, OSError, asyncio.IncompleteReadError) as error:
            print(f"\n{peer.name}: not measured: {error!s:.300}")


async def measure(
    pid: int, through: int, straight: int, headers: str = "", *, ours: bool = False, streaming: bool = True
) -> None:
    def bound(text: str) -> str:
        return text if ours else ""

    print(HEADER)
    agent = await added(through, straight, headers, stream=streaming)
    what = "90 kB agent request" if streaming else "90 kB agent request, answered whole"
    print(agent[1].line(f"{what}: added, p50", "ms", bound("at most 2, aim for 1")))
    if streaming:
        first = await added(through, straight, headers, stream=True, small=True)
        print(first[0].line("time to first byte of a stream: added, p50", "ms", bound("at most 1.5")))
    rate, per_core = await small_requests(pid, through, headers)
    print(rate.line("small requests, 32 connections", "/s"))
    print(per_core.line("  for each second of its CPU", "/s", bound("at least 1000, aim for 2000")))
    if streaming:
        same = await streams(pid, through, headers, "same")
        print(same.line("500-event stream, same dialect: CPU", "ms", bound("at most 8")))
    else:
        print("  streams of this dialect: it fails on them")
    if ours:
        translated = await streams(pid, through, headers, "translated")
        print(translated.line("500-event stream, translated: CPU", "ms", "at most 25"))
    print(f"  {'resident memory afterwards':<44} {resident_mb(pid):29.0f} MB   {bound('at most 80')}".rstrip())


async def added(
    through: int, straight: int, headers: str, *, stream: bool, small: bool = False
) -> tuple[Figure, Figure]:
    """Milliseconds that the gateway adds to the first byte and to the end, the p50 of each round."""
    ours, theirs = await Connection.to(through, headers), await Connection.to(straight)
    firsts, ends = [], []
    for number in range(ROUNDS + 1):
        took: dict[str, list[tuple[float, float]]] = {"ours": [], "theirs": []}
        for n in range(60):
            seed = number * 1000 + n
            body = small_request(seed, stream=stream) if small else agent_request(seed, stream=stream)
            took["ours"].append(await ours.ask(body))
            took["theirs"].append(await theirs.ask(body))
        if number:
            firsts.append((median(t[0] for t in took["ours"]) - median(t[0] for t in took["theirs"])) * 1e3)
            ends.append((median(t[1] for t in took["ours"]) - median(t[1] for t in took["theirs"])) * 1e3)
    await ours.close()
    await theirs.close()
    return Figure(tuple(firsts)), Figure(tuple(ends))


async def small_requests(pid: int, through: int, headers: str, each: int = 40) -> tuple[Figure, Figure]:
    """(requests a second of wall time, requests a second of the gateway's CPU) at 32 connections."""
    connections = [await Connection.to(through, headers) for _ in range(32)]
    rates, per_core = [], []

    async def work(connection: Connection, seed: int) -> None:
        for n in range(each):
            await connection.ask(small_request(seed * 100_000 + n))

    for number in range(ROUNDS + 1):
        cpu, start = cpu_seconds(pid), time.perf_counter()
        await asyncio.gather(*(work(c, number * 100 + k) for k, c in enumerate(connections)))
        wall, spent = time.perf_counter() - start, cpu_seconds(pid) - cpu
        if number:
            rates.append(len(connections) * each / wall)
            per_core.append(len(connections) * each / spent)
    for connection in connections:
        await connection.close()
    return Figure(tuple(rates)), Figure(tuple(per_core))


async def streams(pid: int, through: int, headers: str, cost_center: str, each: int = 10) -> Figure:
    """Milliseconds of the gateway's CPU for one stream of 500 events that arrive one by one."""
    connections = [await Connection.to(through, headers) for _ in range(4)]
    found = []
    for number in range(ROUNDS + 1):
        cpu = cpu_seconds(pid)

        async def work(connection: Connection, seed: int) -> None:
            for n in range(each):
                body = small_request(seed * 1000 + n, stream=True, mark="LONG")
                await connection.ask(body, extra=f"x-hroute-cost-center: {cost_center}\r\n")

        await asyncio.gather(*(work(c, number * 10 + k) for k, c in enumerate(connections)))
        if number:
            found.append((cpu_seconds(pid) - cpu) * 1e3 / (len(connections) * each))
    for connection in connections:
        await connection.close()
    return Figure(tuple(found))


if __name__ == "__main__":
    main(sys.argv[1:])
