"""A program for `test_leaks.py`: sends TAINTED tainted requests, and some that are not, through failing providers while
every socket is watched.

    python -m tests.router.leaks TAINTED SEED

Addresses of the cloud are reserved ones (RFC 5737); what is dialled there is led to the sandbox, and each byte is counted
under the address that was meant. So are the trap's, to which every variable of the environment points. The last line of
stdout is what was counted, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from collections import Counter
from typing import Any, Final
from weakref import WeakKeyDictionary

from hroute.errors import HrouteError
from hroute.providers.sandbox import server as sandbox
from hroute.providers.sandbox.script import Script
from hroute.router.client import AsyncClient, Attempt, Client, Move
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.clock import VirtualClock
from hroute.terms.message import Message, Request, Text, Tool, ToolResult, ToolUse

SONNET: Final = "198.51.100.7"
GPT: Final = "203.0.113.9"
TRAP: Final = "192.0.2.66"
CARD: Final = "4111 1111 1111 1111"
KINDS: Final = (
    "down", "cut", "empty", "overloaded", "rate_limit", "server_error", "unavailable", "unauthorized", "no_credit", "forbidden",
    "model_gone", "too_long", "bad_request", "broken_json", "fenced_json", "refusal",
)  # fmt: skip

# Every rule would send tainted requests away: the guarantee alone keeps them.
POLICY: Final = """
baseline: claude_sonnet
breaker: {{failures: 1000000}}
providers:
  ollama: {{plugin: ollama, model: m, base_url: "{local}/ollama", local: true}}
  vllm: {{plugin: openai, model: m, base_url: "{local}/vllm/v1", local: true}}
  claude_sonnet: {{plugin: anthropic, model: m, base_url: "http://{sonnet}", api_key: env:ANTHROPIC_API_KEY}}
  gpt4o: {{plugin: openai, model: m, base_url: "http://{gpt}/v1", api_key: env:OPENAI_API_KEY}}
  elsewhere: {{plugin: ollama, model: m, base_url: "http://{gpt}:11434"}}
routing_rules:
  - {{name: split, condition: {{task_type: chat}}, split: {{ollama: 50, gpt4o: 50}}, fallback: [vllm, claude_sonnet]}}
  - {{name: judged, condition: {{task_type: qa}}, route_to: ollama, fallback: [gpt4o], validate: {{judge: claude_sonnet}}}}
  - {{name: agreed, condition: {{task_type: classification}}, route_to: ollama, fallback: gpt4o, validate: {{agree: {{with: elsewhere}}}}}}
  - {{name: rolled, condition: {{task_type: code}}, route_to: ollama, fallback: [elsewhere, gpt4o], rollout: 50%, holdout: 20%}}
  - {{name: json, condition: {{task_type: extraction}}, route_to: ollama, fallback: claude_sonnet, validate: {{format: json, not_refusal: true}}}}
  - {{name: away, condition: {{task_type: summarization}}, route_to: claude_sonnet, fallback: [gpt4o, ollama, vllm, elsewhere]}}
  - {{name: shadowed, condition: {{task_type: translation}}, route_to: ollama, fallback: vllm, shadow: {{to: gpt4o}}}}
default: {{route_to: ollama, fallback: [vllm, elsewhere, claude_sonnet, gpt4o]}}
guarantees:
  - {{name: home, when: {{any: [{{contains_pii: true}}, {{contains_secret: true}}]}}, only: {{local: true}}}}
