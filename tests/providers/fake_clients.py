"""Programs that behave as `claude` and `codex` do: scripts that a test writes, driven by a file beside them.

What they print was recorded from the real clients (2.1.197 and 0.169) against the sandbox; `test_command.py` holds
those to the same suite where they are installed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hroute.providers.protocol import Target

KEY = "sk-ant-test-0123456789abcdef"

PROGRAM = """#!{python} -SE
import json, os, subprocess, sys, time
here = {here!r}
play = json.load(open(here + "/play.json"))
call = {{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "files": os.listdir(), "pid": os.getpid()}}
call["stdin"] = sys.stdin.read()
if "--system-prompt-file" in sys.argv:
    call["system"] = open(sys.argv[sys.argv.index("--system-prompt-file") + 1]).read()
with open(here + "/calls.jsonl", "a") as calls:
    calls.write(json.dumps(call) + "\\n")
time.sleep(play.get("sleep", 0))
sys.stdout.write(play.get("out", ""))
sys.stdout.flush()
sys.stderr.write(play.get("err", ""))
sys.exit(play.get("code", 0))
"""


def write(folder: Path, name: str, text: str) -> str:
    """A program of that name; `text` may say `{python}` and `{here}`."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / name
    place.write_text(text.format(python=sys.executable, here=str(folder)))
    place.chmod(0o755)
    return str(place)


class FakeClient:
    """A stage for the conformance suite: a client whose vendor answers, or fails, as it is told."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.program = write(folder, name, PROGRAM)
        self.says("Hello.")

    def target(self) -> Target:
        given = {"claude": (self.program, "-p"), "codex": (self.program, "exec")}.get(self.name, (self.program,))
        options = {} if self.name in ("claude", "codex") else {"key_env": "MY_KEY"}
        return Target("paid", "some-model", api_key=KEY, total=10.0, command=given, options=options)

    def says(self, text: str = "", tools: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        self.plays(out=ANSWERS[self.name](text))

    def fails(self, fault: str, **details: Any) -> None:
        if fault == "slow":
            self.plays(sleep=details["for"])
        elif self.name == "codex":
            self.plays(out=codex_failure(CODEX_SAYS.get(fault, "stream disconnected"), details), code=1)
        else:
            status, said = CLAUDE_SAYS.get(fault, (None, "API Error: Connection closed"))
            self.plays(out=claude_failure(status, said, details), code=1)

    def plays(self, **play: Any) -> None:
        (self.folder / "play.json").write_text(json.dumps(play))

    def calls(self) -> int:
        return len(self.called())

    def called(self) -> list[dict[str, Any]]:
        """What each run saw: `argv`, `env`, `cwd`, `files` there, `stdin`, `pid`, and `system` where a file brought it."""
        place = self.folder / "calls.jsonl"
        return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []


def claude_answer(text: str, **more: Any) -> str:
    usage = {
        "input_tokens": 122, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 400, "output_tokens": 5,
        "cache_creation": {"ephemeral_1h_input_tokens": 10, "ephemeral_5m_input_tokens": 20},
    }  # fmt: skip
    models = {"claude-haiku-4-5": {"outputTokens": 1}, "claude-sonnet-5[1m]": {"outputTokens": 5}}
    told = {
        "type": "result", "subtype": "success", "is_error": False, "api_error_status": None, "num_turns": 1, "result": text,
        "stop_reason": "end_turn", "total_cost_usd": 0.0076, "usage": usage, "modelUsage": models, **more,
    }  # fmt: skip
    return json.dumps(told)


def codex_answer(text: str) -> str:
    usage = {
        "input_tokens": 13_000, "cached_input_tokens": 12_000, "cache_write_input_tokens": 0, "output_tokens": 25, "reasoning_output_tokens": 20,
    }  # fmt: skip
    events = [
        {"type": "thread.started", "thread_id": "01a1f9fa"},
        {"type": "turn.started"},
        {"type": "item.completed", "item": {"id": "item_0", "type": "agent_message", "text": "I think about it."}},
        {"type": "item.completed", "item": {"id": "item_1", "type": "agent_message", "text": text}},
        {"type": "turn.completed", "usage": usage},
    ]
    return "".join(json.dumps(event) + "\n" for event in events)


def claude_failure(status: int | None, said: str, details: dict[str, Any] | None = None) -> str:
    if details and "retry_after" in details:
        said = f"Claude AI usage limit reached|{int(time.time() + details['retry_after'])}"
    return claude_answer(
        said, is_error=True, api_error_status=status, stop_reason="stop_sequence", modelUsage={}, usage={}
    )


def codex_failure(said: str, details: dict[str, Any] | None = None) -> str:
    if details and "retry_after" in details:
        said = f"You've hit your usage limit.|{int(time.time() + details['retry_after'])}"
    events = [{"type": "turn.started"}, {"type": "error", "message": said}, {"type": "turn.failed", "error": {"message": said}}]  # fmt: skip
    return "".join(json.dumps(event) + "\n" for event in events)


ANSWERS = {"claude": claude_answer, "codex": codex_answer, "mine": lambda text: text + "\n"}

CLAUDE_SAYS: dict[str, tuple[int | None, str]] = {
    "bad_request": (400, "API Error: 400 [sandbox] the request is not valid"),
    "too_long": (400, "Prompt is too long · the request is ~200001 tokens (limit 200000)"),
    "unauthorized": (401, "Failed to authenticate. API Error: 401 [sandbox] the API key is not valid"),
    "no_credit": (402, "Credit balance is too low"),
    "forbidden": (403, "Failed to authenticate. API Error: 403 [sandbox] the key may not do this"),
    "model_gone": (404, "There's an issue with the selected model (x). It may not exist or you may not have access to it."),
    "rate_limit": (429, "API Error: Request rejected (429) · [sandbox] the rate limit is reached"),
    "overloaded": (529, "API Error: 529 Overloaded. This is a server-side issue, usually temporary"),
    "server_error": (500, "API Error: 500 [sandbox] the server failed"),
    "unavailable": (503, "API Error: 503 [sandbox] the server is not available"),
    "down": (None, "API Error: Unable to connect to API (ConnectionRefused)"),
}  # fmt: skip

CODEX_SAYS = {
    "bad_request": '{"error":{"message":"[sandbox] the request is not valid","type":"invalid_request_error","param":null,"code":null}}',
    "too_long": "Codex ran out of room in the model's context window. Start a new thread or clear earlier history before retrying.",
    "unauthorized": "unexpected status 401 Unauthorized: [sandbox] the API key is not valid, url: http://127.0.0.1:1/v1/responses",
    "no_credit": "unexpected status 402 Payment Required: [sandbox] the credit balance is too low, url: http://127.0.0.1:1/v1/responses",
    "forbidden": "unexpected status 403 Forbidden: [sandbox] the key may not do this, url: http://127.0.0.1:1/v1/responses",
    "model_gone": "[sandbox] the model does not exist",
    "rate_limit": "exceeded retry limit, last status: 429 Too Many Requests",
    "overloaded": "unexpected status 529 <unknown status code>: [sandbox] Overloaded, url: http://127.0.0.1:1/v1/responses",
    "server_error": "We’re currently experiencing high demand, which may cause temporary errors.",
    "unavailable": "unexpected status 503 Service Unavailable: [sandbox] the server is not available, url: http://127.0.0.1:1/v1/responses",
    "down": "stream disconnected before completion: error sending request for url (http://127.0.0.1:1/v1/responses)",
}
