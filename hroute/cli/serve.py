"""`hroute serve`: the gateway, for programs that speak to Anthropic or OpenAI and are not to be changed."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hroute.cli import exits, policies, streams
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.router.engine import Engine
    from hroute.router.reload import Reload
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
    loaded = _as_asked(policies.load(policy), observe, baseline)
    where, at = host or str(loaded.gateway.get("host") or HOST), _port(port, loaded)
    if print_env:
        for line in exports(f"http://{where}:{at}"):
            streams.line(line)
        return exits.DONE
    need_gateway()
    from hroute.gateway import server

    listener = server.bound(where, at)
    listening = server.Listening(where, listener.getsockname()[1])
    gateway = _gateway(loaded, where, listening.port, sandbox)
    server.serve(
        gateway,
        listener,
        drain=_drain(loaded),
        reloader=_reloader(loaded, observe, baseline),
        engine_of=lambda policy: gateway.engine.under(_with_clients(policy)),
        told=_tell,
        ready=lambda: _announce(gateway.engine.policy, listening.url, as_json, sandbox),
    )
    return exits.DONE


def exports(url: str) -> list[str]:
    """Lines for a shell that point programs at the gateway."""
    return [f"export ANTHROPIC_BASE_URL={url}", f"export OPENAI_BASE_URL={url}/v1"]


def _as_asked(policy: Policy, observe: bool, baseline: str | None) -> Policy:
    """The policy as the options want it. Raises UsageError where the baseline is none of its providers."""
    if baseline is not None and baseline not in policy.providers:
        raise UsageError(f"--baseline: `{baseline}` is no provider of the policy", help="hroute status lists them")
    policy = replace(policy, baseline=baseline or policy.baseline)
    if not observe and policy.mode != "observe":
        return policy
    need_gateway()
    from hroute.gateway.observing import watching

    return watching(policy)


def _gateway(policy: Policy, host: str, port: int, sandbox: bool) -> Any:
    from hroute.gateway.clients import Clients, path_of
    from hroute.gateway.gateway import Gateway
    from hroute.terms import locality

    loopback = host == "localhost" or locality.of_ip(host) == "machine"
    clients = Clients(path_of(os.environ))
    if not clients.all() and not loopback:
        raise UsageError(
            f"`{host}` can be reached from other machines, and there are no client keys",
            help="hroute keys client add NAME makes one",
        )
    named = policy.gateway.get("hosts")
    hosts = frozenset(str(name).lower() for name in named) if isinstance(named, list | tuple) else frozenset()
    return Gateway(_engine(policy, sandbox), hosts, loopback, os.environ, port, clients=clients)


def _engine(policy: Policy, sandbox: bool) -> Engine:
    from hroute.router.client import engine_of

    return engine_of(policy=_with_clients(policy), sandbox=sandbox)


def _with_clients(policy: Policy) -> Policy:
    """What a client's key may spend in a month is a budget like any other."""
    from hroute.gateway.clients import Clients, path_of, with_budgets

    return with_budgets(policy, Clients(path_of(os.environ)).all())


def _reloader(policy: Policy, observe: bool, baseline: str | None) -> Any:
    """What follows the file of `policy`: a change is taken once the policy's own tests pass."""
    from hroute.router.following import checked
    from hroute.router.reload import Reloader

    known = [policy]

    def load(path: str) -> Policy:
        return known.pop() if known else _as_asked(checked(path), observe, baseline)

    return Reloader(policy.path, load)


def _tell(event: Reload) -> None:
    streams.talk(str(event))


def _port(given: int | None, policy: Policy) -> int:
    named = policy.gateway.get("port")
    return given if given is not None else named if isinstance(named, int) else PORT


def _drain(policy: Policy) -> float:
    from hroute.schema.quantities import duration

    named = policy.gateway.get("drain")
    return duration(str(named)) if named is not None else 30.0


def _announce(policy: Policy, url: str, as_json: bool, sandbox: bool) -> None:
    """Where it is, how programs get there, and how they get away again."""
    if as_json:
        streams.emit("serve", {"url": url, "mode": policy.mode, "policy": policy.hash})
        return
    if policy.mode == "observe":
        streams.line(f"observing on {url}     every request goes where it went before; nothing changes but the log")
    else:
        streams.line(f"serving on {url}     {policy.path}, policy {policy.hash[:7]}{', sandbox' if sandbox else ''}")
    for line in exports(url):
        variable = line.removeprefix("export ").partition("=")[0]
        streams.line(f"{line}      undo: unset {variable}")


def need_gateway() -> None:
    """Raises UsageError where a package of the extra is missing."""
    missing = next((name for name in _PACKAGES if find_spec(name) is None), None)
    if missing is not None:
        raise UsageError(
            f"the gateway needs the Python package `{missing}`, which is not installed",
            help="in a checkout of hroute: python -m pip install -e '.[gateway]'",
        )