"""
TASKS: Final = (None, "chat", "qa", "classification", "code", "extraction", "summarization", "translation")


class Watch:
    """Every connection that this process dials, and every byte that it sends there, under the address that was meant."""

    def __init__(self, port: int) -> None:
        self.sent: Counter[str] = Counter()
        self.dialled: Counter[str] = Counter()
        self.looked_up: list[str] = []
        self.carried_from_environment = 0
        self._to: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._port = port

    def patch(self) -> None:
        dial, dial_ex = socket.socket.connect, socket.socket.connect_ex
        send, sendall, sendto = socket.socket.send, socket.socket.sendall, socket.socket.sendto
        sendmsg = socket.socket.sendmsg
        look_up = socket.getaddrinfo

        def connect(made: Any, address: Any) -> Any:
            return dial(made, self._meant(made, address))

        def connect_ex(made: Any, address: Any) -> Any:
            return dial_ex(made, self._meant(made, address))

        def counted(way: Any) -> Any:
            def sending(made: Any, data: Any, *more: Any) -> Any:
                done = way(made, data, *more)
                self._count(made, bytes(data), len(data) if done is None else done)
                return done

            return sending

        def sending_pieces(made: Any, pieces: Any, *more: Any) -> Any:
            """How event loops send from Python 3.12 on."""
            data = b"".join(pieces)
            done = sendmsg(made, [data], *more)
            self._count(made, data, done)
            return done

        def sending_to(made: Any, data: Any, *more: Any) -> Any:
            self.sent[str(more[-1][0])] += len(data)
            return sendto(made, data, *more)

        def getaddrinfo(host: Any, *more: Any, **named: Any) -> Any:
            self.looked_up.append(str(host))
            return look_up(host, *more, **named)

        for name, value in (
            ("connect", connect),
            ("connect_ex", connect_ex),
            ("send", counted(send)),
            ("sendall", counted(sendall)),
            ("sendto", sending_to),
            ("sendmsg", sending_pieces),
        ):
            setattr(socket.socket, name, value)
        socket.getaddrinfo = getaddrinfo

    def away(self) -> int:
        """Bytes sent to addresses that are not of this machine."""
        return sum(count for host, count in self.sent.items() if not host.startswith("127."))

    def _meant(self, made: Any, address: Any) -> Any:
        if made.family not in (socket.AF_INET, socket.AF_INET6):
            return address
        self._to[made] = str(address[0])
        self.dialled[str(address[0])] += 1
        return address if str(address[0]).startswith("127.") else ("127.0.0.1", self._port)

    def _count(self, made: Any, data: bytes, count: int) -> None:
        host = self._to.get(made)
        if host is None:
            return
        self.sent[host] += count
        self.carried_from_environment += b"from-the-environment" in data


def main(wanted: int, seed: int) -> None:
    rng = random.Random(seed)
    sandbox.LOOPBACK = (*sandbox.LOOPBACK, SONNET, GPT, TRAP)  # it hears its callers' names for it
    with sandbox.SandboxServer() as server:
        watch = Watch(int(server.url.rpartition(":")[2]))
        watch.patch()
        text = POLICY.format(local=server.url, sonnet=SONNET, gpt=GPT)
        policy, findings, _ = load_text(text)
        assert policy is not None, findings
        told = asyncio.run(play(rng, wanted, server, policy, watch))
    print(json.dumps(told))


async def play(
    rng: random.Random, wanted: int, server: sandbox.SandboxServer, policy: Policy, watch: Watch
) -> dict[str, Any]:
    keys = {"ANTHROPIC_API_KEY": "sk-ant-of-the-policy", "OPENAI_API_KEY": "sk-of-the-policy"}
    clock = VirtualClock()
    shadows: Counter[str] = Counter()

    def observe(told: Attempt | Move) -> None:
        if isinstance(told, Attempt) and told.role == "shadow":
            shadows[told.provider] += 1

    sync = Client.from_policy(policy=policy, environ=keys, clock=clock, rng=rng.random, observe=observe)
    loop = AsyncClient.from_policy(policy=policy, environ=keys, clock=clock, rng=rng.random, observe=observe)
    outcomes: Counter[str] = Counter()
    tainted_away = clean_away = tainted = 0
    number = 0
    while tainted < wanted:
        number += 1
        server.play.script = script(rng, number)
        server.play.reset()
        request, signals, dirty = asked(rng, number)
        before = watch.away()
        clock.advance(86_400)  # every breaker has closed again
        try:
            outcomes[await call(rng, sync, loop, request, signals)] += 1
        except HrouteError as error:
            outcomes[type(error).__name__] += 1
        while sync.engine.shadows.under_way or loop.engine.shadows.under_way:
            await asyncio.sleep(0.001)
        moved = watch.away() - before
        tainted, tainted_away = tainted + dirty, tainted_away + (moved if dirty else 0)
        clean_away += 0 if dirty else moved
    sync.close()
    await loop.aclose()
    return {
        "scripts": number,
        "tainted": tainted,
        "tainted_bytes_away": tainted_away,
        "clean_bytes_away": clean_away,
        "trap_dialled": watch.dialled[TRAP],
        "carried_from_environment": watch.carried_from_environment,
        "dialled": dict(watch.dialled),
        "looked_up": sorted({host for host in watch.looked_up if not host.startswith("127.")} - {SONNET, GPT}),
        "outcomes": dict(outcomes),
        "shadows": dict(shadows),
    }


async def call(rng: random.Random, sync: Client, loop: AsyncClient, request: Request, signals: dict[str, Any]) -> str:
    """The provider that served, by one of the four ways."""
    match rng.randrange(4):
        case 0:
            return sync.complete(request, **signals).actual_provider
        case 1:
            return (await loop.complete(request, **signals)).actual_provider
        case 2:
            with sync.stream(request, **signals) as stream:
                for _ in stream:
                    if rng.random() < 0.05:
                        return "left"
                return stream.answer.actual_provider
        case _:
            async with loop.stream(request, **signals) as astream:
                async for _ in astream:
                    if rng.random() < 0.05:
                        return "left"
                return astream.answer.actual_provider


def script(rng: random.Random, number: int) -> Script:
    """Up to five things that go wrong. A provider is known to the sandbox by its path, those of the cloud by their dialect."""
    names = ("ollama", "vllm", "anthropic", "openai")
    faults = [
        {"kind": rng.choice(KINDS), "provider": rng.choice(names), "after": rng.randrange(2), "first": rng.randrange(1, 5)}
        for _ in range(rng.randrange(6))
    ]  # fmt: skip
    answers = [{"json": {"answer": number}}] if rng.random() < 0.5 else [{"text": f"The answer is {number}, I think."}]
    return Script.from_data({"faults": faults, "answers": answers})


def asked(rng: random.Random, number: int) -> tuple[Request, dict[str, Any], bool]:
    """A request, its signals, and whether it is tainted: wherever the card stands, or by the caller's word."""
    card = f"My card is {CARD}."
    place = rng.choice(
        ("user", "system", "file", "tool result", "third turn", "signal", "secret", "nowhere", "nowhere")
    )
    said = {"user": card, "secret": "The key is sk-ant-api03-" + "Ab3dE6gH9jK2" * 4}.get(place, f"Question {number}?")
    turns: list[Message] = []
    if place == "third turn":
        turns += [Message("user", (Text(card),)), Message("assistant", (Text("Thank you."),))]
    if place == "tool result":
        turns += [
            Message("user", (Text("Look it up."),)),
            Message("assistant", (ToolUse("c1", "look", {}),)),
            Message("user", (ToolResult("c1", card),)),
        ]
    if place != "tool result":
        turns.append(Message("user", (Text(said),)))
    request = Request(
        tuple(turns),
        system=card if place == "system" else "",
        files=(("note.txt", card),) if place == "file" else (),
        tools=(Tool("look", "", {"type": "object"}),) if place == "tool result" else (),
    )
    signals: dict[str, Any] = {"task_type": rng.choice(TASKS), "session": f"s{number}"}
    if place == "signal":
        signals["contains_pii"] = True
    return request, signals, place != "nowhere"


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
