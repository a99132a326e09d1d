"""Long running: streams at a steady rate, one in ten faulty, the policy reloaded again and again, and nothing lost, mixed or left.

HROUTE_SOAK_SECONDS (600), HROUTE_SOAK_RATE (200 short streams a second) and HROUTE_SOAK_LONG (15 long translated ones)
say how long and how hard; an hour by hand is HROUTE_SOAK_SECONDS=3600. What was really offered is printed (`pytest -s`).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.gateway import resident_mb
from tests.gateway.soak_upstream import DIGITS, MARK, fault_of
from tests.gateway.test_process import ROOT, serving, until

SECONDS = float(os.environ.get("HROUTE_SOAK_SECONDS", "600"))
RATE = float(os.environ.get("HROUTE_SOAK_RATE", "200"))
LONG = float(os.environ.get("HROUTE_SOAK_LONG", "15"))
IDLE = 30.0
"""Seconds for which a connection is kept for another request."""
RELOAD = 10.0
"""Seconds between two changes of the policy."""
GROWTH = 12.0
"""Megabytes by which a gateway may grow between the first third of its time and the end."""
WARM = 120.0
"""Seconds below which nothing can be said of growth: everything is loaded, compiled and reloaded for the first time."""

POLICY = """
providers:
  faulty: {{plugin: anthropic, model: m, base_url: "{url}/faulty", api_key: env:KEY, retry: {{attempts: 1}}, breaker: {{failures: 1000000}}}}
  sound: {{plugin: anthropic, model: m, base_url: "{url}/sound", api_key: env:KEY}}
  other: {{plugin: openai, model: m, base_url: "{url}/v1", api_key: env:KEY}}
routing_rules:
  - {{name: translated, condition: {{cost_center: translated}}, route_to: other, fallback: null}}
default: {{route_to: faulty, fallback: sound}}
deadline: {deadline}s
ledger: ledger.db
"""


@dataclass
class Outcome:
    """What came of all requests. `ids` are those that the gateway gave them, `odd` what should not have been."""

    ids: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    policies: int = 0
    """How often the policy was changed."""
    late: float = 0.0
    """Seconds by which the last request was sent too late: what this machine could not offer."""


class Client:
    """Kept connections to the gateway, as many as are needed at a time."""

    def __init__(self, port: int, outcome: Outcome) -> None:
        self.port = port
        self.outcome = outcome
        self.idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, number: int, kind: str) -> None:
        mark = MARK + b"%0*d" % (DIGITS, number)
        said = {"model": "m", "max_tokens": 100, "stream": True, "messages": [{"role": "user", "content": f"Say {mark.decode()}"}]}  # fmt: skip
        body = json.dumps(said).encode()
        head = f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nx-hroute-cost-center: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"  # fmt: skip
        reader, writer = self.kept() or await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(head.encode() + body)
            headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            pieces = []
            while size := int(await reader.readuntil(b"\r\n"), 16):
                pieces.append((await reader.readexactly(size + 2))[:-2])
            await reader.readexactly(2)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            self.outcome.odd.append(f"{mark.decode()} {kind}: {error!r}")
            writer.close()
            return
        self.idle.append((time.monotonic(), reader, writer))
        self.judge(mark, kind, headers, b"".join(pieces))

    def kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The connection that was used last. Those that lay idle for long are not used: a server may close them (after 75 s
        here) in the moment in which a request leaves."""
        while self.idle and self.idle[0][0] < time.monotonic() - IDLE:
            self.idle.pop(0)[2].close()
        return self.idle.pop()[1:] if self.idle else None

    def judge(self, mark: bytes, kind: str, headers: str, stream: bytes) -> None:
        """Whether the answer is this request's own, and as it has to be."""
        lines = dict(line.split(": ", 1) for line in headers.split("\r\n")[1:] if line)
        self.outcome.ids.append(lines.get("x-hroute-id", ""))
        words = stream.count(mark)
        whole = words == (496 if kind == "translated" else 15) and b"event: message_stop" in stream
        told = kind == "short" and fault_of(mark) == 4 and b"event: error" in stream
        self.outcome.counts["whole" if whole else "told" if told else "odd"] += 1
        if stream.count(MARK) != words or not (whole or told) or not headers.startswith("http/1.1 200"):
            self.outcome.odd.append(f"{mark.decode()} {kind}: {headers[:20]!r} {words} {stream[-200:]!r}")

    async def close(self) -> None:
        for _, _, writer in self.idle:
            writer.close()
        self.idle.clear()


