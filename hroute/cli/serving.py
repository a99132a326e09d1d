"""The process that `hroute serve` becomes: a gateway and nothing of the command line, which would stay in memory.

Run: python -m hroute.cli.serving JSON, with the socket that listens open already.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hroute.cli import exits, streams
from hroute.errors import HrouteError, UsageError

if TYPE_CHECKING:
    from hroute.gateway.gateway import Gateway
    from hroute.router.engine import Engine
    from hroute.router.reload import Reload
    from hroute.schema.policy import Policy

DRAIN: Final = 30.0
_M_ARENA_MAX: Final = -8  # of glibc's malloc.h


@dataclass(frozen=True, slots=True)
class About:
    """What a gateway that serves has to say of itself."""

    url: str
    mode: str
    policy: str
    drain: float


@dataclass(frozen=True, slots=True)
class Serving:
    """What `hroute serve` was asked for. `fd` is the socket that listens on `host`; `workers` processes share it.

    `worker` is which of them this is, from 1; 0: the only one, or the one that watches over all. `ready` is a pipe on
    which a worker says that it serves, `lifeline` one that ends when the watcher does, `counts` the directory where workers
    lay down what they have counted.
    """

    path: str
    host: str
    fd: int
    observe: bool = False
    baseline: str | None = None
    sandbox: bool = False
    as_json: bool = False
    workers: int = 1
    worker: int = 0
    ready: int = -1
    lifeline: int = -1
    counts: str = ""

    def command(self) -> list[str]:
        """The command line of a process that does this. What lies in the current directory is imported only where this
        process does so, too."""
        here = sys.path[0] if sys.path else ""
        safe = [] if here in ("", os.getcwd()) else ["-P"]
        return [sys.executable, *safe, "-m", "hroute.cli.serving", json.dumps(asdict(self))]


def become(serving: Serving) -> None:
    """Replace this process, its number and its terminal stay."""
    os.set_inheritable(serving.fd, True)
    streams.finish()
    command = serving.command()
    os.execv(command[0], command)


def main(given: str) -> int:
    """Serve, or watch over those who do, until told to stop; the exit code."""
    streams.prepare()
    serving = Serving(**json.loads(given))
    try:
        if serving.workers > 1 and not serving.worker:
            from hroute.cli import workers

            return workers.watch(serving, lambda about: _announce(serving, about))
        return serve(serving)
    except (streams.PipeClosed, KeyboardInterrupt):
        return exits.DONE
    except HrouteError as error:
        from hroute.cli.render import failure

        failure.show(error)
        return exits.code_of(error)


def serve(serving: Serving) -> int:
    """Be a gateway until told to stop."""
    from hroute.gateway import server
    from hroute.router import check

    _one_heap()
    policy = as_asked(check.load(serving.path), serving.observe, serving.baseline)
    listener = socket.socket(fileno=serving.fd)
    port = listener.getsockname()[1]
    gateway = _gateway(policy, serving.host, port, serving.sandbox)
    if serving.counts:
        gateway.metrics.share(serving.counts, serving.worker)
    about = About(server.Listening(serving.host, port).url, policy.mode, policy.hash, drain(policy))
    server.serve(
        gateway,
        listener,
        drain=about.drain,
        reloader=_reloader(policy, serving.observe, serving.baseline),
        engine_of=lambda policy: gateway.engine.under(_with_clients(policy)),
        told=_tell if serving.worker <= 1 else lambda event: None,
        ready=lambda: _announce(serving, about),
        lifeline=serving.lifeline if serving.worker else None,
    )
    return exits.DONE


def as_asked(policy: Policy, observe: bool, baseline: str | None) -> Policy:
    """The policy as the options want it. Raises UsageError where the baseline is none of its providers."""
    if baseline is not None and baseline not in policy.providers:
        raise UsageError(f"--baseline: `{baseline}` is no provider of the policy", help="hroute status lists them")
    policy = replace(policy, baseline=baseline or policy.baseline)
    if not observe and policy.mode != "observe":
        return policy
    from hroute.gateway.observing import watching

    return watching(policy)


def exports(url: str) -> list[str]:
    """Lines for a shell that point programs at the gateway."""
    return [f"export ANTHROPIC_BASE_URL={url}", f"export OPENAI_BASE_URL={url}/v1"]


def drain(policy: Policy) -> float:
    """Seconds that requests under way may take to finish."""
    from hroute.schema.quantities import duration

    named = policy.gateway.get("drain")
    return duration(str(named)) if named is not None else DRAIN


def loopback(host: str) -> bool:
    from hroute.terms import locality

    return host == "localhost" or locality.of_ip(host) == "machine"


def _gateway(policy: Policy, host: str, port: int, sandbox: bool) -> Gateway:
    from hroute.gateway.clients import Clients, path_of
    from hroute.gateway.gateway import Gateway

    named = policy.gateway.get("hosts")
    hosts = frozenset(str(name).lower() for name in named) if isinstance(named, list | tuple) else frozenset()
    engine, clients = _engine(policy, sandbox), Clients(path_of(os.environ))
    return Gateway(engine, hosts, loopback(host), os.environ, port, clients=clients)


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
        return known.pop() if known else as_asked(checked(path), observe, baseline)

    return Reloader(policy.path, load)


def _tell(event: Reload) -> None:
    streams.talk(str(event))


def _announce(serving: Serving, about: About) -> None:
    """Where it is, how programs get there, and how they get away again; a worker tells it whoever watches over it."""
    if serving.worker:
        os.write(serving.ready, json.dumps(asdict(about)).encode() + b"\n")
    elif serving.as_json:
        streams.emit("serve", {"url": about.url, "mode": about.mode, "policy": about.policy})
    else:
        _say(serving, about)


def _say(serving: Serving, about: About) -> None:
    if about.mode == "observe":
        what = f"observing on {about.url}     every request goes where it went before; nothing changes but the log"
    else:
        what = f"serving on {about.url}     {serving.path}, policy {about.policy[:7]}"
    what += f", {serving.workers} workers" if serving.workers > 1 else ""
    streams.line(what + (", sandbox" if serving.sandbox else ""))
    for line in exports(about.url):
        variable = line.removeprefix("export ").partition("=")[0]
        streams.line(f"{line}      undo: unset {variable}")


def _one_heap() -> None:
    """The threads share one heap: of several, each keeps for itself what it has once used (glibc; elsewhere nothing)."""
    import ctypes

    setting = getattr(ctypes.CDLL(None), "mallopt", None)
    if setting is not None:
        setting(_M_ARENA_MAX, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
