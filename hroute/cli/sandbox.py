"""`hroute sandbox serve`: the sandbox over HTTP, in place of every vendor, to rehearse an outage of one's own policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hroute.cli import exits, streams
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.providers.sandbox.script import Script

HELP = "Scripted stand-ins for every vendor, to rehearse an outage."
SERVE_HELP = """Serve the wires of Anthropic, OpenAI (chat and responses) and Ollama on this machine, with scripted answers and faults.

Point a program at it with the lines that it prints. Nothing leaves the machine; Ctrl-C stops it.
"""


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, rich_markup_mode=None, no_args_is_help=True)
    group.callback()(_group)
    group.command("serve", help=SERVE_HELP)(serve)
    app.add_typer(group, name="sandbox")


def _group() -> None:
    """Commands of the sandbox."""


def serve(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8485,
    script: Annotated[
        str | None, typer.Option("--script", metavar="FILE", help="What it answers, and how it fails (YAML or JSON).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The addresses as one JSON object.")] = False,
) -> int:
    """Serve until interrupted."""
    from hroute.providers.sandbox.server import SandboxServer

    played = read_script(script) if script else None
    with SandboxServer(played, port=port, log=streams.talk) as running:
        _announce(running.url, as_json)
        running.wait()
    return exits.DONE


def read_script(file: str) -> Script:
    """A script of answers and faults from a YAML or JSON file. Raises UsageError saying where it is wrong."""
    from hroute.providers.sandbox import reading
    from hroute.schema.source import read

    source = read(file)
    for finding in source.findings:
        raise UsageError(f"{finding.primary.span}: {finding.message}", help=finding.help or None)
    if source.data is not None and not isinstance(source.data, dict):
        raise UsageError(f"`{file}` is no sandbox script: it must be a mapping")
    return reading.read_script(source.data)


def _announce(url: str, as_json: bool) -> None:
    """Where it is, as lines for a shell."""
    variables = {
        "ANTHROPIC_BASE_URL": url,
        "OPENAI_BASE_URL": f"{url}/v1",
        "OLLAMA_HOST": url,
        "ANTHROPIC_API_KEY": "sandbox",
        "OPENAI_API_KEY": "sandbox",
    }
    pages = {"faults": f"{url}/_sandbox/faults", "calls": f"{url}/_sandbox/calls"}
    if as_json:
        streams.emit("sandbox", {"url": url, "environment": variables, "control": pages})
        return
    streams.line(f"# sandbox on {url}: answers are scripted, nothing leaves this machine")
    for name, value in variables.items():
        streams.line(f"export {name}={value}")
    streams.line(f"# one provider of a policy: base_url: {url}/PROVIDER")
    streams.line(f"# what came: GET {pages['calls']}      an outage: POST {pages['faults']}")
    streams.talk("Ctrl-C stops it.")
