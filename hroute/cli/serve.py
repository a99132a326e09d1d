"""`hroute serve`: the gateway, for programs that speak to Anthropic or OpenAI and are not to be changed."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hroute.cli import exits, policies, streams
from hroute.cli.serving import Serving, as_asked, become, exports, loopback
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.schema.policy import Policy

HELP = """Serve the policy to programs that speak to Anthropic or OpenAI, by one environment variable.

Claude Code, the vendors' SDKs, codex, opencode, aider and others are pointed here and stay as they are. With --observe
every request goes where it went before, byte for byte; only the decision is written down. Ctrl-C (or SIGTERM) lets
requests under way finish; SIGHUP, or an edit of the policy's file, brings the policy up to date.

\b
Examples:
  hroute serve --observe --baseline claude_sonnet
  hroute serve &  eval "$(hroute serve --print-env)"
  hroute serve --sandbox                            scripted answers: no key, no server
"""

HOST: Final = "127.0.0.1"
PORT: Final = 8484
_PACKAGES: Final = ("starlette", "uvicorn", "uvloop", "httptools", "aiohttp", "orjson", "prometheus_client")


def register(app: typer.Typer) -> None:
    app.command("serve", help=HELP)(serve)


def serve(
    policy: policies.PolicyOption = None,
    host: Annotated[
        str | None, typer.Option("--host", help=f"The address to listen on; else the policy's, else {HOST}.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help=f"0 takes a free one; else the policy's, else {PORT}."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, max=64, help="Processes that share the address, the ledger and its budgets."),
    ] = 1,
    observe: Annotated[
        bool, typer.Option("--observe", help="Everything goes where it went before; only write down what would be.")
    ] = False,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="PROVIDER", help="Where requests went before, for --observe.")
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Scripted answers under every provider's name: no key, no server.")
    ] = False,
    print_env: Annotated[
        bool, typer.Option("--print-env", help="Print the lines that point programs here, and leave.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The address as one JSON object, once it listens.")] = False,
) -> int:
    """Load, listen, serve until told to stop."""
    loaded = policies.load(policy)
    where, at = host or str(loaded.gateway.get("host") or HOST), _port(port, loaded)
    if print_env:
        for line in exports(f"http://{where}:{at}"):
            streams.line(line)
        return exits.DONE
    need_gateway()
    loaded = as_asked(loaded, observe, baseline)
    _need_keys(where)
    _say_what_workers_do_not_share(loaded, workers)
    from hroute.gateway import server

    listener = server.bound(where, at)
    become(
        Serving(
            loaded.path, where, listener.fileno(), observe, baseline, sandbox=sandbox, as_json=as_json, workers=workers
        )
    )
    return exits.DONE


def _need_keys(host: str) -> None:
    """Raises UsageError where strangers could come in: off loopback only clients with keys are served."""
    from hroute.gateway.clients import Clients, path_of

    if not Clients(path_of(os.environ)).all() and not loopback(host):
        raise UsageError(
            f"`{host}` can be reached from other machines, and there are no client keys",
            help="hroute keys client add NAME makes one",
        )


def _say_what_workers_do_not_share(policy: Policy, workers: int) -> None:
    from hroute.schema.policy import Limits

    limited = [name for name, provider in policy.providers.items() if provider.limits != Limits()]
    if workers > 1 and limited:
        streams.talk(f"note: each of the {workers} workers counts the limits of {', '.join(limited)} for itself")


def _port(given: int | None, policy: Policy) -> int:
    named = policy.gateway.get("port")
    return given if given is not None else named if isinstance(named, int) else PORT


def need_gateway() -> None:
    """Raises UsageError where a package of the extra is missing."""
    missing = next((name for name in _PACKAGES if find_spec(name) is None), None)
    if missing is not None:
        raise UsageError(
            f"the gateway needs the Python package `{missing}`, which is not installed",
            help="in a checkout of hroute: python -m pip install -e '.[gateway]'",
        )
