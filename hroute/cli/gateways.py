"""Gateways on this machine: where the policy's own would be, what its pages say, and one that lives as long as a block."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from hroute.cli.serve import HOST, PORT
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.schema.policy import Policy

_ANYWHERE: Final = ("0.0.0.0", "::", "")
_HERE: Final = ("localhost", "127.0.0.1", "::1")
_PATIENCE: Final = 1.0  # seconds for a page of a gateway on this machine
_LEAVING: Final = 10.0  # seconds in which a gateway writes down what it knows and ends
_PR_SET_PDEATHSIG: Final = 1
_TOLD: Final = 20  # lines of what a gateway said that are shown when it ends


@dataclass(frozen=True, slots=True)
class Serving:
    """A gateway that answers. `own` is one that ends with whoever started it."""

    url: str
    mode: str
    policy: str
    own: bool = False


def address(policy: Policy) -> str:
    """Where the policy's gateway listens, as this machine reaches it."""
    host = str(policy.gateway.get("host") or HOST)
    host = HOST if host in _ANYWHERE else host
    return f"http://{f'[{host}]' if ':' in host else host}:{policy.gateway.get('port') or PORT}"


def ask(url: str, path: str) -> dict[str, Any] | None:
    """A page of the gateway at `url`; None where none is there. Nobody outside this machine is ever asked."""
    from http.client import HTTPConnection, HTTPException

    try:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname not in _HERE:
            return None
        connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=_PATIENCE)
        try:
            connection.request("GET", parts.path.rstrip("/") + path)
            found = json.loads(connection.getresponse().read(1 << 20))
        finally:
            connection.close()
    except (OSError, ValueError, HTTPException):
        return None
    return found if isinstance(found, dict) else None


def found(policy: Policy) -> Serving | None:
    """The gateway that answers at the policy's address, whatever policy it serves."""
    url = address(policy)
    said = ask(url, "/readyz")
    if said is None or not isinstance(said.get("policy"), str):
        return None
    return Serving(url, str(said.get("mode")), said["policy"])


@contextmanager
def started(policy: Policy) -> Iterator[tuple[Serving, IO[str]]]:
    """A gateway of our own on a free port, and what it says while it runs; it ends with the block.

    It is in a session of its own, so that a Ctrl-C meant for the program in front does not end it. Raises UsageError
    where it does not come up.
    """
    command = [sys.executable, "-m", "hroute", "serve", "-p", policy.path, "--host", HOST, "--port", "0", "--json"]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True, preexec_fn=_dying_with_us()
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("{") or "url" not in (told := json.loads(line)):
                process.wait(_LEAVING)
                raise UsageError(f"the gateway did not start: {_first(said)}", help="hroute serve says more")
            yield Serving(told["url"], told["mode"], told["policy"], own=True), said
        finally:
            _end(process)


def heard(said: IO[str]) -> list[str]:
    """The last lines that a gateway of our own said: a policy that was reloaded, or rejected."""
    said.seek(0)
    return [line.rstrip() for line in said if line.strip()][-_TOLD:]


def _first(said: IO[str]) -> str:
    lines = heard(said)
    return lines[0].removeprefix("error: ") if lines else "it said nothing"


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_LEAVING)
    except subprocess.TimeoutExpired:
        process.kill()


def _dying_with_us() -> Callable[[], None]:
    """What a child does first where the system can (Linux), so that whoever kills us without a word leaves no gateway."""
    import ctypes

    us, library = os.getpid(), ctypes.CDLL(None)

    def begin() -> None:
        with suppress(OSError, AttributeError):
            library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != us:
                os._exit(1)

    return begin
