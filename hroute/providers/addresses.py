"""Which addresses a provider may be dialled at, by what it claims to be."""

from __future__ import annotations

import socket

from hroute.providers.protocol import Target
from hroute.terms import locality


def admitted(host: str, claim: bool | str) -> tuple[str, ...]:
    """The addresses of `host` that a provider with this `local:` claim may be dialled at: all of them, or none.

    One that claims nothing is dialled by name. Raises PermissionError where any address is not as near as claimed.
    """
    if not claim:
        return (host,)
    near = ("machine",) if claim is True else ("machine", "network")
    found = _addresses(host)
    if not found or any(locality.of_ip(ip) not in near for ip in found):
        raise PermissionError(f"{host} is not a local address")
    return found


def _addresses(host: str) -> tuple[str, ...]:
    if locality.of_ip(host) != "cloud":
        return (host,)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def unix_path(target: Target) -> str | None:
    """The path of the socket that a Unix address names; None for any other address."""
    scheme, _, path = (target.base_url or "").partition(":")
    if scheme == "unix":
        return "/" + path.lstrip("/")
    if scheme in ("http+unix", "unix+http"):
        return path.removeprefix("//").partition("/")[0].replace("%2F", "/").replace("%2f", "/")
    return None
