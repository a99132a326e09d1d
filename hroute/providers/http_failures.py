"""What the errors of the HTTP libraries are to the router: one table of class names, for both generations."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

from hroute.terms.outcome import Failure, Outcome

_MOST_CAUSES: Final = 50


def failure_of(error: BaseException) -> Failure | None:
    """What an error of either httpx generation is to the router; None where it is none of theirs."""
    for known in _mro_names(error):
        found = EXCEPTIONS.get(known)
        if found is not None:
            return Failure(found, _told(known, error), code=known)
    return None


def _told(kind: str, error: BaseException) -> str:
    """What went wrong, for a person; the two mistakes that people make are told apart."""
    causes = list(_causes(error))
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "connection refused"
    if any(isinstance(cause, (socket.gaierror, UnicodeError)) for cause in causes):
        return "the host name is not known"
    return _MESSAGES.get(kind, "the connection failed")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and everything that it was raised from, as far as the libraries kept it."""
    waiting, seen = [error], 0
    while waiting and seen < _MOST_CAUSES:
        here = waiting.pop()
        seen += 1
        yield here
        waiting += [cause for cause in (here.__cause__, here.__context__) if cause is not None]
        waiting += getattr(here, "exceptions", ())  # of the addresses of one host


EXCEPTIONS: Final[dict[str, Outcome]] = {
    "ConnectTimeout": Outcome.TIMEOUT,
    "ReadTimeout": Outcome.TIMEOUT,
    "WriteTimeout": Outcome.TIMEOUT,
    "PoolTimeout": Outcome.TIMEOUT,
    "TimeoutException": Outcome.TIMEOUT,
    "ConnectError": Outcome.TRANSPORT,
    "ReadError": Outcome.TRANSPORT,
    "WriteError": Outcome.TRANSPORT,
    "CloseError": Outcome.TRANSPORT,
    "NetworkError": Outcome.TRANSPORT,
    "RemoteProtocolError": Outcome.TRANSPORT,
    "LocalProtocolError": Outcome.TRANSPORT,
    "ProtocolError": Outcome.TRANSPORT,
    "ProxyError": Outcome.TRANSPORT,
    "UnsupportedProtocol": Outcome.TRANSPORT,
    "TransportError": Outcome.TRANSPORT,
    "DecodingError": Outcome.SERVER,
    "TooManyRedirects": Outcome.SERVER,
    "RequestError": Outcome.TRANSPORT,
    "HTTPStatusError": Outcome.SERVER,
    "HTTPError": Outcome.TRANSPORT,
    "InvalidURL": Outcome.TRANSPORT,
    "StreamError": Outcome.TRANSPORT,
    "StreamClosed": Outcome.TRANSPORT,
    "StreamConsumed": Outcome.TRANSPORT,
    "ResponseNotRead": Outcome.TRANSPORT,
    "RequestNotRead": Outcome.TRANSPORT,
    "CookieConflict": Outcome.TRANSPORT,
    "SSEError": Outcome.SERVER,
}
"""Every exception class of httpx and httpx2, by name; a test walks them."""

_MESSAGES: Final = {
    "ConnectTimeout": "no connection in time",
    "ReadTimeout": "no answer in time",
    "WriteTimeout": "the request could not be sent in time",
    "PoolTimeout": "no free connection in time",
    "ConnectError": "cannot connect",
    "ReadError": "the connection broke off",
    "RemoteProtocolError": "the connection broke off",
    "WriteError": "the connection broke off",
}


def _mro_names(error: BaseException) -> list[str]:
    known = ("httpx", "httpx2", "httpcore", "httpcore2")
    return [kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] in known]