async def load(port: int, path: Path, url: str, outcome: Outcome) -> None:
    """Requests at both rates, each at its time whatever became of the others; the policy changes meanwhile."""
    client, began = Client(port, outcome), time.monotonic()
    asking: set[asyncio.Task[None]] = set()

    async def steadily(rate: float, kind: str, first: int) -> None:
        number = 0
        while (due := began + number / rate) < began + SECONDS:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            outcome.late = max(0.0, time.monotonic() - due)
            while len(asking) > 500:  # this machine cannot offer more
                await asyncio.sleep(0.01)
            task = asyncio.create_task(client.ask(first + number, kind))
            asking.add(task)
            task.add_done_callback(asking.discard)
            number += 1

    async def reloading() -> None:
        for turn in range(int(SECONDS / RELOAD)):
            await asyncio.sleep(RELOAD)
            fresh = path.with_suffix(".new")
            fresh.write_text(POLICY.format(url=url, deadline=60 + turn % 2))
            fresh.replace(path)
            outcome.policies += 1

    policy = asyncio.create_task(reloading())
    await asyncio.gather(steadily(RATE, "short", 0), steadily(LONG, "translated", 10**8))
    while asking:
        await asyncio.wait(set(asking))
    policy.cancel()
    await client.close()


def sockets(pid: int) -> int:
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += str(descriptor.readlink()).startswith("socket:")
        except OSError:
            continue
    return found


@contextmanager
def upstream() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", "tests.gateway.soak_upstream"], stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


@pytest.mark.slow
def test_nothing_is_lost_mixed_or_left_behind(tmp_path: Path) -> None:
    outcome, sizes = Outcome(), []
    with upstream() as url:
        path = tmp_path / "routing-config.yaml"
        path.write_text(POLICY.format(url=url, deadline=60))
        with serving(tmp_path, url) as (process, address, said):
            before = sockets(process.pid)

            async def all_of_it() -> None:
                async def measuring() -> None:
                    while True:
                        await asyncio.sleep(SECONDS / 30)
                        sizes.append(resident_mb(process.pid))

                measure, began = asyncio.create_task(measuring()), time.monotonic()
                await load(int(address.rpartition(":")[2]), path, url, outcome)
                measure.cancel()
                rate = len(outcome.ids) / (time.monotonic() - began)
                print(f"\n{len(outcome.ids)} requests, {rate:.0f} a second offered, last sent {outcome.late:.1f} s late; {dict(outcome.counts)}")  # fmt: skip
                print("resident MB: " + " ".join(f"{size:.0f}" for size in sizes))

            asyncio.run(all_of_it())
            assert outcome.odd == []
            assert outcome.counts["told"] > 0
            assert len(set(outcome.ids)) == len(outcome.ids) == sum(outcome.counts.values())
            until(lambda: sum("reloaded" in line for line in said) >= outcome.policies - 1, 60)
            assert not [line for line in said if not line.startswith("policy reloaded")]
            assert SECONDS < WARM or sizes[-1] <= max(sizes[: len(sizes) // 3]) + GROWTH
            until(lambda: sockets(process.pid) <= before + 1, 120)  # upstreams' kept connections go, too
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        with sqlite3.connect(tmp_path / "ledger.db") as ledger:
            rows = [id for (id,) in ledger.execute("SELECT id FROM request WHERE state = 'done'")]
            assert sorted(rows) == sorted(outcome.ids)
            tries = dict(ledger.execute("SELECT provider, count(*) FROM attempt GROUP BY provider"))
        assert tries["sound"] < tries["faulty"]
        assert tries["faulty"] + tries["other"] == len(rows)
