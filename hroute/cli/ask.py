"""`hroute ask`: send a prompt through the policy and print the answer."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hroute.cli import exits, policies, request, streams
from hroute.cli.render.text import count, visible
from hroute.errors import UsageError
from hroute.terms import money
from hroute.terms.ids import short
from hroute.terms.message import Request, TextDelta

if TYPE_CHECKING:
    from hroute.providers.sandbox.script import Script
    from hroute.router.answer import Answer
    from hroute.router.attempts import Attempt, Move
    from hroute.router.client import Client

HELP = """Send a prompt through the policy and print the answer.

Text that is piped in beside a prompt goes along as context. Answers 4 where a key is missing, 5 where policy or budget
refuse, 6 where every permitted provider failed.

\b
Examples:
  hroute ask "Why is the sky blue?"
  git diff | hroute ask "Write a commit message" | git commit -F -
  hroute ask -f big.py "Refactor this module"
  hroute ask --sandbox "Why is the sky blue?"
"""


def register(app: typer.Typer) -> None:
    app.command("ask", help=HELP)(ask)


def ask(
    prompt: request.PromptArgument = None,
    files: request.FileOption = None,
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
    signals: request.SignalOption = None,
    system: request.SystemOption = None,
    session: request.SessionOption = None,
    cost_center: request.CostCenterOption = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=1, help="Output tokens at most.")] = None,
    json_schema: Annotated[
        str | None, typer.Option("--json-schema", metavar="FILE", help="The answer must be JSON of this schema.")
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Keep the request and retry it later if everybody fails.")
    ] = False,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Print the answer when it is complete.")] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Scripted answers under every provider's name: no key, no server.")
    ] = False,
    sandbox_script: Annotated[
        str | None, typer.Option("--sandbox-script", metavar="FILE", help="What the sandbox answers, and how it fails.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say afterwards who answered, also off a terminal.")
    ] = False,
) -> int:
    """Read, send, print."""
    shape = None if json_schema is None else shape_of(json_schema)
    asked = request.read(
        prompt, files, system=system, session=session, cost_center=cost_center, signals=signals, max_tokens=max_tokens
    )
    if asked.request is None:
        raise UsageError("there is no prompt", help="hroute explain takes signals alone; ask needs something to send")
    client = _client(policy, sandbox, sandbox_script)
    options = {**asked.signals, "json_schema": shape, "queue": queue or None}
    if as_json or no_stream or shape is not None:
        answer = client.complete(asked.request, **options)
        _print(answer, as_json)
    else:
        answer = _stream(client, asked.request, options)
    if verbose or (streams.is_terminal(sys.stderr) and streams.is_terminal(sys.stdout) and not as_json):
        streams.talk(streams.paint(_summary(answer), "dim", streams.wants_colour(sys.stderr)))
    client.engine.shadows.close()
    return exits.DONE


def _client(policy: str | None, sandbox: bool, script: str | None) -> Client:
    from hroute.router.client import Client

    loaded = policies.load(policy)
    playing = sandbox or script is not None
    if playing:
        streams.talk("sandbox: answers are scripted, nothing is sent; the decision is real")
    client = Client.from_policy(
        policy=loaded, sandbox=(_script(script) if script else True) if playing else None, observe=_observe
    )
    if not playing:
        from hroute.router.memory import remind

        remind(client.engine.health, loaded, os.environ)
    return client


def _script(file: str) -> Script:
    from hroute.cli.sandbox import read_script

    return read_script(file)


def shape_of(file: str) -> dict[str, Any]:
    text = request.read_file(file)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"`{file}` is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"`{file}` is no JSON Schema: it must be an object")
    return found


def _print(answer: Answer, as_json: bool) -> None:
    if as_json:
        streams.emit("ask", answer.as_json())
    else:
        streams.line(streams.answer(answer.text.rstrip("\n")))


def _stream(client: Client, sent: Request, options: dict[str, Any]) -> Answer:
    """Words as they come. Ends with a newline, so that the prompt of a shell stands alone."""
    last = "\n"
    with client.stream(sent, **options) as stream:
        try:
            for event in stream:
                if isinstance(event, TextDelta) and event.text:
                    streams.write(streams.answer(event.text))
                    last = event.text
        finally:
            if not last.endswith("\n"):
                streams.write("\n")
        return stream.answer


def _observe(event: Attempt | Move) -> None:
    """A provider is given up: always said, on stderr."""
    from hroute.router.attempts import Move

    if isinstance(event, Move):
        times = f"{count(event.tries, 'try', 'tries')} in {event.seconds:.1f} s"
        following = f" Trying {event.to}." if event.to else ""
        streams.talk(visible(f"{event.provider}: {event.failure.message}, {times}.{following}"))


def _summary(answer: Answer) -> str:
    """`ollama  rule simple  1.9 s  14 -> 212 tokens  $0.0000  id 01J8ZQ`."""
    seconds = sum(attempt.latency_ms for attempt in answer.attempts) / 1000
    usage = answer.usage
    read = usage.input + usage.cache_read + usage.cache_write
    facts = [
        answer.actual_provider,
        f"rule {answer.decision.rule.name}",
        f"{seconds:.1f} s",
        f"{read} -> {usage.output + usage.reasoning} tokens",
        money.show(answer.cost, 4),
        f"id {short(answer.id)}",
    ]
    if answer.escalation is not None:
        facts.insert(1, f"instead of {answer.routed_to} ({answer.escalation})")
    return visible("  ".join(facts))
