"""Which address is what: this machine, a network that an operator vouches for, or the cloud (SEMANTICS 2.7).

Only literal addresses are judged here, nothing is looked up. An address in any spelling but the canonical one is
"cloud": a reader that guesses what `0x7f.1` means can be fooled by another that guesses otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal

Locality = Literal["machine", "network", "cloud"]

_UNIX: Final = ("unix:", "http+unix:", "unix+http:")
_LOOPBACK: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_PRIVATE: Final = (
    IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16"), IPv4Network("100.64.0.0/10"), IPv6Network("fc00::/7"),
)  # fmt: skip
# Clouds serve instance credentials at these; two of them lie inside ranges that would otherwise be "network".
_METADATA: Final = frozenset(map(ip_address, ("169.254.169.254", "100.100.100.200", "fd00:ec2::254")))
_HOST: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a base URL leads: `host` in lower case, without brackets; `port` None where the scheme decides."""

    scheme: str
    host: str
    port: int | None = None


@lru_cache(maxsize=1024)
def classify(base_url: str | None, *, in_process: bool = False) -> Locality:
    """The locality of `base_url` by its literal address; a host name other than `localhost` is "cloud"."""
    if in_process:
        return "machine"
    if base_url is None:
        return "cloud"
    if base_url.startswith(_UNIX):
        return "machine"
    address = parse(base_url)
    if address is None:
        return "cloud"
    return "machine" if address.host == "localhost" else of_ip(address.host)


def of_ip(text: str) -> Locality:
    """The locality of one IP address as text; "cloud" for anything that is not one in its canonical spelling."""
    try:
        ip = ip_address(text)
    except ValueError:
        return "cloud"
    if ip in _METADATA or (isinstance(ip, IPv6Address) and (ip.ipv4_mapped is not None or ip.scope_id is not None)):
        return "cloud"
    if _inside(ip, _LOOPBACK):
        return "machine"
    return "network" if _inside(ip, _PRIVATE) else "cloud"


def parse(base_url: str) -> Address | None:
    """Scheme, host and port of an http(s) URL, or None where any reader could take it for another address.

    Refused are user information, backslashes, blanks, percent signs, non-ASCII, a trailing dot and an empty host.
    """
    text = base_url if "://" in base_url else f"http://{base_url}"
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    authority = rest
    for end in "/?#":
        authority = authority.partition(end)[0]
    if scheme not in ("http", "https") or not authority.isascii() or any(c in "@\\%" or c <= " " for c in text):
        return None
    host, port = _split_port(authority.lower())
    if port is not None and not (port.isdigit() and len(port) <= 5 and int(port) < 65536):
        return None
    if ":" not in host and (not host or host.endswith(".") or not _HOST.issuperset(host)):
        return None
    return Address(scheme, host, None if port is None else int(port))


def _split_port(authority: str) -> tuple[str, str | None]:
    """`host[:port]`, brackets of an IPv6 literal taken off; a host with stray brackets or colons comes out empty."""
    if authority.startswith("["):
        host, closed, tail = authority[1:].partition("]")
        if not closed or (tail and not tail.startswith(":")) or ":" not in host:
            return "", None
        return host, tail[1:] if tail else None
    host, colon, port = authority.partition(":")
    return ("", None) if ":" in port else (host, port if colon else None)


def _inside(ip: IPv4Address | IPv6Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)
