"""Who may come in: the checks of Host, Origin and content type that keep web pages out, and the limits of what is read.

A gateway on loopback is open to every page that a browser of this machine shows, unless it looks at what the browser
says of itself (SEMANTICS 3.11).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from hroute.gateway.refusals import Refusal
from hroute.gateway.responder import Message, Receive
from hroute.terms import locality

MAX_BODY: Final = 32 << 20
"""Bytes of a request that are read; more is a 413."""
MAX_HEADERS: Final = 64 << 10
"""Bytes of all headers together; more is a 431."""
BODY_SECONDS: Final = 30.0
"""Seconds that a client may be silent in the middle of its body."""


class Gone(Exception):
    """The client has left before it was answered."""


class Rejected(Exception):
    """The request cannot be taken in; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def check(headers: Mapping[str, str], hosts: Collection[str], *, loopback: bool) -> None:
    """Raises Rejected where a request may come from a web page, or asks under a name that is not ours."""
    if sum(len(name) + len(value) + 4 for name, value in headers.items()) > MAX_HEADERS:
        raise Rejected(Refusal(431, "hroute: the headers are too long"))
    host = _host(headers.get("host", ""))
    if loopback and not _is_ours(host, hosts):
        raise Rejected(Refusal(403, f"hroute: this gateway is not called `{host[:100]}`; name it in `gateway.hosts`"))
    origin = headers.get("origin")
    if origin is not None and not (origin != "null" and _is_ours(urlsplit(origin).hostname or "", hosts)):
        raise Rejected(Refusal(403, "hroute: web pages of elsewhere may not use this gateway"))


def check_media(headers: Mapping[str, str]) -> None:
    """Raises Rejected where a body is not what a door reads: plain JSON, which no page of elsewhere can send unasked."""
    if _media(headers) != "application/json":
        raise Rejected(Refusal(415, "hroute: send the body as application/json"))
    if headers.get("content-encoding", "identity") != "identity":
        raise Rejected(Refusal(415, "hroute: send the body without content-encoding"))


async def body_of(receive: Receive, headers: Mapping[str, str]) -> bytes:
    """The whole body. Raises Rejected where it is too large or too slow, Gone where the client leaves."""
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BODY:
        raise Rejected(_TOO_LARGE)
    message = await _next(receive)
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    pieces, size = [body], len(body)
    while message.get("more_body"):
        message = await _next(receive)
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY:
            raise Rejected(_TOO_LARGE)
    return b"".join(pieces)


_TOO_LARGE: Final = Refusal(413, f"hroute: the body is larger than {MAX_BODY >> 20} MiB")


async def _next(receive: Receive) -> Message:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            message = await receive()
    except TimeoutError:
        raise Rejected(Refusal(408, "hroute: the body did not come in time")) from None
    if message["type"] == "http.disconnect":
        raise Gone
    return message


def _is_ours(host: str, hosts: Collection[str]) -> bool:
    """`localhost`, a literal loopback address, or a name that the policy gives the gateway."""
    return host == "localhost" or locality.of_ip(host) == "machine" or host in hosts


def _host(header: str) -> str:
    """The host of a Host header, in lower case, without port and brackets; "" where it cannot be read."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _media(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
