"""Write a made-up month of Claude Code: its transcripts, and the calls that transcripts do not hold (titles).

    python examples/claude-code/sessions.py FOLDER

The same files every time: FOLDER/transcripts as Claude Code keeps them under ~/.claude/projects, FOLDER/titles.jsonl as
an observing gateway records them. Sizes follow the client: 19,000 tokens of instructions and tools before the first
word, one more thousand with each call of a tool loop, nearly all of it read from the prompt cache of five minutes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

SESSIONS = 66  # three a working day
MODEL = "claude-opus-4-8"
START = datetime(2026, 10, 1, 8, 30, tzinfo=UTC)
INSTRUCTIONS = 19_000  # tokens
SUBAGENT = 12_000
CACHE = timedelta(minutes=5)
TASKS = (
    "Why does the import of invoices drop the last line?",
    "Rename the field `net` to `net_amount` everywhere",
    "Add a test for the empty basket",
    "The build is slow, find out why",
    "Write the release notes for 4.2",
    "Move the retry logic into a module of its own",
)
TITLE = (
    "Generate a concise, sentence-case title (3-7 words) that captures the main topic or goal of this coding session."
)
GO_ON = (
    "go on",
    "looks good, now the tests",
    "that is not what I meant, undo it",
    "and the documentation?",
    "commit it",
)


@dataclass
class Talk:
    """One conversation as it grows: what the vendor has in its cache, and until when."""

    random: Random
    session: str
    file: list[dict[str, Any]] = field(default_factory=list)
    now: datetime = START
    prompt: int = 0
    cached: int = 0
    until: datetime = START
    agent: str = ""
    last: str | None = None

    def row(self, type: str, message: dict[str, Any], **more: Any) -> None:
        """A line of the transcript."""
        name = str(UUID(int=self.random.getrandbits(128), version=4))
        about = {"isSidechain": bool(self.agent), **({"agentId": self.agent} if self.agent else {})}
        when = self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.file.append({"parentUuid": self.last, **about, "type": type, "message": message, "uuid": name, "timestamp": when, "cwd": "/home/me/shop", "sessionId": self.session, "version": "2.1.197", **more})  # fmt: skip
        self.last = name

    def says(self, text: str) -> None:
        self.prompt += 40 + len(text) // 4
        self.row("user", {"role": "user", "content": text})

    def calls(self, tool: str | None, output: int) -> str:
        """An answer of the model: a call of `tool`, or the end of the turn. Gives the id of the call."""
        warm = self.cached if self.now <= self.until else 0
        usage = {"input_tokens": 4, "cache_read_input_tokens": warm, "cache_creation_input_tokens": self.prompt - warm, "cache_creation": {"ephemeral_5m_input_tokens": self.prompt - warm, "ephemeral_1h_input_tokens": 0}, "output_tokens": output}  # fmt: skip
        id, call = f"{self.random.getrandbits(64):016x}", f"toolu_{self.random.getrandbits(64):016x}"
        content: list[dict[str, Any]] = [{"type": "text", "text": "I look." if tool else "Done."}]
        if tool:
            content.append({"type": "tool_use", "id": call, "name": tool, "input": {"command": "git grep -n net"}})
        message = {"id": f"msg_{id}", "type": "message", "role": "assistant", "model": MODEL, "usage": usage, "stop_reason": "tool_use" if tool else "end_turn"}  # fmt: skip
        for block in content:  # Claude Code writes a line for each block, all with the same counts
            self.row("assistant", {**message, "content": [block]}, requestId=f"req_{id}")
        self.cached, self.until = self.prompt, self.now + CACHE
        self.prompt += output
        return call

    def returns(self, call: str, tokens: int) -> None:
        self.prompt += tokens
        content = [{"type": "tool_result", "tool_use_id": call, "content": "src/invoices.py:41: net = total - vat"}]
        self.row("user", {"role": "user", "content": content})


def session(number: int) -> tuple[str, list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """(name, lines, lines of each subagent) of one session."""
    random = Random(number)
    name = str(UUID(int=random.getrandbits(128), version=4))
    day = timedelta(days=(number // 3) // 5 * 7 + (number // 3) % 5, hours=number % 3 * 3)
    talk = Talk(random, name, now=START + day, prompt=INSTRUCTIONS + random.randrange(1_000, 5_000))
    agents: dict[str, list[dict[str, Any]]] = {}
    for turn in range(random.randrange(5, 12)):
        first = "Keep this local: " if number == 27 else ""
        talk.says(first + random.choice(TASKS) if turn == 0 else random.choice(GO_ON))
        if number == 40 and turn == 3:
            talk.says("it needs AKIAQ3EGRPZYTW5LHQ7D with secret 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")
        if turn == 1 and number % 3 == 0:
            call = talk.calls("Agent", 180)
            agent = f"a{random.getrandbits(64):016x}"
            agents[agent] = subagent(talk, agent)
            talk.returns(call, 700)
        for _ in range(random.randrange(1, 9)):
            talk.now += timedelta(seconds=random.randrange(4, 40))
            talk.returns(talk.calls(random.choice(("Bash", "Read", "Edit")), random.randrange(80, 400)), random.randrange(200, 1_800))  # fmt: skip
        talk.calls(None, random.randrange(150, 700))
        talk.now += timedelta(seconds=random.choice((30, 60, 90, 120, 200, 280, 420, 900)))
    return name, talk.file, agents


def subagent(talk: Talk, agent: str) -> list[dict[str, Any]]:
    """What an agent does that the session sent out."""
    own = Talk(talk.random, talk.session, now=talk.now, prompt=SUBAGENT, agent=agent)
    own.says("Find every place that computes a net amount")
    for _ in range(talk.random.randrange(4, 14)):
        own.now += timedelta(seconds=talk.random.randrange(3, 20))
        own.returns(own.calls(talk.random.choice(("Bash", "Read")), talk.random.randrange(60, 200)), talk.random.randrange(400, 2_500))  # fmt: skip
    own.calls(None, 600)
    talk.now = own.now
    return own.file


def titles(sessions: int = SESSIONS) -> Iterator[dict[str, Any]]:
    """One title a session: the request has no tools and no cache, and the large model is asked for it."""
    for number in range(sessions):
        name, lines, _ = session(number)
        yield {"ts": lines[0]["timestamp"], "session": name, "model": MODEL, "system": TITLE, "prompt": lines[0]["message"]["content"], "input_tokens": 620, "output_tokens": 14}  # fmt: skip


def write(folder: Path, sessions: int = SESSIONS) -> None:
    """Write both."""
    for number in range(sessions):
        name, lines, agents = session(number)
        _put(folder / "transcripts" / f"{name}.jsonl", lines)
        for agent, said in agents.items():
            _put(folder / "transcripts" / name / "subagents" / f"agent-{agent}.jsonl", said)
    _put(folder / "titles.jsonl", titles(sessions))


def _put(file: Path, lines: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
