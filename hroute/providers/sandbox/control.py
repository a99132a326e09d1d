"""The sandbox's own pages: change its faults while it serves, and see which calls came, without their credentials."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from hroute.errors import UsageError
from hroute.wire.fields import Malformed, loads, mapping

if TYPE_CHECKING:
    from email.message import Message as Headers

    from hroute.providers.sandbox.doors import Door
    from hroute.providers.sandbox.play import Play, Scene
    from hroute.terms.message import Request

KEPT: Final = 1_000
"""Calls that are remembered."""
_SHOWN: Final = ("user-agent", "anthropic-version", "anthropic-beta", "content-type", "accept", "x-app")
_CREDENTIALS: Final = ("authorization", "x-api-key", "api-key", "cookie", "proxy-authorization")


class Calls:
    """The calls that came, the newest last. `keep_bodies` keeps what was asked; credentials are never kept."""

    def __init__(self, keep_bodies: bool = False) -> None:
        self._rows: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self._count = 0
        self._keep_bodies = keep_bodies

    def add(
        self,
        door: Door,
        provider: str,
        model: str,
        request: Request,
        scene: Scene,
        headers: Headers,
        body: Mapping[str, Any],
        path: str,
    ) -> None:
        row: dict[str, Any] = {
            "path": path.partition("?")[0],
            "dialect": door.dialect,
            "provider": provider,
            "model": model,
            "stream": request.stream,
            "messages": len(request.messages),
            "tools": len(request.tools),
            "max_tokens": request.max_tokens,
            "prompt_tokens": scene.saw,
            "status": scene.rejection.status if scene.rejection else 200,
            "faults": [str(kind) for kind in scene.faults],
            "headers": {name: headers[name] for name in _SHOWN if name in headers},
            "credentials": [name for name in _CREDENTIALS if name in headers],
        }
        if self._keep_bodies:
            row["body"] = body
        with self._lock:
            self._count += 1
            self._rows.append({"n": self._count, **row})

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._rows)

    def clear(self) -> None:
        with self._lock:
            self._rows.clear()
            self._count = 0


def change(play: Play, calls: Calls, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """POST /_sandbox/faults and /_sandbox/reset, as status and answer.

    Faults come as in a script: one, a list, or `{faults: [...], replace: true}`.
    """
    if path == "/_sandbox/reset":
        play.reset()
        calls.clear()
        return 200, {"faults": [str(fault.kind) for fault in play.faults]}
    if path != "/_sandbox/faults":
        return 404, {"error": "no such path; there are /_sandbox/faults, /_sandbox/calls and /_sandbox/reset"}
    from hroute.providers.sandbox.reading import read_faults

    try:
        data = loads(body)
        whole = mapping(data, "body") if isinstance(data, Mapping) and "kind" not in data else {"faults": data}
        play.add(read_faults(whole.get("faults")), replace=whole.get("replace") is True)
    except Malformed as error:
        return 400, {"error": str(error)}
    except UsageError as error:
        return 400, {"error": error.message, "help": error.help}
    return 200, {"faults": [str(fault.kind) for fault in play.faults]}


def line(door: Door, provider: str, model: str, scene: Scene) -> str:
    """What a log says of a call: names and counts, nothing of its text."""
    status = scene.rejection.status if scene.rejection else 200
    struck = f"  {', '.join(scene.faults)}" if scene.faults else ""
    return f"{provider}  {model}  {door.path}  {status or 'no connection'}  {scene.saw} tokens{struck}"
