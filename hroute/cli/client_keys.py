"""`hroute keys client`: keys for the gateway's own clients; each is shown once and kept as a hash."""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from hroute.cli import exits, streams
from hroute.cli.render.table import rows
from hroute.cli.serve import need_gateway
from hroute.errors import UsageError
from hroute.terms import money

HELP = "Keys for programs and people that use the gateway (hroute serve); only hashes are kept."
ADD_HELP = """Make a key for NAME and print it, this once.

A client sends it as x-hroute-key, as x-api-key or as a bearer token. Without a key only programs of this machine are
served; with one the gateway may listen elsewhere.

\b
Examples:
  hroute keys client add telegram-bot --cost-center bot --monthly 50
  hroute keys client add ci --route code_generation --per-minute 60 --fixed cost_center
"""
LIST_HELP = "List the clients and what they may do; never a key."
REVOKE_HELP = "Forget a client: its key opens nothing any more, at once."

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The client's name, as records show it.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="One JSON object a client.")]
_LONGEST: Final = 100


def register(group: typer.Typer) -> None:
    """Add the commands to `hroute keys`."""
    clients = typer.Typer(help=HELP, rich_markup_mode=None, no_args_is_help=True)
    clients.callback()(_group)
    clients.command("add", help=ADD_HELP)(add)
    clients.command("list", help=LIST_HELP)(list_)
    clients.command("revoke", help=REVOKE_HELP)(revoke)
    group.add_typer(clients, name="client")


def _group() -> None:
    """Keys of the gateway's clients."""


def add(
    name: NameArgument,
    cost_center: Annotated[str | None, typer.Option("--cost-center", help="Who pays for its requests.")] = None,
    monthly: Annotated[
        float | None, typer.Option("--monthly", metavar="USD", min=0.0, help="What it may spend in a month.")
    ] = None,
    per_minute: Annotated[int | None, typer.Option("--per-minute", min=1, help="Requests a minute.")] = None,
    route: Annotated[
        list[str] | None, typer.Option("--route", metavar="NAME", help="A rule, tier or provider open to it; else all.")
    ] = None,
    signal: Annotated[
        list[str] | None, typer.Option("--signal", metavar="NAME=VALUE", help="Stands where a request says nothing.")
    ] = None,
    fixed: Annotated[
        list[str] | None, typer.Option("--fixed", metavar="NAME", help="A signal that its requests may not say.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="It may read /metrics off this machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Check, make, show once."""
    need_gateway()
    from hroute.gateway.clients import Client, Clients, path_of

    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise UsageError(f"a client's name is 1 to {_LONGEST} printable characters")
    signals = _signals(signal or [])
    if cost_center is not None:
        signals["cost_center"] = cost_center
    for each in fixed or []:
        _known(each)
    limit = None if monthly is None else money.from_usd(monthly)
    wanted = Client(name, "", "", 0, signals, tuple(fixed or ()), tuple(route or ()), limit, per_minute, admin)
    place = path_of(os.environ)
    key = Clients(place).add(wanted)
    if as_json:
        streams.emit("keys", {"client": name, "key": key})
    else:
        streams.line(key)
    streams.talk(f"the key of {name}, shown this once; its hash is kept in {place}")
    return exits.DONE


def list_(as_json: JsonLinesOption = False) -> int:
    """Names and limits."""
    need_gateway()
    from hroute.gateway.clients import Clients, path_of

    found = Clients(path_of(os.environ)).all()
    if as_json:
        for c in found:
            limits = {"monthly_usd": money.to_json(c.monthly), "per_minute": c.per_minute, "routes": list(c.routes)}
            said = {"signals": dict(c.signals), "fixed": list(c.fixed), "admin": c.admin}
            streams.emit("keys", {"client": c.name, **said, **limits})
        return exits.DONE
    table = [
        [
            c.name,
            "" if c.monthly is None else f"{money.show(c.monthly)} a month",
            "" if c.per_minute is None else f"{c.per_minute} a minute",
            ", ".join(c.routes) or "all routes",
            ", ".join(f"{key}={value}" for key, value in c.signals.items()),
            f"may not say {', '.join(c.fixed)}" if c.fixed else "",
            "administrator" if c.admin else "",
        ]
        for c in found
    ]
    for line in rows(table):
        streams.line(line)
    if not found:
        streams.talk("there are no client keys: hroute keys client add NAME")
    return exits.DONE


def revoke(
    name: NameArgument, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False
) -> int:
    """Forget it."""
    need_gateway()
    from hroute.gateway.clients import Clients, path_of

    gone = Clients(path_of(os.environ)).revoke(name)
    if as_json:
        streams.emit("keys", {"client": name, "revoked": gone})
    streams.talk(f"the key of {name} opens nothing any more" if gone else f"there was no client {name}")
    return exits.DONE if gone else exits.NO


def _signals(given: list[str]) -> dict[str, str]:
    from hroute.terms.signal import coerce

    found = {}
    for item in given:
        name, sign, value = item.partition("=")
        if not sign:
            raise UsageError(f"--signal `{item[:60]}`: NAME=VALUE is wanted")
        _known(name)
        coerce(name, value)
        found[name] = value
    return found


def _known(name: str) -> None:
    from hroute.terms.signal import SIGNALS

    if name not in SIGNALS or name in ("message", "held_rule", "arrival_hour", "client"):
        raise UsageError(f"`{name[:60]}` is no signal that a client's key can set", help="docs/signals.md lists them")
