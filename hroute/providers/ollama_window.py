"""Which context window a call to Ollama gets: large enough for prompt and answer, in few sizes, no smaller than loaded.

Ollama loads a model anew whenever a call asks for another window than the one that it is loaded with, be it larger or
smaller. So windows come in buckets, and as long as a model stays loaded its window is not made smaller again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hroute.providers.probe import Residence
from hroute.providers.protocol import ProviderError
from hroute.terms.message import Request, Text, Thinking, ToolResult, ToolUse, Unread
from hroute.terms.outcome import Failure, Outcome
from hroute.wire.fields import dumps

BUCKETS: Final = (2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576)
"""Sizes of context in tokens. Few, so that a model is seldom loaded again for a longer prompt."""

KEPT: Final = 300.0
"""Seconds for which Ollama keeps a model after its last call, unless `keep_alive` says otherwise."""

_BYTES_PER_TOKEN: Final = 3.0
"""English has four, Chinese three, code between: too many tokens are reckoned, never too few."""
_HEADROOM: Final = 1.1
_UNREAD_TOKENS: Final = 1500
_LEAST_OUTPUT: Final = 256
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Model:
    """What Ollama says of a model: the context it was trained with, and the host that really serves it ("" is this one)."""

    context: int | None = None
    remote: str = ""


def model_of(shown: Mapping[str, Any]) -> Model:
    """The facts in an answer of /api/show."""
    info = shown.get("model_info")
    lengths = (
        [n for key, n in info.items() if str(key).endswith(".context_length")] if isinstance(info, Mapping) else []
    )
    context = next((n for n in lengths if isinstance(n, int) and n > 0), None)
    return Model(context, str(shown.get("remote_host") or shown.get("remote_model") or ""))


def residence_of(running: Mapping[str, Any], model: str) -> Residence | None:
    """How `model` lies in memory, in an answer of /api/ps; None where it is not loaded. `llama3` is `llama3:latest`."""
    names = {model, f"{model}:latest"}
    rows = running.get("models")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and names & {row.get("name"), row.get("model")}:
            sizes = (row.get(key) for key in ("context_length", "size", "size_vram"))
            return Residence(*(n if isinstance(n, int) and not isinstance(n, bool) else None for n in sizes))
    return None


def context_for(
    request: Request, window: int | None, fixed: int | None = None, loaded: int = 0
) -> tuple[int, int | None]:
    """(`num_ctx`, output limit) for `request`. `window` is the model's, `fixed` one that the policy prescribes, `loaded`
    the one that the model is loaded with.

    Raises ProviderError (capability) where prompt and a short answer do not fit.
    """
    prompt = int(estimate(request) * _HEADROOM)
    most = min(window or BUCKETS[-1], fixed or BUCKETS[-1])
    output = min(request.max_tokens or _LEAST_OUTPUT, most - prompt)
    if output < min(_LEAST_OUTPUT, request.max_tokens or _LEAST_OUTPUT):
        said = f"about {prompt + _LEAST_OUTPUT} tokens are needed, {most} fit"
        raise ProviderError(Failure(Outcome.CAPABILITY, said, code="context"))
    limit = output if request.max_tokens else None
    if fixed is not None:
        return most, limit
    bucket = next((size for size in BUCKETS if size >= prompt + output), most)
    return min(max(bucket, loaded), most), limit


def estimate(request: Request) -> float:
    """Tokens of everything that is sent, reckoned from bytes on the high side."""
    texts = [request.system, *(name + text for name, text in request.files)]
    texts += [dumps([t.name, t.description, dict(t.schema)]) for t in request.tools]
    unread = 0
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text=text) | Thinking(text=text):
                    texts.append(text)
                case ToolUse():
                    texts.append(dumps(dict(part.input)))
                case ToolResult():
                    texts.append(part.content)
                case Unread():
                    unread += _UNREAD_TOKENS
    frames = 8 * (len(request.messages) + len(request.files) + 1)
    return sum(len(t.encode("utf-8", "surrogatepass")) for t in texts) / _BYTES_PER_TOKEN + unread + frames


class Loaded:
    """The windows that models are loaded with, as far as this process knows. Safe between threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._windows: dict[object, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def window(self, model: object) -> int:
        """The window of `model`; 0 where it is not loaded, or nobody knows."""
        with self._lock:
            size, until = self._windows.get(model, (0, 0.0))
        return size if self._now() < until else 0

    def note(self, model: object, window: int, keep_alive: object = None) -> None:
        """`model` has just answered with `window`, and stays for `keep_alive`."""
        with self._lock:
            self._windows[model] = (window, self._now() + seconds(keep_alive))


def seconds(keep_alive: object) -> float:
    """Ollama's `keep_alive` in seconds: a number, or `10m`; less than nothing is for ever; `KEPT` for what is not understood."""
    if isinstance(keep_alive, str):
        unit = next((u for u in ("ms", "s", "m", "h") if keep_alive.endswith(u)), "")
        try:
            found = float(keep_alive.removesuffix(unit)) * _UNITS.get(unit, 1.0)
        except ValueError:
            return KEPT
    elif isinstance(keep_alive, (int, float)) and not isinstance(keep_alive, bool):
        found = float(keep_alive)
    else:
        return KEPT
    return float("inf") if found < 0 else found
